/// The distribution profiles inside the program, so that a copy of it anywhere has them.
public enum EmbeddedProfiles {
  /// Their names, sorted.
  public static var names: [String] { texts.keys.sorted() }

  /// The text of a profile; `nil` when there is none of that name.
  public static func text(_ name: String) -> String? { texts[name] }

  /// The profile of a name, as a document.
  public static func document(_ name: String) throws(ScenarioResources.Failure) -> ScenarioResources.Document {
    guard let text = texts[name] else {
      throw ScenarioResources.Failure("there is no such profile", hint: Spelling.hint(name, among: names))
    }
    return ScenarioResources.Document(Array(text.utf8), file: "profile \(name)")
  }

  static let texts: [String: String] = [:]
}
