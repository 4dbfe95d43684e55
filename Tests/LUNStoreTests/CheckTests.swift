import Dispatch
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import LUNStore

@Suite("A check")
struct CheckTests {
  private let folder = TemporaryFolder(inMemory: true)
  private var path: String { folder("store") }

  /// A LUN `a` with a snapshot `a@one` and something written after it, and a LUN `b`.
  private func makeStore() throws {
    let made = try Store.openOrCreate(path).store
    for name in ["a", "b"] { try made.createLUN(LUNRequest(name: name, size: "1M")) }
    let store = try OpenStore(path, at: "")
    try store.snapshot(SnapshotName(lun: LUNName("a"), label: LUNName("one")))
    let bytes = [UInt8](repeating: 7, count: 8192)
    _ = try bytes.withUnsafeBytes { try store.lun(LUNName("a")).write($0, at: 4096) }
    try store.release()
  }

  private func check(repair: Bool = false) throws -> [CheckFinding] {
    let store = try OpenStore(path, at: "")
    let findings = try store.check(repair: repair)
    try store.release()
    return findings
  }

  private func file(_ name: String) -> String { layerFile(name, ofLUN: "a", inStore: path) }

  @Test("finds nothing in a sound store")
  func sound() throws {
    try makeStore()
    #expect(try check() == [])
    #expect(try check(repair: true) == [])
  }

  /// Ways to damage a store, and what has to be said about each.
  enum Damage: CaseIterable, Sendable {
    case lunRecord, snapshotRecord, layerRecord, mapHeader, mapFrame, mapCutShort, mapCutInHeader, mapGone
    case dataShort, dataGone, layerGone, parentGone

    /// What the message has to name.
    var place: String {
      switch self {
      case .lunRecord: "luns/a/lun"
      case .snapshotRecord: "luns/a/@one"
      case .layerRecord: "/layer"
      case .mapHeader, .mapFrame, .mapCutShort, .mapCutInHeader, .mapGone: "map.0"
      case .dataShort, .dataGone: "data.0"
      case .layerGone, .parentGone: "layers"
      }
    }
  }

  private func inflict(_ damage: Damage) {
    switch damage {
    case .lunRecord: patch("\(path)/luns/a/lun", at: 30, [0])
    case .snapshotRecord: truncate("\(path)/luns/a/@one", 20)
    case .layerRecord: patch(file("layer"), at: 30, [0])
    case .mapHeader: patch(file("map.0"), at: 12, [0])
    case .mapFrame: patch(file("map.0"), at: 100, [0xFF])
    case .mapCutShort: truncate(file("map.0"), 64)
    case .mapCutInHeader: truncate(file("map.0"), 10)
    case .mapGone: unlink(file("map.0"))
    case .dataShort: truncate(file("data.0"), 4096)
    case .dataGone: unlink(file("data.0"))
    case .layerGone: run("rm", "-r", String(file("").dropLast()))
    case .parentGone:
      let record = String(decoding: contents(of: file("layer")) ?? [], as: UTF8.self)
      let parent = record.split(separator: "\n").first { $0.hasPrefix("parent ") }?.dropFirst(7) ?? "none"
      run("rm", "-r", "\(path)/layers/\(parent)")
    }
  }

  @Test(
    "names each damaged structure, and opening what needs it fails with the same", arguments: Damage.allCases)
  func damage(_ damage: Damage) throws {
    try makeStore()
    inflict(damage)
    let findings = try check()
    let found = findings.filter { $0.severity == .damage }
    #expect(!found.isEmpty)
    #expect(found.contains { $0.description.contains(damage.place) }, "\(findings)")
    // The neighbour is whole, and what is damaged is not served.
    let store = try Store.open(path)
    #expect(try store.openLUN(LUNName("b"), .readOnly).size == 1 << 20)
    if damage != .snapshotRecord {
      #expect(throws: StoreError.self) { try store.openLUN(LUNName("a"), .readWrite) }
    }
  }

  @Test(
    "with --repair never makes anything worse, and a second one finds nothing that it could mend",
    arguments: Damage.allCases)
  func repaired(_ damage: Damage) throws {
    try makeStore()
    inflict(damage)
    _ = try check(repair: true)
    let again = try check(repair: true)
    #expect(again.allSatisfy { $0.outcome == .stays }, "\(again)")
    #expect(try Store.open(path).openLUN(LUNName("b"), .readOnly).size == 1 << 20)
    if damage == .dataShort {
      let lun = try Store.open(path).openLUN(LUNName("a"), .readOnly)
      #expect(try contents(lun)[4096..<12288].allSatisfy { $0 == 0 })
    }
  }

