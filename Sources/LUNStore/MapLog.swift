import Glibc

/// The file of a layer's map: a log of leaves, each frame of it whole or not there.
///
/// Only ever appended to, so that a crash costs no more than the frame that was being written, which no flush
/// had acknowledged. When most of it is outdated it is written anew under a temporary name, and renamed.
/// FORMAT.md is the specification.
///
/// Used by one thread at a time.
final class MapLog: @unchecked Sendable {
  /// One leaf of a `PresenceMap` as it is from here on.
  struct Entry: Equatable {
    var leaf: Int
    var words: [UInt64]
  }

  /// How far a file is whole.
  struct Extent: Equatable {
    var length: Int64
    var frames: UInt64
  }

  static let entryLength = 8 + PresenceMap.bytesPerLeaf
  private static let magic = Array("FLUNMAP2".utf8)
  private static let headerLength = 64
  /// `FRAM`, little-endian.
  private static let frameMagic: UInt32 = 0x4D41_5246
  private static let frameHeaderLength = 24
  /// So that a frame is never much to have in memory.
  private static let maximumEntries = 2048
  /// As many as the largest LUN has.
  private static let maximumLeaves = UInt64(PresenceMap.leaves(in: PresenceMap.blocks(in: LUN.maximumSize)))

  private let folder: LayerFolder
  private let name: String
  private let layer: Identifier
  private(set) var file: LayerFile
  private(set) var extent: Extent
  /// The file has its name since a moment ago, and that may not be durable.
  private var nameIsNew = false

  /// Makes the file of a map, durably but for the folder's entry.
  ///
  /// - Returns: the number of its frames.
  @discardableResult
  static func create(
    in folder: Descriptor, _ name: String, layer: Identifier, _ map: PresenceMap? = nil
  ) throws(StoreError) -> UInt64 {
    var writer = Writer(file: try folder.create(name, O_RDWR))
    try writer.begin(layer)
    if let map {
      try map.forEachEntry { entry throws(StoreError) in try writer.add(entry) }
    }
    try writer.end()
    return writer.extent.frames
  }

  /// Opens the file for appending, after what `read` found whole in it.
  init(
    in folder: LayerFolder, _ name: String, layer: Identifier, after extent: Extent
  ) throws(StoreError) {
    (self.folder, self.name, self.layer, self.extent) = (folder, name, layer, extent)
    self.file = LayerFile(in: folder, name, O_RDWR)
    let file = try self.file.pinned()
    defer { self.file.unpin() }
    // What a crash left half written would be taken for damage once something follows it.
    guard ftruncate(file.raw, off_t(extent.length)) == 0 else { throw .system("cut", file.path) }
  }

  /// Appends leaves, durably.
  ///
  /// - Parameter leaves: how many leaves the map has by now; tells when the file is mostly outdated.
  /// - Throws: the host's error; the file is then as it was.
  func append(_ entries: [Entry], leaves: Int) throws(StoreError) {
    // What is appended to a file that a power cut takes back would go with it.
    if nameIsNew { try settleName() }
    let pinned = self.file
    let file = try pinned.pinned()
    defer { pinned.unpin() }
    var writer = Writer(file: file, extent: extent)
    do throws(StoreError) {
      for entry in entries { try writer.add(entry) }
      try writer.end()
    } catch {
      ftruncate(file.raw, off_t(extent.length))
      throw error
    }
    extent = writer.extent
    // Small flushes make a frame of one leaf each. Twice what the map needs, and a MiB, is enough.
    if extent.length > 2 * Int64(leaves * Self.entryLength) + 1 << 20 { try rewrite(file) }
  }

