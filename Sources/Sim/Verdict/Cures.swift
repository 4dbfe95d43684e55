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

  init(_ scenario: Scenario, budget: Int) {
    self.scenario = scenario
    self.budget = budget
  }

  func verified(for report: Report) -> [Fix] {
    let candidates = candidates()
    var found: [Fix] = []
    var trials = 0
    for candidate in candidates where found.count < Self.shown && trials < Self.trials {
      trials += 1
      if cures([candidate]) {
        found.append(Fix(title: candidate.title, edits: candidate.edits, verified: true))
      }
    }
    guard found.isEmpty else { return found }
    for first in candidates.indices {
      for second in candidates.indices where second > first {
        guard trials < Self.trials else { return found }
        trials += 1
        let pair = [candidates[first], candidates[second]]
        guard cures(pair) else { continue }
        found.append(
          Fix(
            title: pair.map(\.title).joined(separator: "; and "), edits: pair.flatMap(\.edits), verified: true
          ))
        if found.count == Self.shown { return found }
      }
    }
    return found
  }

  private func cures(_ candidates: [Candidate]) -> Bool {
    var edited = scenario
    for candidate in candidates { candidate.apply(&edited) }
    var options = Bootsim.Options()
    options.budget = budget
    options.fixes = false
    options.samples = 0
    // A nominal run that fails rules a candidate out at a fraction of the cost.
    options.mode = .nominal
    guard Bootsim.simulate(edited, options: options).verdict == .boots else { return false }
    options.mode = .explore
    let report = Bootsim.simulate(edited, options: options)
    return report.verdict == .boots && report.complete
  }
}
