import Sim

extension Report {
  /// The report as `bootsim run --json` prints it. The members and their order are stable across releases;
  /// new ones may be added.
  ///
  /// - Parameter file: The scenario's file, as it was named to the program.
  public func json(file: String) -> JSONValue {
    [
      "scenario": JSONValue(.string(title)),
      "file": JSONValue(.string(file)),
      "source": strings(sources),
      "verdict": JSONValue(.string(verdict.rawValue)),
      "orders": ["states": JSONValue(integerLiteral: Int64(states)), "complete": JSONValue(.bool(complete))],
      "outcomes": JSONValue(.array(outcomes.map(\.json))),
      "fixes": JSONValue(.array(fixes.map(\.json))),
      "alike": JSONValue(.array(alike.map(strings))),
      "notLookedAt": strings(notLookedAt),
    ]
  }
}

extension Outcome {
  var json: JSONValue {
    [
      "witness": JSONValue(.string(witness)), "share": fraction(share),
      "boots": JSONValue(.array(boots.map(\.json))), "shutdowns": JSONValue(.array(shutdowns.map(\.json))),
      "timeline": JSONValue(
        .array(
          timeline.map { entry in
            [
              "at": JSONValue(.string(Time.text(entry.time))), "part": JSONValue(.string(entry.part)),
              "text": JSONValue(.string(entry.text)), "console": JSONValue(.bool(entry.console)),
            ]
          })),
    ]
  }
}

extension BootReport {
  fileprivate var json: JSONValue {
    func names(_ disks: [String: String]) -> JSONValue {
      let letters = disks.sorted { ($0.key.utf8.count, $0.key) < ($1.key.utf8.count, $1.key) }
      return JSONValue(.object(letters.map { .init($0.key, JSONValue(.string($0.value))) }))
    }
    return [
      "outcome": JSONValue(.string(outcome.rawValue)), "stage": optional(stage?.rawValue),
      "finding": optional(finding), "at": JSONValue(.string(Time.text(at))),
      "because": strings(because),
      "console": strings(console), "rootDevice": optional(rootDevice),
      "disks": names(disks), "otherDisks": JSONValue(.array(otherDisks.map(names))),
      "lateBy": optional(lateBy.map(Time.text)),
    ]
  }
}

extension ShutdownReport {
  fileprivate var json: JSONValue {
    [
      "outcome": JSONValue(.string(outcome.rawValue)), "finding": optional(finding),
      "at": JSONValue(.string(Time.text(at))), "lostWrites": JSONValue(integerLiteral: Int64(lostWrites)),
      "fileSystem": JSONValue(.string(fileSystem.rawValue)), "because": strings(because),
      "console": strings(console),
    ]
  }
}

extension Fix {
  fileprivate var json: JSONValue {
    [
      "title": JSONValue(.string(title)),
      "edits": JSONValue(
        .array(
          edits.map { edit in
            [
              "place": JSONValue(.string(edit.place)),
              "line": edit.line.map { JSONValue(integerLiteral: Int64($0)) } ?? JSONValue(.null),
              "old": optional(edit.old), "new": optional(edit.new),
            ]
          })),
      "verified": JSONValue(.bool(verified)),
    ]
  }
}

extension SweepReport {
  /// The report as `bootsim sweep --json` prints it.
  ///
  /// - Parameter file: The scenario's file, as it was named to the program.
  public func json(file: String) -> JSONValue {
    let sizes = axes.map(\.choices.count)
    return [
      "scenario": JSONValue(.string(title)),
      "file": JSONValue(.string(file)),
      "axes": JSONValue(
        .array(
          axes.map { ["name": JSONValue(.string($0.name)), "choices": strings($0.choices.map(\.label))] })),
      "configurations": JSONValue(integerLiteral: Int64(count)),
      "boots": JSONValue(integerLiteral: Int64(boots)),
      "share": fraction(share),
      "complete": JSONValue(.bool(incomplete == 0)),
      "groups": JSONValue(
        .array(
          groups.map { group in
            [
              "finding": JSONValue(.string(group.finding)),
              "configurations": JSONValue(integerLiteral: Int64(group.numbers.count)),
              "smallest": JSONValue(.array(group.minimal.map { json($0) })),
              "smallestComplete": JSONValue(.bool(group.complete)),
            ]
          })),
      "failing": JSONValue(
        .array(
          failures.map { failure in
            [
              "choices": json(Selection(number: failure.number, sizes: sizes)),
              "verdict": JSONValue(.string(failure.verdict.rawValue)), "findings": strings(failure.findings),
              "complete": JSONValue(.bool(failure.complete)),
            ]
          })),
    ]
  }

  private func json(_ selection: Selection) -> JSONValue {
    JSONValue(
      .object(
        selection.choices.map { pair in
          .init(axes[pair.axis].name, JSONValue(.string(axes[pair.axis].choices[pair.choice].label)))
        }))
  }
}

/// Times in reports: seconds with three places.
enum Time {
  /// "12.400s".
  static func text(_ microseconds: Int64) -> String { number(microseconds) + "s" }

  /// "12.400".
  static func number(_ microseconds: Int64) -> String {
    let (rounded, _) = microseconds.addingReportingOverflow(microseconds < 0 ? -500 : 500)
    let milliseconds = (rounded / 1000).magnitude
    let fraction = String(milliseconds % 1000)
    let sign = microseconds < 0 && milliseconds > 0 ? "-" : ""
    return "\(sign)\(milliseconds / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
  }
}

private func strings(_ texts: [String]) -> JSONValue {
  JSONValue(.array(texts.map { JSONValue(.string($0)) }))
}

private func optional(_ text: String?) -> JSONValue {
  text.map { JSONValue(.string($0)) } ?? JSONValue(.null)
}

/// A share with four places, without the noise of a floating-point number.
private func fraction(_ value: Double) -> JSONValue {
  let tenThousandths = Int64((min(max(value.isNaN ? 0 : value, 0), 1) * 10_000).rounded())
  if tenThousandths == 10_000 { return 1 }
  var digits = String(tenThousandths)
  digits = String(repeating: "0", count: 4 - digits.count) + digits
  while digits.last == "0" { digits.removeLast() }
  return digits.isEmpty ? 0 : JSONValue(.number("0." + digits))
}