  /// Writes the file anew from what it says itself: the map in memory may be ahead of the data on disk.
  private func rewrite(_ file: Descriptor) throws(StoreError) {
    let folder = try self.folder.open()
    let temporary = ".new-\(Identifier())"
    var writer = Writer(file: try folder.create(temporary, O_RDWR))
    do throws(StoreError) {
      try writer.begin(layer)
      // As large as what is in it, whatever the size of the LUN, which the file does not tell.
      let map = try PresenceMap(size: LUN.maximumSize)
      try Self.scan(file, layer) { leaf, words throws(StoreError) in try map.load(leaf, words) }
      try map.forEachEntry { entry throws(StoreError) in try writer.add(entry) }
      try writer.end()
      guard renameat(folder.raw, temporary, folder.raw, name) == 0 else {
        throw .system("rename", writer.file.path)
      }
    } catch {
      unlinkat(folder.raw, temporary, 0)
      throw error
    }
    self.file = LayerFile(in: self.folder, name, O_RDWR, as: writer.file)
    (extent, nameIsNew) = (writer.extent, true)
    try settleName()
  }

  private func settleName() throws(StoreError) {
    try folder.open().synchronize()
    nameIsNew = false
  }

  /// Reads a map's file into `map`.
  ///
  /// - Parameter frames: how many frames it has, when whoever wrote it last said so. Otherwise what follows
  ///   the last whole frame is what a crash cut off, unless a whole frame of a later append follows: that one
  ///   was begun when all before it was durable, so there is damage.
  /// - Returns: how far it is whole.
  @discardableResult
  static func read(
    in folder: Descriptor, _ name: String, layer: Identifier, frames: UInt64?, into map: PresenceMap
  ) throws(StoreError) -> Extent {
    guard let file = try folder.openFileIfPresent(name, O_RDONLY) else {
      throw StoreError(
        .damaged, at: folder.path, "has no file '\(name)'", remedy: "restore it from a backup of the store")
    }
    let extent = try scan(file, layer) { leaf, words throws(StoreError) in try map.load(leaf, words) }
    try requireWhole(file, extent, frames)
    return extent
  }

  /// Sees that what a file holds up to the extent that its owner knows is whole. Frames that are there are never
  /// changed, and what follows them is being appended.
  static func requireWhole(_ file: Descriptor, layer: Identifier, upTo known: Extent) throws(StoreError) {
    let found = try scan(file, layer, upTo: known.frames) { _, _ in }
    guard found == known else {
      throw StoreError(
        .damaged, at: file.path,
        "has \(found.frames) whole frames in its first \(known.length) bytes, and \(known.frames) were written"
      )
    }
  }

  private static func requireWhole(
    _ file: Descriptor, _ extent: Extent, _ frames: UInt64?
  ) throws(StoreError) {
    let size = Int64(try file.status().st_size)
    let remedy = "restore this file from a backup of the store"
    if let frames {
      guard extent.frames == frames, extent.length == size else {
        throw StoreError(
          .damaged, at: file.path,
          "has \(extent.frames) whole frames in its \(bytesText(size)), and \(frames) were written",
          remedy: remedy)
      }
    } else if size > extent.length, try laterAppendFollows(file, extent, size) {
      throw StoreError(
        .damaged, at: file.path, "has a damaged frame at byte \(extent.length), before others that are whole",
        remedy: remedy)
    }
  }

  /// Calls `body` with each leaf, in the order in which they were written, up to the first frame that is not
  /// whole, or the number of one.
  @discardableResult
  private static func scan(
    _ file: Descriptor, _ layer: Identifier, upTo end: UInt64 = .max,
    _ body: (Int, UnsafeBufferPointer<UInt64>) throws(StoreError) -> Void
  ) throws(StoreError) -> Extent {
    guard try hasHeader(file, layer) else {
      throw StoreError(
        .damaged, at: file.path, "does not begin as the map of layer \(layer) does",
        remedy: "restore this file from a backup of the store")
    }
    return try scanFrames(file, upTo: end, body)
  }

  private static func hasHeader(_ file: Descriptor, _ layer: Identifier) throws(StoreError) -> Bool {
    try file.bytes(at: 0, count: headerLength) == header(layer)
  }

