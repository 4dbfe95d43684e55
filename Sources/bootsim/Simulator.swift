import Sim

/// How a scenario is simulated, as the command line says.
struct SimulationOptions: Sendable {
  enum Mode: Sendable {
    /// Every order that the windows allow.
    case explore
    /// The one run in which everything takes its usual time.
    case nominal
    /// The run of a witness.
    case schedule(String)
  }

  var seed: UInt64 = 1
  var mode = Mode.explore
  /// Cures are sought and verified.
  var fixes = true
}

/// The machine model, behind the two things that the subcommands need of it.
struct Simulator {
  /// Simulates a scenario; fails when a schedule cannot be read or is none of this scenario.
  func simulate(_ scenario: Scenario, _ options: SimulationOptions) throws(ScenarioResources.Failure) -> Report {
    var settings = Sim.Bootsim.Options()
    settings.seed = options.seed
    settings.fixes = options.fixes
    switch options.mode {
    case .explore: break
    case .nominal: settings.mode = .nominal
    case .schedule(let text):
      do throws(WitnessError) {
        settings.mode = .schedule(try Witness(parsing: text))
      } catch {
        throw ScenarioResources.Failure("no schedule: \(error)", hint: "the witness that `bootsim run --json` gives")
      }
    }
    guard let report = Sim.Bootsim.simulate(scenario, options: settings) else {
      throw ScenarioResources.Failure(
        "this schedule is of another scenario: its events do not happen here", hint: "the witness of this very scenario")
    }
    return report
  }
}
