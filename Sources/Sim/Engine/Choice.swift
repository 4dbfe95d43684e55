/// Which of a state's pending events have to be tried as the next one.
///
/// The set tried is *persistent* (Godefroid: Partial-Order Methods for the Verification of Concurrent Systems,
/// 1996), with times taken into account: whatever the events outside the set lead to either does not conflict
/// with those in it, or comes after them at all possible times. In every run the first event that belongs to the
/// set, or follows from it, is then one of the set, and could as well have come first of all. Since each step
/// leaves a shorter run to be found, no run that comes to an end is lost, and the set needs no further proviso.
///
/// For the same reason an event need not be tried that is later, at all possible times, than another one of
/// the set; and it may be demanded of an event of the set that it is not ahead of another one by more than some
/// lead. That demand is made only where the distance between two events has grown beyond the lead: otherwise
/// unrelated loops could drift apart for ever, in states that never repeat.
struct Choice: ~Copyable {
  /// For each position, whether the event is to be tried.
  private(set) var isChosen: UnsafeMutablePointer<Bool>
  private var lead: UnsafeMutablePointer<Int64>
  private var capacity = 64
  /// The lead, and the set of those events that others may be further ahead of; for up to 64 events.
  private var longestLead: Int64 = 0
  private var behind: UInt64 = 0
  /// For each event: those that must be in a set with it, those that are earlier at all possible times, and how
  /// far it may be ahead of the others.
  private var pulls: UnsafeMutablePointer<UInt64>
  private var before: UnsafeMutablePointer<UInt64>
  private var ahead: UnsafeMutablePointer<Int64>

  init() {
    isChosen = .allocate(capacity: capacity)
    lead = .allocate(capacity: capacity)
    pulls = .allocate(capacity: 64)
    before = .allocate(capacity: 64)
    ahead = .allocate(capacity: 64)
  }

  deinit {
    isChosen.deallocate()
    lead.deallocate()
    pulls.deallocate()
    before.deallocate()
    ahead.deallocate()
  }

  /// Chooses the events to try in a state.
  ///
  /// With more than 64 pending events all are tried.
  mutating func choose<M>(
    _ zone: borrowing Zone, _ alphabet: borrowing Alphabet<M>, reducing: Bool, lead: Int64
  ) {
    let n = zone.count
    reserve(n)
    isChosen.update(repeating: true, count: n)
    behind = 0
    longestLead = lead
    // Without bounds no event is ahead of another.
    if n == 1 || n > 64 || !reducing && zone.isBlank { return }
    zone.fillIn()
    relate(zone, alphabet)
    if !reducing { return }
    let set = smallestSet(n)
    for x in 0..<n { isChosen[x] = set & (1 << UInt64(x)) != 0 && before[x] & set == 0 }
  }

  /// For each position, how far the event at `k`, which is taken, may be ahead of the one there: not at all if
  /// they conflict.
  mutating func leads<M>(
    of k: Int, _ zone: borrowing Zone, _ alphabet: borrowing Alphabet<M>
  ) -> UnsafeMutablePointer<Int64> {
    let footprint = alphabet.footprint(zone.events[k])
    for x in 0..<zone.count {
      let conflicts = x != k && alphabet.footprint(zone.events[x]).conflicts(with: footprint)
      lead[x] = conflicts ? 0 : Zone.infinity
    }
    if behind != 0 {
      for x in 0..<zone.count where x != k && behind & (1 << UInt64(x)) != 0 {
        lead[x] = Swift.min(lead[x], longestLead)
      }
    }
    return lead
  }

  private mutating func relate<M>(_ zone: borrowing Zone, _ alphabet: borrowing Alphabet<M>) {
    let n = zone.count
    for a in 0..<n {
      let footprint = alphabet.footprint(zone.events[a])
      var pulled: UInt64 = 0
      var earlier: UInt64 = 0
      var distance = -Zone.limit
      for b in 0..<n where b != a {
        let furthest = zone.bound[a &* n &+ b]
        if furthest >= 0, alphabet.reach(zone.events[b]).conflicts(with: footprint) {
          pulled |= 1 << UInt64(b)
        }
        let nearest = 0 &- zone.bound[b &* n &+ a]
        if nearest > 0 { earlier |= 1 << UInt64(b) }
        if furthest < Zone.infinity ? furthest > longestLead : nearest > longestLead {
          behind |= 1 << UInt64(b)
        }
        distance = Swift.max(distance, furthest)
      }
      pulls[a] = pulled
      before[a] = earlier
      ahead[a] = distance
    }
  }

  /// The set that leaves the fewest events to try. Of several, the one that runs least ahead of other events.
  private func smallestSet(_ n: Int) -> UInt64 {
    var best: UInt64 = 0
    var fewest = Int.max
    var least = Int64.max
    for seed in 0..<n {
      var closed = behind | 1 << UInt64(seed)
      var open = closed
      while open != 0 {
        let new = pulls[open.trailingZeroBitCount] & ~closed
        open = (open & (open &- 1)) | new
        closed |= new
      }
      var toTry = 0
      var distance = Int64.min
      var rest = closed
      while rest != 0 {
        let x = rest.trailingZeroBitCount
        if before[x] & closed == 0 {
          toTry += 1
          distance = Swift.max(distance, ahead[x])
        }
        rest &= rest &- 1
      }
      if toTry < fewest || toTry == fewest && distance < least {
        fewest = toTry
        least = distance
        best = closed
      }
    }
    return best
  }

  private mutating func reserve(_ n: Int) {
    if n <= capacity { return }
    while capacity < n { capacity *= 2 }
    isChosen.deallocate()
    lead.deallocate()
    isChosen = .allocate(capacity: capacity)
    lead = .allocate(capacity: capacity)
  }
}
