/// Something that came out other than a scenario expects.
public struct Difference: Sendable, Hashable {
  /// The field of `expect`.
  public var what: String
  /// What was expected, as the scenario writes it.
  public var expected: String
  /// What came, in the same form; "none" when there is no such thing.
  public var came: String
}

extension Report {
  /// The outcome that decides the verdict: the first that fails, or the nominal one when none does.
  var decisive: Outcome? { outcomes.first { !$0.isClean } ?? outcomes.first }
}

extension Outcome {
  /// Comes up and goes down clean every time.
  public var isClean: Bool {
    boots.allSatisfy { $0.outcome == .boots } && shutdowns.allSatisfy { $0.outcome == .clean }
  }

  /// Where it fails first, and the finding; `nil` when it does not.
  public var failure: (stage: Stage?, finding: String?)? {
    if let boot = boots.first(where: { $0.outcome != .boots }) { return (boot.stage, boot.finding) }
    if let shutdown = shutdowns.first(where: { $0.outcome != .clean }) {
      return (.shutdown, shutdown.finding)
    }
    return nil
  }

  /// When its first failure is over, or its last boot when nothing fails: microseconds since that boot's
  /// power-on, or since that shutdown was asked for.
  var moment: Int64? {
    if let boot = boots.first(where: { $0.outcome != .boots }) { return boot.at }
    return shutdowns.first { $0.outcome != .clean }?.at ?? boots.last?.at
  }

  /// Every finding in it, in order, each once.
  public var findings: [String] {
    var seen: [String] = []
    for finding in boots.map(\.finding) + shutdowns.map(\.finding) {
      if let finding, !seen.contains(finding) { seen.append(finding) }
    }
    return seen
  }
}

extension Expectation {
  /// What in a report is other than expected; empty when the expectation holds.
  ///
  /// `stage`, `finding`, `shutdown` and `fileSystem` are looked up in the outcome that decides the verdict:
  /// the first that fails, or the nominal one. `rootDevice` and `disks` are those of the nominal run's first
  /// boot; `at` is when the nominal run's first failure is over, or its last boot when nothing fails.
  public func differences(from report: Report) -> [Difference] {
    var found: [Difference] = []
    func compare(_ what: String, _ expected: String?, _ came: String?) {
      guard let expected, expected != came else { return }
      found.append(Difference(what: what, expected: expected, came: came ?? "none"))
    }
    let nominal = report.outcomes.first
    let decisive = report.decisive
    compare("verdict", verdict.rawValue, report.verdict.rawValue)
    compare("stage", stage?.rawValue, decisive?.failure?.stage?.rawValue)
    compare("finding", finding, decisive?.failure?.finding)
    compare("shutdown", shutdown?.rawValue, decisive?.shutdowns.last?.outcome.rawValue)
    compare("fileSystem", fileSystem?.rawValue, decisive?.shutdowns.last?.fileSystem.rawValue)
    compare("rootDevice", rootDevice, nominal?.boots.first?.rootDevice)
    for (letter, device) in (disks ?? [:]).sorted(by: { $0.key < $1.key }) {
      compare("disks.\(letter)", device, nominal?.boots.first?.disks[letter])
    }
    if let at {
      let came = nominal?.moment
      let isWithin = came.map { at.earliest <= $0 && $0 <= at.latest } ?? false
      if !isWithin {
        let expected = "\(Self.seconds(at.earliest)) to \(Self.seconds(at.latest))"
        found.append(Difference(what: "at", expected: expected, came: came.map(Self.seconds) ?? "none"))
      }
    }
    let all = report.outcomes.flatMap(\.findings)
    for finding in findings ?? [] where !all.contains(finding) {
      let came = all.isEmpty ? "none" : all.joined(separator: ", ")
      found.append(Difference(what: "findings", expected: finding, came: came))
    }
    return found
  }

  private static func seconds(_ microseconds: Int64) -> String {
    let thousandths = String(microseconds / 1000 % 1000)
    return "\(microseconds / 1_000_000)." + String(repeating: "0", count: 3 - thousandths.count) + thousandths
      + "s"
  }
}
