import Sim

/// How one scenario of the suite did.
public struct TestResult: Sendable {
  /// The scenario's file, as it was named or found.
  public var file: String
  /// The scenario's title.
  public var title: String
  /// What came.
  public var verdict: Verdict
  /// What is other than expected; empty: the expectation holds.
  public var differences: [Difference]
  /// The scenario says what it expects. One that does not has failed: it tests nothing.
  public var hasExpectation: Bool
  /// Real seconds that the simulation took, for JUnit.
  public var seconds: Double

  /// What a scenario gave against what it expects.
  public init(file: String, scenario: Scenario, report: Report, seconds: Double) {
    self.file = file
    title = scenario.title
    verdict = report.verdict
    differences = scenario.expect?.differences(from: report) ?? []
    hasExpectation = scenario.expect != nil
    self.seconds = seconds
  }

  /// Whether what was expected came.
  public var holds: Bool { hasExpectation && differences.isEmpty }

  /// A line for people, and below it what differs.
  public func text(style: Style) -> String {
    var out = "\(holds ? style.green("ok  ") : style.red("FAIL")) \(Style.safe(file)): \(Style.safe(title))\n"
    if !hasExpectation {
      out += "       nothing is expected: it came out \"\(verdict.rawValue)\"; add \"expect\"\n"
    }
    for difference in differences {
      out += "       \(difference.what)\n"
      out += "         " + style.red("- \(Style.safe(difference.expected))") + style.dim("  expected") + "\n"
      out += "         " + style.green("+ \(Style.safe(difference.came))") + style.dim("  came") + "\n"
    }
    return out
  }
}

/// The results of a suite in the form that build servers read (the JUnit XML of Ant, as Jenkins and GitLab
/// take it).
public enum JUnitReport {
  /// - Parameter results: In the order they ran.
  public static func text(_ results: [TestResult]) -> String {
    let failed = results.count { !$0.holds }
    let time = number(results.reduce(0) { $0 + $1.seconds })
    var out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    out += "<testsuites tests=\"\(results.count)\" failures=\"\(failed)\" errors=\"0\" time=\"\(time)\">\n"
    out +=
      "  <testsuite name=\"bootsim\" tests=\"\(results.count)\" failures=\"\(failed)\" errors=\"0\" time=\"\(time)\">\n"
    for result in results {
      out +=
        "    <testcase classname=\"\(escaped(folder(of: result.file)))\" name=\"\(escaped(result.title))\""
      out += " file=\"\(escaped(result.file))\" time=\"\(number(result.seconds))\""
      guard !result.holds else {
        out += "/>\n"
        continue
      }
      var lines = result.differences.map { "\($0.what): expected \($0.expected), came \($0.came)" }
      if !result.hasExpectation { lines.append("nothing is expected") }
      out +=
        ">\n      <failure message=\"\(escaped(lines[0]))\">\(escaped(lines.joined(separator: "\n")))</failure>\n"
      out += "    </testcase>\n"
    }
    return out + "  </testsuite>\n</testsuites>\n"
  }

  private static func folder(of file: String) -> String {
    guard let slash = file.lastIndex(of: "/") else { return "scenarios" }
    return String(file[..<slash])
  }

  private static func number(_ seconds: Double) -> String {
    Time.number(Int64(min(seconds, 1e9) * 1_000_000))
  }

  /// Text for XML 1.0: markup escaped, and what XML cannot hold replaced.
  static func escaped(_ text: String) -> String {
    var out = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": out += "&amp;"
      case "<": out += "&lt;"
      case ">": out += "&gt;"
      case "\"": out += "&quot;"
      case "\n": out += "&#10;"
      case "\t", "\r": out += " "
      case "\u{0}"..<"\u{20}", "\u{7F}", "\u{FFFE}", "\u{FFFF}": out += "\u{FFFD}"
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out
  }
}
