import Glibc

extension PowerLayer.Cache {
  /// Reads what a client is to see.
  func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int64, from below: any BlockDevice
  ) throws(IOError) -> Int {
    let count = try below.read(into: buffer, at: offset)
    guard count > 0, !changes.isEmpty else { return count }
    let range = offset..<offset + Int64(count)
    for sector in range.sectors {
      guard let number = newest[sector] else { continue }
      let part = range.clamped(to: sector..<sector + PowerLayer.sector)
      let target = UnsafeMutableRawBufferPointer(
        rebasing: buffer[Int(part.lowerBound - offset)..<Int(part.upperBound - offset)])
      changes[number - first].copy(part, into: target)
    }
    return count
  }

  func readAll(_ data: inout [UInt8], at offset: Int64, from below: any BlockDevice) throws(IOError) {
    let outcome = data.withUnsafeMutableBytes { bytes in
      Result { () throws(IOError) in try read(into: bytes, at: offset, from: below) }
    }
    _ = try outcome.get()
  }

  mutating func append(_ change: PowerLayer.Change) {
    let number = first + changes.count
    changes.append(change)
    bytes += Int64(change.range.count)
    for sector in change.range.sectors { newest[sector] = number }
  }

  /// Writes the oldest changes to the disk if there is no room for `count` bytes more, which are at most `limit`.
  mutating func makeRoom(for count: Int64, limit: Int64, on below: any BlockDevice) throws(IOError) {
    guard bytes > limit - count else { return }
    var number = 0
    var rest = bytes
    // An eighth of the cache at a time: the list is not moved up for each write.
    while number < changes.count, rest > limit - limit / 8 - count {
      rest -= Int64(changes[number].range.count)
      number += 1
    }
    try destage(first: number, to: below)
  }

  /// Writes all changes to the disk.
  mutating func destage(to below: any BlockDevice) throws(IOError) {
    try destage(first: changes.count, to: below)
  }

  /// Writes to the disk what has to be there before a change of a range that goes past the cache.
  mutating func destage(whatOverlaps range: Range<Int64>, to below: any BlockDevice) throws(IOError) {
    let last = changes.lastIndex { $0.range.overlaps(range.wholeSectors) }
    try destage(first: last.map { $0 + 1 } ?? 0, to: below)
  }

  /// Writes so many changes to the disk, in their order. Those that cannot be written stay.
  private mutating func destage(first count: Int, to below: any BlockDevice) throws(IOError) {
    var done = 0
    var failure: IOError?
    for change in changes.prefix(count) {
      do throws(IOError) {
        try change.apply(change.range, to: below)
      } catch {
        failure = error
        break
      }
      for sector in change.range.sectors where newest[sector] == first + done { newest[sector] = nil }
      bytes -= Int64(change.range.count)
      destaged += Int64(change.range.count)
      done += 1
    }
    changes.removeFirst(done)
    first += done
    if let failure { throw failure }
  }
}

extension PowerLayer.Change {
  /// Copies the bytes of a part of it.
  func copy(_ part: Range<Int64>, into target: UnsafeMutableRawBufferPointer) {
    switch content {
    case .data(let data):
      let start = Int(part.lowerBound - range.lowerBound)
      data.withUnsafeBytes {
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + part.count]))
      }
    case .discarded, .zeros: target.initializeMemory(as: UInt8.self, repeating: 0)
    }
  }

  /// Does to the disk what it is, in a part of its range. What is past the end of a LUN that shrank is dropped.
  func apply(_ part: Range<Int64>, to below: any BlockDevice) throws(IOError) {
    let part = part.clamped(to: 0..<Swift.max(below.size, 0))
    if part.isEmpty { return }
    switch content {
    case .discarded: try below.punchHole(at: part.lowerBound, length: Int64(part.count))
    case .zeros: try below.zero(at: part.lowerBound, length: Int64(part.count))
    case .data(let data):
      let start = Int(part.lowerBound - range.lowerBound)
      let outcome = data.withUnsafeBytes { bytes in
        Result { () throws(IOError) in
          let bytes = UnsafeRawBufferPointer(rebasing: bytes[start..<start + part.count])
          return try below.write(bytes, at: part.lowerBound, durably: false)
        }
      }
      // Less than all is what the host writes when there is no room for more.
      if try outcome.get() < Int(part.count) { throw IOError(ENOSPC) }
    }
  }
}

extension Range<Int64> {
  /// The first bytes of the sectors that it touches.
  var sectors: StrideTo<Int64> {
    stride(from: wholeSectors.lowerBound, to: wholeSectors.upperBound, by: Int(PowerLayer.sector))
  }

  /// The range of the sectors that it touches.
  var wholeSectors: Range<Int64> {
    let sector = PowerLayer.sector
    return lowerBound / sector * sector..<(upperBound + sector - 1) / sector * sector
  }
}
