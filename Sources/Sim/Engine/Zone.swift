/// The times that the pending events of one explored state may still take, relative to each other.
///
/// `bound[i * count + j]` is the largest possible T(i) − T(j), where T(i) is the time at which pending event `i`
/// happens: a difference-bound matrix, always closed (every bound is as tight as the others make it), so that
/// the times are feasible exactly when no cycle of bounds is negative.
///
/// The sequence in which the explorer takes independent events says nothing about their times, so an event that
/// is still pending may turn out to be earlier than one already taken. What must not happen is that something
/// pending, or its consequences, conflicts with an event already taken and yet is earlier. Such taken events are
/// kept as the zone's `past`: an event with footprint `past[h]` has been taken at some time Th, and
/// `since[h * count + i]` is the largest possible T(i) − Th. Only lower bounds of Th are kept, since Th serves
/// for nothing but the demand "not earlier than Th"; that makes the smallest possible Th the one that counts.
///
/// This is the interleaving semantics of Lugiez, Niebert and Zennou (A partial order semantics approach to the
/// clock explosion problem of timed automata, 2005): taking independent events in either sequence gives the
/// same zone, which an ordinary zone graph splits in two.
struct Zone: ~Copyable {
  /// The bound that is none. Finite bounds stay within ±``limit``, so sums of two never overflow.
  static let infinity: Int64 = 1 << 61
  static let limit: Int64 = 1 << 60

  private(set) var count = 0
  var pastCount = 0
  /// Whether nothing is known about times and the bounds are not even written, until ``fillIn()`` does.
  private(set) var isBlank = false
  private(set) var events: UnsafeMutablePointer<Int32>
  private(set) var bound: UnsafeMutablePointer<Int64>
  private(set) var past: UnsafeMutablePointer<Footprint>
  private(set) var since: UnsafeMutablePointer<Int64>
  private var eventCapacity = 16
  private var pastCapacity = 16

  init() {
    events = .allocate(capacity: eventCapacity)
    bound = .allocate(capacity: eventCapacity * eventCapacity)
    past = .allocate(capacity: pastCapacity)
    since = .allocate(capacity: pastCapacity * eventCapacity)
  }

  deinit {
    events.deallocate()
    bound.deallocate()
    past.deallocate()
    since.deallocate()
  }

  /// Makes room for `count` events and at most `pastCount` past ones, all of them uninitialized.
  mutating func reset(count: Int, pastCount: Int) {
    if count > eventCapacity || pastCount > pastCapacity {
      while eventCapacity < count { eventCapacity *= 2 }
      while pastCapacity < pastCount { pastCapacity *= 2 }
      events.deallocate()
      bound.deallocate()
      past.deallocate()
      since.deallocate()
      events = .allocate(capacity: eventCapacity)
      bound = .allocate(capacity: eventCapacity * eventCapacity)
      past = .allocate(capacity: pastCapacity)
      since = .allocate(capacity: pastCapacity * eventCapacity)
    }
    self.count = count
    self.pastCount = pastCount
    isBlank = false
  }

  /// Makes room for `count` events about whose times nothing is known.
  mutating func resetBlank(count: Int) {
    reset(count: count, pastCount: 0)
    isBlank = true
  }

  /// Writes the bounds of a blank zone, each of which is none.
  func fillIn() {
    if !isBlank { return }
    bound.update(repeating: Zone.infinity, count: count &* count)
    for i in 0..<count { bound[i &* count &+ i] = 0 }
  }

  /// The sum of two bounds.
  @inline(__always)
  static func sum(_ a: Int64, _ b: Int64) -> Int64 {
    if a >= infinity || b >= infinity { return infinity }
    let sum = a &+ b
    if sum > limit { return infinity }
    return Swift.max(sum, -limit)
  }

  /// Whether nothing is known about times: no event has a deadline or is known to be later than another one.
  var isTimeless: Bool {
    if isBlank { return true }
    if pastCount > 0 { return false }
    var at = bound
    for i in 0..<count {
      for j in 0..<count where i != j && at[j] < Zone.infinity { return false }
      at += count
    }
    return true
  }

  // MARK: Demanding that an event comes first

