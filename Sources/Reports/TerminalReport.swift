import Sim

/// A report as text for people: the nominal run as its console would show it, the verdict, why, what else may
/// happen, and what cures it.
public struct TerminalReport {
  private let report: Report
  private let style: Style
  private var out = ""

  /// How many lines of another outcome are shown from where it differs.
  private static let shownLines = 20

  /// - Parameters:
  ///   - report: What was found.
  ///   - style: Colour and width.
  public static func text(_ report: Report, style: Style) -> String {
    var writer = TerminalReport(report: report, style: style)
    writer.write()
    return writer.out
  }

  private init(report: Report, style: Style) {
    self.report = report
    self.style = style
  }

  private mutating func line(_ text: String = "") {
    out += text
    out += "\n"
  }

  private mutating func write() {
    let sources = report.sources.isEmpty ? "" : " (\(report.sources.joined(separator: ", ")))"
    line(style.bold(Style.safe(report.title)) + style.dim(Style.safe(sources)))
    line()
    if let nominal = report.outcomes.first, !nominal.timeline.isEmpty {
      timeline(nominal.timeline[...])
      line()
    }
    line(Self.verdict(report, style: style))
    if let decisive = report.outcomes.first(where: { !$0.isClean }) { why(decisive) }
    for (index, outcome) in report.outcomes.enumerated().dropFirst() { other(outcome, number: index + 1) }
    fixes()
    notLookedAt()
  }

  // MARK: Timeline

  private mutating func timeline(_ entries: ArraySlice<TimelineEntry>) {
    let width = min(entries.map(\.part.count).max() ?? 0, 14)
    for entry in entries {
      let part = Style.safe(entry.part).padded(to: width)
      let time = Time.number(entry.time).leftPadded(to: 10)
      if entry.console {
        line("\(style.dim("\(time)  \(part)"))  \(Style.safe(entry.text))")
      } else {
        let text = style.wrap(entry.text, indentation: 16 + width)
        line(style.dim("\(time)  \(part)  -- \(text)"))
      }
    }
  }

  // MARK: Verdict

  /// The one line that says it: `FAILS`, `MAY FAIL` or `BOOTS`, and over how many orders.
  static func verdict(_ report: Report, style: Style) -> String {
    let orders = report.complete ? "every order" : "every order that was tried"
    let states = "\(report.states) \(report.states == 1 ? "state" : "states")"
    let failure = report.outcomes.first { !$0.isClean }?.failure
    let finding = failure?.finding.map { " (\(Style.safe($0)))" } ?? ""
    let what =
      switch failure?.stage {
      case .shutdown?: "does not go down clean\(finding)"
      case let stage?: "does not come up, it ends in \(stage.rawValue)\(finding)"
      case nil: "fails\(finding)"
      }
    let text: String
    switch report.verdict {
    case .boots: text = style.green("BOOTS") + ": comes up and goes down clean in \(orders)"
    case .fails:
      let same = report.outcomes.count == 1 ? " in \(orders)" : ""
      text = style.red("FAILS") + ": \(what)\(same)"
    case .mayFail:
      let share = report.outcomes.filter { !$0.isClean }.reduce(0.0) { $0 + $1.share }
      let times = "\(Self.percent(share)) of the sampled runs"
      text = style.yellow("MAY FAIL") + ": in some orders it \(what); so in \(times)"
    }
    let coverage = report.complete ? "\(states), all orders" : "\(states), then the budget was used up"
    return text + style.dim(" [\(coverage)]")
  }

  /// A share for people; one that is not nothing never looks like nothing.
  static func percent(_ share: Double) -> String {
    if share > 0, share < 0.01 { return "less than 1 %" }
    if share < 1, share > 0.99 { return "more than 99 %" }
    return "\(Int((min(max(share.isNaN ? 0 : share, 0), 1) * 100).rounded())) %"
  }

  private mutating func why(_ outcome: Outcome) {
    for (title, because) in Self.reasons(outcome) where !because.isEmpty {
      line()
      line(style.bold("Why \(title)"))
      for (index, sentence) in because.enumerated() {
        line("\("\(index + 1).".leftPadded(to: 4)) \(style.wrap(sentence, indentation: 5))")
      }
    }
    if let finding = outcome.failure?.finding { line(style.dim("     More: bootsim explain \(finding)")) }
  }

