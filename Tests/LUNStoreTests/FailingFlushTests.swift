import Glibc
import Synchronization
import TestSupport
import Testing

@testable import LUNStore

/// A flush of the host fails, any of those that a change needs. What was renamed just before is there all the same.
@Suite("Where the host fails to flush")
struct FailingFlushTests {
  private let folder = TemporaryFolder(inMemory: true)
  private var path: String { folder("store") }

  enum Change: CaseIterable, Sendable {
    case create, snapshot, cloneOfLUN, cloneOfSnapshot, rollback, grow, shrink, setProperties, deleteSnapshot

    func make(_ store: OpenStore) throws {
      let lun = try LUNName("a")
      let (snapshot, source) = try (SnapshotName(lun: lun, label: LUNName("s")), VolumeName("a"))
      switch self {
      case .create: try store.store.createLUN(LUNRequest(name: "new", size: "64K"))
      case .snapshot: try store.snapshot(SnapshotName(lun: lun, label: LUNName("new")))
      case .cloneOfLUN: try store.clone(source, to: LUNName("new"))
      case .cloneOfSnapshot: try store.clone(.snapshot(snapshot), to: LUNName("new"))
      case .rollback: try store.rollback(snapshot)
      case .grow: try store.resize(lun, to: 131072)
      case .shrink: try store.resize(lun, to: 20480)
      case .setProperties: try store.setProperties(lun, LUNProperties.Change(isReadOnly: true))
      case .deleteSnapshot: try store.delete(.snapshot(snapshot))
      }
    }
  }

  private func put(_ byte: UInt8, in store: OpenStore, at blocks: [Int64]) throws {
    let lun = try store.lun(LUNName("a"))
    for block in blocks {
      let bytes = [UInt8](repeating: byte, count: 4096)
      #expect(try bytes.withUnsafeBytes { try lun.write($0, at: block << 12) } == bytes.count)
    }
    try lun.flush()
  }

  /// A LUN `a` with a snapshot `a@s`, and blocks that only one of them has.
  private func makeStore() throws -> OpenStore {
    run("rm", "-rf", path)
    try Store.openOrCreate(path).store.createLUN(LUNRequest(name: "a", size: "64K"))
    let store = try OpenStore(path, at: "")
    try put(1, in: store, at: [0, 1, 2])
    try store.snapshot(SnapshotName(lun: LUNName("a"), label: LUNName("s")))
    try put(2, in: store, at: [1, 4])
    return store
  }

  private func everything(_ store: OpenStore) throws -> [VolumeName: [UInt8]] {
    var found: [VolumeName: [UInt8]] = [:]
    for name in try store.volumes() { found[name] = try contents(store.volume(name)) }
    return found
  }

  @Test("a change is made or is not, and nothing is damaged", arguments: Change.allCases)
  func everyFlush(change: Change) throws {
    let whole = try makeStore()
    let before = try everything(whole)
    try change.make(whole)
    let after = try everything(whole)
    try whole.release()
    var number = 0
    while true {
      number += 1
      let store = try makeStore()
      let probe = SyncProbe(path)
      let counter = Counter(number)
      probe.start { _ in counter.next() == 0 ? EIO : 0 }
      let result = Result { try change.make(store) }
      probe.stop()
      // As it goes on, and as it is when it is opened again.
      let now = try everything(store)
      try #require(now == before || now == after, "flush \(number)")
      try? store.release()
      let again = try OpenStore(path, at: "")
      let found = try everything(again)
      #expect(found == now, "flush \(number)")
      let findings = try again.check(repair: false).filter { $0.severity == .damage }
      try #require(findings.isEmpty, "flush \(number): \(findings)")
      try again.snapshot(SnapshotName(lun: LUNName("a"), label: LUNName("last")))
      try again.release()
      if case .success = result, counter.left > 0 { break }
    }
    #expect(number > 1)
  }
}

/// Counts down, and on past 0.
private final class Counter: Sendable {
  private let value: Mutex<Int>

  init(_ value: Int) { self.value = Mutex(value) }

  var left: Int { value.withLock { $0 } }

  func next() -> Int {
    value.withLock { value in
      value -= 1
      return value
    }
  }
}
