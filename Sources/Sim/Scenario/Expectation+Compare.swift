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
  var decisive: Outcome? { outcomes.first { !$0.isGood } ?? outcomes.first }
}

extension Outcome {
  /// Where it fails first, and the finding; `nil` when it does not.
  public var failure: (stage: Stage?, finding: String?)? {
    if let boot = boots.first(where: { $0.outcome == .fails }) { return (boot.stage, boot.finding) }
    if let shutdown = shutdowns.first(where: { $0.outcome != .clean }) {
      return (.shutdown, shutdown.finding)
    }
    return nil
  }

  /// Where its first boot that comes up late was held up, and the finding; `nil` when none is late.
  public var holdUp: (stage: Stage?, finding: String?)? {
    boots.first { $0.outcome == .degraded }.map { ($0.stage, $0.finding) }
  }

  /// When its first failure is over, or its last boot when nothing fails: microseconds since that boot's
  /// power-on, or since that shutdown was asked for.
  var moment: Int64? {
    if let boot = boots.first(where: { $0.outcome == .fails }) { return boot.at }
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
  /// the first that fails, or the nominal one; where nothing fails stage and finding are those of what held a boot up. `rootDevice` and `disks` are those of the nominal run's first
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
    let trouble = decisive?.failure ?? decisive?.holdUp
    compare("stage", stage?.rawValue, trouble?.stage?.rawValue)
    compare("finding", finding, trouble?.finding)
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
    let late = nominal?.boots.first { $0.outcome == .degraded }
    compare("degraded", degraded.map(String.init), String(late != nil))
    if let lateBy {
      let isWithin = late?.lateBy.map { lateBy.earliest <= $0 && $0 <= lateBy.latest } ?? false
      if !isWithin {
        let expected = "\(Self.seconds(lateBy.earliest)) to \(Self.seconds(lateBy.latest))"
        found.append(
          Difference(
            what: "lateBy", expected: expected, came: late?.lateBy.map(Self.seconds) ?? "none"))
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
