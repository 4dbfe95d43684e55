import Foundation
import Testing

@testable import Sim

/// The rows of the two documents, from `Scenarios/rows.jsonc`, and which scenarios show them.
enum SuiteRows {
  /// One behaviour that the documents tell of.
  struct Row {
    /// "S-17".
    var name: String
    var title: String
    /// "A L146-150": A is Intel's page, B the etherboot.org howto.
    var lines: String
    /// A contrast row: it shows what does not fail.
    var isContrast: Bool
    var hasCure: Bool
  }

  static let file = SuiteFolder.root.appendingPathComponent("rows.jsonc")

  static func table() throws -> [Row] {
    let parsed = JSONParser.parse(Array(try Data(contentsOf: file)), file: "rows.jsonc")
    try #require(parsed.problems.isEmpty, "\(parsed.problems.map(\.description))")
    let document = try #require(parsed.value)
    func text(_ value: JSONValue, _ name: String) throws -> String {
      try #require(value[name]?.string, "rows.jsonc:\(value.place.line): \(name)")
    }
    return try #require(document["rows"]).elements.map { row in
      let shows = try text(row, "shows")
      try #require(["failure", "cure", "contrast"].contains(shows), "rows.jsonc:\(row.place.line): \(shows)")
      return Row(
        name: try text(row, "row"), title: try text(row, "title"), lines: try text(row, "lines"),
        isContrast: shows == "contrast", hasCure: shows == "cure")
    }
  }

  /// What a scenario of a row is for, by the end of its file's name.
  enum Purpose: String, CaseIterable { case fails, cured, boots }

  /// A scenario of the two documents' folders.
  struct Shown {
    var entry: SuiteFolder.Entry
    /// The rows that it names.
    var sources: [String]
    var purpose: Purpose?

    /// "intel-iscsi-remote-boot/s-17-network-script".
    var slug: String {
      let folder = entry.name.prefix { $0 != "/" }
      return "\(folder)/\(entry.name.dropFirst(folder.count + 1).prefix { $0 != "." })"
    }
  }

  static let folders = ["intel-iscsi-remote-boot", "ubuntu-sanboot"]

  /// The scenarios of both folders, in the order of their names.
  static func shown() throws -> [Shown] {
    try SuiteFolder.entries.filter { entry in folders.contains { entry.name.hasPrefix($0 + "/") } }.map {
      entry in
      let document = try entry.document()
      let source = document["source"]
      let sources = source?.string.map { [$0] } ?? source?.elements.compactMap(\.string) ?? []
      return Shown(
        entry: entry, sources: sources,
        purpose: Purpose.allCases.first { entry.name.hasSuffix(".\($0.rawValue).json") })
    }
  }

  /// Pairs of a cured scenario and the failing one of its slug.
  static func pairs() throws -> [(failing: Shown, cured: Shown)] {
    let all = try shown()
    return all.filter { $0.purpose == .cured }.compactMap { cured in
      all.first { $0.purpose == .fails && $0.slug == cured.slug }.map { ($0, cured) }
    }
  }
}
