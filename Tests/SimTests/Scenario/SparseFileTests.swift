import LinuxConfig
import Testing

@testable import Sim

/// Files of which a scenario has some lines, by their numbers.
@Suite struct SparseFileTests {
  private static func load(_ entry: String) -> Parsed<LoadedScenario?> {
    let text = "{\"version\": 1, \"title\": \"t\", \"system\": {\"files\": {\"/f\":\n\(entry)}}}"
    return ScenarioDecoder().load(Array(text.utf8), file: "s.json")
  }

  @Test("lines stand at their numbers; what is between is empty") func linesStandAtTheirNumbers() throws {
    let loaded = Self.load("{\"lines\": {\"6\": [\"f\"], \"1\": [\"a\", \"\"], \"4\": [\"d\"]}}")
    #expect(loaded.problems.map(\.description) == [])
    #expect(try #require(loaded.value).scenario.files.text("/f") == "a\n\n\nd\n\nf\n")
  }

  @Test("a file without lines is empty") func aFileWithoutLinesIsEmpty() throws {
    #expect(try #require(Self.load("{\"lines\": {}}").value).scenario.files.text("/f") == "")
  }

  @Test("a story writes such a file, too") func aStoryWritesSuchAFile() throws {
    let text = """
      {"version": 1, "title": "t", "story": ["boot", {"write": {"/f": {"lines": {"3": ["x"]}}}}]}
      """
    let loaded = ScenarioDecoder().load(Array(text.utf8), file: "s.json")
    #expect(loaded.problems.map(\.description) == [])
    #expect(try #require(loaded.value).scenario.story.last == .write(path: "/f", text: "\n\nx\n"))
  }

  @Test(
    "what cannot be is refused, with its place",
    arguments: [
      (
        "{\"lines\": {\"1\": [\"a\", \"b\"],\n\"2\": [\"c\"]}}",
        "s.json:3:6: error: system.files['/f'].lines['2']: line 2 comes twice: \"1\" has lines up to 2"
      ),
      (
        "{\"lines\": {\"0\": [\"a\"]}}",
        "s.json:2:12: error: system.files['/f'].lines: \"0\" is no line number from 1 to 100000"
      ),
      (
        "{\"lines\": {\"+3\": [\"a\"]}}",
        "s.json:2:12: error: system.files['/f'].lines: \"+3\" is no line number from 1 to 100000"
      ),
      (
        "{\"lines\": {\"99999999999999999999\": [\"a\"]}}",
        "s.json:2:12: error: system.files['/f'].lines: \"99999999999999999999\" is no line number from 1 to 100000"
      ),
      (
        "{\"lines\": {\"100000\": [\"a\", \"b\"]}}",
        "s.json:2:22: error: system.files['/f'].lines['100000']: the file has more than 100000 lines"
      ),
      (
        "{\"lines\": {\"1\": \"a\"}}",
        "s.json:2:17: error: system.files['/f'].lines['1']: expected a list, found a string"
      ),
      (
        "{\"lines\": {\"1\": [\"a\\nb\"]}}",
        "s.json:2:17: error: system.files['/f'].lines['1'][0]: a line with a line break in it\n  hint: one entry is one line"
      ),
      (
        "{\"lines\": {}, \"link\": \"x\"}",
        "s.json:2:15: error: system.files['/f']: unknown key \"link\"\n  hint: did you mean \"lines\"?"
      ),
    ])
  func whatCannotBeIsRefused(_ entry: String, _ problem: String) {
    let loaded = Self.load(entry)
    #expect(loaded.value == nil)
    #expect(loaded.problems.map(\.description) == [problem])
  }
}