  /// Tightens the bounds by all demands that concern event `k`: T(k) ≤ T(x) + `lead[x]` for each x, and T(k) ≥ Th
  /// for each past event that `footprint` conflicts with.
  ///
  /// - Returns: whether times exist that meet them. If not, the bounds are of no use any more.
  mutating func demand(
    _ k: Int, lead: UnsafePointer<Int64>, footprint: Footprint, _ scratch: inout ZoneScratch
  ) -> Bool {
    let n = count
    for x in 0..<n where Zone.sum(bound[x &* n &+ k], lead[x]) < 0 { return false }
    let out = scratch.out(n)
    let into = scratch.into(n)
    var changedOut = false
    var changedInto = false
    for x in 0..<n {
      out[x] = bound[k &* n &+ x]
      if lead[x] < out[x] {
        out[x] = lead[x]
        changedOut = true
      }
      into[x] = bound[x &* n &+ k]
    }
    for h in 0..<pastCount where past[h].conflicts(with: footprint) {
      let row = since + h &* n
      if row[k] < 0 { return false }
      for y in 0..<n where y != k && row[y] < into[y] {
        into[y] = row[y]
        changedInto = true
      }
    }
    if !changedOut && !changedInto { return true }
    return close(through: k, out, into, &scratch)
  }

  /// Closes the bounds after those of T(k) − T(x), in `out`, and of T(x) − T(k), in `into`, were tightened.
  private mutating func close(
    through k: Int, _ out: UnsafeMutablePointer<Int64>, _ into: UnsafeMutablePointer<Int64>,
    _ scratch: inout ZoneScratch
  ) -> Bool {
    // Every shortest path passes through k once at most, since all tightened bounds touch it.
    let n = count
    let closedOut = scratch.closedOut(n)
    let closedInto = scratch.closedInto(n)
    for x in 0..<n {
      var smallestOut = out[x]
      var smallestInto = into[x]
      for z in 0..<n {
        smallestOut = Swift.min(smallestOut, Zone.sum(out[z], bound[z &* n &+ x]))
        smallestInto = Swift.min(smallestInto, Zone.sum(bound[x &* n &+ z], into[z]))
      }
      closedOut[x] = smallestOut
      closedInto[x] = smallestInto
    }
    for z in 0..<n where Zone.sum(closedOut[z], closedInto[z]) < 0 { return false }
    if closedOut[k] < 0 || closedInto[k] < 0 { return false }
    for y in 0..<n {
      let row = bound + y &* n
      let first = closedInto[y]
      if first >= Zone.infinity { continue }
      for x in 0..<n where x != y {
        row[x] = Swift.min(row[x], Zone.sum(first, closedOut[x]))
      }
    }
    return true
  }

  /// Tightens each past event's row by the bounds between pending events.
  mutating func closePast(_ scratch: inout ZoneScratch) {
    let n = count
    for h in 0..<pastCount {
      let row = since + h &* n
      let closed = scratch.out(n)
      for x in 0..<n {
        var smallest = row[x]
        for z in 0..<n { smallest = Swift.min(smallest, Zone.sum(bound[x &* n &+ z], row[z])) }
        closed[x] = smallest
      }
      row.update(from: closed, count: n)
    }
  }

  /// Makes this a copy of `other`, with its bounds written.
  mutating func copy(_ other: borrowing Zone) {
    other.fillIn()
    reset(count: other.count, pastCount: other.pastCount)
    events.update(from: other.events, count: count)
    bound.update(from: other.bound, count: count &* count)
    past.update(from: other.past, count: pastCount)
    since.update(from: other.since, count: pastCount &* count)
  }
}

/// Room for intermediate rows, kept from one step to the next.
struct ZoneScratch: ~Copyable {
  private var rows: UnsafeMutablePointer<Int64>
  private var width = 16

  init() { rows = .allocate(capacity: 4 * width) }

  deinit { rows.deallocate() }

  private mutating func row(_ index: Int, _ n: Int) -> UnsafeMutablePointer<Int64> {
    assert(n <= width)
    return rows + index &* width
  }

  /// Makes every row at least `n` wide; their contents are lost.
  mutating func reserve(_ n: Int) {
    if n <= width { return }
    while width < n { width *= 2 }
    rows.deallocate()
    rows = .allocate(capacity: 4 * width)
  }

  mutating func out(_ n: Int) -> UnsafeMutablePointer<Int64> { row(0, n) }
  mutating func into(_ n: Int) -> UnsafeMutablePointer<Int64> { row(1, n) }
  mutating func closedOut(_ n: Int) -> UnsafeMutablePointer<Int64> { row(2, n) }
  mutating func closedInto(_ n: Int) -> UnsafeMutablePointer<Int64> { row(3, n) }
}
