import Testing

@testable import Sim

/// The pairs of the suite: a failing scenario and the cured one, which is the document's edit and nothing else.
@Suite struct PairTests {
  /// Two scenarios of one story.
  struct Pair: Sendable, CustomTestStringConvertible {
    var fails: SuiteFolder.Entry
    var cured: SuiteFolder.Entry
    /// Booted for real: such a pair may change more than is needed.
    var isLaboratory = false
    var testDescription: String { cured.name }

    func edit() throws -> SuiteEdit { SuiteEdit(failing: try fails.document(), cured: try cured.document()) }
  }

  /// Pairs that real boots in the laboratory showed; their names are those of the boots.
  private static let laboratory = [
    ("lab-f1-fstab-sda1-stick", "lab-f1-cured"), ("lab-g6b-setup-wrong-map", "lab-g6b-cured"),
    ("lab-h-auto-dhcp", "lab-h-cured"), ("lab-i3-link-150s", "lab-i3-cured"),
    ("lab-l-usb-first", "lab-l-cured"),
  ]

  static let pairs: [Pair] = {
    let rows = (try? SuiteRows.pairs()) ?? []
    let boots = laboratory.compactMap { fails, cured in
      let entries = [fails, cured].compactMap { name in
        SuiteFolder.entries.first { $0.name == "modern/\(name).json" }
      }
      return entries.count == 2 ? Pair(fails: entries[0], cured: entries[1], isLaboratory: true) : nil
    }
    return rows.map { Pair(fails: $0.failing.entry, cured: $0.cured.entry) } + boots
  }()

  /// An edit is in one of these, and only there.
  private static let places: Set<String> = ["profile", "machine", "network", "targets", "system", "story"]

  @Test("each cured scenario has its failing half, and the laboratory's pairs are there")
  func eachCuredScenarioHasItsFailingHalf() throws {
    let failing = try SuiteRows.shown().filter { $0.purpose == .fails }.map(\.slug)
    let lonely = try SuiteRows.shown().filter { $0.purpose == .cured && !failing.contains($0.slug) }
    #expect(lonely.map(\.entry.name) == [], "no scenario SLUG.fails.json has the same slug")
    #expect(Self.pairs.count { $0.isLaboratory } == Self.laboratory.count)
  }

  @Test(
    "a cure is an edit in one place: files, hardware, network, targets, or one stretch of the story",
    arguments: pairs)
  func aCureIsAnEditInOnePlace(_ pair: Pair) throws {
    let edit = try pair.edit()
    #expect(!edit.parts.isEmpty, "both are the same")
    let places = Set(edit.parts.compactMap(\.place.first))
    #expect(places.count == 1 && places.isSubset(of: Self.places), "the edit is \(edit.parts)")
    #expect(edit.storyPlaces <= 1, "the story differs in \(edit.storyPlaces) places: \(edit.parts)")
  }

  @Test("taking back any part of a cure alone makes it fail again, with the same finding", arguments: pairs)
  func takingBackAnyPartOfACure(_ pair: Pair) throws {
    let broken = try Self.failure(of: pair.fails.document(), pair.fails.name)
    // A boot that comes up late fails nothing, unless the pair is about just that.
    let isLate = broken == nil
    let late = try isLate ? Self.failure(of: pair.fails.document(), pair.fails.name, orLate: true) : nil
    let failed = try #require(broken ?? late, "\(pair.fails.name) does not fail")
    #expect(try Self.failure(of: pair.cured.document(), pair.cured.name, orLate: isLate) == nil)
    if pair.isLaboratory { return }
    for part in try pair.edit().parts {
      let again = try Self.failure(of: part.takenBack, pair.cured.name, orLate: isLate)
      #expect(again == failed, "without \(part)")
    }
  }

  /// How a scenario first goes wrong: what becomes of that boot or shutdown, and the finding.
  private struct Failure: Equatable {
    var outcome: String
    var finding: String?
  }

  private static func failure(of document: JSONValue, _ name: String, orLate: Bool = false) throws -> Failure?
  {
    let report = Bootsim.simulate(try SuiteFolder.scenario(of: document, name), options: .bare)
    return report.outcomes.lazy.compactMap { outcome in
      let bad = outcome.boots.first { $0.outcome == .fails || orLate && $0.outcome == .degraded }
      if let bad { return Failure(outcome: bad.outcome.rawValue, finding: bad.finding) }
      return outcome.shutdowns.first { $0.outcome != .clean }.map {
        Failure(outcome: $0.outcome.rawValue, finding: $0.finding)
      }
    }.first
  }
}
