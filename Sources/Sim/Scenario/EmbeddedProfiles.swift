/// The distribution profiles inside the program, so that a copy of it anywhere has them.
///
/// Their texts are in `EmbeddedProfiles+Texts.swift`, made from `Scenarios/profiles/*.json`; a test says when
/// it is out of date.
public enum EmbeddedProfiles {
  /// Their names, sorted.
  public static var names: [String] { texts.keys.sorted() }

  /// The text of a profile; `nil` when there is none of that name.
  public static func text(_ name: String) -> String? { texts[name] }

  /// The profile of a name, as a document.
  public static func document(_ name: String) throws(ScenarioResources.Failure) -> ScenarioResources.Document
  {
    guard let text = texts[name] else {
      throw ScenarioResources.Failure("there is no such profile", hint: Spelling.hint(name, among: names))
    }
    return ScenarioResources.Document(Array(text.utf8), file: "profiles/\(name).json")
  }

  /// The source file that holds these texts.
  static func source(of texts: [(name: String, text: String)]) -> String {
    var out = """
      // Made from Scenarios/profiles/*.json. To make it anew:
      //   UPDATE_PROFILES=1 swift test --filter EmbeddedProfilesTests
      // swift-format-ignore-file
      extension EmbeddedProfiles {
        static let texts: [String: String] = [

      """
    for (name, text) in texts.sorted(by: { $0.name < $1.name }) {
      // As many marks as no line of the text has after its quotes.
      var marks = "#"
      while text.contains("\"\"\"" + marks) || text.contains("\\" + marks) { marks += "#" }
      out += "    \(JSONValue(.string(name)).text()): \(marks)\"\"\"\n\(text)\n\"\"\"\(marks),\n"
    }
    return out + (texts.isEmpty ? "    :\n" : "") + "  ]\n}\n"
  }
}
