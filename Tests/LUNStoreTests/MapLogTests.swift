import Glibc
import Synchronization
import TestSupport
import Testing

@testable import LUNStore

extension PresenceMap {
  fileprivate var entries: [MapLog.Entry] {
    var all: [MapLog.Entry] = []
    forEachEntry { all.append($0) }
    return all
  }
}

@Suite("The file of a layer's map")
struct MapLogTests {
  private let folder = TemporaryFolder(inMemory: true)
  private let layer = Identifier()
  /// 100 GiB: 6400 leaves.
  private static let size: Int64 = 100 << 30
  private static let header = 64
  private static let entry = MapLog.entryLength

  private func open() throws -> Descriptor { try Descriptor.open(path: folder.path, O_RDONLY | O_DIRECTORY) }
  private var path: String { folder("map.0") }
  private var length: Int { contents(of: path)?.count ?? -1 }

  private func entries(_ leaves: some Sequence<Int>, _ word: UInt64) -> [MapLog.Entry] {
    leaves.map { MapLog.Entry(leaf: $0, words: (0..<64).map { word &+ UInt64($0) }) }
  }

  /// A new file with a frame for each of these lists.
  private func make(_ frames: [[MapLog.Entry]]) throws {
    unlink(path)
    try MapLog.create(in: open(), "map.0", layer: layer)
    let log = try MapLog(
      in: LayerFolder(at: folder.path), "map.0", layer: layer,
      after: MapLog.Extent(length: Int64(Self.header), frames: 0))
    for frame in frames { try log.append(frame, leaves: 6400) }
  }

  private func read(
    sealed frames: UInt64? = nil
  ) throws(StoreError) -> (extent: MapLog.Extent, entries: [MapLog.Entry]) {
    let map = try PresenceMap(size: Self.size)
    let folder = try Descriptor.open(path: self.folder.path, O_RDONLY | O_DIRECTORY)
    let extent = try MapLog.read(in: folder, "map.0", layer: layer, frames: frames, into: map)
    return (extent, map.entries)
  }

  private func isDamaged(sealed frames: UInt64? = nil) -> Bool {
    thrown(StoreError.self) { try read(sealed: frames) }?.kind == .damaged
  }

  @Test("is read as it was written, and of each leaf the last entry counts")
  func roundTrip() throws {
    try make([entries([0, 3], 1), entries([3, 6399], 2)])
    let (extent, found) = try read(sealed: 2)
    #expect(found == entries([0], 1) + entries([3, 6399], 2))
    #expect(extent == MapLog.Extent(length: Int64(Self.header + 2 * 24 + 4 * Self.entry), frames: 2))
    #expect(Int(extent.length) == length)
    #expect(isDamaged(sealed: 1) && isDamaged(sealed: 3))
  }

  @Test("cut off anywhere has the frames that are whole, and is written on from there")
  func everyLength() throws {
    let frames = [entries([0], 1), entries([0, 1], 2), entries([2], 3)]
    try make(frames)
    let whole = try #require(contents(of: path))
    let ends = [Self.header, Self.header + 24 + Self.entry, Self.header + 48 + 3 * Self.entry, whole.count]
    let states = [[], entries([0], 1), entries([0, 1], 2), entries([0, 1], 2) + entries([2], 3)]
    for length in whole.indices {
      write(whole[..<length], to: path)
      #expect(isDamaged(sealed: 3), "\(length) bytes")
      guard let count = ends.lastIndex(where: { $0 <= length }) else {
        #expect(isDamaged(), "\(length) bytes")
        continue
      }
      let (extent, found) = try read()
      #expect(found == states[count] && extent.frames == count && extent.length == ends[count])
      let log = try MapLog(in: LayerFolder(at: folder.path), "map.0", layer: layer, after: extent)
      try log.append(entries([9], 4), leaves: 3)
      let after = try read(sealed: UInt64(count) + 1)
      #expect(after.entries == states[count] + entries([9], 4), "\(length) bytes")
    }
  }

  @Test("with any byte changed is refused, or what was changed is taken for the end that a crash cut off")
  func everyByte() throws {
    try make([entries([0], 1), entries([0, 1], 2), entries([2], 3)])
    let whole = try #require(contents(of: path))
    let lastFrame = whole.count - 24 - Self.entry
    for index in whole.indices {
      for mask in [1, 128] as [UInt8] {
        patch(path, at: index, [whole[index] ^ mask])
        #expect(isDamaged(sealed: 3), "byte \(index)")
        if index < lastFrame {
          #expect(isDamaged(), "byte \(index)")
        } else {
          let (extent, found) = try read()
          #expect(extent == MapLog.Extent(length: Int64(lastFrame), frames: 2), "byte \(index)")
          #expect(found == entries([0, 1], 2))
        }
      }
      patch(path, at: index, [whole[index]])
    }
  }

