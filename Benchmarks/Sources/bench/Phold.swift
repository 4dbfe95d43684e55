import Foundation

/// PHOLD with the defaults of ROSS: one event an LP at first; each event goes on, after 1 + Exp(1), to the same LP
/// or, with probability 1/4, to any. The unit of time is a second.
struct Phold: Model {
  struct State: Hashable, Sendable {
    var random: RandomSource
    /// How many events each LP has had.
    var counts: [UInt64]

    static func == (a: State, b: State) -> Bool { a.counts == b.counts }
    func hash(into hasher: inout Hasher) { hasher.combine(counts) }
  }

  struct Event: Hashable, Sendable {
    var lp: UInt32
  }

  var lps: Int

  func start() -> State {
    State(random: RandomSource(seed: 42), counts: Array(repeating: 0, count: lps))
  }

  @inline(__always)
  private func delay(_ random: inout RandomSource) -> Window {
    let unit = Double(random.next() >> 11) * 0x1p-53
    return Window(SimTime(microseconds: Int64((1 - log(1 - unit)) * 1e6)))
  }

  func handle(_ event: Event, _ state: inout State, _ out: inout Outbox<Event, Never>) {
    state.counts[Int(event.lp)] &+= 1
    var next = event
    if state.random.next() < 1 << 62 {
      // In Swift a shift binds more tightly than a product.
      next.lp = UInt32(((state.random.next() >> 32) &* UInt64(lps)) >> 32)
    }
    out.schedule(next, delay(&state.random))
  }

  func resume(_ state: inout State, _ out: inout Outbox<Event, Never>) -> Bool {
    for lp in 0..<lps { out.schedule(Event(lp: UInt32(lp)), delay(&state.random)) }
    return true
  }

  func footprint(of event: Event) -> Footprint { .all }
  func reach(of event: Event) -> Footprint { .all }
  func code(of event: Event) -> UInt64 { UInt64(event.lp) }
}
