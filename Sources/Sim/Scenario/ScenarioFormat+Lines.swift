extension ScenarioFormat {
  /// No file of a scenario has more lines.
  static let lineLimit = 100_000

  /// The lines of a text, each an entry.
  static let lineList = Format<[String]>(.list(.text(pattern: nil), identity: nil, atLeast: 0, atMost: nil)) {
    value, path, problems in
    guard let lines = anyText.list().read(value, path, problems) else { return nil }
    for (index, line) in lines.enumerated() where line.contains("\n") {
      problems.report(
        "a line with a line break in it", at: value.place, path: "\(path)[\(index)]",
        hint: "one entry is one line")
    }
    return lines
  }

  /// A long file of which only some places matter: its lines by the number of the first, `{"lines": {"169": ["for …"]}}`.
  ///
  /// What is between is left out, and empty in the tree, so that a line has the number that it has in the real file, and an
  /// edit such as `sed -i '169a …'` applies.
  static let sparseText = Format<String>.object(
    "sparse", "Some lines of a long file, by their numbers; those between are left out, and empty."
  ) { object in
    let blocks = object.always(
      "lines", lineList.map(pattern: "^[1-9][0-9]{0,5}$", name: wrongLineNumber),
      "Lines by the number of the first of them, counted from 1.")
    guard let blocks else { return nil }
    var text: [String] = []
    var previous = ""
    for block in blocks.sorted(by: { Int($0.name) ?? 0 < Int($1.name) ?? 0 }) {
      guard wrongLineNumber(block.name) == nil, let start = Int(block.name) else { continue }
      if start <= text.count {
        object.report(
          "line \(start) comes twice: \"\(previous)\" has lines up to \(text.count)",
          at: block.value.place, path: block.value.path)
        continue
      }
      text += [String](repeating: "", count: start - 1 - text.count) + block.value.value
      previous = block.name
      if text.count > lineLimit {
        object.report(
          "the file has more than \(lineLimit) lines", at: block.value.place, path: block.value.path)
        break
      }
    }
    return text.map { $0 + "\n" }.joined()
  }

  private static func wrongLineNumber(_ name: String) -> String? {
    let isNumber = name.utf8.allSatisfy { (0x30...0x39).contains($0) } && name.first != "0"
    return isNumber && Int(name).map { $0 <= lineLimit } == true
      ? nil : "is no line number from 1 to \(lineLimit)"
  }
}
