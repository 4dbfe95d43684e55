import CLinux
import Glibc

extension LUN {
  /// Reads into `buffer` from byte `offset` on.
  ///
  /// - Returns: the number of bytes read: all, or what there is up to the end of the LUN; 0 at or past the
  ///   end.
  /// - Throws: the host's error if not even one byte could be read; `EIO` where a data file has lost its end.
  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(IOError) -> Int {
    try gate.shared { () throws(IOError) in
      try requirePresent()
      let length = try inside(offset, buffer.count)
      if chain.isFlat { return try readFile(chain.head.data, buffer.baseAddress, length, at: offset) }
      return try readChain(buffer.baseAddress, length, at: offset)
    }
  }

  /// Writes `buffer` at byte `offset`.
  ///
  /// - Returns: the number of bytes written: all, or fewer at the end of the LUN and where the host had no
  ///   room for more.
  /// - Throws: `ENOSPC` at or past the end, as a block device does; `EROFS`; the host's error if not even one
  ///   byte could be written.
  public func write(_ buffer: UnsafeRawBufferPointer, at offset: Int64) throws(IOError) -> Int {
    try gate.shared { () throws(IOError) in
      try requireWritable()
      let length = try inside(offset, buffer.count)
      if length == 0 && buffer.count > 0 { throw IOError(ENOSPC) }
      return try write(buffer.baseAddress, length, at: offset)
    }
  }

  /// Gives the blocks of a range back to the host; the range then reads as zeros.
  ///
  /// - Throws: `EINVAL` if the range is not inside the LUN, `EOPNOTSUPP` if the host's file system cannot.
  public func punchHole(at offset: Int64, length: Int64) throws(IOError) {
    try gate.shared { () throws(IOError) in
      let range = try change(offset, length)
      if chain.isFlat {
        return try host(LINUX_FALLOC_FL_PUNCH_HOLE | LINUX_FALLOC_FL_KEEP_SIZE, range)
      }
      try clearChain(range, LINUX_FALLOC_FL_PUNCH_HOLE | LINUX_FALLOC_FL_KEEP_SIZE)
    }
  }

  /// Makes a range read as zeros, and keeps or gets room for it.
  ///
  /// - Throws: `EINVAL` if the range is not inside the LUN, `ENOSPC` if the host has no room for it.
  public func zero(at offset: Int64, length: Int64) throws(IOError) {
    try gate.shared { () throws(IOError) in
      let range = try change(offset, length)
      do throws(IOError) {
        let mode = LINUX_FALLOC_FL_ZERO_RANGE | LINUX_FALLOC_FL_KEEP_SIZE
        if chain.isFlat { try host(mode, range) } else { try clearChain(range, mode) }
      } catch {
        guard error.code == EOPNOTSUPP else { throw error }
        try writeZeros(range)
      }
    }
  }

  /// Gets room for a range, the contents of which stay as they are: later writes to it do not fail with
  /// `ENOSPC`.
  ///
  /// - Throws: `EINVAL` if the range is not inside the LUN, `ENOSPC` if the host has no room for it.
  public func allocate(at offset: Int64, length: Int64) throws(IOError) {
    // Where a block comes from another layer, that is room for the one that will hide it.
    try gate.shared { () throws(IOError) in try host(LINUX_FALLOC_FL_KEEP_SIZE, change(offset, length)) }
  }

  // MARK: Inside the gate

  /// The part of a request that lies inside the LUN.
  private func inside(_ offset: Int64, _ count: Int) throws(IOError) -> Int {
    guard offset >= 0 else { throw IOError(EINVAL) }
    return Int(max(0, min(Int64(count), chain.headRecord.size - offset)))
  }

