/// What becomes of the pending events when one of them is taken: who stays, who goes, who is new.
struct StepPlan {
  private struct Child {
    var event: Int32
    var earliest: Int64
    var latest: Int64
  }

  /// The positions of pending events that were cancelled.
  private(set) var cancelled: [Int] = []
  private var children: [Child] = []
  /// For each position after the step, the one before it; ~c for the c-th child.
  private(set) var sources: [Int] = []
  /// The longest delay with an end that any plan came across.
  private(set) var longest: Int64 = 0

  /// Reads off a handler's requests.
  mutating func plan<M: Model>(
    _ out: borrowing Outbox<M.Event, M.Note>, _ zone: borrowing Zone, taking k: Int,
    _ alphabet: inout Alphabet<M>
  ) {
    cancelled.removeAll(keepingCapacity: true)
    children.removeAll(keepingCapacity: true)
    sources.removeAll(keepingCapacity: true)
    for i in 0..<out.count {
      let request = out[i]
      let event = alphabet.number(of: request.event)
      if request.cancels {
        children.removeAll { $0.event == event }
        for x in 0..<zone.count where x != k && zone.events[x] == event && !cancelled.contains(x) {
          cancelled.append(x)
        }
      } else {
        let window = request.window
        longest = Swift.max(
          longest, (window.latest.isUnbounded ? window.earliest : window.latest).microseconds)
        children.append(
          Child(
            event: event, earliest: window.earliest.microseconds,
            latest: window.latest.isUnbounded ? Zone.infinity : window.latest.microseconds))
      }
    }
    for x in 0..<zone.count where x != k && !cancelled.contains(x) { sources.append(x) }
    // What stays is in order already; insert each child after the events equal to it.
    for c in children.indices {
      var at = sources.count
      sources.append(~c)
      while at > 0, number(of: sources[at - 1], zone) > children[c].event {
        sources.swapAt(at, at - 1)
        at -= 1
      }
    }
  }

  /// Writes the events after a step from a blank zone, if the zone after it is blank too and nothing is cancelled.
  ///
  /// Without bounds before the step, and without deadlines for what is scheduled, there is nothing to demand of
  /// the event taken, nothing to remember of it, and no bound afterwards.
  ///
  /// - Returns: whether the step is such a one; if not, nothing has been done.
  mutating func buildBlank<M: Model>(
    _ result: inout Zone, _ out: borrowing Outbox<M.Event, M.Note>, from zone: borrowing Zone, taking k: Int,
    _ alphabet: inout Alphabet<M>
  ) -> Bool {
    for i in 0..<out.count where out[i].cancels || !out[i].window.latest.isUnbounded { return false }
    result.resetBlank(count: zone.count &- 1 &+ out.count)
    let events = result.events
    var count = 0
    for x in 0..<zone.count where x != k {
      events[count] = zone.events[x]
      count &+= 1
    }
    for i in 0..<out.count {
      longest = Swift.max(longest, out[i].window.earliest.microseconds)
      let event = alphabet.number(of: out[i].event)
      var at = count
      while at > 0, events[at &- 1] > event {
        events[at] = events[at &- 1]
        at &-= 1
      }
      events[at] = event
      count &+= 1
    }
    return true
  }

  private func number(of source: Int, _ zone: borrowing Zone) -> Int32 {
    source >= 0 ? zone.events[source] : children[~source].event
  }

  /// Writes the events and bounds after the step. The past gets room but no contents.
  func build(_ result: inout Zone, from zone: borrowing Zone, taking k: Int) {
    let n = sources.count
    let old = zone.count
    result.reset(count: n, pastCount: k < 0 ? 0 : zone.pastCount + 1)
    for (i, source) in sources.enumerated() {
      let row = result.bound + i &* n
      if source >= 0 {
        result.events[i] = zone.events[source]
        for (j, other) in sources.enumerated() {
          row[j] =
            other >= 0
            ? zone.bound[source &* old &+ other]
            : Zone.sum(zone.bound[source &* old &+ k], -children[~other].earliest)
        }
      } else {
        let child = children[~source]
        result.events[i] = child.event
        for (j, other) in sources.enumerated() {
          row[j] =
            other >= 0
            ? Zone.sum(child.latest, zone.bound[k &* old &+ other])
            : Zone.sum(child.latest, -children[~other].earliest)
        }
        row[i] = 0
      }
    }
  }

  /// Writes the past after the step: what it was, and the event taken.
  func remember(
    _ result: inout Zone, from zone: borrowing Zone, taking k: Int, _ footprint: Footprint
  ) {
    let n = sources.count
    let old = zone.count
    for h in 0..<zone.pastCount {
      result.past[h] = zone.past[h]
      let from = zone.since + h &* old
      let to = result.since + h &* n
      for (i, source) in sources.enumerated() {
        to[i] = source >= 0 ? from[source] : Zone.sum(from[k], children[~source].latest)
      }
    }
    let last = zone.pastCount
    result.past[last] = footprint
    let to = result.since + last &* n
    for (i, source) in sources.enumerated() {
      to[i] = source >= 0 ? zone.bound[source &* old &+ k] : children[~source].latest
    }
  }
}
