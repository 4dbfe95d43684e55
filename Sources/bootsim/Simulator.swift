import Sim

/// The simulator as the subcommands use it.
enum Simulator {
  /// Every order of a scenario, without looking for cures: what a suite or a sweep needs.
  static func explore(_ scenario: Scenario, seed: UInt64) -> Report {
    var options = Bootsim.Options()
    options.seed = seed
    options.fixes = false
    guard let report = Bootsim.simulate(scenario, options: options) else {
      preconditionFailure("only a schedule can be of another scenario")
    }
    return report
  }
}
