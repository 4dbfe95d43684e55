import LinuxConfig

/// Looks for edits that cure a scenario, by trying: a candidate is shown only when the edited scenario comes up, and goes
/// down clean, in every order.
///
/// The candidates are edits that an administrator of such a machine would think of, made from its own files; which of them
/// help is decided by simulation alone. One edit is tried before two.
struct Cures {
  /// An edit of the scenario, with its text.
  struct Candidate {
    var title: String
    var edits: [Edit]
    var apply: (inout Scenario) -> Void
  }

  let scenario: Scenario
  let budget: Int
  /// At most so many fixes are shown, and so many simulations are made for them.
  static let shown = 3
  static let trials = 150
  static let states = 300_000

  init(_ scenario: Scenario, budget: Int) {
    self.scenario = scenario
    self.budget = budget
  }

  func verified(for report: Report) -> [Fix] {
    let candidates = candidates()
    var work = Work()
    var found: [Fix] = []
    for candidate in candidates where found.count < Self.shown {
      guard work.isLeft else { return found }
      if cures([candidate], &work) {
        found.append(Fix(title: candidate.title, edits: candidate.edits, verified: true))
      }
    }
    guard found.isEmpty else { return found }
    for first in candidates.indices {
      for second in candidates.indices where second > first {
        guard work.isLeft else { return found }
        let pair = [candidates[first], candidates[second]]
        guard cures(pair, &work) else { continue }
        found.append(
          Fix(
            title: pair.map(\.title).joined(separator: "; and "), edits: pair.flatMap(\.edits), verified: true
          ))
        if found.count == Self.shown { return found }
      }
    }
    return found
  }

  /// What has been spent on trying: a cure that takes long to verify is not shown, it would keep people waiting.
  private struct Work {
    var trials = 0
    var states = 0
    var isLeft: Bool { trials < Cures.trials && states < Cures.states }
  }

  private func cures(_ candidates: [Candidate], _ work: inout Work) -> Bool {
    var edited = scenario
    for candidate in candidates { candidate.apply(&edited) }
    var options = Bootsim.Options()
    options.fixes = false
    options.samples = 0
    // A nominal run that fails rules a candidate out at a fraction of the cost.
    options.mode = .nominal
    work.trials += 1
    guard Bootsim.simulate(edited, options: options).verdict == .boots else { return false }
    options.mode = .explore
    options.budget = budget
    let report = Bootsim.simulate(edited, options: options)
    work.states += report.states
    return report.verdict == .boots && report.complete
  }
}
