/// Which of a state's pending events have to be tried as the next one.
///
/// The set tried is *persistent* (Godefroid: Partial-Order Methods for the Verification of Concurrent Systems,
/// 1996), with times taken into account: whatever the events outside the set lead to either does not conflict
/// with those in it, or comes after them at all possible times. In every run the first event that belongs to the
/// set, or follows from it, is then one of the set, and could as well have come first of all. Since each step
/// leaves a shorter run to be found, no run that comes to an end is lost, and the set needs no further proviso.
///
/// For the same reason an event need not be tried that is later, at all possible times, than another one of
/// the set; and it may be demanded of an event of the set that no other one of the set is earlier. The latter is
/// done only for events left behind for long: otherwise a loop could run ahead of them for ever, in states
/// that never repeat since the distance keeps growing.
struct Choice: ~Copyable {
  /// For each position, whether the event is to be tried.
  private(set) var isChosen: UnsafeMutablePointer<Bool>
  private var isLater: UnsafeMutablePointer<Bool>
  /// The set, and those in it that were left behind for long; for up to 64 events.
  private var set: UInt64 = 0
  private var neglected: UInt64 = 0
  private var capacity = 64
  /// For each event, those that must be in a set with it, and those that are earlier at all possible times.
  private var pulls: UnsafeMutablePointer<UInt64>
  private var before: UnsafeMutablePointer<UInt64>

  init() {
    isChosen = .allocate(capacity: capacity)
    isLater = .allocate(capacity: capacity)
    pulls = .allocate(capacity: 64)
    before = .allocate(capacity: 64)
  }

  deinit {
    isChosen.deallocate()
    isLater.deallocate()
    pulls.deallocate()
    before.deallocate()
  }

  /// Chooses the events to try in a state.
  mutating func choose<M>(
    _ zone: borrowing Zone, _ alphabet: borrowing Alphabet<M>, reducing: Bool, depth: Int32,
    patience: Int32
  ) {
    let n = zone.count
    reserve(n)
    isChosen.update(repeating: true, count: n)
    neglected = 0
    if n > 64 { return }
    set = n == 64 ? .max : (1 << UInt64(n)) - 1
    if n == 1 { return }
    relate(zone, alphabet)
    for x in 0..<n where depth - zone.born[x] > patience && before[x] == 0 {
      neglected |= 1 << UInt64(x)
    }
    if !reducing { return }
    set = smallestSet(n)
    for x in 0..<n { isChosen[x] = set & (1 << UInt64(x)) != 0 && before[x] & set == 0 }
  }

  /// For each position, whether the event there must not be earlier than the one at `k`, which is taken.
  mutating func later<M>(
    than k: Int, _ zone: borrowing Zone, _ alphabet: borrowing Alphabet<M>
  ) -> UnsafeMutablePointer<Bool> {
    let footprint = alphabet.footprint(zone.events[k])
    for x in 0..<zone.count {
      isLater[x] = x != k && alphabet.footprint(zone.events[x]).conflicts(with: footprint)
    }
    if neglected != 0 {
      for x in 0..<zone.count where x != k && neglected & (1 << UInt64(x)) != 0 { isLater[x] = true }
    }
    return isLater
  }

  private mutating func relate<M>(_ zone: borrowing Zone, _ alphabet: borrowing Alphabet<M>) {
    let n = zone.count
    for a in 0..<n {
      let footprint = alphabet.footprint(zone.events[a])
      var pulled: UInt64 = 0
      var earlier: UInt64 = 0
      for b in 0..<n where b != a {
        let isLaterAlways = zone.bound[a &* n &+ b] < 0
        if !isLaterAlways, alphabet.reach(zone.events[b]).conflicts(with: footprint) {
          pulled |= 1 << UInt64(b)
        }
        if zone.bound[b &* n &+ a] < 0 { earlier |= 1 << UInt64(b) }
      }
      pulls[a] = pulled
      before[a] = earlier
    }
  }

  /// The set that leaves the fewest events to try. Of several, the first in the order of positions.
  private func smallestSet(_ n: Int) -> UInt64 {
    var best: UInt64 = 0
    var fewest = Int.max
    for seed in 0..<n {
      var closed = neglected | 1 << UInt64(seed)
      var open = closed
      while open != 0 {
        let new = pulls[open.trailingZeroBitCount] & ~closed
        open = (open & (open &- 1)) | new
        closed |= new
      }
      var toTry = 0
      var rest = closed
      while rest != 0 {
        if before[rest.trailingZeroBitCount] & closed == 0 { toTry += 1 }
        rest &= rest &- 1
      }
      if toTry < fewest {
        fewest = toTry
        best = closed
        if toTry == 1 { break }
      }
    }
    return best
  }

  private mutating func reserve(_ n: Int) {
    if n <= capacity { return }
    while capacity < n { capacity *= 2 }
    isChosen.deallocate()
    isLater.deallocate()
    isChosen = .allocate(capacity: capacity)
    isLater = .allocate(capacity: capacity)
  }
}
