extension Search {
  /// A schedule for a path through the explored states, as close to nominal times as its order allows.
  ///
  /// - Parameter path: the positions of the events to take from the start, -1 for a step of the story.
  func witness(_ path: [Int32]) -> Witness {
    var witness = Witness()
    var state = model.start()
    var index = 0
    while index < path.count {
      // Each phase begins with a step of the story.
      var end = index + 1
      while end < path.count, path[end] >= 0 { end += 1 }
      var phase = PathPhase(model, alphabet, start: state)
      phase.follow(path[index + 1..<end])
      witness.phases.append(phase.steps())
      state = phase.state
      index = end
    }
    return witness
  }
}

/// One phase of a path: the events in the sequence of the path, and the constraints on their times.
private struct PathPhase<M: Model> {
  /// An event that was scheduled: a variable of the system, 0 being the step of the story.
  private struct Instance {
    var event: M.Event
    var code: UInt64
    var order: Int32
    /// What scheduled it, and as the how manieth of its requests.
    var cause: Int
    var request: Int
    var nominal: Int64
  }

  /// The events taken last that touched an object: one writer, and the readers since.
  private struct Touched {
    var writer = 0
    var readers: [Int] = []
  }

  private let model: M
  private let startState: M.State
  private(set) var state: M.State
  private var numbers: [M.Event: Int32] = [:]
  private var instances: [Instance] = []
  private var pending: [Int] = []
  private var taken: [Int] = []
  private var objects = [Touched](repeating: Touched(), count: 64)
  private var system = DifferenceSystem()

  init(_ model: M, _ alphabet: borrowing Alphabet<M>, start: M.State) {
    self.model = model
    startState = start
    state = start
    for number in 0..<alphabet.count { numbers[alphabet[Int32(number)]] = Int32(number) }
  }

  mutating func follow(_ positions: ArraySlice<Int32>) {
    var out = Outbox<M.Event, M.Note>()
    _ = model.resume(&state, &out)
    apply(out, cause: 0)
    for position in positions {
      let variable = pending.remove(at: Int(position))
      let event = instances[variable - 1].event
      touch(model.footprint(of: event), by: variable)
      taken.append(variable)
      out.empty()
      model.handle(event, &state, &out)
      apply(out, cause: variable)
    }
  }

  /// Adds what a handler asked for, keeping the pending events in the explorer's order.
  private mutating func apply(_ out: borrowing Outbox<M.Event, M.Note>, cause: Int) {
    for request in 0..<out.count {
      let (event, window) = (out[request].event, out[request].window)
      if out[request].cancels {
        for variable in pending where instances[variable - 1].event == event {
          system.add(cause, atMost: variable, plus: 0)
        }
        pending.removeAll { instances[$0 - 1].event == event }
        continue
      }
      let variable = system.addVariable()
      let latest = window.latest.isUnbounded ? Zone.infinity : window.latest.microseconds
      system.add(variable, atMost: cause, plus: latest)
      system.add(cause, atMost: variable, plus: -window.earliest.microseconds)
      let order = numbers[event] ?? Int32.max
      instances.append(
        Instance(
          event: event, code: model.code(of: event), order: order, cause: cause, request: request,
          nominal: window.nominal.microseconds))
      let place = pending.firstIndex { instances[$0 - 1].order > order } ?? pending.count
      pending.insert(variable, at: place)
    }
  }

  /// Demands that an event is not earlier than those before it that it conflicts with.
  private mutating func touch(_ footprint: Footprint, by variable: Int) {
    var bits = footprint.reads | footprint.writes
    while bits != 0 {
      let object = bits.trailingZeroBitCount
      bits &= bits &- 1
      if objects[object].writer != 0 { system.add(objects[object].writer, atMost: variable, plus: 0) }
      if footprint.writes & (1 << UInt64(object)) != 0 {
        for reader in objects[object].readers { system.add(reader, atMost: variable, plus: 0) }
        objects[object] = Touched(writer: variable)
      } else {
        objects[object].readers.append(variable)
      }
    }
  }

  /// The schedule: concrete times, in their order.
  mutating func steps() -> [Witness.Step] {
    let isFeasible = system.settle()
    precondition(isFeasible, "an explored path has no schedule")
    for variable in taken {
      let instance = instances[variable - 1]
      let wanted = system.low[instance.cause] + instance.nominal  // the cause is fixed already
      let time = max(system.low[variable], min(wanted, system.high[variable]))
      _ = system.narrow(variable, to: time)
    }
    // What is still pending (the path may be the beginning of a run) has to come later than all of this.
    var horizon = Int64.max
    for variable in pending where system.high[variable] < Zone.infinity {
      _ = system.narrow(variable, to: system.high[variable])
      horizon = min(horizon, system.low[variable])
    }
    let order = taken.enumerated()
      .map { (time: system.low[$0.element], place: $0.offset, variable: $0.element) }
      .filter { $0.time <= horizon }
      .sorted { ($0.time, $0.place) < ($1.time, $1.place) }
    return occurrences(order.map(\.variable))
  }

  /// Takes the events in the order of their times, to see which of several equal ones each of them is.
  private func occurrences(_ order: [Int]) -> [Witness.Step] {
    var state = startState
    var out = Outbox<M.Event, M.Note>()
    var waiting: [(event: M.Event, cause: Int, request: Int)] = []
    func apply(_ cause: Int, _ out: borrowing Outbox<M.Event, M.Note>) {
      for request in 0..<out.count {
        let event = out[request].event
        if out[request].cancels {
          waiting.removeAll { $0.event == event }
        } else {
          waiting.append((event, cause, request))
        }
      }
    }
    _ = model.resume(&state, &out)
    apply(0, out)
    var steps: [Witness.Step] = []
    for variable in order {
      let instance = instances[variable - 1]
      var occurrence = 0
      for (index, other) in waiting.enumerated() where other.event == instance.event {
        if other.cause == instance.cause && other.request == instance.request {
          waiting.remove(at: index)
          break
        }
        occurrence += 1
      }
      steps.append(
        Witness.Step(
          code: instance.code, occurrence: occurrence,
          time: SimTime(microseconds: system.low[variable])))
      out.empty()
      model.handle(instance.event, &state, &out)
      apply(variable, out)
    }
    return steps
  }
}
