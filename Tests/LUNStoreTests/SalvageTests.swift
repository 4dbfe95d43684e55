import Glibc
import TestSupport
import Testing

@testable import LUNStore

@Suite("What is damaged")
struct SalvageTests {
  private let folder = TemporaryFolder(inMemory: true)
  private var path: String { folder("store") }
  private let lun: LUNName
  private static let leaf = PresenceMap.blockSize * Int64(PresenceMap.blocksPerLeaf)

  init() throws { lun = try LUNName("a") }

  private func file(_ name: String) -> String { layerFile(name, ofLUN: "a", inStore: path) }

  /// A LUN `a` of three leaves with 1 in each, a snapshot `a@one`, and then a flush for each leaf with 2 in it, and one
  /// more with 3 in the first.
  private func makeStore() throws {
    try Store.openOrCreate(path).store.createLUN(LUNRequest(name: "a", size: "\(3 * Self.leaf)"))
    let store = try OpenStore(path, at: "")
    let opened = try store.lun(lun)
    func put(_ byte: UInt8, _ block: Int64, leaf: Int64) throws {
      let bytes = [UInt8](repeating: byte, count: 4096)
      #expect(try bytes.withUnsafeBytes { try opened.write($0, at: leaf * Self.leaf + block << 12) } == 4096)
    }
    for leaf in 0..<3 as Range<Int64> { for block in 0..<2 as Range<Int64> { try put(1, block, leaf: leaf) } }
    try store.snapshot(SnapshotName(lun: lun, label: LUNName("one")))
    for leaf in 0..<3 as Range<Int64> {
      try put(2, 0, leaf: leaf)
      try opened.flush()
    }
    try put(3, 1, leaf: 0)
    try opened.flush()
    try store.release()
  }

  private func check(repair: Bool) throws -> [CheckFinding] {
    let store = try OpenStore(path, at: "")
    let findings = try store.check(repair: repair)
    try store.release()
    return findings
  }

  /// The first bytes of both blocks of each leaf, as far as they can be read, and what is lost.
  private func salvaged(_ name: String = "a") throws -> (bytes: [UInt8], losses: [StoreError]) {
    let salvage = try Salvage(VolumeName(name), in: Store.open(path))
    var all = [UInt8](repeating: 0, count: Int(salvage.size))
    try salvage.copyData { offset, bytes throws(StoreError) in
      all.withUnsafeMutableBytes { $0[Int(offset)..<(Int(offset) + bytes.count)].copyBytes(from: bytes) }
    }
    let bytes = (0..<3).flatMap { leaf in (0..<2).map { all[leaf * Int(Self.leaf) + $0 << 12] } }
    return (bytes, salvage.losses)
  }

  private static let entry = MapLog.entryLength + 24

  @Test("is read as far as it is whole, and what is lost is named")
  func maps() throws {
    try makeStore()
    #expect(try salvaged() == ([2, 3, 2, 1, 2, 1], []))
    let map = try #require(contents(of: file("map.0")))
    #expect(map.count == 64 + 4 * Self.entry)
    // The first flush: its leaf came again later. The second: its block is what it was. The last: that leaf is older.
    for (frame, expected) in [(0, [2, 3, 2, 1, 2, 1]), (1, [2, 3, 1, 1, 2, 1]), (3, [2, 1, 2, 1, 2, 1])] {
      write(map, to: file("map.0"))
      patch(file("map.0"), at: 64 + frame * Self.entry + 40, [0xEE])
      let (bytes, losses) = try salvaged()
      #expect(bytes == expected.map(UInt8.init), "frame \(frame)")
      #expect(losses.count == 1 && losses[0].place.hasSuffix("/map.0"))
      #expect(try check(repair: true).contains { $0.severity == .damage && $0.outcome == .stays })
    }
    unlink(file("map.0"))
    let (bytes, losses) = try salvaged()
    #expect(bytes == [1, 1, 1, 1, 1, 1] && losses.count == 1)
  }

  @Test("in a data file reads as zeros where it is lost")
  func data() throws {
    try makeStore()
    truncate(file("data.0"), off_t(Self.leaf))
    let (bytes, losses) = try salvaged()
    #expect(bytes == [2, 3, 0, 1, 0, 1] && losses.count == 1)
    unlink(file("data.0"))
    #expect(try salvaged().bytes == [0, 0, 0, 1, 0, 1])
    #expect(try salvaged("a@one") == ([1, 1, 1, 1, 1, 1], []))
  }

