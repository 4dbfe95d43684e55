import LinuxConfig
import Sim

extension LabResult {
  /// Reads what ``text`` wrote.
  ///
  /// - Parameter file: The path to name in problems; it is not opened.
  /// - Returns: the result; nil, and what is wrong and where, if anything is.
  public static func parse(_ bytes: [UInt8], file: String) -> Parsed<LabResult?> {
    let parsed = JSONParser.parse(bytes, file: file)
    guard let value = parsed.value, !parsed.hasErrors else { return Parsed(nil, problems: parsed.problems) }
    var reader = ResultReader(file: file)
    let result = reader.result(value)
    return Parsed(reader.problems.isEmpty ? result : nil, problems: reader.problems)
  }
}

/// Reads the members of a result. What is missing or of another kind is reported and replaced, so that all problems
/// are found at once.
private struct ResultReader {
  let file: String
  private(set) var problems: [Problem] = []

  init(file: String) { self.file = file }

  mutating func result(_ value: JSONValue) -> LabResult {
    var result = LabResult(
      scenario: text("scenario", of: value), title: text("title", of: value),
      sources: list("source", of: value).map { plain($0) }, image: text("image", of: value),
      packages: members("packages", of: value).map { ($0.name, plain($0.value)) },
      prediction: prediction(member("prediction", of: value)))
    result.runs = list("runs", of: value).map { run($0) }
    return result
  }

  private mutating func prediction(_ value: JSONValue) -> Prediction {
    Prediction(
      verdict: choice("verdict", of: value, else: .fails),
      courses: list("courses", of: value).map { course in
        Prediction.Course(
          share: number("share", of: course),
          boots: list("boots", of: course).map { boot in
            Prediction.Boot(
              outcome: choice("outcome", of: boot, else: .fails), stage: choice("stage", of: boot),
              finding: optional("finding", of: boot), at: number("at", of: boot),
              rootDevice: optional("rootDevice", of: boot), disks: disks(boot) ?? [:],
              otherDisks: list("otherDisks", of: boot).map { names($0, "otherDisks") })
          },
          shutdowns: list("shutdowns", of: course).map { shutdown in
            Prediction.Shutdown(
              outcome: choice("outcome", of: shutdown, else: .hang),
              finding: optional("finding", of: shutdown),
              at: number("at", of: shutdown), fileSystem: choice("fileSystem", of: shutdown, else: .clean))
          })
      },
      alike: list("alike", of: value).map { group in elements(group, "alike").map { plain($0) } })
  }

  private mutating func run(_ value: JSONValue) -> LabResult.Run {
    LabResult.Run(
      date: text("date", of: value), seconds: number("seconds", of: value),
      seen: Observation(
        boots: list("boots", of: value).map { boot in
          Observation.Boot(
            outcome: choice("outcome", of: boot, else: .fails), stage: choice("stage", of: boot),
            at: number("at", of: boot), rootDevice: optional("rootDevice", of: boot), disks: disks(boot),
            findings: list("findings", of: boot).map { plain($0) }, evidence: console(boot))
        },
        shutdowns: list("shutdowns", of: value).map { shutdown in
          Observation.Shutdown(
            outcome: choice("outcome", of: shutdown, else: .hang), at: number("at", of: shutdown),
            fileSystem: choice("fileSystem", of: shutdown),
            findings: list("findings", of: shutdown).map { plain($0) }, evidence: console(shutdown))
        }))
  }

  private mutating func console(_ value: JSONValue) -> [Transcript.Line] {
    list("console", of: value).compactMap { line in
      let text = plain(line)
      if let read = Transcript.Line(text) { return read }
      report(
        "\"\(text)\" is no line of a transcript", at: line,
        hint: "seconds, who wrote it, text: \"12.34 con  text\"")
      return nil
    }
  }

  // MARK: Members

  private mutating func report(_ message: String, at value: JSONValue, hint: String? = nil) {
    problems.append(
      Problem(
        .error, file: file, line: value.place.line, column: value.place.column, message: message, hint: hint))
  }

  private mutating func member(_ name: String, of value: JSONValue) -> JSONValue {
    if let member = value[name] { return member }
    report(
      "there is no \"\(name)\" in \(value.kindName)", at: value, hint: "`bootsim verify` writes these files")
    return JSONValue(.null, place: value.place)
  }

  private mutating func list(_ name: String, of value: JSONValue) -> [JSONValue] {
    let member = member(name, of: value)
    return value[name] == nil ? [] : elements(member, name)
  }

  private mutating func elements(_ value: JSONValue, _ name: String) -> [JSONValue] {
    if case .array(let elements) = value.kind { return elements }
    report("\"\(name)\" is \(value.kindName), not a list", at: value)
    return []
  }

  private mutating func members(_ name: String, of value: JSONValue) -> [JSONValue.Member] {
    let member = member(name, of: value)
    return value[name] == nil ? [] : members(member, name)
  }

  private mutating func members(_ value: JSONValue, _ name: String) -> [JSONValue.Member] {
    if case .object(let members) = value.kind { return members }
    report("\"\(name)\" is \(value.kindName), not an object", at: value)
    return []
  }

  private mutating func plain(_ value: JSONValue) -> String {
    if let text = value.string { return text }
    report("a string belongs here, not \(value.kindName)", at: value)
    return ""
  }

  private mutating func text(_ name: String, of value: JSONValue) -> String {
    let member = member(name, of: value)
    return value[name] == nil ? "" : plain(member)
  }

  private mutating func optional(_ name: String, of value: JSONValue) -> String? {
    let member = member(name, of: value)
    return member.isNull ? nil : plain(member)
  }

  private mutating func number(_ name: String, of value: JSONValue) -> Double {
    let member = member(name, of: value)
    if case .number(let text) = member.kind, let number = Double(text), number.isFinite { return number }
    if value[name] != nil { report("\"\(name)\" is \(member.kindName), not a number of seconds", at: member) }
    return 0
  }

  private mutating func disks(_ value: JSONValue) -> [String: String]? {
    let disks = member("disks", of: value)
    return disks.isNull ? nil : names(disks, "disks")
  }

  private mutating func names(_ value: JSONValue, _ name: String) -> [String: String] {
    Dictionary(
      members(value, name).map { ($0.name, plain($0.value)) }, uniquingKeysWith: { first, _ in first })
  }

  private mutating func choice<Choice: RawRepresentable & CaseIterable>(
    _ name: String, of value: JSONValue
  ) -> Choice? where Choice.RawValue == String {
    guard let text = optional(name, of: value) else { return nil }
    if let choice = Choice(rawValue: text) { return choice }
    let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
    report("\"\(text)\" is no \(name)", at: value[name] ?? value, hint: "one of \(known)")
    return nil
  }

  private mutating func choice<Choice: RawRepresentable & CaseIterable>(
    _ name: String, of value: JSONValue, else instead: Choice
  ) -> Choice where Choice.RawValue == String {
    if value[name]?.isNull == true { report("\"\(name)\" has no value", at: value[name] ?? value) }
    return choice(name, of: value) ?? instead
  }
}
