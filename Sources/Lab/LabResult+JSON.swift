import Sim

extension LabResult {
  /// The file's text.
  public var text: String { json.text(indented: true) + "\n" }

  private var json: JSONValue {
    [
      "scenario": string(scenario), "title": string(title), "source": strings(sources),
      "image": string(image),
      "packages": JSONValue(.object(packages.map { .init($0.name, string($0.version)) })),
      "prediction": prediction.json,
      "runs": JSONValue(.array(zip(runs, agreements).map { $0.json(agreement: $1) })),
    ]
  }
}

extension Prediction {
  fileprivate var json: JSONValue {
    [
      "verdict": string(verdict.rawValue),
      "alike": JSONValue(.array(alike.map(strings))),
      "courses": JSONValue(
        .array(
          courses.map { course in
            [
              "share": number(course.share),
              "boots": JSONValue(
                .array(
                  course.boots.map { boot in
                    [
                      "outcome": string(boot.outcome.rawValue), "stage": optional(boot.stage?.rawValue),
                      "finding": optional(boot.finding), "at": number(boot.at),
                      "rootDevice": optional(boot.rootDevice), "disks": object(boot.disks),
                      "otherDisks": JSONValue(.array(boot.otherDisks.map(object))),
                    ]
                  })),
              "shutdowns": JSONValue(
                .array(
                  course.shutdowns.map { shutdown in
                    [
                      "outcome": string(shutdown.outcome.rawValue), "finding": optional(shutdown.finding),
                      "at": number(shutdown.at), "fileSystem": string(shutdown.fileSystem.rawValue),
                    ]
                  })),
            ]
          })),
    ]
  }
}

extension LabResult.Run {
  /// The last two members follow from the others: they are for people, and are not read.
  fileprivate func json(agreement: Agreement) -> JSONValue {
    [
      "date": string(date), "seconds": number(seconds),
      "boots": JSONValue(
        .array(
          seen.boots.map { boot in
            [
              "outcome": string(boot.outcome.rawValue), "stage": optional(boot.stage?.rawValue),
              "findings": strings(boot.findings), "at": number(boot.at),
              "rootDevice": optional(boot.rootDevice), "disks": boot.disks.map(object) ?? JSONValue(.null),
              "console": console(boot.evidence),
            ]
          })),
      "shutdowns": JSONValue(
        .array(
          seen.shutdowns.map { shutdown in
            [
              "outcome": string(shutdown.outcome.rawValue), "findings": strings(shutdown.findings),
              "at": number(shutdown.at), "fileSystem": optional(shutdown.fileSystem?.rawValue),
              "console": console(shutdown.evidence),
            ]
          })),
      "agrees": JSONValue(.bool(agreement.holds)),
      "fields": JSONValue(
        .array(
          agreement.comparisons.map { comparison in
            [
              "of": string(comparison.place), "field": string(comparison.field.rawValue),
              "predicted": string(comparison.predicted), "seen": string(comparison.seen),
              "judgement": string(comparison.judgement.rawValue),
            ]
          })),
    ]
  }
}

private func console(_ lines: [Transcript.Line]) -> JSONValue { strings(lines.map(\.description)) }

private func object(_ disks: [String: String]) -> JSONValue {
  let names = disks.sorted { ($0.key.utf8.count, $0.key) < ($1.key.utf8.count, $1.key) }
  return JSONValue(.object(names.map { .init($0.key, string($0.value)) }))
}

private func string(_ text: String) -> JSONValue { JSONValue(.string(text)) }

private func strings(_ texts: [String]) -> JSONValue { JSONValue(.array(texts.map(string))) }

private func optional(_ text: String?) -> JSONValue { text.map(string) ?? JSONValue(.null) }

/// With two places at most.
private func number(_ value: Double) -> JSONValue {
  let hundredths = Int64((value * 100).rounded())
  let (whole, rest) = (abs(hundredths) / 100, abs(hundredths) % 100)
  let fraction = rest == 0 ? "" : rest % 10 == 0 ? ".\(rest / 10)" : rest < 10 ? ".0\(rest)" : ".\(rest)"
  return JSONValue(.number("\(hundredths < 0 ? "-" : "")\(whole)\(fraction)"))
}