  private static func scanFrames(
    _ file: Descriptor, from start: Extent = Extent(length: Int64(headerLength), frames: 0),
    upTo end: UInt64 = .max, _ body: (Int, UnsafeBufferPointer<UInt64>) throws(StoreError) -> Void
  ) throws(StoreError) -> Extent {
    var extent = start
    while extent.frames < end, let frame = try frame(of: file, at: extent.length, number: extent.frames) {
      let outcome = frame.withUnsafeBytes { bytes in
        Result { () throws(StoreError) in
          for start in stride(from: frameHeaderLength, to: bytes.count, by: entryLength) {
            let leaf = Int(truncatingIfNeeded: bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self))
            let words = UnsafeRawBufferPointer(rebasing: bytes[(start + 8)..<(start + entryLength)])
            try body(leaf, words.bindMemory(to: UInt64.self))
          }
        }
      }
      try outcome.get()
      extent.length += Int64(frame.count)
      extent.frames += 1
    }
    return extent
  }

  /// The frame at an offset, if a whole one is there.
  private static func frame(
    of file: Descriptor, at offset: Int64, number: UInt64?
  ) throws(StoreError) -> [UInt8]? {
    let header = try file.bytes(at: offset, count: frameHeaderLength)
    guard header.count == frameHeaderLength, header.integer(at: 0, UInt32.self) == frameMagic else {
      return nil
    }
    let entries = Int(header.integer(at: 4, UInt32.self))
    guard (1...maximumEntries).contains(entries) else { return nil }
    if let number, header.integer(at: 8, UInt64.self) != number { return nil }
    let length = frameHeaderLength + entries * entryLength
    var bytes = try file.bytes(at: offset, count: length)
    guard bytes.count == length else { return nil }
    let checksum = bytes.integer(at: 16, UInt32.self)
    bytes.replaceSubrange(16..<20, with: [0, 0, 0, 0])
    guard CRC32C.checksum(bytes) == checksum else { return nil }
    let leavesAreNumbers = stride(from: frameHeaderLength, to: length, by: entryLength).allSatisfy {
      bytes.integer(at: $0, UInt64.self) < maximumLeaves
    }
    return leavesAreNumbers ? bytes : nil
  }

  /// Whether a whole frame is behind the end of an extent that was written when what ought to be between them
  /// was durable. Frames of one append come to the medium in any order.
  private static func laterAppendFollows(
    _ file: Descriptor, _ extent: Extent, _ size: Int64
  ) throws(StoreError) -> Bool {
    var place = extent
    while let next = try nextWholeFrame(file, after: place, size) {
      let before = try file.bytes(at: next.length + 20, count: 4).integer(at: 0, UInt32.self)
      let (first, isOff) = next.frames.subtractingReportingOverflow(UInt64(before))
      if !isOff, first > extent.frames { return true }
      place.length = next.length
    }
    return false
  }

  /// Where the next whole frame with a higher number begins behind the end of an extent, and its number.
  private static func nextWholeFrame(
    _ file: Descriptor, after extent: Extent, _ size: Int64
  ) throws(StoreError) -> Extent? {
    // Frames begin at multiples of eight.
    var offset = extent.length + 8
    while offset + Int64(frameHeaderLength) <= size {
      let bytes = try file.bytes(at: offset, count: 1 << 16)
      for index in stride(from: 0, to: bytes.count - frameHeaderLength + 1, by: 8)
      where bytes.integer(at: index, UInt32.self) == frameMagic
        && bytes.integer(at: index + 8, UInt64.self) > extent.frames
      {
        let place = offset + Int64(index)
        guard try frame(of: file, at: place, number: nil) != nil else { continue }
        return Extent(length: place, frames: bytes.integer(at: index + 8, UInt64.self))
      }
      offset += Int64(max(8, (bytes.count - frameHeaderLength) / 8 * 8))
    }
    return nil
  }

  /// Writes a header anew that is damaged, where all frames behind it are whole: it says nothing but whose map this is,
  /// which the name of the folder says too.
  ///
  /// - Parameters:
  ///   - frames: how many there are, when whoever wrote the file last said so.
  ///   - writes: whether to write it, or only to see whether that is what is wrong.
  /// - Returns: whether that is what is wrong.
  static func mendHeader(
    of file: Descriptor, layer: Identifier, frames: UInt64?, writes: Bool
  ) throws(StoreError) -> Bool {
    guard try !hasHeader(file, layer), try file.status().st_size >= headerLength else { return false }
    let extent = try scanFrames(file) { _, _ in }
    // An open map without a frame may have had one.
    guard extent.frames > 0 || frames == 0 else { return false }
    do throws(StoreError) { try requireWhole(file, extent, frames) } catch { return false }
    guard writes else { return true }
    try file.writeAll(header(layer))
    try file.synchronize()
    return true
  }

  /// Reads what is whole in a damaged file: also frames behind one that is not.
  ///
  /// - Returns: how many frames there must have been up to the last one that is whole, and how many of them are not:
  ///   what they said of their leaves is lost.
  static func salvage(
    _ file: Descriptor, into map: PresenceMap
  ) throws(StoreError) -> (frames: UInt64, lost: UInt64) {
    let load = { (leaf: Int, words: UnsafeBufferPointer<UInt64>) throws(StoreError) in
      try map.load(leaf, words)
    }
    var extent = try scanFrames(file, load)
    var lost: UInt64 = 0
    while let next = try nextWholeFrame(file, after: extent, Int64(try file.status().st_size)) {
      lost += next.frames - extent.frames
      extent = try scanFrames(file, from: next, load)
    }
    return (extent.frames, lost)
  }

  private static func header(_ layer: Identifier) -> [UInt8] {
    var bytes = magic + Array(layer.description.utf8)
    bytes += [UInt8](repeating: 0, count: headerLength - 4 - bytes.count)
    bytes.append(integer: CRC32C.checksum(bytes))
    return bytes
  }

  /// Gathers leaves into frames and writes these one after the other.
  private struct Writer {
    let file: Descriptor
    var extent = Extent(length: 0, frames: 0)
    private var pending: [UInt8] = []
    private var count: UInt32 = 0
    /// How many frames it has written.
    private var written: UInt32 = 0

    init(file: Descriptor, extent: Extent = Extent(length: 0, frames: 0)) {
      (self.file, self.extent) = (file, extent)
    }

    mutating func begin(_ layer: Identifier) throws(StoreError) {
      try file.writeAll(header(layer))
      extent.length = Int64(headerLength)
    }

    mutating func add(_ entry: Entry) throws(StoreError) {
      if pending.isEmpty { pending = [UInt8](repeating: 0, count: frameHeaderLength) }
      pending.append(integer: UInt64(entry.leaf))
      for word in entry.words { pending.append(integer: word) }
      count += 1
      if count == maximumEntries { try writeFrame() }
    }

    /// Writes what is left, and makes all durable.
    mutating func end() throws(StoreError) {
      try writeFrame()
      guard retrying({ Int(fdatasync(file.raw)) }) == 0 else { throw .system("flush", file.path) }
    }

    private mutating func writeFrame() throws(StoreError) {
      guard count > 0 else { return }
      var header: [UInt8] = []
      header.append(integer: frameMagic)
      header.append(integer: count)
      header.append(integer: extent.frames)
      header.append(integer: UInt32(0))
      header.append(integer: written)
      pending.replaceSubrange(0..<frameHeaderLength, with: header)
      let checksum = CRC32C.checksum(pending)
      withUnsafeBytes(of: checksum.littleEndian) { pending.replaceSubrange(16..<20, with: $0) }
      try file.writeAll(pending, at: extent.length)
      extent.length += Int64(pending.count)
      extent.frames += 1
      written += 1
      (pending, count) = ([], 0)
    }
  }
}

extension [UInt8] {
  /// Appends an integer, the least significant byte first.
  mutating func append(integer value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }

  /// The integer at an offset, the least significant byte first.
  func integer<Integer: FixedWidthInteger>(at offset: Int, _: Integer.Type) -> Integer {
    Integer(littleEndian: withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Integer.self) })
  }
}
