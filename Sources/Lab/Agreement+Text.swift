import Reports
import Sim

extension Agreement {
  /// How many lines of a console are shown for a boot or shutdown.
  private static let shownLines = 12

  /// Prediction and reality side by side, for a terminal.
  ///
  /// - Parameters:
  ///   - title: What was booted.
  ///   - observation: What was seen: its lines are shown below.
  public func text(title: String, observation: Observation, style: Style) -> String {
    var out = style.heading(title) + "\n"
    let places = comparisons.reduce(into: [String]()) { if !$0.contains($1.place) { $0.append($1.place) } }
    let width = max(20, comparisons.map { min($0.predicted.count, 44) }.max() ?? 0)
    for (number, place) in places.enumerated() {
      let head = "\n  \(place)"
      out +=
        number == 0
        ? Self.padded(head, to: 18) + Self.padded("predicted", to: width + 2) + "seen\n" : head + "\n"
      for comparison in comparisons where comparison.place == place {
        let row =
          "    " + Self.padded(comparison.field.rawValue, to: 13)
          + Self.padded(comparison.predicted, to: width + 2)
          + comparison.seen
        switch comparison.judgement {
        case .agrees: out += row + "\n"
        case .differs: out += style.failure(row + "   <- differs") + "\n"
        case .notJudged: out += style.aside(row + "   (not judged)") + "\n"
        }
      }
      let lines = Self.evidence(of: place, in: observation)
      // The end is what tells.
      for line in lines.suffix(Self.shownLines) {
        out += style.aside("    \(Self.seconds(line.time))  \(Style.safe(line.text))") + "\n"
      }
    }
    let unjudged = comparisons.count { $0.judgement == .notJudged }
    let rest = unjudged > 0 ? " (\(unjudged) of \(comparisons.count) could not be seen)" : ""
    out += "\n"
    if holds { return out + style.success("AGREES") + rest + "\n" }
    if course == nil { return out + style.failure("DIFFERS") + ": nothing was predicted\n" }
    let which = differences.map { "\($0.field.rawValue) of \($0.place)" }.joined(separator: ", ")
    return out + style.failure("DIFFERS") + ": \(which)\(rest)\n"
  }

  private static func evidence(of place: String, in observation: Observation) -> [Transcript.Line] {
    for (index, boot) in observation.boots.enumerated() where place == "boot \(index + 1)" {
      return boot.evidence
    }
    for (index, shutdown) in observation.shutdowns.enumerated() where place == "shutdown \(index + 1)" {
      return shutdown.evidence
    }
    return []
  }

  private static func padded(_ text: String, to width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  private static func seconds(_ time: Double) -> String {
    let tenths = Int((time * 10).rounded())
    let text = "\(tenths / 10).\(abs(tenths % 10)) s"
    return String(repeating: " ", count: max(0, 9 - text.count)) + text
  }
}
