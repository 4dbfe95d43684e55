import Glibc
import TestSupport
import Testing

@testable import LUNStore

/// What is different when a LUN's maps have several leaves of 16 MiB.
@Suite("A LUN of many MiB")
struct LargeLUNTests {
  private let folder = TemporaryFolder(inMemory: true)
  private static let mebibyte: Int64 = 1 << 20

  private func makeStore(_ size: String) throws -> (OpenStore, LUN) {
    let name = try LUNName("a")
    try Store.openOrCreate(folder("store")).store.createLUN(LUNRequest(name: "a", size: size))
    let store = try OpenStore(folder("store"), at: "")
    return (store, try store.lun(name))
  }

  private func snapshot(_ label: String) throws -> SnapshotName {
    try SnapshotName(lun: LUNName("a"), label: LUNName(label))
  }

  private func write(_ lun: LUN, _ byte: UInt8, at mebibytes: Int64) throws {
    let bytes = [UInt8](repeating: byte, count: 4096)
    #expect(try bytes.withUnsafeBytes { try lun.write($0, at: mebibytes * Self.mebibyte) } == 4096)
  }

  /// The first byte of each MiB that has data.
  private func found(_ lun: LUN) throws -> [Int64: UInt8] {
    var found: [Int64: UInt8] = [:]
    var byte: UInt8 = 0
    for place in 0..<(lun.size / Self.mebibyte) {
      let count = try withUnsafeMutableBytes(of: &byte) { try lun.read(into: $0, at: place * Self.mebibyte) }
      #expect(count == 1)
      if byte != 0 { found[place] = byte }
    }
    return found
  }

  @Test("has what was written after it grew, in each of its snapshots, and so it is when opened again")
  func grown() throws {
    var (store, lun) = try makeStore("8M")
    try write(lun, 1, at: 4)
    try store.snapshot(snapshot("small"))
    try store.resize(LUNName("a"), to: 40 << 20)
    try write(lun, 2, at: 20)
    try store.snapshot(snapshot("large"))
    try write(lun, 3, at: 36)
    try store.resize(LUNName("a"), to: 24 << 20)
    try store.resize(LUNName("a"), to: 40 << 20)
    try write(lun, 4, at: 5)
    for isAgain in [false, true] {
      #expect(try found(store.snapshotView(snapshot("small"))) == [4: 1])
      #expect(try found(store.snapshotView(snapshot("large"))) == [4: 1, 20: 2])
      #expect(try found(store.lun(LUNName("a"))) == [4: 1, 20: 2, 5: 4])
      if isAgain { break }
      try store.release()
      store = try OpenStore(folder("store"), at: "")
    }
    // Each merge in turn: nothing of what is seen changes.
    try store.delete(.snapshot(snapshot("large")))
    #expect(try found(store.lun(LUNName("a"))) == [4: 1, 20: 2, 5: 4])
    try store.delete(.snapshot(snapshot("small")))
    lun = try store.lun(LUNName("a"))
    #expect(try lun.isFlat && found(lun) == [4: 1, 20: 2, 5: 4])
  }

  @Test("goes on with a new head while one that is too large to copy meanwhile is merged")
  func largeMerge() throws {
    let (store, lun) = try makeStore("64M")
    for place in 0..<64 as Range<Int64> { try write(lun, 1, at: place) }
    try store.snapshot(snapshot("s"))
    let bytes = [UInt8](repeating: 2, count: 1 << 20)
    for place in 20..<40 as Range<Int64> {
      #expect(try bytes.withUnsafeBytes { try lun.write($0, at: place << 20) } == bytes.count)
    }
    let expected = try found(lun)
    try store.delete(.snapshot(snapshot("s")))
    #expect(try found(lun) == expected)
    #expect(lun.isFlat)
  }

  @Test("whose snapshot was deleted keeps what clones of it see, and no more than that")
  func hidden() throws {
    let (store, lun) = try makeStore("64M")
    let bytes = [UInt8](repeating: 1, count: 1 << 20)
    for place in 0..<8 as Range<Int64> {
      #expect(try bytes.withUnsafeBytes { try lun.write($0, at: place << 20) } == bytes.count)
    }
    try store.snapshot(snapshot("s"))
    try store.clone(.snapshot(snapshot("s")), to: LUNName("b"))
    let clone = try store.lun(LUNName("b"))
    let new = [UInt8](repeating: 2, count: 1 << 20)
    // The LUN hides the first four MiB, its clone the third to the sixth.
    for place in 0..<4 as Range<Int64> { _ = try new.withUnsafeBytes { try lun.write($0, at: place << 20) } }
    for place in 2..<6 as Range<Int64> {
      _ = try new.withUnsafeBytes { try clone.write($0, at: place << 20) }
    }
    let shared = lun.chain.layers[0]
    let before = try shared.allocated()
    // Named by the snapshot: nothing may go.
    try store.clone(.snapshot(snapshot("s")), to: LUNName("c"))
    try store.delete(.lun(LUNName("c")))
    #expect(try shared.allocated() == before)
    try store.delete(.snapshot(snapshot("s")))
    #expect(try shared.allocated() == before - (2 << 20))
    #expect(try found(lun) == [0: 2, 1: 2, 2: 2, 3: 2, 4: 1, 5: 1, 6: 1, 7: 1])
    #expect(try found(clone) == [0: 1, 1: 1, 2: 2, 3: 2, 4: 2, 5: 2, 6: 1, 7: 1])
  }
}
