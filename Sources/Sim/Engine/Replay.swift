/// A run that follows a schedule, and checks that every step of it can happen when the schedule says.
struct Replay<M: Model> {
  private struct Pending {
    var event: M.Event
    var code: UInt64
    var cause: Int32
    /// The earliest and latest time, since the phase began.
    var earliest: SimTime
    var latest: SimTime
  }

  private let model: M
  private let tracing: Bool
  private let limit: Int
  private var pending: [Pending] = []
  private var state: M.State
  private var result: Run<M>

  init(model: M, tracing: Bool, limit: Int) {
    self.model = model
    self.tracing = tracing
    self.limit = limit
    state = model.start()
    result = Run<M>(end: state, stop: .finished, time: .zero, events: 0, phases: 0)
    if tracing { result.trace = Trace() }
  }

  mutating func run(_ witness: Witness) -> Run<M> {
    result.stop = follow(witness)
    result.end = state
    return result
  }

  private mutating func follow(_ witness: Witness) -> Run<M>.Stop {
    var out = Outbox<M.Event, M.Note>(tracing: tracing)
    for (index, steps) in witness.phases.enumerated() {
      if !pending.isEmpty {
        return .scheduleMismatch(
          "phase \(index) of the schedule ends while \(pending.count) events are pending")
      }
      let phaseStart = result.time
      out.empty()
      guard model.resume(&state, &out) else {
        return .scheduleMismatch("the story ends before phase \(index + 1) of the schedule")
      }
      let entry = result.record(nil, at: phaseStart.microseconds, cause: -1, out.notes)
      result.phases += 1
      apply(out, at: .zero, cause: entry)
      for (number, step) in steps.enumerated() {
        if result.events + result.phases >= limit { return .limit }
        if let problem = take(step, phaseStart, &out) {
          return .scheduleMismatch("phase \(index + 1), step \(number + 1): \(problem)")
        }
      }
    }
    if !pending.isEmpty { return .scheduleEnded }
    var probe = state
    out.empty()
    if model.resume(&probe, &out) { return .scheduleEnded }
    state = probe
    return .finished
  }

  /// Takes one step.
  ///
  /// - Returns: what is wrong with it.
  private mutating func take(
    _ step: Witness.Step, _ phaseStart: SimTime, _ out: inout Outbox<M.Event, M.Note>
  ) -> String? {
    let name = String(step.code, radix: 16)
    let candidates = pending.indices.filter { pending[$0].code == step.code }
    guard step.occurrence >= 0, step.occurrence < candidates.count else {
      return candidates.isEmpty
        ? "event \(name) is not pending"
        : "event \(name) is pending \(candidates.count) times, the schedule wants number \(step.occurrence)"
    }
    let chosen = pending[candidates[step.occurrence]]
    if step.time < chosen.earliest || step.time > chosen.latest {
      return "event \(name) can happen from \(chosen.earliest) to \(chosen.latest), not at \(step.time)"
    }
    if phaseStart + step.time < result.time { return "event \(name) is before the step before it" }
    if let late = pending.first(where: { $0.latest < step.time }) {
      return "event \(String(late.code, radix: 16)) has to happen by \(late.latest), before \(step.time)"
    }
    pending.remove(at: candidates[step.occurrence])
    result.time = phaseStart + step.time
    result.events += 1
    out.empty()
    model.handle(chosen.event, &state, &out)
    let entry = result.record(
      chosen.event, at: result.time.microseconds, cause: chosen.cause, out.notes)
    apply(out, at: step.time, cause: entry)
    return nil
  }

  private mutating func apply(
    _ out: borrowing Outbox<M.Event, M.Note>, at time: SimTime, cause: Int32
  ) {
    for index in 0..<out.count {
      let request = out[index]
      if request.cancels {
        pending.removeAll { $0.event == request.event }
      } else {
        pending.append(
          Pending(
            event: request.event, code: model.code(of: request.event), cause: cause,
            earliest: time + request.window.earliest, latest: time + request.window.latest))
      }
    }
  }
}