  /// What is said of each boot and shutdown that does not go well, with its causes.
  private static func reasons(_ outcome: Outcome) -> [(title: String, because: [String])] {
    func name(_ what: String, _ index: Int, of count: Int) -> String {
      count > 1 ? "\(what) \(index + 1)" : "the \(what)"
    }
    var reasons: [(String, [String])] = []
    for (index, boot) in outcome.boots.enumerated() where boot.outcome != .boots {
      let verb = boot.outcome == .degraded ? "is degraded" : "fails"
      let when = "after \(Time.text(boot.at))"
      reasons.append(("\(name("boot", index, of: outcome.boots.count)) \(verb) \(when)", boot.because))
    }
    for (index, shutdown) in outcome.shutdowns.enumerated() where shutdown.outcome != .clean {
      let verb = shutdown.outcome == .hang ? "never ends" : "loses its root"
      let lost = shutdown.lostWrites > 0 ? ", \(shutdown.lostWrites) writes lost" : ""
      let state = " (file system: \(shutdown.fileSystem.rawValue)\(lost))"
      let shutdowns = outcome.shutdowns.count
      reasons.append(("\(name("shutdown", index, of: shutdowns)) \(verb)\(state)", shutdown.because))
    }
    return reasons
  }

  // MARK: Other outcomes

  private mutating func other(_ outcome: Outcome, number: Int) {
    line()
    line(
      style.bold(
        "Outcome \(number), \(Self.percent(outcome.share)) of the sampled runs: \(Self.summary(outcome))"))
    let nominal = report.outcomes[0].timeline
    let common = zip(nominal, outcome.timeline).prefix { $0.part == $1.part && $0.text == $1.text }.count
    let rest = outcome.timeline.dropFirst(common)
    if common > 0, !rest.isEmpty {
      line(style.dim("     the same up to \(Time.text(outcome.timeline[common - 1].time)), then"))
    }
    timeline(rest.prefix(Self.shownLines))
    if rest.count > Self.shownLines {
      line(style.dim("     … \(rest.count - Self.shownLines) more lines (--json has them)"))
    }
    let isDecisive = report.outcomes.first { !$0.isClean }?.witness == outcome.witness
    if !outcome.isClean, !isDecisive { why(outcome) }
  }

  private static func summary(_ outcome: Outcome) -> String {
    guard let failure = outcome.failure else { return "comes up and goes down clean" }
    let stage =
      failure.stage.map { $0 == .shutdown ? "does not go down clean" : "ends in \($0.rawValue)" } ?? "fails"
    return stage + (failure.finding.map { " (\(Style.safe($0)))" } ?? "")
  }

  // MARK: Cures

  private mutating func fixes() {
    let verified = report.fixes.filter(\.verified)
    guard !verified.isEmpty else { return }
    line()
    line(style.bold("What cures it") + " (each simulated: comes up and goes down clean in every order)")
    for (index, fix) in verified.enumerated() {
      line("\("\(index + 1).".leftPadded(to: 4)) \(style.wrap(fix.title, indentation: 5))")
      for edit in fix.edits {
        line(style.dim("     \(Style.safe(edit.place))\(edit.line.map { ":\($0)" } ?? "")"))
        for old in Self.lines(edit.old) { line("     " + style.red("- \(Style.safe(old))")) }
        for new in Self.lines(edit.new) { line("     " + style.green("+ \(Style.safe(new))")) }
      }
    }
  }

  private static func lines(_ text: String?) -> [String] {
    guard var text else { return [] }
    if text.hasSuffix("\n") { text.removeLast() }
    return text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }

  private mutating func notLookedAt() {
    guard !report.notLookedAt.isEmpty else { return }
    line()
    line(style.bold("Not looked at") + " (could matter, and the simulator does not read it)")
    for place in report.notLookedAt { line("     \(style.wrap(place, indentation: 5))") }
  }
}
