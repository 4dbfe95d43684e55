/// A priority queue of slots by time; equal times come out in the order in which they went in.
///
/// A 4-ary heap of 16-byte keys, `time << 68 | sequence << 24 | slot`, so that one comparison of integers decides
/// time and order, and the four children of a node share a cache line. What lies behind the last entry is larger
/// than any key, so a group of children is always a whole one and the smallest is found without a branch.
struct EventQueue: ~Copyable {
  /// How many entries may wait at once, and how many may pass through in all.
  static let slotBits = 24
  /// Larger than any key: times are at most 2^58 + 1, so its upper bits are those of none.
  @inline(__always)
  private static var nothing: UInt128 { .max }

  private var raw: UnsafeMutableRawPointer
  /// Element 0 is the top; it is placed so that each group of four children is 64-byte aligned.
  private var base: UnsafeMutablePointer<UInt128>
  private var capacity: Int
  private(set) var count = 0
  private var sequence: UInt64 = 0

  init() {
    capacity = 64
    (raw, base) = EventQueue.allocate(capacity)
  }

  deinit { raw.deallocate() }

  private static func allocate(
    _ capacity: Int
  ) -> (UnsafeMutableRawPointer, UnsafeMutablePointer<UInt128>) {
    let raw = UnsafeMutableRawPointer.allocate(byteCount: (capacity + 7) * 16, alignment: 64)
    let base = raw.bindMemory(to: UInt128.self, capacity: capacity + 7) + 3
    base.initialize(repeating: nothing, count: capacity + 4)
    return (raw, base)
  }

  @inline(__always)
  private mutating func key(_ time: Int64, _ slot: Int) -> UInt128 {
    let low = sequence << 24 | UInt64(truncatingIfNeeded: slot)
    // The sequence takes bits 24…67, so its upper 4 bits sit just above the low word.
    let high = UInt64(truncatingIfNeeded: time) << 4 | sequence >> 40
    sequence &+= 1
    return UInt128(high) << 64 | UInt128(low)
  }

  /// The time of the first entry; the queue must not be empty.
  @inline(__always)
  var firstTime: Int64 { Int64(truncatingIfNeeded: base[0] >> 68) }

  /// The slot of the first entry; the queue must not be empty.
  @inline(__always)
  var firstSlot: Int { Int(truncatingIfNeeded: base[0]) & 0xFF_FFFF }

  /// Adds an entry.
  @inline(__always)
  mutating func push(time: Int64, slot: Int) {
    if count == capacity { grow() }
    let key = key(time, slot)
    let base = self.base
    var i = count
    count &+= 1
    while i > 0 {
      let parent = (i &- 1) >> 2
      let other = base[parent]
      if other <= key { break }
      base[i] = other
      i = parent
    }
    base[i] = key
  }

  /// Removes the first entry and adds another, cheaper than one after the other.
  @inline(__always)
  mutating func replaceFirst(time: Int64, slot: Int) {
    siftDown(key(time, slot))
  }

  /// Removes the first entry; the queue must not be empty.
  @inline(__always)
  mutating func removeFirst() {
    count &-= 1
    let last = base[count]
    base[count] = EventQueue.nothing
    if count > 0 { siftDown(last) }
  }

  /// Removes every entry.
  mutating func removeAll() {
    base.update(repeating: EventQueue.nothing, count: count)
    count = 0
  }

  @inline(__always)
  private func siftDown(_ key: UInt128) {
    let base = self.base
    let count = self.count
    var i = 0
    var child = 1
    while child < count {
      let group = base + child
      let m0 = group[1] < group[0] ? 1 : 0
      let m1 = group[3] < group[2] ? 3 : 2
      let m = group[m1] < group[m0] ? m1 : m0
      let smallest = group[m]
      if key <= smallest { break }
      base[i] = smallest
      i = child &+ m
      child = (i << 2) &+ 1
    }
    base[i] = key
  }

  @inline(never)
  private mutating func grow() {
    precondition(capacity < 1 << 24, "more than 2^24 events are pending")
    let (newRaw, newBase) = EventQueue.allocate(capacity * 2)
    newBase.update(from: base, count: count)
    raw.deallocate()
    (raw, base) = (newRaw, newBase)
    capacity *= 2
  }
}