  @Test("brings a LUN back whose record is lost, under another name")
  func recovered() throws {
    try makeStore()
    inflict(.lunRecord)
    let findings = try check(repair: true)
    let name = try #require(findings.first { $0.outcome == .mendedWithLoss }?.volumes.first)
    let bytes = try contents(Store.open(path).openLUN(LUNName(name), .readOnly))
    #expect(bytes[4096..<12288].allSatisfy { $0 == 7 } && bytes[12288...].allSatisfy { $0 == 0 })
  }

  @Test("removes what interrupted changes have left, and calls none of it damage")
  func leftovers() throws {
    try makeStore()
    run("cp", "-r", String(file("").dropLast()), "\(path)/layers/.new-\(Identifier())")
    patch(file("data.0"), at: (1 << 20) + 100, [1])
    write([1, 2, 3], to: file("data.7"))
    chmod(file("data.0"), 0o644)
    // The end of a map that was being written when the power went.
    var record = try LayerRecord(reading: Descriptor.open(path: file("layer"), O_RDONLY))
    record.map = .open
    write(record.encoded, to: file("layer"))
    patch(
      file("map.0"), at: Int(try #require(contents(of: file("map.0"))).count), [0x46, 0x52, 0x41, 0x4D, 0])
    let findings = try check(repair: true)
    #expect(findings.allSatisfy { $0.severity == .leftover && $0.outcome == .mended }, "\(findings)")
    #expect(try check() == [])
    let lun = try Store.open(path).openLUN(LUNName("a"), .readOnly)
    #expect(try contents(lun)[4096..<12288].allSatisfy { $0 == 7 })
  }

  /// A client that flushes again and again, with an empty map's file rewritten now and then, while `body` runs.
  private func whileFlushing(_ store: OpenStore, _ body: () throws -> Void) throws -> [Int64] {
    let lun = try store.lun(LUNName("a"))
    let isOver = Atomic(false)
    let written = Mutex<[Int64]>([])
    let group = DispatchGroup()
    DispatchQueue.global().async(group: group) {
      let bytes = [UInt8](repeating: 9, count: 4096)
      while !isOver.load(ordering: .relaxed) {
        let offset = Int64.random(in: 0..<256) << 12
        guard let count = try? bytes.withUnsafeBytes({ try lun.write($0, at: offset) }), count == 4096,
          (try? lun.flush()) != nil
        else { return }
        written.withLock { $0.append(offset) }
      }
    }
    defer {
      isOver.store(true, ordering: .relaxed)
      group.wait()
    }
    while written.withLock({ $0.isEmpty }) { sched_yield() }
    try body()
    isOver.store(true, ordering: .relaxed)
    group.wait()
    return written.withLock { $0 }
  }

  @Test("of a store that is written to finds nothing, mends nothing, and nothing that was flushed is lost")
  func live() throws {
    try makeStore()
    let store = try OpenStore(path, at: "")
    let written = try whileFlushing(store) {
      for round in 0..<200 {
        let found = try store.check(repair: round % 2 == 0)
        #expect(found == [])
      }
    }
    // As after the death of this process: nothing more is flushed.
    let left = folder("left")
    #expect(run("cp", "-a", path, left).status == 0)
    let lun = try Store.open(left).openLUN(LUNName("a"), .readOnly)
    let bytes = try contents(lun)
    #expect(written.allSatisfy { bytes[Int($0)] == 9 })
    try store.release()
  }

  @Test("leaves what is being written next to a layer in use, and a layer that a LUN is about to be made of")
  func underWay() throws {
    try makeStore()
    let store = try OpenStore(path, at: "")
    _ = try store.lun(LUNName("a"))
    write([1], to: file(".new-map"))
    let (layer, making) = try store.store.makeLayer(LayerRecord(size: 4096))
    #expect(try store.check(repair: true) == [])
    #expect(contents(of: file(".new-map")) == [1])
    #expect(try store.store.layerRecord(layer.record.identifier).record == layer.record)
    making.unlock()
    try store.release()
  }

  @Test("names a layer that two LUNs would write to")
  func sharedHead() throws {
    try makeStore()
    let store = try Store.open(path)
    var record = try store.lunRecord(LUNName("b")).record
    record.head = try store.lunRecord(LUNName("a")).record.head
    write(record.encoded, to: "\(path)/luns/b/lun")
    let found = try check().filter { $0.severity == .damage }
    #expect(found.map(\.volumes) == [["a", "b"]])
  }

  @Test("has nothing to say of a file that an interrupted merge left: opening the store removes it")
  func strayFile() throws {
    try makeStore()
    write([1, 2, 3], to: file("data.7"))
    #expect(try check() == [])
    #expect(contents(of: file("data.7")) == nil)
  }
}