  /// The range of a change of allocation, limited as that of a block device is (blkdev_fallocate in the
  /// kernel's block/fops.c): one that begins inside and ends outside is cut at the end.
  private func change(_ offset: Int64, _ length: Int64) throws(IOError) -> Range<Int64> {
    try requireWritable()
    let size = chain.headRecord.size
    guard offset >= 0, length > 0, offset < size else { throw IOError(EINVAL) }
    return offset..<(offset + min(length, size - offset))
  }

  private func host(_ mode: Int, _ range: Range<Int64>) throws(IOError) {
    let file = chain.head.data
    let raw = try file.pin()
    defer { file.unpin() }
    let length = range.upperBound - range.lowerBound
    let result = retrying { Int(linux_fallocate(raw, Int32(mode), range.lowerBound, length)) }
    let code = errno
    file.noteWritten()
    guard result == 0 else { throw IOError(code) }
  }

  private func readFile(
    _ file: LayerFile, _ bytes: UnsafeMutableRawPointer?, _ length: Int, at offset: Int64
  ) throws(IOError) -> Int {
    let raw = try file.pin()
    defer { file.unpin() }
    return try transfer(length) { done in
      pread(raw, bytes! + done, length - done, off_t(offset + Int64(done)))
    }
  }

  private func writeHead(
    _ bytes: UnsafeRawPointer?, _ length: Int, at offset: Int64
  ) throws(IOError) -> Int {
    let file = chain.head.data
    let raw = try file.pin()
    defer {
      file.noteWritten()
      file.unpin()
    }
    return try transfer(length) { done in
      pwrite(raw, bytes! + done, length - done, off_t(offset + Int64(done)))
    }
  }

  /// Repeats a transfer from where the one before ended, until all is done or the host does no more; fails
  /// where it did nothing.
  @inline(__always)
  private func transfer(_ length: Int, _ step: (_ done: Int) -> Int) throws(IOError) -> Int {
    var done = 0
    while done < length {
      let count = retrying { step(done) }
      if count > 0 {
        done += count
      } else if done > 0 {
        break
      } else {
        throw IOError(count < 0 ? errno : EIO)
      }
    }
    return done
  }

  /// Reads each run of blocks from where it is. What was read before a failure is lost: a client that gets
  /// less than it asked for would take that for the end.
  ///
  /// - Parameter keep: whether what comes from the image below is kept; not while a stripe is held.
  private func readChain(
    _ bytes: UnsafeMutableRawPointer?, _ length: Int, at offset: Int64, keep: Bool = true
  ) throws(IOError) -> Int {
    var position = offset
    let end = offset + Int64(length)
    let lastBlock = PresenceMap.blocks(in: end)
    while position < end {
      let run = chain.run(from: Int(position >> PresenceMap.blockShift), to: lastBlock)
      let runEnd = min(end, Int64(run.end) << PresenceMap.blockShift)
      let part = UnsafeMutableRawBufferPointer(
        start: bytes! + Int(position - offset), count: Int(runEnd - position))
      switch run.owner {
      case OwnerMap.zeros: part.initializeMemory(as: UInt8.self, repeating: 0)
      case OwnerMap.base: try readBase(part, at: position, keep: keep)
      default: try readLayer(chain.layers[Int(run.owner)], part, at: position)
      }
      position = runEnd
    }
    return length
  }

  /// A layer that is shorter than the LUN has zeros behind its end.
  private func readLayer(
    _ layer: Layer, _ part: UnsafeMutableRawBufferPointer, at offset: Int64
  ) throws(IOError) {
    let size = layer === chain.head ? chain.headRecord.size : layer.record.size
    let inside = Int(max(0, min(Int64(part.count), size - offset)))
    guard try readFile(layer.data, part.baseAddress, inside, at: offset) == inside else { throw IOError(EIO) }
    UnsafeMutableRawBufferPointer(rebasing: part[inside...]).initializeMemory(as: UInt8.self, repeating: 0)
  }

