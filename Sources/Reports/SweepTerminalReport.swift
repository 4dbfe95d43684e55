import Sim

/// A sweep's report as text for people.
public enum SweepTerminalReport {
  /// How many failing combinations of a finding are listed.
  private static let shownFailures = 16
  /// How many smallest sets of choices of a finding are listed.
  private static let shownSets = 24

  /// - Parameters:
  ///   - report: What was found.
  ///   - style: Colour and width.
  public static func text(_ report: SweepReport, style: Style) -> String {
    var out = style.bold(Style.safe(report.title)) + "\n\n"
    for axis in report.axes {
      let choices = axis.choices.map { Style.safe($0.label) }.joined(separator: " | ")
      out += "  \(Style.safe(axis.name)): \(choices)\n"
    }
    if report.axes.isEmpty { out += "  nothing varies (\"vary\" is empty)\n" }
    let count = report.count == 1 ? "1 combination" : "\(report.count) combinations"
    let mayFail = report.failures.count { $0.verdict == .mayFail }
    let fails = report.failures.count - mayFail
    let share = TerminalReport.percent(report.share)
    out += "\n\(style.bold("\(share) come up")) and go down clean in every order: \(report.boots) of \(count)"
    out += " (\(fails) fail, \(mayFail) may fail)\n"
    if report.incomplete > 0 {
      out += "For \(report.incomplete) of them the budget ended before every order was seen.\n"
    }
    for group in report.groups { write(group, of: report, style: style, to: &out) }
    return out
  }

  private static func write(
    _ group: SweepReport.Group, of report: SweepReport, style: Style, to out: inout String
  ) {
    let count = group.numbers.count == 1 ? "1 combination" : "\(group.numbers.count) combinations"
    out += "\n\(style.red(Style.safe(group.finding))): \(count)\n"
    out += "  Enough for it:\n"
    for set in group.minimal.prefix(shownSets) { out += "    \(text(set, of: report))\n" }
    if group.minimal.count > shownSets { out += "    … \(group.minimal.count - shownSets) more\n" }
    if !group.complete { out += "    (there may be other sets; these cover every combination below)\n" }
    out += "  Combinations:\n"
    let failures = report.failures.filter { failure in
      failure.findings.contains(group.finding) || failure.findings.isEmpty && group.finding == "none"
    }
    let sizes = report.axes.map(\.choices.count)
    for failure in failures.prefix(shownFailures) {
      let verdict = failure.verdict == .mayFail ? style.yellow("may fail") : style.red("fails")
      out += "    \(verdict): \(text(.init(number: failure.number, sizes: sizes), of: report))\n"
    }
    if failures.count > shownFailures {
      out += "    … \(failures.count - shownFailures) more (--json has them all)\n"
    }
  }

  private static func text(_ selection: SweepReport.Selection, of report: SweepReport) -> String {
    guard !selection.choices.isEmpty else { return "nothing: every combination fails so" }
    return selection.choices.map { pair in
      let axis = report.axes[pair.axis]
      return Style.safe("\(axis.name) = \(axis.choices[pair.choice].label)")
    }.joined(separator: ", ")
  }
}
