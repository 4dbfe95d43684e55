import Foundation
import Testing

@testable import Sim

/// The regression suite in `Scenarios/`, as the tests read it.
enum SuiteFolder {
  /// A file of the suite.
  struct Entry: Sendable, CustomTestStringConvertible {
    /// Its path below `Scenarios/`.
    var name: String
    /// Its text in UTF-8.
    var bytes: [UInt8]

    var testDescription: String { name }

    /// The document as it is written, before the profile is merged in.
    func document() throws -> JSONValue {
      let parsed = JSONParser.parse(bytes, file: name)
      return try #require(parsed.value, "\(parsed.problems.map(\.description))")
    }

    func scenario() throws -> Scenario { try SuiteFolder.scenario(of: bytes, name) }
  }

  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Scenarios")

  /// Every scenario below `Scenarios/`, profiles left out, sorted by path.
  static let entries: [Entry] = {
    let paths = FileManager.default.enumerator(atPath: root.path)?.compactMap { $0 as? String } ?? []
    return paths.filter { $0.hasSuffix(".json") && !$0.hasPrefix("profiles/") }.sorted().compactMap { path in
      (try? Data(contentsOf: root.appendingPathComponent(path))).map { Entry(name: path, bytes: Array($0)) }
    }
  }()

  /// The scenario of a document, with the profiles that are inside the program.
  static func scenario(of bytes: [UInt8], _ file: String) throws -> Scenario {
    let loaded = ScenarioDecoder().load(bytes, file: file)
    return try #require(loaded.value, "\(loaded.problems.map(\.description))").scenario
  }

  static func scenario(of document: JSONValue, _ file: String) throws -> Scenario {
    try scenario(of: Array(document.text().utf8), file)
  }
}

extension Bootsim.Options {
  /// Every order explored, nothing sampled, no cures sought: the verdict and its outcomes.
  static let bare: Bootsim.Options = {
    var options = Bootsim.Options()
    options.samples = 0
    options.fixes = false
    return options
  }()
}

/// What a report concludes: everything in it but times, texts, witnesses and shares.
struct Conclusion: Hashable, CustomStringConvertible {
  /// How one boot or shutdown ended.
  struct Part: Hashable {
    var outcome: String
    var stage: Stage?
    var finding: String?
    var rootDevice: String?
    var lostWrites: Int?
    var fileSystem: FileSystemState?
  }

  var verdict: Verdict
  /// The distinct ways to end: boots, then shutdowns.
  var outcomes: Set<[Part]>

  init(_ report: Report) {
    verdict = report.verdict
    outcomes = Set(report.outcomes.map(Self.parts))
  }

  static func parts(_ outcome: Outcome) -> [Part] {
    outcome.boots.map {
      Part(
        outcome: $0.outcome.rawValue, stage: $0.stage, finding: $0.finding, rootDevice: $0.rootDevice,
        lostWrites: nil, fileSystem: nil)
    }
      + outcome.shutdowns.map {
        Part(
          outcome: $0.outcome.rawValue, stage: .shutdown, finding: $0.finding, rootDevice: nil,
          lostWrites: $0.lostWrites, fileSystem: $0.fileSystem)
      }
  }

  var description: String {
    let ends = outcomes.map { outcome in
      outcome.map { part in
        [
          part.outcome, part.stage?.rawValue, part.finding, part.rootDevice,
          part.lostWrites.map { "lost \($0)" }, part.fileSystem?.rawValue,
        ].compactMap { $0 }.joined(separator: " ")
      }.joined(separator: ", ")
    }
    return "\(verdict.rawValue): " + ends.sorted().joined(separator: " | ")
  }
}

extension Report {
  /// All that is in it as text, for comparing: what has no order is sorted.
  var everything: [String] {
    var lines = ["\(title) \(sources) \(verdict) \(states) \(complete) \(notLookedAt) \(alike)"]
    for outcome in outcomes {
      lines.append("\(outcome.witness) \(outcome.share)")
      for boot in outcome.boots {
        var plain = boot
        plain.disks = [:]
        plain.otherDisks = []
        let names = ([boot.disks] + boot.otherDisks).map { $0.sorted { $0.key < $1.key } }
        lines.append("\(plain) \(names)")
      }
      lines += outcome.shutdowns.map { "\($0)" } + outcome.timeline.map { "\($0)" }
    }
    for fix in fixes { lines.append("\(fix)") }
    return lines
  }
}
