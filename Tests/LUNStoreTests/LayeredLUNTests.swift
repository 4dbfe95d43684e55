import Glibc
import TestSupport
import Testing

@testable import LUNStore

/// What models of the bytes alone do not show.
@Suite("A LUN on top of a snapshot")
struct LayeredLUNTests {
  private let folder = TemporaryFolder(inMemory: true)
  private static let block: Int64 = 4096

  private func put(_ lun: LUN, _ byte: UInt8, _ offset: Int64, _ count: Int) throws(IOError) -> Int {
    let bytes = [UInt8](repeating: byte, count: count)
    return try bytes.withUnsafeBytes { bytes in
      Result { () throws(IOError) in try lun.write(bytes, at: offset) }
    }.get()
  }

  /// A LUN whose first blocks hold ones, with a snapshot.
  private func makeLUN(_ size: String, blocks: Int, in path: String) throws -> (store: OpenStore, lun: LUN) {
    try Store.openOrCreate(path).store.createLUN(LUNRequest(name: "a", size: size))
    let store = try OpenStore(path, at: "")
    let lun = try store.lun(LUNName("a"))
    if blocks > 0 { #expect(try put(lun, 1, 0, blocks * Int(Self.block)) == blocks * Int(Self.block)) }
    try store.snapshot(SnapshotName(lun: LUNName("a"), label: LUNName("s")))
    return (store, lun)
  }

  @Test("finds the data and the holes of each of its layers")
  func holes() throws {
    let (_, lun) = try makeLUN("1M", blocks: 4, in: folder("store"))
    let block = Self.block
    _ = try put(lun, 2, 1 * block, 4096)
    _ = try put(lun, 2, 8 * block, 4096)
    try lun.punchHole(at: 2 * block, length: block)
    #expect(try lun.nextData(from: 0) == 0)
    #expect(try lun.nextHole(from: 0) == 2 * block)
    #expect(try lun.nextData(from: 2 * block) == 3 * block)
    #expect(try lun.nextHole(from: 3 * block) == 4 * block)
    #expect(try lun.nextData(from: 4 * block) == 8 * block)
    #expect(try lun.nextHole(from: 8 * block) == 9 * block)
    #expect(try lun.nextData(from: 9 * block) == nil)
    // Behind the end that it had once there are holes.
    #expect(try lun.nextHole(from: 9 * block) == 9 * block)
  }

  @Test("that was shrunk and has grown again has a hole where the layers below have data")
  func limit() throws {
    let (store, lun) = try makeLUN("64K", blocks: 16, in: folder("store"))
    try store.resize(LUNName("a"), to: 2 * Self.block)
    try store.resize(LUNName("a"), to: 16 * Self.block)
    #expect(try lun.nextHole(from: 0) == 2 * Self.block && lun.nextData(from: 2 * Self.block) == nil)
  }

  @Test("has no blocks of its own from what is discarded where there is nothing")
  func discarded() throws {
    let (_, lun) = try makeLUN("1M", blocks: 0, in: folder("store"))
    try lun.punchHole(at: 0, length: 1 << 20)
    #expect(lun.chain.presence?.count == 0)
  }

  @Test("keeps its layers when its properties change, and they can be read back")
  func properties() throws {
    let (store, lun) = try makeLUN("64K", blocks: 1, in: folder("store"))
    _ = try put(lun, 2, 0, 4096)
    var change = LUNProperties.Change()
    (change.vendor, change.isReadOnly) = ("ACME", true)
    try store.setProperties(LUNName("a"), change)
    #expect(thrown(IOError.self) { try put(lun, 3, 0, 1) } == IOError(EROFS))
    let before = lun.description
    try store.release()
    #expect(thrown(IOError.self) { _ = try lun.nextData(from: 0) } == IOError(ENODEV))
    let again = try OpenStore(folder("store"), at: "").lun(LUNName("a"))
    #expect(again.description == before && before.properties.vendor == "ACME" && before.layers == 2)
    #expect(try contents(again)[0] == 2)
  }

  @Test("fails to read what a layer below has lost, and does not invent zeros")
  func truncated() throws {
    let (_, lun) = try makeLUN("64K", blocks: 16, in: folder("store"))
    #expect(truncate(lun.chain.layers[0].data.path, 4096) == 0)
    var bytes = [UInt8](repeating: 0xEE, count: 8192)
    let error = thrown(IOError.self) { try bytes.withUnsafeMutableBytes { try lun.read(into: $0, at: 0) } }
    #expect(error == IOError(EIO))
  }

  /// A folder on a host with so much room.
  private func small(_ size: String) throws -> String {
    let path = folder.folder("small")
    try #require(run("mount", "-t", "tmpfs", "-o", "size=\(size),mode=700", "none", path).status == 0)
    return path
  }

  /// Leaves only so much room in a file system.
  private func fill(_ path: String, leaving room: Int) throws {
    let file = open("\(path)/filler", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    defer { close(file) }
    var status = statvfs()
    // A program that another test is starting has, until it runs, what this process has open: files that the store
    // has replaced are then still there, and their room would come back in the midst of the test.
    try #require(
      eventually {
        fstatvfs(file, &status) == 0
          && Int(status.f_blocks - status.f_bfree) * Int(status.f_bsize) == taken(path)
      })
    let free = Int(status.f_bavail) * Int(status.f_bsize)
    #expect(posix_fallocate(file, 0, off_t(free - room)) == 0)
  }

  /// The room that the files in a folder take.
  private func taken(_ path: String) -> Int {
    let blocks = run("find", path, "-type", "f", "-printf", "%b\\n").output
    return 512 * blocks.split(separator: "\n").reduce(0) { $0 + (Int($1) ?? 0) }
  }

  /// Takes back what `fill` took: at once, also if a program that is being started has the file open.
  private func makeRoom(_ path: String) { #expect(truncate("\(path)/filler", 0) == 0) }

  @Test(
    "has whole blocks of what was written when the host is full, and what it had in the rest",
    .enabled(if: getuid() == 0, "mounting a tmpfs needs root"))
  func full() throws {
    let path = try small("1M")
    defer { run("umount", "-l", path) }
    mkdir("\(path)/store", 0o700)
    let (store, lun) = try makeLUN("64K", blocks: 8, in: "\(path)/store")
    // Its first and last blocks are written in part and brought before: that leaves room for one more.
    try fill(path, leaving: 3 * 4096)
    let offset: Int64 = 4000
    #expect(try put(lun, 2, offset, 8 * 4096) == 2 * 4096 - Int(offset))
    var expected = [UInt8](repeating: 1, count: 8 * 4096) + [UInt8](repeating: 0, count: 8 * 4096)
    expected.replaceSubrange(4000..<(2 * 4096), with: [UInt8](repeating: 2, count: 2 * 4096 - 4000))
    #expect(try contents(lun) == expected)
    #expect(thrown(IOError.self) { try put(lun, 3, 4 * Self.block, 4096) } == IOError(ENOSPC))
    #expect(try contents(lun) == expected)
    makeRoom(path)
    try lun.flush()
    try store.release()
    #expect(try contents(Store.open("\(path)/store").openLUN(LUNName("a"), .readOnly)) == expected)
  }

  @Test(
    "has what was written durable with the next flush when there was no room for its map at first",
    .enabled(if: getuid() == 0, "mounting a tmpfs needs root"))
  func fullMap() throws {
    let path = try small("1M")
    defer { run("umount", "-l", path) }
    mkdir("\(path)/store", 0o700)
    let (_, lun) = try makeLUN("1G", blocks: 1, in: "\(path)/store")
    // Sixteen leaves: more than a page of map.
    for leaf in 0..<16 as Range<Int64> { #expect(try put(lun, 2, leaf << 24, 4096) == 4096) }
    try fill(path, leaving: 0)
    #expect(thrown(IOError.self) { try lun.flush() } == IOError(ENOSPC))
    makeRoom(path)
    try lun.flush()
    // Nobody has closed it: what is there is what the flush has put there.
    let again = try Store.open("\(path)/store").openLUN(LUNName("a"), .readOnly)
    #expect(again.chain.presence?.count == 16)
  }
}
