import Sim

/// A report as text for people: the nominal run as its console would show it, the verdict, why, what else may
/// happen, and what cures it.
public struct TerminalReport {
  /// What was simulated.
  public enum Extent: Sendable {
    /// Every order that the windows allow, as far as the budget went.
    case everyOrder
    /// The one run in which everything takes its usual time.
    case nominal
    /// The run of a witness.
    case witness
  }

  private let report: Report
  private let extent: Extent
  private let style: Style
  private var out = ""

  /// How many lines of another outcome are shown from where it differs.
  private static let shownLines = 20
  /// Of the names that one disk may have, so many are listed.
  private static let shownNames = 6

  /// - Parameters:
  ///   - report: What was found.
  ///   - extent: What was simulated.
  ///   - style: Colour and width.
  public static func text(_ report: Report, extent: Extent = .everyOrder, style: Style) -> String {
    var writer = TerminalReport(report: report, extent: extent, style: style)
    writer.write()
    return writer.out
  }

  private init(report: Report, extent: Extent, style: Style) {
    self.report = report
    self.extent = extent
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
    line(Self.verdict(report, extent: extent, style: style))
    let failing = report.outcomes.first { !$0.isGood }
    if let decisive = failing ?? report.outcomes.first(where: { $0.holdUp != nil }) { why(decisive) }
    for (index, outcome) in report.outcomes.enumerated().dropFirst() { other(outcome, number: index + 1) }
    changingNames()
    fixes()
    notLookedAt()
  }

  // MARK: Timeline

