/// From a scenario to its report: every order explored, the share of each end sampled, cures tried.
public enum Bootsim {
  /// How a scenario is simulated.
  public struct Options: Sendable {
    /// What is run.
    public enum Mode: Sendable, Equatable {
      /// Every order that the windows allow.
      case explore
      /// One run, every delay at its usual value.
      case nominal
      /// One run, delays drawn with the seed.
      case sampled
      /// The run that a witness describes.
      case schedule(Witness)
    }

    /// States that the explorer may store before it gives up and says so.
    public var budget = 400_000
    /// Runs that the shares of the outcomes are taken from.
    public var samples = 1000
    /// The seed of the sampled runs: the same seed, the same bytes.
    public var seed: UInt64 = 1
    /// What is run.
    public var mode: Mode = .explore
    /// Look for edits that cure what fails.
    public var fixes = true

    /// The usual settings: every order explored, cures sought.
    public init() {}
  }

  /// Simulates a scenario.
  ///
  /// - Returns: verdict, outcomes with their witnesses and causes, verified fixes. The same for the same scenario and seed, on any machine.
  public static func simulate(_ scenario: Scenario, options: Options = Options()) -> Report {
    let model = MachineModel(scenario)
    var report =
      switch options.mode {
      case .explore: explored(model, options)
      case .nominal: single(model, .nominal)
      case .sampled: single(model, .seed(options.seed))
      case .schedule(let witness): single(model, .schedule(witness))
      }
    report.notLookedAt = model.library.notLookedAt.sorted()
    if options.fixes, options.mode == .explore, report.verdict != .boots {
      report.fixes = Cures(scenario, budget: options.budget).verified(for: report)
    }
    return report
  }

  private static func explored(_ model: MachineModel, _ options: Options) -> Report {
    let exploration = Explorer.explore(model, budget: options.budget)
    let nominal = Simulation.run(model, choosing: .nominal)
    // Distinct ways to end, by what a report says of them; the nominal one first, then in the explorer's order.
    var ends: [(key: MachineState.Ending, state: MachineState, witness: Witness?)] = [
      (nominal.end.ending, nominal.end, nil)
    ]
    for end in exploration.ends {
      if let known = ends.firstIndex(where: { $0.key == end.state.ending }) {
        if ends[known].witness == nil, end.state == nominal.end || known > 0 {
          ends[known].witness = end.witness
        }
        if known == 0, ends[0].witness == nil { ends[0].witness = end.witness }
      } else {
        ends.append((end.state.ending, end.state, end.witness))
      }
    }
    var shares: [MachineState.Ending: Int] = [:]
    if ends.count > 1 {
      for sample in 0..<options.samples {
        shares[
          Simulation.run(model, choosing: .seed(options.seed &+ UInt64(sample))).end.ending, default: 0] += 1
      }
    }
    let outcomes = ends.map { end in
      let choice = end.witness.map { Simulation.Choice.schedule($0) } ?? .nominal
      let run = Simulation.run(
        model, choosing: end.key == nominal.end.ending ? .nominal : choice, tracing: true)
      let share = ends.count == 1 ? 1 : Double(shares[end.key] ?? 0) / Double(max(options.samples, 1))
      return Narrator(model, run).outcome(witness: end.witness?.description ?? "", share: share)
    }
    return Report(
      title: model.scenario.title, sources: model.scenario.sources, verdict: verdict(outcomes),
      states: exploration.states,
      complete: exploration.complete && !exploration.isEndless, outcomes: outcomes, fixes: [], notLookedAt: []
    )
  }

  /// What is wrong with a schedule for a scenario: it asks for what cannot happen there. Nil: it can be replayed.
  public static func mismatch(_ witness: Witness, _ scenario: Scenario) -> String? {
    switch Simulation.run(MachineModel(scenario), choosing: .schedule(witness)).stop {
    case .finished: nil
    case .limit: "it never ends"
    case .scheduleEnded: "it ends before the story does"
    case .scheduleMismatch(let text): text
    }
  }

  private static func single(_ model: MachineModel, _ choice: Simulation.Choice) -> Report {
    let run = Simulation.run(model, choosing: choice, tracing: true)
    let witness: String = if case .schedule(let witness) = choice { witness.description } else { "" }
    let outcome = Narrator(model, run).outcome(witness: witness, share: 1)
    return Report(
      title: model.scenario.title, sources: model.scenario.sources, verdict: verdict([outcome]),
      states: run.events,
      complete: false, outcomes: [outcome], fixes: [], notLookedAt: [])
  }

  /// Comes up and goes down clean every time in the story: in all outcomes, in some, in none.
  static func verdict(_ outcomes: [Outcome]) -> Verdict {
    let good = outcomes.filter(\.isGood).count
    return good == outcomes.count ? .boots : good == 0 ? .fails : .mayFail
  }
}

extension Outcome {
  /// Every boot came up and every shutdown was clean.
  public var isGood: Bool {
    boots.allSatisfy { $0.outcome == .boots } && shutdowns.allSatisfy { $0.outcome == .clean }
  }
}

extension MachineState {
  /// What of an end state a report shows: two ends that agree in this are one outcome.
  struct Ending: Hashable {
    var results: ResultsState
    var up: Bool
  }
  var ending: Ending { Ending(results: results, up: phase == .up) }
}