  @Test("in a layer that is gone is lost with all below it, and what is above can be read")
  func layers() throws {
    try makeStore()
    let store = try Store.open(path)
    let layer = try store.head(of: VolumeName("a@one"))
    run("rm", "-r", "\(path)/layers/\(layer)")
    let (bytes, losses) = try salvaged()
    #expect(bytes == [2, 3, 2, 0, 2, 0] && losses.count == 1)
    #expect(thrown(StoreError.self) { _ = try salvaged("a@one") }?.kind == .damaged)
  }

  @Test("in the header of a map is mended without loss, where all else is whole")
  func header() throws {
    try makeStore()
    for index in [0, 12, 50, 60] {
      patch(file("map.0"), at: index, [0xEE])
      #expect(try check(repair: false).map(\.outcome) == [.stays])
      #expect(try check(repair: true).map(\.outcome) == [.mended])
      #expect(try check(repair: false) == [])
      #expect(try salvaged() == ([2, 3, 2, 1, 2, 1], []))
    }
    // With a frame lost as well nothing is mended: that would be to call all well.
    patch(file("map.0"), at: 12, [0xEE])
    patch(file("map.0"), at: 64 + 40, [0xEE])
    #expect(try check(repair: true).contains { $0.outcome == .stays })
  }

  @Test("in the record of a snapshot is made anew where there is one layer that it can have been of")
  func snapshot() throws {
    try makeStore()
    truncate("\(path)/luns/a/@one", 20)
    #expect(try check(repair: true).map(\.outcome) == [.mendedWithLoss])
    #expect(try check(repair: false) == [])
    #expect(try salvaged("a@one") == ([1, 1, 1, 1, 1, 1], []))
    // Of two it cannot be known which was which.
    let store = try OpenStore(path, at: "")
    try store.snapshot(SnapshotName(lun: lun, label: LUNName("two")))
    try store.release()
    for label in ["one", "two"] { truncate("\(path)/luns/a/@\(label)", 20) }
    let findings = try check(repair: true)
    #expect(findings.map(\.outcome) == [.stays, .stays])
    #expect(findings.allSatisfy { $0.text.contains("delete STORE \($0.volumes[0])") })
    // As it says.
    let again = try OpenStore(path, at: "")
    for name in ["a@one", "a@two"] { try again.delete(VolumeName(name)) }
    try again.release()
    #expect(try check(repair: false) == [])
    #expect(try salvaged() == ([2, 3, 2, 1, 2, 1], []))
  }

  @Test("is refused by an open store that was told of it, and the rest is served")
  func refused() throws {
    try makeStore()
    let store = try OpenStore(path, at: "")
    let refusal = StoreError(.damaged, at: "somewhere", "is damaged")
    try store.refuse([VolumeName("a"): refusal])
    #expect(thrown(StoreError.self) { _ = try store.lun(lun) } == refusal)
    #expect(try store.volume(VolumeName("a@one")).size == 3 * Self.leaf)
    try store.release()
  }

  @Test("and what is not can be looked at where nothing can be written, and nothing is")
  func readOnly() throws {
    try makeStore()
    write([1], to: file(".new-stray"))
    let store = try OpenStore(path, at: "", .readOnly)
    #expect(thrown(StoreError.self) { _ = try OpenStore(path, at: "") }?.kind == .busy)
    let other = try OpenStore(path, at: "", .readOnly)
    #expect(try store.check(repair: false).map(\.severity) == [.leftover])
    #expect(try store.lun(lun).isReadOnly)
    for change in [
      { _ = try store.check(repair: true) }, { try store.resize(lun, to: 4096) },
      { try store.delete(VolumeName("a@one")) },
      { try store.rollback(SnapshotName(lun: lun, label: LUNName("one"))) },
    ] as [() throws -> Void] {
      #expect(thrown(StoreError.self, change)?.kind == .system(EROFS))
    }
    #expect(contents(of: file(".new-stray")) == [1])
    try store.release()
    try other.release()
    #expect(try Store.open(path).holder() == nil)
    try OpenStore(path, at: "").release()
    #expect(contents(of: file(".new-stray")) == nil)
  }
}