  /// Inside the gate.
  func write(_ bytes: UnsafeRawPointer?, _ length: Int, at offset: Int64) throws(IOError) -> Int {
    guard length > 0 else { return 0 }
    let end = offset + Int64(length)
    let blocks = Int(offset >> PresenceMap.blockShift)..<PresenceMap.blocks(in: end)
    guard let presence = chain.presence, !presence.containsAll(blocks) else {
      return try writeHead(bytes, length, at: offset)
    }
    return try stripes.with(blocks) { () throws(IOError) in
      // A block that is written in part is brought here first, whole.
      if offset & (PresenceMap.blockSize - 1) != 0 { try bring(blocks.lowerBound) }
      if end & (PresenceMap.blockSize - 1) != 0, end < chain.headRecord.size {
        try bring(blocks.upperBound - 1)
      }
      let count = try writeHead(bytes, length, at: offset)
      guard count < length else {
        try presence.insert(blocks)
        return length
      }
      // The host is full. The block in which it stopped is half written, and stays what it was.
      let whole = Int((offset + Int64(count)) >> PresenceMap.blockShift)
      guard whole > blocks.lowerBound else { throw IOError(ENOSPC) }
      try presence.insert(blocks.lowerBound..<whole)
      return Int(Int64(whole) << PresenceMap.blockShift - offset)
    }
  }

  /// Copies a block into the head, unless it is there. With its stripe held, or alone.
  func bring(_ block: Int) throws(IOError) {
    guard let presence = chain.presence, !presence.contains(block) else { return }
    let offset = Int64(block) << PresenceMap.blockShift
    let length = Int(min(PresenceMap.blockSize, chain.headRecord.size - offset))
    try withUnsafeTemporaryAllocation(byteCount: length, alignment: 4096) { buffer throws(IOError) in
      _ = try readChain(buffer.baseAddress, length, at: offset, keep: false)
      guard try writeHead(buffer.baseAddress, length, at: offset) == length else { throw IOError(ENOSPC) }
    }
    try presence.insert(block..<(block + 1))
  }

  /// Makes a range of a LUN with several layers read as zeros.
  private func clearChain(_ range: Range<Int64>, _ mode: Int) throws(IOError) {
    guard let presence = chain.presence else { return }
    let size = chain.headRecord.size
    let firstWhole = (range.lowerBound + PresenceMap.blockSize - 1) >> PresenceMap.blockShift
    let endWhole =
      range.upperBound == size ? Int64(presence.blocks) : range.upperBound >> PresenceMap.blockShift
    guard firstWhole < endWhole else { return try writeZeros(range) }
    let begin = firstWhole << PresenceMap.blockShift
    let end = min(size, endWhole << PresenceMap.blockShift)
    let blocks = Int(firstWhole)..<Int(endWhole)
    try stripes.with(blocks) { () throws(IOError) in
      try host(mode, begin..<end)
      try hide(blocks, presence)
    }
    if range.lowerBound < begin { try writeZeros(range.lowerBound..<begin) }
    if end < range.upperBound { try writeZeros(end..<range.upperBound) }
  }

  /// Has the head hide what is below it in these blocks. Where there is nothing below there is nothing to hide: an
  /// empty LUN stays one, and the map does not grow with the range, which may be all of the LUN.
  private func hide(_ blocks: Range<Int>, _ presence: PresenceMap) throws(IOError) {
    var block = blocks.lowerBound
    while block < blocks.upperBound {
      let run = chain.run(from: block, to: blocks.upperBound)
      if run.owner == OwnerMap.zeros || presence.contains(block) {
        block = run.end
        continue
      }
      let extent = try extentToHide(run, at: Int64(block) << PresenceMap.blockShift)
      if extent.isData {
        let end = PresenceMap.blocks(in: extent.end)
        try presence.insert(block..<end)
        block = end
      } else if extent.end >= min(chain.headRecord.size, Int64(run.end) << PresenceMap.blockShift) {
        block = run.end
      } else {
        // The next data begins here, or inside this block.
        block = Int(extent.end >> PresenceMap.blockShift)
        try presence.insert(block..<(block + 1))
        block += 1
      }
    }
  }

