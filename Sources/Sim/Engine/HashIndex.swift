/// An index from hashes to numbers: open addressing, eight bytes an entry, no removal.
///
/// It keeps 32 bits of each hash, so whoever asks has to compare what the numbers stand for.
struct HashIndex: ~Copyable {
  /// The hash's lower half above, the number below.
  private var entries: UnsafeMutablePointer<UInt64>
  private var capacity = 1 << 8
  private var count = 0
  /// The largest number stands for an empty place.
  private static let empty = UInt64.max

  /// A search in progress.
  struct Probe {
    fileprivate var place: Int
    fileprivate let tag: UInt64
  }

  init() {
    entries = .allocate(capacity: capacity)
    entries.initialize(repeating: HashIndex.empty, count: capacity)
  }

  deinit { entries.deallocate() }

  /// Starts a search for the numbers with a hash.
  @inline(__always)
  func find(_ hash: UInt64) -> Probe {
    let tag = hash & 0xFFFF_FFFF
    return Probe(place: Int(truncatingIfNeeded: tag) & (capacity &- 1), tag: tag)
  }

  /// What is at the place where the search for a hash begins: half a hash above, a number below.
  @inline(__always)
  func peek(_ hash: UInt64) -> UInt64 {
    entries[Int(truncatingIfNeeded: hash & 0xFFFF_FFFF) & (capacity &- 1)]
  }

  /// The next number with the hash.
  @inline(__always)
  func next(_ probe: inout Probe) -> UInt32? {
    while true {
      let entry = entries[probe.place]
      if entry == HashIndex.empty { return nil }
      probe.place = (probe.place &+ 1) & (capacity &- 1)
      if entry >> 32 == probe.tag { return UInt32(truncatingIfNeeded: entry) }
    }
  }

  /// Adds a number, less than the largest.
  mutating func insert(_ hash: UInt64, _ number: UInt32) {
    assert(number < .max)
    if count * 2 >= capacity { grow() }
    place(hash << 32 | UInt64(number))
    count += 1
  }

  /// Puts a number in the place of another one with the same hash.
  mutating func replace(_ hash: UInt64, _ old: UInt32, with number: UInt32) {
    var probe = find(hash)
    while let other = next(&probe) {
      if other == old {
        entries[(probe.place &- 1) & (capacity &- 1)] = hash << 32 | UInt64(number)
        return
      }
    }
  }

  private func place(_ entry: UInt64) {
    var place = Int(truncatingIfNeeded: entry >> 32) & (capacity - 1)
    while entries[place] != HashIndex.empty { place = (place + 1) & (capacity - 1) }
    entries[place] = entry
  }

  private mutating func grow() {
    let old = entries
    let oldCapacity = capacity
    capacity *= 2
    precondition(capacity <= 1 << 32, "more than 2^31 entries")
    entries = .allocate(capacity: capacity)
    entries.initialize(repeating: HashIndex.empty, count: capacity)
    for i in 0..<oldCapacity where old[i] != HashIndex.empty { place(old[i]) }
    old.deallocate()
  }
}
