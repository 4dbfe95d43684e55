import Testing

@testable import Sim

/// The regression suite, every scenario of it: what it expects, and what every scenario must obey.
@Suite struct SuiteTests {
  /// No scenario of the suite needs more states than this.
  private static let stateLimit = 20_000

  @Test("the suite is found, and is not smaller than it was") func theSuiteIsFoundAndIsNotSmaller() {
    #expect(SuiteFolder.entries.count > 90)
  }

  @Test(
    "each scenario gives what it expects, all orders covered within the limit on states",
    arguments: SuiteFolder.entries)
  func eachScenarioGivesWhatItExpects(_ entry: SuiteFolder.Entry) throws {
    let scenario = try entry.scenario()
    let expectation = try #require(scenario.expect, "a scenario of the suite says what it expects")
    let report = Bootsim.simulate(scenario, options: .bare)
    #expect(expectation.differences(from: report) == [])
    #expect(report.complete)
    #expect(report.states > 0 && report.states < Self.stateLimit)
  }

  @Test(
    "each witness replays, on a machine that has run nothing else, to the end it stands for",
    arguments: SuiteFolder.entries)
  func eachWitnessReplaysOnAMachine(_ entry: SuiteFolder.Entry) throws {
    let scenario = try entry.scenario()
    for outcome in Bootsim.simulate(scenario, options: .bare).outcomes {
      let witness = try Witness(parsing: outcome.witness)
      #expect(Bootsim.mismatch(witness, scenario) == nil)
      var options = Bootsim.Options.bare
      options.mode = .schedule(witness)
      let replayed = Bootsim.simulate(scenario, options: options)
      #expect(replayed.outcomes.map(Conclusion.parts) == [Conclusion.parts(outcome)])
      #expect(replayed.outcomes.first?.boots.map(\.disks) == outcome.boots.map(\.disks))
    }
  }

  @Test("simulating twice gives the same report", arguments: SuiteFolder.entries)
  func simulatingTwiceGivesTheSameReport(_ entry: SuiteFolder.Entry) throws {
    var options = Bootsim.Options.bare
    options.samples = 50
    let first = Bootsim.simulate(try entry.scenario(), options: options)
    let second = Bootsim.simulate(try entry.scenario(), options: options)
    #expect(first.everything == second.everything)
    #expect(!first.outcomes.isEmpty)
  }

  @Test("sampled runs end in no way that exploring did not find", arguments: SuiteFolder.entries)
  func sampledRunsEndInNoWayThatExploringDidNotFind(_ entry: SuiteFolder.Entry) throws {
    let model = MachineModel(try entry.scenario())
    let exploration = Explorer.explore(model, budget: Self.stateLimit)
    #expect(exploration.complete && !exploration.isEndless)
    let explored = Set(exploration.ends.map(\.state))
    let tally = Sampler.sample(model, runs: 60, seed: 20_061_104)
    #expect(tally.unfinished == 0 && tally.runs == 60)
    for outcome in tally.outcomes {
      #expect(explored.contains(outcome.end), "seed \(outcome.seed) ends in a state that was not explored")
    }
    #expect(explored.contains(Simulation.run(model, choosing: .nominal).end))
  }
}
