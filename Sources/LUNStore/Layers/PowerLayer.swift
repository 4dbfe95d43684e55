import Synchronization

/// The volatile write cache of a disk: what was written is in memory until a flush, or until there is no more
/// room, and is lost as far as a power cut likes.
///
/// The cache is a list of changes in the order in which they came, each of whole sectors. Reads see the newest
/// one of each sector. A flush applies all of them in order; when the limit is reached, the oldest go first, as
/// they may on a disk at any time.
final class PowerLayer: DiskLayer {
  /// What a change is made of, in bytes: the least that a disk writes as a whole.
  static let sector: Int64 = 512

  let kind = "power"
  let limit: Int64
  let cache = Mutex(Cache())

  init(_ options: inout LayerOptions) { limit = options.bytes("cache") ?? 64 << 20 }

  /// One write, discard or zeroing that is not on the disk yet; its ends are those of sectors.
  struct Change: Sendable {
    enum Content: Sendable { case data([UInt8]), discarded, zeros }
    let range: Range<Int64>
    let content: Content
  }

  struct Cache: Sendable {
    /// The oldest first.
    var changes: [Change] = []
    /// The number of the first of them.
    var first = 0
    /// The number of the newest change of each sector that has one.
    var newest: [Int64: Int] = [:]
    var bytes: Int64 = 0
    /// For the user.
    var destaged: Int64 = 0
    var powerCuts: Int64 = 0
    var lostBytes: Int64 = 0
  }

  var settings: [LayerSetting] { [LayerSetting("cache", sizeText(limit))] }

  var counters: [LayerCounter] {
    cache.withLock { cache in
      [
        LayerCounter("volatile bytes", cache.bytes),
        LayerCounter("volatile requests", Int64(cache.changes.count)),
        LayerCounter("destaged bytes", cache.destaged), LayerCounter("power cuts", cache.powerCuts),
        LayerCounter("lost bytes", cache.lostBytes),
      ]
    }
  }

  // MARK: The operations, one at a time

  func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int64, from below: any BlockDevice
  ) throws(IOError) -> Int {
    try exclusively { cache throws(IOError) in try cache.read(into: buffer, at: offset, from: below) }
  }

  func write(
    _ buffer: UnsafeRawBufferPointer, at offset: Int64, durably: Bool, to below: any BlockDevice
  ) throws(IOError) -> Int {
    let count = offset < 0 ? 0 : Swift.min(Int64(buffer.count), below.size - offset)
    // At the end, empty, or more than the cache holds: as without a cache, after what is older.
    guard count > 0, count <= limit else {
      return try exclusively { cache throws(IOError) in
        try cache.destage(to: below)
        return try below.write(buffer, at: offset, durably: durably)
      }
    }
    let range = offset..<offset + count
    return try exclusively { cache throws(IOError) in
      if durably {
        try cache.destage(whatOverlaps: range, to: below)
        return try below.write(buffer, at: offset, durably: true)
      }
      try cache.makeRoom(for: count, limit: limit, on: below)
      let sectors = range.wholeSectors
      var data: [UInt8]
      if sectors == range {
        data = Array(buffer[..<Int(count)])
      } else {
        data = [UInt8](repeating: 0, count: sectors.count)
        try cache.readAll(&data, at: sectors.lowerBound, from: below)
        data.replaceSubrange(
          Int(offset - sectors.lowerBound)..<Int(offset - sectors.lowerBound + count),
          with: buffer[..<Int(count)])
      }
      cache.append(Change(range: sectors, content: .data(data)))
      return Int(count)
    }
  }

  func flush(_ below: any BlockDevice) throws(IOError) {
    try exclusively { cache throws(IOError) in
      try cache.destage(to: below)
      try below.flush()
    }
  }

  func punchHole(at offset: Int64, length: Int64, in below: any BlockDevice) throws(IOError) {
    try clear(.discarded, at: offset, length: length, in: below) { below, offset, length throws(IOError) in
      try below.punchHole(at: offset, length: length)
    }
  }

  func zero(at offset: Int64, length: Int64, in below: any BlockDevice) throws(IOError) {
    try clear(.zeros, at: offset, length: length, in: below) { below, offset, length throws(IOError) in
      try below.zero(at: offset, length: length)
    }
  }

  /// What a discard or zeroing that is kept may be about: the cache knows of each sector which change is its newest.
  private static let longestClearing: Int64 = 64 << 20

  /// Keeps whole sectors that fit as a change; does everything else at once, after what is older.
  private func clear(
    _ content: Change.Content, at offset: Int64, length: Int64, in below: any BlockDevice,
    directly: (any BlockDevice, Int64, Int64) throws(IOError) -> Void
  ) throws(IOError) {
    try exclusively { cache throws(IOError) in
      let end = Swift.min(
        below.size, offset.addingReportingOverflow(length).overflow ? .max : offset + length)
      guard offset >= 0, length > 0, offset < end, end - offset <= Swift.min(limit, Self.longestClearing),
        (offset..<end).wholeSectors == offset..<end
      else {
        try cache.destage(to: below)
        return try directly(below, offset, length)
      }
      try cache.makeRoom(for: end - offset, limit: limit, on: below)
      cache.append(Change(range: offset..<end, content: content))
    }
  }

  func nextData(from offset: Int64, in below: any BlockDevice) throws(IOError) -> Int64? {
    try exclusively { cache throws(IOError) in
      try cache.destage(to: below)
      return try below.nextData(from: offset)
    }
  }

  func nextHole(from offset: Int64, in below: any BlockDevice) throws(IOError) -> Int64? {
    try exclusively { cache throws(IOError) in
      try cache.destage(to: below)
      return try below.nextHole(from: offset)
    }
  }

  func detach(from below: any BlockDevice) throws(IOError) { try flush(below) }

  private func exclusively<Outcome: Sendable>(
    _ body: (inout Cache) throws(IOError) -> Outcome
  ) throws(IOError) -> Outcome {
    let outcome: Result<Outcome, IOError> = cache.withLock { cache in
      do throws(IOError) { return .success(try body(&cache)) } catch { return .failure(error) }
    }
    return try outcome.get()
  }
}