  /// As `extent(of:at:)`; an image that does not answer is taken for data: what is discarded needs it no more.
  private func extentToHide(
    _ run: (owner: OwnerMap.Owner, end: Int), at offset: Int64
  ) throws(IOError) -> (isData: Bool, end: Int64) {
    do throws(IOError) { return try extent(of: run, at: offset) } catch {
      guard run.owner == OwnerMap.base, let base = chain.base else { throw error }
      let end = min(chain.headRecord.size, Int64(run.end) << PresenceMap.blockShift)
      return offset < base.size ? (true, min(end, base.size)) : (false, end)
    }
  }

  private func writeZeros(_ range: Range<Int64>) throws(IOError) {
    let zeros = [UInt8](repeating: 0, count: Int(min(1 << 20, range.upperBound - range.lowerBound)))
    var position = range.lowerBound
    while position < range.upperBound {
      let count = Int(min(Int64(zeros.count), range.upperBound - position))
      // A closure cannot be passed through `withUnsafeBytes` and keep the type of its error.
      let written = zeros.withUnsafeBytes { bytes in
        Result { () throws(IOError) in try write(bytes.baseAddress, count, at: position) }
      }
      position += Int64(try written.get())
    }
  }
}

// MARK: - The image below

extension LUN {
  /// How much is copied from the image at a time: what a client reads next is often beside it.
  private static let fetched = (64 * 1024) >> Int(PresenceMap.blockShift)

  /// Reads from the image that the LUN is a lazy copy of.
  private func readBase(
    _ part: UnsafeMutableRawBufferPointer, at offset: Int64, keep: Bool
  ) throws(IOError) {
    if keep, chain.layers.count == 1, access == .readWrite {
      let first = Int(offset >> PresenceMap.blockShift) / Self.fetched * Self.fetched
      let end = PresenceMap.blocks(in: offset + Int64(part.count))
      // Where the host has no room the image can still be read.
      if (try? fetch(first..<((end + Self.fetched - 1) / Self.fetched * Self.fetched))) != nil {
        guard try readFile(chain.head.data, part.baseAddress, part.count, at: offset) == part.count else {
          throw IOError(EIO)
        }
        return
      }
    }
    try chain.readBase(part, at: offset)
  }

  /// Copies the blocks of a range that are only in the image into the head. Inside the gate.
  func fetch(_ blocks: Range<Int>) throws(IOError) {
    guard let presence = chain.presence else { return }
    let blocks = blocks.clamped(to: 0..<presence.blocks)
    try stripes.with(blocks) { () throws(IOError) in
      var block = blocks.lowerBound
      while block < blocks.upperBound {
        let run = chain.run(from: block, to: min(blocks.upperBound, block + 256))
        if run.owner == OwnerMap.base || run.owner == OwnerMap.zeros {
          let offset = Int64(block) << PresenceMap.blockShift
          let length = Int(min(Int64(run.end) << PresenceMap.blockShift, chain.headRecord.size) - offset)
          try fetch(offset, length, isZero: run.owner == OwnerMap.zeros)
          try presence.insert(block..<run.end)
        }
        block = run.end
      }
    }
  }

  private func fetch(_ offset: Int64, _ length: Int, isZero: Bool) throws(IOError) {
    let data = isZero ? nil : try chain.base?.nextData(from: offset)
    if data.map({ $0.lowerBound >= offset + Int64(length) }) ?? true {
      return try host(
        LINUX_FALLOC_FL_PUNCH_HOLE | LINUX_FALLOC_FL_KEEP_SIZE, offset..<(offset + Int64(length)))
    }
    try withUnsafeTemporaryAllocation(byteCount: length, alignment: 4096) { buffer throws(IOError) in
      try chain.readBase(buffer, at: offset)
      guard try writeHead(buffer.baseAddress, length, at: offset) == length else { throw IOError(ENOSPC) }
    }
  }
}

