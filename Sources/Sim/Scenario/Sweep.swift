import LinuxConfig

/// What a sweep over all combinations of a scenario's axes found.
public struct SweepReport: Sendable {
  /// A choice of some axes: pairs of axis and choice, by index, in the order of the axes.
  public struct Selection: Hashable, Sendable {
    /// The axes that are fixed, ascending, each with its choice.
    public var choices: [Pair]

    /// An axis and one of its choices.
    public struct Pair: Hashable, Sendable {
      /// The index of the axis.
      public var axis: Int
      /// The index of its choice.
      public var choice: Int
    }

    init(choices: [Pair]) { self.choices = choices }

    /// All choices of a combination.
    ///
    /// - Parameters:
    ///   - number: Its number, the last axis counting fastest.
    ///   - sizes: The number of choices of each axis, none of them 0.
    public init(number: Int, sizes: [Int]) {
      var rest = number
      var choices: [Pair] = []
      for axis in sizes.indices.reversed() {
        choices.append(Pair(axis: axis, choice: rest % sizes[axis]))
        rest /= sizes[axis]
      }
      self.choices = choices.reversed()
    }
  }

  /// One combination that does not come up clean in every order.
  public struct Failure: Sendable {
    /// Its number in the ``Variation``.
    public var number: Int
    /// "fails" or "may-fail".
    public var verdict: Verdict
    /// The findings of its failing outcomes, in order, each once.
    public var findings: [String]
    /// Every order was covered.
    public var complete: Bool
  }

  /// The combinations that fail with one finding.
  public struct Group: Sendable {
    /// The finding's code; "none" for failures without one.
    public var finding: String
    /// The numbers of the combinations, ascending.
    public var numbers: [Int]
    /// The smallest sets of choices of which every combination fails with this finding; smallest first. The
    /// empty set alone: everything fails so.
    public var minimal: [Selection]
    /// Whether `minimal` has them all. False: there were too many sets of axes to try, and what is listed
    /// covers every combination of the group.
    public var complete: Bool
  }

  /// The scenario's title.
  public var title: String
  /// The axes.
  public var axes: [Axis]
  /// All combinations.
  public var count: Int
  /// Combinations that come up and go down clean in every order.
  public var boots: Int
  /// Combinations that do not, in the order of their numbers.
  public var failures: [Failure]
  /// The failures by finding, the most frequent first.
  public var groups: [Group]
  /// Combinations of which not every order was covered.
  public var incomplete: Int

  /// The share of combinations that come up and go down clean in every order, 0 to 1.
  public var share: Double { count == 0 ? 0 : Double(boots) / Double(count) }
}

/// Runs every combination of a scenario's axes.
public enum Sweep {
  /// Checks that every combination makes a scenario, without simulating anything.
  ///
  /// - Returns: The problems of the combinations, each once; empty when all are good.
  public static func problems(of variation: Variation) -> [Problem] {
    var seen = Set<Problem>()
    var problems: [Problem] = []
    for number in 0..<variation.count {
      for problem in variation.scenario(variation.choices(of: number)).problems
      where problem.severity == .error && seen.insert(problem).inserted {
        problems.append(problem)
        if problems.count >= JSONParser.problemLimit { return problems }
      }
    }
    return problems
  }

  /// Simulates every combination and reduces the failures to the smallest sets of choices that fail already.
  ///
  /// - Parameters:
  ///   - loaded: The scenario. A combination that makes no scenario is skipped; ``problems(of:)`` finds
  ///     those.
  ///   - progress: Called with the number of combinations done, after each.
  ///   - simulate: Simulates one scenario; what it throws ends the sweep.
  public static func run<Failure: Error>(
    _ loaded: LoadedScenario, progress: (Int) -> Void = { _ in },
    simulate: (Scenario) throws(Failure) -> Report
  ) throws(Failure) -> SweepReport {
    let variation = loaded.variation
    var report = SweepReport(
      title: loaded.scenario.title, axes: variation.axes, count: variation.count, boots: 0, failures: [],
      groups: [],
      incomplete: 0)
    for number in 0..<variation.count {
      defer { progress(number + 1) }
      guard let scenario = variation.scenario(variation.choices(of: number)).value else {
        report.count -= 1
        continue
      }
      let result = try simulate(scenario)
      if !result.complete { report.incomplete += 1 }
      if result.verdict == .boots {
        report.boots += 1
      } else {
        var findings: [String] = []
        for outcome in result.outcomes where !outcome.isClean {
          for finding in outcome.findings where !findings.contains(finding) { findings.append(finding) }
        }
        report.failures.append(
          .init(number: number, verdict: result.verdict, findings: findings, complete: result.complete))
      }
    }
    report.groups = groups(of: report.failures, variation)
    return report
  }

  private static func groups(of failures: [SweepReport.Failure], _ variation: Variation) -> [SweepReport
    .Group]
  {
    var numbers: [String: [Int]] = [:]
    for failure in failures {
      for finding in failure.findings.isEmpty ? ["none"] : failure.findings {
        numbers[finding, default: []].append(failure.number)
      }
    }
    let sizes = variation.axes.map(\.choices.count)
    let groups = numbers.map { finding, numbers in
      var finder = MinimalSelections(sizes: sizes, failing: numbers)
      let (minimal, complete) = finder.find()
      return SweepReport.Group(finding: finding, numbers: numbers, minimal: minimal, complete: complete)
    }
    return groups.sorted { ($1.numbers.count, $0.finding) < ($0.numbers.count, $1.finding) }
  }
}
