/// An index from hashes to numbers: open addressing, no removal.
struct HashIndex: ~Copyable {
  private struct Entry {
    var hash: UInt64
    var value: Int32
  }

  /// A search in progress.
  struct Probe {
    fileprivate var slot: Int
    fileprivate let hash: UInt64
  }

  private var entries: UnsafeMutablePointer<Entry>
  private var capacity = 1 << 8
  private var count = 0

  init() {
    entries = .allocate(capacity: capacity)
    entries.initialize(repeating: Entry(hash: 0, value: -1), count: capacity)
  }

  deinit { entries.deallocate() }

  /// Starts a search for the values with a hash.
  @inline(__always)
  func find(_ hash: UInt64) -> Probe {
    Probe(slot: Int(truncatingIfNeeded: hash) & (capacity - 1), hash: hash)
  }

  /// The next value with the hash.
  @inline(__always)
  func next(_ probe: inout Probe) -> Int32? {
    while true {
      let entry = entries[probe.slot]
      if entry.value < 0 { return nil }
      probe.slot = (probe.slot &+ 1) & (capacity &- 1)
      if entry.hash == probe.hash { return entry.value }
    }
  }

  /// Adds a value, not negative.
  mutating func insert(_ hash: UInt64, _ value: Int32) {
    if count * 2 >= capacity { grow() }
    place(Entry(hash: hash, value: value))
    count += 1
  }

  /// Puts a value in the place of another one with the same hash, or adds it when `old` is negative.
  mutating func replace(_ hash: UInt64, _ old: Int32, with value: Int32) {
    if old < 0 { return insert(hash, value) }
    var slot = Int(truncatingIfNeeded: hash) & (capacity - 1)
    while entries[slot].value >= 0 {
      if entries[slot].value == old, entries[slot].hash == hash {
        entries[slot].value = value
        return
      }
      slot = (slot + 1) & (capacity - 1)
    }
  }

  private func place(_ entry: Entry) {
    var slot = Int(truncatingIfNeeded: entry.hash) & (capacity - 1)
    while entries[slot].value >= 0 { slot = (slot + 1) & (capacity - 1) }
    entries[slot] = entry
  }

  private mutating func grow() {
    let old = entries
    let oldCapacity = capacity
    capacity *= 2
    entries = .allocate(capacity: capacity)
    entries.initialize(repeating: Entry(hash: 0, value: -1), count: capacity)
    for slot in 0..<oldCapacity where old[slot].value >= 0 { place(old[slot]) }
    old.deallocate()
  }
}
