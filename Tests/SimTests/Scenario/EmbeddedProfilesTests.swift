import Foundation
import Testing

@testable import Sim

@Suite struct EmbeddedProfilesTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
  private static let folder = root.appendingPathComponent("Scenarios/profiles")
  private static let source = root.appendingPathComponent("Sources/Sim/Scenario/EmbeddedProfiles+Texts.swift")

  private static func profiles() throws -> [(name: String, text: String)] {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return try files.filter { $0.hasSuffix(".json") }.sorted().map { file in
      (String(file.dropLast(5)), try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8))
    }
  }

  @Test("the profiles inside the program are those of the folder") func theProfilesInsideTheProgramAreThose()
    throws
  {
    let wanted = EmbeddedProfiles.source(of: try Self.profiles())
    if ProcessInfo.processInfo.environment["UPDATE_PROFILES"] != nil {
      try wanted.write(to: Self.source, atomically: true, encoding: .utf8)
    }
    let found = try String(contentsOf: Self.source, encoding: .utf8)
    #expect(found == wanted, "UPDATE_PROFILES=1 swift test --filter EmbeddedProfilesTests makes it anew")
  }

  @Test("each profile alone makes a scenario") func eachProfileAloneMakesAScenario() {
    for name in EmbeddedProfiles.names {
      let text = "{\"version\": 1, \"title\": \"t\", \"profile\": \"\(name)\"}"
      let loaded = ScenarioDecoder().load(Array(text.utf8), file: "t.json")
      #expect(loaded.problems.map(\.description) == [], "\(name)")
    }
  }

  @Test("a text with quotes, backslashes and marks survives being put into a source file")
  func aTextWithQuotesBackslashesAndMarks() {
    let source = EmbeddedProfiles.source(of: [("a", "x \"\"\"# \\#(y) \\n"), ("b", "plain")])
    #expect(source.contains("\"a\": ##\"\"\"\nx \"\"\"# \\#(y) \\n\n\"\"\"##,"))
    #expect(source.contains("\"b\": #\"\"\"\nplain\n\"\"\"#,"))
  }
}
