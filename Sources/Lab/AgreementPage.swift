import Sim

/// `Lab/AGREEMENT.md`: what was predicted and what was seen, of every variant that was booted.
public enum AgreementPage {
  /// The page.
  ///
  /// - Parameters:
  ///   - results: Of every variant.
  ///   - outOfReach: What the model does not reach, as a person wrote it down; nil: nothing was written.
  public static func text(_ results: [LabResult], outOfReach: String?) -> String {
    let results = results.sorted { $0.name < $1.name }
    var page = """
      # Agreement

      Real machines were booted (`make lab`; `bootsim verify SCENARIO` for one), and bootsim said before what would become of them.
      The files in `results/` have what was seen, with the lines of the console that decide.
      Where the laboratory cannot see something it is not judged.

      This page is made from them: `UPDATE_AGREEMENT_PAGE=1 swift test --filter AgreementPageTests`.


      """
    page += totals(results)
    page += "\n| variant | rows | predicted | seen | agree |\n|---|---|---|---|---|\n"
    for result in results { page += row(result) }
    if let outOfReach { page += "\n## Out of the model's reach\n\n" + outOfReach.trimmed + "\n" }
    return page
  }

  // MARK: Totals

  private static func totals(_ results: [LabResult]) -> String {
    let runs = results.flatMap { result in zip(result.runs, result.agreements).map { ($0, $1) } }
    let boots = runs.reduce(0) { $0 + $1.0.seen.boots.count }
    let shutdowns = runs.reduce(0) { $0 + $1.0.seen.shutdowns.count }
    let comparisons = runs.flatMap { $0.1.comparisons }
    func share(_ isWanted: (Agreement.Comparison) -> Bool) -> String {
      let all = comparisons.filter { isWanted($0) && $0.judgement != .notJudged }
      let good = all.count { $0.judgement == .agrees }
      // Rounded down: 100 % means all of them.
      return all.isEmpty ? "-" : "\(good) of \(all.count) (\(good * 100 / all.count) %)"
    }
    let unjudged = comparisons.count { $0.judgement == .notJudged }
    let parts: [(String, String)] = [
      ("variants", "\(results.count)"), ("boots recorded", "\(boots)"),
      ("shutdowns recorded", "\(shutdowns)"),
      ("agree on outcome and stage", share { $0.field.isMain }),
      ("agree on finding", share { $0.field == .finding }),
      ("agree on root device and sd names", share { $0.field == .root || $0.field == .disks }),
      ("agree on the file system's state", share { $0.field == .fileSystem }),
      ("fields that could not be seen", "\(unjudged) of \(comparisons.count)"),
    ]
    return "| | |\n|---|---|\n" + parts.map { "| \($0) | \($1) |\n" }.joined()
  }

  // MARK: Rows

  private static func row(_ result: LabResult) -> String {
    let predicted = result.prediction.courses.map { course in
      summary(
        boots: course.boots.map { ($0.outcome, $0.stage, $0.finding.map { [$0] } ?? [], $0.disks) },
        shutdowns: course.shutdowns.map { ($0.outcome, $0.finding.map { [$0] } ?? [], $0.fileSystem) })
    }
    let seen = result.runs.map { run in
      summary(
        boots: run.seen.boots.map { ($0.outcome, $0.stage, $0.findings, $0.disks) },
        shutdowns: run.seen.shutdowns.map { ($0.outcome, $0.findings, $0.fileSystem) })
    }
    let cells = [
      "[\(result.name)](../\(result.scenario)): \(result.title)", result.sources.joined(separator: ", "),
      listed(predicted), counted(seen), judgement(result.agreements),
    ]
    return "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |\n"
  }

  private static func judgement(_ agreements: [Agreement]) -> String {
    let differences = distinct(
      agreements.flatMap(\.differences).map { "\($0.field.rawValue) of \($0.place)" })
    guard differences.isEmpty, agreements.allSatisfy(\.holds) else {
      return "**no**: \(differences.isEmpty ? "nothing predicted" : differences.joined(separator: ", "))"
    }
    return agreements.isEmpty ? "not booted" : "yes"
  }

  /// Each once, in the order in which they came.
  private static func distinct(_ texts: [String]) -> [String] {
    texts.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }

  /// Each once; of many the first few.
  private static func listed(_ ways: [String]) -> String {
    let different = distinct(ways)
    let rest = different.count > 6 ? ["one of \(different.count - 5) other ways"] : []
    return (different.prefix(rest.isEmpty ? 6 : 5) + rest).joined(separator: "<br>or ")
  }

  /// Each once, in the order in which they came, with how often where that was more than once.
  private static func counted(_ texts: [String]) -> String {
    let different = distinct(texts)
    return different.map { text in
      let count = texts.count { $0 == text }
      return count > 1 ? "\(text) (\(count) times)" : text
    }.joined(separator: "<br>")
  }

  /// "fails, root-mount: root-device-renamed; sda = usb0, sdb = LUN 1".
  private static func summary(
    boots: [(BootOutcome, Stage?, [String], [String: String]?)],
    shutdowns: [(ShutdownOutcome, [String], FileSystemState?)]
  ) -> String {
    var parts = boots.map { outcome, stage, findings, disks in
      let why = findings.isEmpty ? "" : ": " + findings.joined(separator: ", ")
      let names = (disks ?? [:]).sorted { ($0.key.utf8.count, $0.key) < ($1.key.utf8.count, $1.key) }
      let letters =
        names.count > 8
        ? "\(names.count) disks" : names.map { "\($0.key) = \($0.value)" }.joined(separator: ", ")
      return outcome.rawValue + (stage.map { ", \($0.rawValue)" } ?? "") + why
        + (letters.isEmpty ? "" : " (\(letters))")
    }
    parts += shutdowns.map { outcome, findings, state in
      "shutdown \(outcome.rawValue)" + (findings.isEmpty ? "" : ": " + findings.joined(separator: ", "))
        + (state.map { ", file system \($0.rawValue)" } ?? "")
    }
    return parts.joined(separator: "; ")
  }
}
