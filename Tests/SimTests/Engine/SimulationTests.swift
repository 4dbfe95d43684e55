import Testing

@testable import Sim

/// Two retries with a time-out: enough to see windows, causes, cancelling and phases in one run.
struct Login: Model {
  struct State: Hashable, Sendable {
    var phase = 0
    var attempts = 0
    var loggedIn = false
  }
  enum Event: Hashable, Sendable { case send, answer, timeout }
  var answers: Window
  var phases = 2
  /// Whether the state knows how many attempts there were; without that, every retry is like the last one.
  var counts = true

  func start() -> State { State() }

  func handle(_ event: Event, _ state: inout State, _ out: inout Outbox<Event, String>) {
    switch event {
    case .send:
      if counts { state.attempts += 1 }
      out.schedule(.answer, answers)
      out.schedule(.timeout, Window(.seconds(5)))
      out.note("attempt \(state.attempts)")
    case .answer:
      state.loggedIn = true
      out.cancel(.timeout)
    case .timeout:
      out.cancel(.answer)
      out.schedule(.send, Window(.seconds(1), .seconds(3)))
    }
  }

  func resume(_ state: inout State, _ out: inout Outbox<Event, String>) -> Bool {
    guard state.phase < phases else { return false }
    state.phase += 1
    state.loggedIn = false
    out.schedule(.send, .now)
    return true
  }

  func footprint(of event: Event) -> Footprint { .all }
  func reach(of event: Event) -> Footprint { .all }
  func code(of event: Event) -> UInt64 {
    switch event {
    case .send: 1
    case .answer: 2
    case .timeout: 3
    }
  }
}

@Suite("A single run")
struct SimulationTests {
  @Test("takes nominal delays, and starts each phase where the last one ended")
  func nominal() {
    let model = Login(answers: Window(.seconds(1), .seconds(4)))
    let run = Simulation.run(model, choosing: .nominal, tracing: true)
    #expect(run.stop == .finished)
    #expect(run.end == Login.State(phase: 2, attempts: 2, loggedIn: true))
    #expect(run.time == .seconds(5))
    #expect(run.events == 4)
    let entries = run.trace?.entries ?? []
    #expect(entries.map(\.event) == [nil, .send, .answer, nil, .send, .answer])
    #expect(entries.map(\.phase) == [0, 0, 0, 1, 1, 1])
    #expect(entries.map(\.cause) == [nil, 0, 1, nil, 3, 4])
    #expect(entries.map(\.time.description) == ["0.000s", "0.000s", "2.500s", "2.500s", "2.500s", "5.000s"])
    #expect(entries[4].notes == ["attempt 2"])
    #expect(run.trace?.causes(of: 5) == [5, 4, 3])
  }

  @Test("gives up at the limit when it never ends")
  func limit() {
    let run = Simulation.run(Login(answers: Window(.seconds(6))), choosing: .nominal, limit: 1_000)
    #expect(run.stop == .limit)
    #expect(run.events == 999)
  }

  @Test("with a seed draws every delay from its window, the same ones each time")
  func seeds() {
    let model = Login(answers: Window(.seconds(1), .seconds(9)))
    var attempts = Set<Int>()
    for seed in 0..<200 as Range<UInt64> {
      let run = Simulation.run(model, choosing: .seed(seed), tracing: true)
      #expect(run.stop == .finished)
      let again = Simulation.run(model, choosing: .seed(seed), tracing: true)
      #expect(run.trace?.entries.map(\.time) == again.trace?.entries.map(\.time))
      attempts.insert(run.end.attempts)
    }
    #expect(attempts.contains(2) && attempts.contains(3) && attempts.contains(4))
  }

  @Test("follows a schedule, and says which step of it cannot happen")
  func schedules() throws {
    let model = Login(answers: Window(.seconds(1), .seconds(9)), phases: 1)
    let retried = try Witness(parsing: "1/1@0,3@5000000,1@7000000,2@8000000")
    let run = Simulation.run(model, choosing: .schedule(retried))
    #expect(run.stop == .finished)
    #expect(run.end.attempts == 2)
    let wrong: [(String, String)] = [
      ("1/1@0,2@500000", "phase 1, step 2: event 2 can happen from 1.000s to 9.000s, not at 0.500s"),
      ("1/1@0,2@6000000", "phase 1, step 2: event 3 has to happen by 5.000s, before 6.000s"),
      ("1/1@0,7@6000000", "phase 1, step 2: event 7 is not pending"),
      ("1/1@0,2#1@2000000", "phase 1, step 2: event 2 is pending 1 times, the schedule wants number 1"),
      ("1/1@0/", "phase 1 of the schedule ends while 2 events are pending"),
      ("1/1@0,2@2000000/", "the story ends before phase 2 of the schedule"),
    ]
    for (text, message) in wrong {
      let run = Simulation.run(model, choosing: .schedule(try Witness(parsing: text)))
      #expect(run.stop == .scheduleMismatch(message))
    }
    let short = Simulation.run(model, choosing: .schedule(try Witness(parsing: "1/1@0")))
    #expect(short.stop == .scheduleEnded)
  }
}