  private mutating func timeline(_ entries: ArraySlice<TimelineEntry>) {
    let width = min(entries.map(\.part.count).max() ?? 0, 14)
    for (index, entry) in entries.enumerated() {
      // What is done to the machine begins a paragraph.
      if entry.part == "story", index > 0 { line() }
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
  static func verdict(_ report: Report, extent: Extent = .everyOrder, style: Style) -> String {
    let orders =
      switch extent {
      case .everyOrder: report.complete ? "every order" : "every order that was tried"
      case .nominal, .witness: "this one run"
      }
    let states = "\(report.states) \(report.states == 1 ? "state" : "states")"
    let failure = report.outcomes.first { !$0.isGood }?.failure
    let finding = failure?.finding.map { " (\(Style.safe($0)))" } ?? ""
    let what =
      switch failure?.stage {
      case .shutdown?: "does not go down clean\(finding)"
      case let stage?: "does not come up, it ends in \(stage.rawValue)\(finding)"
      case nil: "fails\(finding)"
      }
    let text: String
    switch report.verdict {
    case .boots: text = style.green("BOOTS") + ": \(comesUp(report)) and goes down clean in \(orders)"
    case .fails:
      let same = report.outcomes.count == 1 ? " in \(orders)" : ""
      text = style.red("FAILS") + ": \(what)\(same)"
    case .mayFail:
      let share = report.outcomes.filter { !$0.isGood }.reduce(0.0) { $0 + $1.share }
      let times =
        share > 0 ? "\(Self.percent(share)) of the sampled runs" : "none of the sampled runs, so it is rare"
      text = style.yellow("MAY FAIL") + ": in some orders it \(what); so in \(times)"
    }
    let coverage =
      switch extent {
      case .everyOrder: report.complete ? "\(states), all orders" : "\(states), then the budget was used up"
      case .nominal: "everything at its usual time; no other order was looked at"
      case .witness: "the schedule that was given; no other order was looked at"
      }
    return text + style.dim(" [\(coverage)]")
  }

  private static func comesUp(_ report: Report) -> String {
    let late = report.outcomes.count { $0.holdUp != nil }
    return late == 0
      ? "comes up" : late == report.outcomes.count ? "comes up late" : "comes up, in some orders late,"
  }

  /// A share for people; one that is not nothing never looks like nothing.
  static func percent(_ share: Double) -> String {
    if share > 0, share < 0.01 { return "less than 1 %" }
    if share < 1, share > 0.99 { return "more than 99 %" }
    return "\(Int((min(max(share.isNaN ? 0 : share, 0), 1) * 100).rounded())) %"
  }

  private mutating func why(_ outcome: Outcome) {
    var told: [[String]: String] = [:]
    for (what, title, because) in Self.reasons(outcome) where !because.isEmpty {
      line()
      if let first = told[because] {
        line(style.bold("\(title.prefix(1).uppercased() + title.dropFirst()), for the reasons of \(first)"))
        continue
      }
      told[because] = what
      line(style.bold("Why \(title)"))
      for (index, sentence) in because.enumerated() {
        line("\("\(index + 1).".leftPadded(to: 4)) \(style.wrap(sentence, indentation: 5))")
      }
    }
    if let finding = (outcome.failure ?? outcome.holdUp)?.finding {
      line(style.dim("     More: bootsim explain \(finding)"))
    }
  }

  /// What is said of each boot and shutdown that does not go well, with its causes.
  private static func reasons(_ outcome: Outcome) -> [(what: String, title: String, because: [String])] {
    func name(_ what: String, _ index: Int, of count: Int) -> String {
      count > 1 ? "\(what) \(index + 1)" : "the \(what)"
    }
    var reasons: [(String, String, [String])] = []
    for (index, boot) in outcome.boots.enumerated() where boot.outcome != .boots {
      let what = name("boot", index, of: outcome.boots.count)
      let verb =
        boot.outcome == .fails
        ? "fails after \(Time.text(boot.at))"
        : "comes up late, after \(Time.text(boot.at)), by \(Time.text(boot.lateBy ?? 0))"
      reasons.append((what, "\(what) \(verb)", boot.because))
    }
    for (index, shutdown) in outcome.shutdowns.enumerated() where shutdown.outcome != .clean {
      let what = name("shutdown", index, of: outcome.shutdowns.count)
      let verb = shutdown.outcome == .hang ? "never ends" : "loses its root"
      let writes = shutdown.lostWrites == 1 ? "1 write" : "\(shutdown.lostWrites) writes"
      let lost = shutdown.lostWrites > 0 ? ", \(writes) lost" : ""
      let state = "(file system: \(shutdown.fileSystem.rawValue)\(lost))"
      reasons.append((what, "\(what) \(verb) \(state)", shutdown.because))
    }
    return reasons
  }

  // MARK: Other outcomes

  private mutating func other(_ outcome: Outcome, number: Int) {
    line()
    line(
      style.bold(
        "Outcome \(number), \(Self.percent(outcome.share)) of the sampled runs: \(Self.summary(outcome))"))
    let common = Self.agreement(report.outcomes[0].timeline, outcome.timeline)
    let rest = outcome.timeline.dropFirst(common)
    if common > 0, !rest.isEmpty {
      line(style.dim("     the same things up to \(Time.text(outcome.timeline[common - 1].time)), then"))
    }
    timeline(rest.prefix(Self.shownLines))
    if rest.count > Self.shownLines {
      line(style.dim("     … \(rest.count - Self.shownLines) more lines (--json has them)"))
    }
    let isDecisive = report.outcomes.first { !$0.isGood }?.witness == outcome.witness
    if !outcome.isGood, !isDecisive { why(outcome) }
  }

  /// How many entries of another timeline come before the first that the nominal one does not have.
  /// Independent things may come in another order without telling anything; where all are the same, the order
  /// is what differs.
  static func agreement(_ nominal: [TimelineEntry], _ other: [TimelineEntry]) -> Int {
    func said(_ entry: TimelineEntry) -> [String] { [entry.part, entry.text] }
    var left: [[String]: Int] = [:]
    for entry in nominal { left[said(entry), default: 0] += 1 }
    let new = other.firstIndex { entry in
      left[said(entry), default: 0] -= 1
      return left[said(entry), default: 0] < 0
    }
    return new ?? zip(nominal, other).prefix { said($0) == said($1) }.count
  }

  private static func summary(_ outcome: Outcome) -> String {
    guard let failure = outcome.failure else {
      return "comes up \(outcome.holdUp == nil ? "" : "late ")and goes down clean"
    }
    let stage =
      failure.stage.map { $0 == .shutdown ? "does not go down clean" : "ends in \($0.rawValue)" } ?? "fails"
    return stage + (failure.finding.map { " (\(Style.safe($0)))" } ?? "")
  }

  // MARK: Names

  /// Which sd names a disk may have where that depends on the order; LUs that nothing tells apart are not listed.
  private mutating func changingNames() {
    let boots = report.outcomes.map(\.boots.count).max() ?? 0
    let lines = (0..<boots).flatMap { index in
      changingNames(report.outcomes.compactMap { index < $0.boots.count ? $0.boots[index] : nil }).map {
        boots > 1 ? "boot \(index + 1): \($0)" : $0
      }
    }
    guard !lines.isEmpty else { return }
    line()
    line(style.bold("Names that depend on the order"))
    for text in lines { line("     \(style.wrap(text, indentation: 5))") }
  }

  private func changingNames(_ boots: [BootReport]) -> [String] {
    var names: [String: Set<String>] = [:]
    for disks in boots.flatMap({ [$0.disks] + $0.otherDisks }) {
      for (name, disk) in disks { names[disk, default: []].insert(name) }
    }
    let changing = names.filter { $0.value.count > 1 && !report.alike.joined().contains($0.key) }
    func isBefore(_ a: String, _ b: String) -> Bool { (a.utf8.count, a) < (b.utf8.count, b) }
    return changing.keys.sorted(by: isBefore).map { disk in
      let all = (changing[disk] ?? []).sorted(by: isBefore)
      let text =
        all.count > Self.shownNames
        ? "one of \(all.count), from \(all[0]) to \(all[all.count - 1])"
        : "\(all.dropLast().joined(separator: ", ")) or \(all[all.count - 1])"
      return "\(disk) is \(text)"
    }
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
    line(style.bold("Not looked at") + " (could matter, and was left out)")
    for place in report.notLookedAt { line("     \(style.wrap(place, indentation: 5))") }
  }
}
