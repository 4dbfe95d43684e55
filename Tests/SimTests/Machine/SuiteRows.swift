import Testing

@testable import Sim

/// Which scenarios show the rows of the two documents.
enum SuiteRows {
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
