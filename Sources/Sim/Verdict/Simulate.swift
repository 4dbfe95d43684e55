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
    public var budget = 200_000
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
    report.alike = model.inventory.groups.map { $0.map { model.inventory.disks[$0].name } }
    if options.fixes, options.mode == .explore, report.verdict != .boots {
      report.fixes = Cures(scenario, budget: options.budget).verified(for: report)
    }
    return report
  }

  private static func explored(_ model: MachineModel, _ options: Options) -> Report {
    let exploration = Explorer.explore(model, budget: budget(model, options))
    let nominal = Simulation.run(model, choosing: .nominal)
    let usual = Ending(nominal.end, model.library)
    // Distinct ways to end; the nominal one first, then in the explorer's order, each with its first witness.
    var ends: [(key: Ending, witness: Witness?)] = [(usual, nil)]
    var places: [Ending: Int] = [usual: 0]
    var letters: [Ending: Letters] = [:]
    for end in exploration.ends {
      let key = Ending(end.state, model.library)
      letters[key, default: Letters()].add(end.state, model.library)
      if let known = places[key] {
        if ends[known].witness == nil || (known == 0 && end.state == nominal.end) {
          ends[known].witness = end.witness
        }
      } else {
        places[key] = ends.count
        ends.append((key, end.witness))
      }
    }
    var counts: [Ending: Int] = [:]
    // Where the budget ended the exploration, sampled runs may find ends that it did not come to.
    if ends.count > 1 || !exploration.complete {
      for sample in 0..<options.samples {
        let choice = Simulation.Choice.seed(options.seed &+ UInt64(sample))
        let end = Simulation.run(model, choosing: choice).end
        let key = Ending(end, model.library)
        letters[key, default: Letters()].add(end, model.library)
        counts[key, default: 0] += 1
        guard places[key] == nil else { continue }
        places[key] = ends.count
        ends.append((key, Witness(Simulation.run(model, choosing: choice, tracing: true), model)))
      }
    }
    let outcomes = ends.enumerated().map { place, end in
      let choice = end.witness.map { Simulation.Choice.schedule($0) } ?? .nominal
      let run = Simulation.run(model, choosing: place == 0 ? .nominal : choice, tracing: true)
      let share = ends.count == 1 ? 1 : Double(counts[end.key] ?? 0) / Double(max(options.samples, 1))
      return Narrator(model, run).outcome(
        witness: (end.witness ?? Witness(run, model)).description, share: share,
        letters: letters[end.key] ?? Letters())
    }
    return Report(
      title: model.scenario.title, sources: model.scenario.sources, verdict: verdict(outcomes),
      states: exploration.states, complete: exploration.complete && !exploration.isEndless,
      outcomes: outcomes,
      fixes: [], notLookedAt: [])
  }

  /// A state with many disks on their way is larger, and there are more of them: the budget is one of work.
  private static func budget(_ model: MachineModel, _ options: Options) -> Int {
    let disks = model.inventory.disks.count { $0.target == nil && $0.attachedAtStart }
    return max(2000, options.budget / max(1, disks * disks / 16))
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
  /// Every boot came up, be it late, and every shutdown was clean.
  public var isGood: Bool {
    boots.allSatisfy { $0.outcome != .fails } && shutdowns.allSatisfy { $0.outcome == .clean }
  }
}

/// What of an end state a report tells apart: two ends that agree in this are one way to end.
///
/// Which letters play no part is not told apart (``Letters`` has them), nor how many writes were lost: the report shows
/// those of each outcome's own witness.
struct Ending: Hashable {
  var boots: [BootResult]
  var shutdowns: [ShutdownResult]
  var up: Bool

  init(_ state: MachineState, _ library: Library) {
    boots = (0..<Int(state.results.bootCount)).compactMap { library.boot(state.results.boots[$0]) }.map {
      var result = $0
      result.letters = SIMD64<UInt8>()
      return result
    }
    shutdowns = (0..<Int(state.results.shutdownCount)).compactMap {
      library.shutdown(state.results.shutdowns[$0])
    }.map {
      var result = $0
      result.lostWrites = 0
      return result
    }
    up = state.phase == .up
  }
}

/// The ways in which disks got their sd names, for each boot of the ends that are one way to end.
struct Letters {
  private(set) var byBoot: [Set<SIMD64<UInt8>>] = []

  mutating func add(_ state: MachineState, _ library: Library) {
    for boot in 0..<Int(state.results.bootCount) {
      guard let result = library.boot(state.results.boots[boot]) else { continue }
      while byBoot.count <= boot { byBoot.append([]) }
      byBoot[boot].insert(result.letters)
    }
  }
}

extension Witness {
  /// The schedule of a traced run: what happened when.
  init(_ run: Run<MachineModel>, _ model: MachineModel) {
    var phases: [[Step]] = []
    var start: Int64 = 0
    for entry in run.trace?.entries ?? [] {
      while phases.count <= entry.phase {
        phases.append([])
        start = entry.time.microseconds
      }
      guard let event = entry.event else { continue }
      let time = SimTime(microseconds: entry.time.microseconds - start)
      phases[entry.phase].append(Step(code: model.code(of: event), time: time))
    }
    self.init(phases: phases)
  }
}
