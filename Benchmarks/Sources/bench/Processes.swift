/// Processes that go round a loop of steps for ever, each step adding a neighbour's number to the own one, at any
/// time: the model of `peers/processes.pml`.
struct Processes: Model {
  struct State: Hashable, Sendable {
    /// One byte a process.
    var numbers: UInt64 = 0
    var isStarted = false
  }

  struct Event: Hashable, Sendable {
    var process: UInt8
    var step: UInt8
  }

  var processes = 5
  var steps = 3
  var modulus: UInt64 = 5

  func start() -> State { State() }

  func handle(_ event: Event, _ state: inout State, _ out: inout Outbox<Event, Never>) {
    let own = UInt64(event.process) &* 8
    let other = UInt64((Int(event.process) + 1) % processes) &* 8
    let a = state.numbers >> own & 0xFF
    let b = state.numbers >> other & 0xFF
    state.numbers = state.numbers & ~(0xFF << own) | ((a &+ b &+ 1) % modulus) << own
    out.schedule(
      Event(process: event.process, step: UInt8((Int(event.step) + 1) % steps)), .anyTime)
  }

  func resume(_ state: inout State, _ out: inout Outbox<Event, Never>) -> Bool {
    if state.isStarted { return false }
    state.isStarted = true
    for process in 0..<processes { out.schedule(Event(process: UInt8(process), step: 0), .anyTime) }
    return true
  }

  func footprint(of event: Event) -> Footprint {
    let other = (Int(event.process) + 1) % processes
    return Footprint(reads: 1 << UInt64(other), writes: 1 << UInt64(event.process))
  }

  func reach(of event: Event) -> Footprint { footprint(of: event) }
  func hash(of state: State) -> UInt64 {
    let product = (state.numbers ^ 0x2D35_8DCC_AA6C_78A5).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
    return product.high ^ product.low ^ (state.isStarted ? 1 : 0)
  }

  func code(of event: Event) -> UInt64 { UInt64(event.process) << 8 | UInt64(event.step) }
}