extension Chain {
  /// Reads from the image, which may be shorter than the LUN.
  fileprivate func readBase(_ part: UnsafeMutableRawBufferPointer, at offset: Int64) throws(IOError) {
    guard let base else { throw IOError(EIO) }
    let inside = Int(max(0, min(Int64(part.count), base.size - offset)))
    if inside > 0 {
      do throws(IOError) {
        try base.read(into: UnsafeMutableRawBufferPointer(rebasing: part[..<inside]), at: offset)
      } catch {
        StoreLog.report(base.explain(error))
        // A client is to see an error of its disk, and not one of a network that it knows nothing of.
        throw IOError(EIO)
      }
    }
    UnsafeMutableRawBufferPointer(rebasing: part[inside...]).initializeMemory(as: UInt8.self, repeating: 0)
  }
}

// MARK: - Holes

extension LUN {
  /// The first byte at or after `offset` that may hold data; `nil` if there are only holes from there on.
  public func nextData(from offset: Int64) throws(IOError) -> Int64? {
    try gate.shared { () throws(IOError) in
      try requirePresent()
      guard offset >= 0 else { throw IOError(EINVAL) }
      var position = offset
      while position < chain.headRecord.size {
        let extent = try extent(at: position)
        if extent.isData { return position }
        position = extent.end
      }
      return nil
    }
  }

  /// The first byte at or after `offset` that is in a hole or is the end of the LUN; `nil` past the end.
  public func nextHole(from offset: Int64) throws(IOError) -> Int64? {
    try gate.shared { () throws(IOError) in
      try requirePresent()
      guard offset >= 0 else { throw IOError(EINVAL) }
      let size = chain.headRecord.size
      guard offset < size else { return nil }
      var position = offset
      while position < size {
        let extent = try extent(at: position)
        if !extent.isData { return position }
        position = extent.end
      }
      return size
    }
  }

  /// Whether there is data at a byte inside the LUN, and up to where it goes on like that at least.
  private func extent(at offset: Int64) throws(IOError) -> (isData: Bool, end: Int64) {
    let size = chain.headRecord.size
    return try extent(
      of: chain.run(from: Int(offset >> PresenceMap.blockShift), to: PresenceMap.blocks(in: size)), at: offset
    )
  }

  /// As `extent(at:)`, inside a run of blocks that come from one place.
  private func extent(
    of run: (owner: OwnerMap.Owner, end: Int), at offset: Int64
  ) throws(IOError) -> (isData: Bool, end: Int64) {
    let end = min(chain.headRecord.size, Int64(run.end) << PresenceMap.blockShift)
    switch run.owner {
    case OwnerMap.zeros: return (false, end)
    case OwnerMap.base:
      guard let data = try chain.base?.nextData(from: offset), data.lowerBound < end else {
        return (false, end)
      }
      return data.lowerBound > offset ? (false, data.lowerBound) : (true, min(end, data.upperBound))
    default:
      let layer = chain.layers[Int(run.owner)]
      guard let data = try seek(layer, offset, LINUX_SEEK_DATA), data < end else { return (false, end) }
      if data > offset { return (false, data) }
      return (true, min(end, try seek(layer, offset, LINUX_SEEK_HOLE) ?? end))
    }
  }

  private func seek(_ layer: Layer, _ offset: Int64, _ whence: Int) throws(IOError) -> Int64? {
    let raw = try layer.data.pin()
    defer { layer.data.unpin() }
    // The offset that the kernel keeps for the descriptor moves; nothing else here uses it.
    let found = lseek(raw, off_t(offset), Int32(whence))
    if found >= 0 { return Int64(found) }
    if errno == ENXIO { return nil }
    throw IOError(errno)
  }
}
