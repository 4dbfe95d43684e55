import Foundation
import Testing

@testable import Sim

/// The suite as a whole: every row of the documents is shown, and `Scenarios/README.md` says by what.
@Suite struct SuitePageTests {
  @Test("every row is shown failing, and cured where it has a cure; contrast rows are shown booting")
  func everyRowIsShown() throws {
    let shown = try SuiteRows.shown()
    var missing: [String] = []
    for row in DocumentRow.all {
      let purposes = shown.filter { $0.sources.contains(row.name) }.compactMap(\.purpose)
      let wanted: [SuiteRows.Purpose] =
        row.shows == .contrast ? [.boots] : [.fails, .cured]
      for purpose in wanted where !purposes.contains(purpose) {
        missing.append("\(row.name) .\(purpose.rawValue).json")
      }
    }
    #expect(missing == [], "rows without a scenario")
  }

  @Test("a scenario of the documents is named after the row that it names first, and for what it shows")
  func aScenarioIsNamedAfterItsRow() throws {
    let rows = DocumentRow.all
    #expect(Set(rows.map(\.name)).count == rows.count, "each row is there once")
    for scenario in try SuiteRows.shown() {
      let path = scenario.entry.name
      let name = try #require(path.split(separator: "/").last)
      let source = scenario.sources.first
      let first = try #require(source, "\(name) names no row")
      #expect(rows.contains { $0.name == first }, "\(name): there is no row \(first)")
      #expect(name.hasPrefix(first.lowercased() + "-"), "\(name) names \(first) first")
      let known = scenario.purpose
      let purpose = try #require(known, "\(name) ends in none of .fails.json, .cured.json, .boots.json")
      let wanted = try scenario.entry.scenario().expect
      let expectation = try #require(wanted, "\(name) expects nothing")
      if purpose == .fails {
        #expect(expectation.finding != nil || expectation.verdict == .boots, "\(name) expects no finding")
      } else {
        #expect(expectation.verdict == .boots, "\(name) is to boot")
      }
    }
  }

  @Test("Scenarios/README.md is current") func thePageIsCurrent() throws {
    let wanted = try Self.page()
    let file = SuiteFolder.root.appendingPathComponent("README.md")
    if ProcessInfo.processInfo.environment["UPDATE_SUITE_PAGE"] != nil {
      try wanted.write(to: file, atomically: true, encoding: .utf8)
    }
    let found = try? String(contentsOf: file, encoding: .utf8)
    #expect(found == wanted, "UPDATE_SUITE_PAGE=1 swift test --filter SuitePageTests makes it anew")
  }

  private static func page() throws -> String {
    let shown = try SuiteRows.shown()
    var page = """
      # The regression suite

      Two documents tell how to boot Linux from an iSCSI disk, and what goes wrong on the way: A is Intel's *Linux
      Installation on Intel iSCSI Remote Boot*, B the etherboot.org howto *sanboot/ubuntu_iscsi*. Each row is a behaviour
      that one of them tells of, with its lines. A scenario that fails shows it; the cured one of the same name differs by
      the document's own edit and nothing else, and fails again, with the same finding, when any part of that edit is taken
      back. `modern/` holds scenarios that were booted for real, `profiles/` the systems that scenarios start from.

      `bootsim test Scenarios` holds what each expects; `bootsim run FILE` tells its story; `bootsim explain FINDING` says
      what a finding means and how to recognise it.

      This page is made from the documents' rows (`DocumentRow`) and the scenarios: `UPDATE_SUITE_PAGE=1 swift test --filter SuitePageTests`.

      | row | what happens | scenarios | ends in |
      |---|---|---|---|

      """
    for row in DocumentRow.all {
      let scenarios = shown.filter { $0.sources.contains(row.name) }.sorted {
        ($0.sources.first != row.name ? 1 : 0, $0.entry.name) < (
          $1.sources.first != row.name ? 1 : 0, $1.entry.name
        )
      }
      let links = scenarios.map { "[\(label($0))](\($0.entry.name))" }
      let ends = try scenarios.map(end)
      page += "| \(row.name) | \(row.title) (\(row.lines)) | \(links.joined(separator: "<br>"))"
      page += " | \(ends.joined(separator: "<br>")) |\n"
    }
    return page
  }

  private static func label(_ scenario: SuiteRows.Shown) -> String {
    let name = scenario.entry.name.split(separator: "/").last ?? ""
    return String(name.dropLast(".json".count))
  }

  /// What the scenario expects, which `SuiteTests` holds against the simulation.
  private static func end(_ scenario: SuiteRows.Shown) throws -> String {
    guard let expectation = try scenario.entry.scenario().expect else { return "-" }
    let place = [expectation.stage?.rawValue, expectation.finding].compactMap { $0 }.joined(separator: ": ")
    return expectation.verdict.rawValue + (place.isEmpty ? "" : ", \(place)")
  }
}