  @Test("with more behind its end, or that of another layer, is refused when its length is known")
  func foreign() throws {
    try make([entries([0], 1)])
    #expect(
      thrown(StoreError.self) {
        try MapLog.read(
          in: open(), "map.0", layer: Identifier(), frames: nil, into: PresenceMap(size: Self.size))
      }?.kind == .damaged)
    patch(path, at: length, [0])
    #expect(isDamaged(sealed: 1))
    #expect(try read().extent.frames == 1)
  }

  @Test(
    "with a damaged frame before a whole one is refused, wherever the whole one begins",
    // Beside the borders of the pieces of 64 KiB that it is searched in.
    arguments: [124, 125, 126, 127, 251, 252, 253, 254])
  func damagedInTheMiddle(count: Int) throws {
    try make([entries(0..<count, 1), entries([1], 2)])
    patch(path, at: Self.header + 100, [0xEE])
    #expect(isDamaged())
  }

  @Test("does not take for following what an earlier frame has left behind the end")
  func stale() throws {
    try make([entries([0], 1), entries([1], 2)])
    let frame = Array(try #require(contents(of: path))[Self.header..<(Self.header + 24 + Self.entry)])
    patch(path, at: length + 8, frame)
    #expect(try read().extent.frames == 2)
    // Nor directly behind, where its number is wrong.
    try make([entries([0], 1), entries([1], 2)])
    patch(path, at: length, frame)
    #expect(try read().extent.frames == 2)
  }

  @Test(
    "lacks what a crash cut out of the append that was under way, wherever, and no append before it",
    // Which of the three frames of one append are on the medium.
    arguments: 0..<8)
  func anyOrder(kept: Int) throws {
    try make([entries(0..<3, 1), entries(0..<5000, 2)])
    let whole = try #require(contents(of: path))
    let frame = 24 + 2048 * Self.entry
    let begin = Self.header + 24 + 3 * Self.entry
    for lost in 0..<3 where kept >> lost & 1 == 0 {
      // Its first page; the end of a file may be there before what is in it.
      patch(path, at: begin + lost * frame, [UInt8](repeating: 0, count: 4096))
    }
    let found = try read().extent
    #expect(found.frames == UInt64(1 + (~kept).trailingZeroBitCount))
    // What comes next is another append: nothing before it may be missing.
    let log = try MapLog(in: LayerFolder(at: folder.path), "map.0", layer: layer, after: found)
    try log.append(entries([1], 3), leaves: 5000)
    #expect(try read().extent == log.extent)
    if found.frames == 4 {
      patch(path, at: begin + frame, [UInt8](repeating: 0, count: 4096))
      #expect(isDamaged())
      write(whole, to: path)
      patch(path, at: Self.header, [UInt8](repeating: 0, count: 64))
      #expect(isDamaged(), "the append before")
    }
  }

  @Test("whose flush of its new name failed has the name flushed before anything more is appended")
  func renamedWithoutFlush() throws {
    try make([entries([0], 1)])
    let log = try MapLog(in: LayerFolder(at: folder.path), "map.0", layer: layer, after: read().extent)
    let probe = SyncProbe(folder.path)
    defer { probe.stop() }
    let folders = Mutex(0)
    probe.start { file in
      var status = stat()
      guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return 0 }
      return folders.withLock { count in
        count += 1
        return count == 1 ? EIO : 0
      }
    }
    let many = (0..<2100).flatMap { entries([7], UInt64($0)) }
    #expect(thrown(StoreError.self) { try log.append(many, leaves: 1) }?.kind == .system(EIO))
    try log.append(entries([8], 1), leaves: 2)
    #expect(folders.withLock { $0 } == 2)
  }

  @Test("takes a frame of leaves that no LUN can have for none")
  func hugeLeaf() throws {
    try make([entries([1 << 62], 1)])
    #expect(try read().extent.frames == 0)
    #expect(isDamaged(sealed: 1))
  }

  @Test("has at most 2048 leaves in a frame")
  func largeAppend() throws {
    try make([entries(0..<5000, 1)])
    #expect(try read(sealed: 3).entries == entries(0..<5000, 1))
  }

  @Test("is written anew when most of it is outdated, and then goes on")
  func rewritten() throws {
    // More leaves than are gathered at a time.
    let size: Int64 = 40_000 << 24
    let leaves = [0, 7, 16383, 16384, 16385, 32768, 39_999]
    try make([entries(leaves, 1)])
    let durable = DurableFolder(folder.path)
    defer { durable.close() }
    let inode = try Descriptor.open(path: path, O_RDONLY).status().st_ino
    var extent = try read().extent
    let log = try MapLog(in: LayerFolder(at: folder.path), "map.0", layer: layer, after: extent)
    for round in 0..<5 {
      try log.append((0..<500).flatMap { entries([7], UInt64(1000 * round + $0)) }, leaves: leaves.count)
    }
    #expect(try Descriptor.open(path: path, O_RDONLY).status().st_ino != inode)
    #expect(length < 1 << 20)
    try log.append(entries([16385], 3), leaves: leaves.count)
    let map = try PresenceMap(size: size)
    extent = try MapLog.read(
      in: open(), "map.0", layer: layer, frames: log.extent.frames, into: map)
    #expect(extent == log.extent)
    #expect(map.entries.map(\.leaf) == leaves)
    #expect(map.entries.map { $0.words[0] } == [1, 4499, 1, 1, 3, 1, 1])
    #expect(try open().entries() == ["map.0"], "nothing temporary stays")
    let left = TemporaryFolder(inMemory: true)
    try #require(durable.takeStates().last).restore(to: left("state"))
    #expect(contents(of: left("state/map.0")) == contents(of: path))
  }

  @Test(
    "is as it was when the host had no room to append", .enabled(if: getuid() == 0, "mounting needs root"))
  func full() throws {
    try make([entries([0], 1)])
    let before = try #require(contents(of: path))
    let small = folder.folder("small")
    try #require(run("mount", "-t", "tmpfs", "-o", "size=16k", "none", small).status == 0)
    defer { run("umount", "-l", small) }
    write(before, to: "\(small)/map.0")
    let log = try MapLog(
      in: LayerFolder(at: small), "map.0", layer: layer,
      after: MapLog.Extent(length: Int64(before.count), frames: 1))
    #expect(
      thrown(StoreError.self) { try log.append(entries(0..<100, 2), leaves: 100) }?.kind == .system(ENOSPC))
    #expect(contents(of: "\(small)/map.0") == before)
    try log.append(entries([5], 2), leaves: 2)
    #expect(log.extent.frames == 2)
  }
}
