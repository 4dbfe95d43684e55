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
  /// Simulates a scenario; fails when a schedule is none of this scenario.
  func simulate(_ scenario: Scenario, _ options: SimulationOptions) throws(ScenarioResources.Failure)
    -> Report
  {
    throw ScenarioResources.Failure("this build has no machine model")
  }
}
