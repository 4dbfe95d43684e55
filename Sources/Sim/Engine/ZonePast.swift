extension Zone {
  /// Brings the past into its canonical form, and forgets what can make no difference any more.
  ///
  /// A past event matters only to those pending events that may lead to something conflicting with it and that
  /// are not known to be later. What a later past event demands as well, the earlier one need not. Past events
  /// with the same footprint are one, with the stricter demand of both.
  ///
  /// - Parameter alphabet: says what the pending events can lead to.
  mutating func simplifyPast<M>(_ alphabet: borrowing Alphabet<M>) {
    leaveToStricter()
    var kept = 0
    for h in 0..<pastCount {
      guard let relevant = relevantPast(h, alphabet) else { continue }
      if kept != h { (since + kept &* count).update(from: since + h &* count, count: count) }
      past[kept] = relevant
      kept &+= 1
    }
    pastCount = kept
    if pastCount > 1 {
      joinEqual()
      sortPast()
    }
  }

  /// Takes from each past event's footprint what another one, which is never earlier, has as well.
  private mutating func leaveToStricter() {
    for h in 0..<pastCount {
      for g in 0..<pastCount where g != h && past[h] != .none && isStricter(g, than: h) {
        past[h].reads &= ~(past[g].reads | past[g].writes)
        past[h].writes &= ~past[g].writes
      }
    }
  }

  /// Whether g's time is at least h's in every case. Of two with the same time, the first one counts.
  private func isStricter(_ g: Int, than h: Int) -> Bool {
    let (a, b) = (since + g &* count, since + h &* count)
    var isSame = true
    for x in 0..<count {
      if a[x] > b[x] { return false }
      if a[x] < b[x] { isSame = false }
    }
    return !isSame || g < h
  }

  /// The part of a past event's footprint that can still matter; nil when none of it does. Of its row, what
  /// demands nothing is set to infinity.
  private mutating func relevantPast<M>(_ h: Int, _ alphabet: borrowing Alphabet<M>) -> Footprint? {
    let n = count
    let row = since + h &* n
    let footprint = past[h]
    if footprint == .none { return nil }
    var touched = Footprint.none
    var demands: UInt64 = 0
    let isSmall = n <= 64
    for p in 0..<n {
      let consequences = alphabet.reach(events[p])
      if !consequences.conflicts(with: footprint) { continue }
      var some = false
      for x in 0..<n where bound[x &* n &+ p] > row[x] {
        some = true
        if isSmall { demands |= 1 << UInt64(x) }
      }
      if some { touched = touched.union(consequences) }
    }
    if touched == .none { return nil }
    if isSmall {
      for x in 0..<n where demands & (1 << UInt64(x)) == 0 { row[x] = Zone.infinity }
    }
    let relevant = Footprint(
      reads: footprint.reads & touched.writes,
      writes: footprint.writes & (touched.reads | touched.writes))
    return relevant == .none ? nil : relevant
  }

  private mutating func joinEqual() {
    var kept = 0
    for h in 0..<pastCount {
      let row = since + h &* count
      var twin = 0
      while twin < kept, past[twin] != past[h] { twin &+= 1 }
      let target = since + twin &* count
      if twin < kept {
        for x in 0..<count { target[x] = Swift.min(target[x], row[x]) }
      } else {
        if kept != h { target.update(from: row, count: count) }
        past[kept] = past[h]
        kept &+= 1
      }
    }
    pastCount = kept
  }

  /// Insertion sort by footprint; there are a handful of rows, all with different footprints.
  private mutating func sortPast() {
    for h in 1..<Swift.max(1, pastCount) {
      var i = h
      while i > 0, Zone.precedes(past[i], past[i &- 1]) {
        swap(&past[i], &past[i &- 1])
        let (a, b) = (since + i &* count, since + (i &- 1) &* count)
        for x in 0..<count { swap(&a[x], &b[x]) }
        i &-= 1
      }
    }
  }

  private static func precedes(_ a: Footprint, _ b: Footprint) -> Bool {
    a.writes != b.writes ? a.writes < b.writes : a.reads < b.reads
  }
}
