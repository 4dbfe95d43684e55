import LinuxConfig

/// Collects the problems of one document.
final class ProblemList {
  private(set) var problems: [Problem] = []

  /// Reports an error at a value.
  func report(_ message: String, at place: SourcePlace, path: String, hint: String? = nil) {
    add(.error, message, at: place, path: path, hint: hint)
  }

  func add(
    _ severity: Problem.Severity, _ message: String, at place: SourcePlace, path: String, hint: String? = nil
  ) {
    problems.append(
      Problem(
        severity, file: place.file, line: place.line, column: place.line > 0 ? place.column : nil,
        message: path.isEmpty ? message : "\(path): \(message)", hint: hint))
  }

  func append(contentsOf others: [Problem]) { problems.append(contentsOf: others) }
}

/// A value together with where it was written, for what can only be checked once everything is read.
struct Located<Value: Sendable>: Sendable {
  var value: Value
  var place: SourcePlace
  var path: String
}

/// How a value of the scenario format is written: its shape, and how it is read.
///
/// Reading reports what is wrong and returns `nil` then; it never stops at the first mistake.
struct Format<Value: Sendable>: Sendable {
  let shape: @Sendable () -> Shape
  let read: @Sendable (JSONValue, _ path: String, ProblemList) -> Value?

  init(
    _ shape: @escaping @autoclosure @Sendable () -> Shape,
    read: @escaping @Sendable (JSONValue, String, ProblemList) -> Value?
  ) {
    self.shape = shape
    self.read = read
  }

  /// The same format, its value made into another.
  func map<Other: Sendable>(_ transform: @escaping @Sendable (Value) -> Other) -> Format<Other> {
    Format<Other>(self.shape()) { value, path, problems in self.read(value, path, problems).map(transform) }
  }

  /// The same format, its value with its place.
  var located: Format<Located<Value>> {
    Format<Located<Value>>(self.shape()) { value, path, problems in
      self.read(value, path, problems).map { Located(value: $0, place: value.place, path: path) }
    }
  }

  /// This format, or `null` for nothing.
  var orNull: Format<Value?> {
    Format<Value?>(.anyOf([self.shape(), .null])) { value, path, problems in
      value.isNull ? .some(nil) : self.read(value, path, problems).map(Optional.some)
    }
  }

  /// A list of these. Elements that cannot be read are left out, and reported.
  func list(identity: String? = nil, atLeast: Int = 0, atMost: Int? = nil) -> Format<[Value]> {
    Format<[Value]>(.list(self.shape(), identity: identity, atLeast: atLeast, atMost: atMost)) {
      value, path, problems in
      guard case .array(let elements) = value.kind else {
        problems.report("expected a list, found \(value.kindName)", at: value.place, path: path)
        return nil
      }
      if elements.count < atLeast {
        let values = atLeast == 1 ? "1 value" : "\(atLeast) values"
        problems.report("needs at least \(values), has \(elements.count)", at: value.place, path: path)
        return nil
      }
      if let atMost, elements.count > atMost {
        problems.report("takes at most \(atMost) values, has \(elements.count)", at: value.place, path: path)
      }
      if let identity { Self.reportTwins(elements, identity: identity, path: path, problems) }
      return elements.enumerated().compactMap { self.read($1, "\(path)[\($0)]", problems) }
    }
  }

  private static func reportTwins(
    _ elements: [JSONValue], identity: String, path: String, _ problems: ProblemList
  ) {
    var seen: [String: SourcePlace] = [:]
    for (index, element) in elements.enumerated() {
      guard let name = element[identity], !name.isNull else { continue }
      let key = name.string ?? name.text()
      if let first = seen[key] {
        problems.report(
          "\(name.text()) is there twice", at: name.place, path: "\(path)[\(index)].\(identity)",
          hint: "the first is in line \(first.line)")
      } else {
        seen[key] = name.place
      }
    }
  }

  /// An object whose names are free; order as in the document.
  func map(
    pattern: String, name check: @escaping @Sendable (String) -> String?
  ) -> Format<[(name: String, value: Located<Value>)]> {
    Format<[(name: String, value: Located<Value>)]>(.map(pattern: pattern, self.shape())) {
      value, path, problems in
      guard case .object(let members) = value.kind else {
        problems.report("expected an object, found \(value.kindName)", at: value.place, path: path)
        return nil
      }
      return members.compactMap { member in
        let inner = "\(path)['\(member.name)']"
        if let wrong = check(member.name) {
          problems.report("\(JSONValue(.string(member.name)).text()) \(wrong)", at: member.place, path: path)
        }
        return self.located.read(member.value, inner, problems).map { (member.name, $0) }
      }
    }
  }

  /// An object, its fields read by `body`. The body also runs once without a document to learn the shape, so
  /// it reads every field every time, whatever the values are.
  static func object(
    _ name: String, _ summary: String, _ body: @escaping @Sendable (inout ObjectReader) -> Value?
  ) -> Format<Value> {
    Format(
      {
        var reader = ObjectReader(describing: name, summary)
        _ = body(&reader)
        return .object(reader.shape)
      }()
    ) { value, path, problems in
      guard case .object = value.kind else {
        problems.report(
          "expected an object (\(name)), found \(value.kindName)", at: value.place, path: path)
        return nil
      }
      var reader = ObjectReader(value, name, path: path, problems)
      let result = body(&reader)
      reader.reportUnknown()
      return result
    }
  }
}

/// Reads the fields of one object and remembers what fields there are.
struct ObjectReader {
  /// What the fields read so far make of the object.
  private(set) var shape: ObjectShape
  private let object: JSONValue?
  private let problems: ProblemList
  /// The JSON path of the object.
  let path: String
  /// Where the object begins.
  let place: SourcePlace

  init(describing name: String, _ summary: String) {
    shape = ObjectShape(name: name, summary: summary)
    object = nil
    problems = ProblemList()
    path = ""
    place = .none
  }

  init(_ object: JSONValue, _ name: String, path: String, _ problems: ProblemList) {
    shape = ObjectShape(name: name, summary: "")
    self.object = object
    self.problems = problems
    self.path = path
    place = object.place
  }

  /// Reports an error at a place inside this object.
  func report(_ message: String, at place: SourcePlace, path: String, hint: String? = nil) {
    problems.report(message, at: place, path: path, hint: hint)
  }

  /// The path of a field of this object.
  func path(of field: String) -> String { path.isEmpty ? field : "\(path).\(field)" }

  /// The place of a field's value, or of the object when the field is not there.
  func place(of field: String) -> SourcePlace { object?[field]?.place ?? place }

  /// Reports an error of a field, or of the whole object.
  func report(_ message: String, field: String? = nil, hint: String? = nil) {
    problems.report(
      message, at: field.map(place(of:)) ?? place, path: field.map(path(of:)) ?? path, hint: hint)
  }

  /// A field that every document gives, whether a profile is merged into it or not.
  mutating func always<Field>(_ name: String, _ format: Format<Field>, _ summary: String) -> Field? {
    required(name, format, summary, .always)
  }

  /// A field that must be there once the profile is merged in.
  mutating func needed<Field>(_ name: String, _ format: Format<Field>, _ summary: String) -> Field? {
    required(name, format, summary, .merged)
  }

  /// A field that may be left out; `null` is the same as leaving it out, and takes back what a profile gave.
  mutating func optional<Field>(
    _ name: String, _ format: Format<Field>, _ summary: String, fallback: String? = nil
  ) -> Field? {
    note(name, format, summary, .optional, fallback)
    guard let value = object?[name], !value.isNull else { return nil }
    return format.read(value, path(of: name), problems)
  }

  /// A field with a value for when it is left out.
  mutating func value<Field>(
    _ name: String, _ format: Format<Field>, _ summary: String, default value: Field, _ fallback: String
  ) -> Field {
    optional(name, format, summary, fallback: fallback) ?? value
  }

  /// Whether the document gives the field, and not as `null`.
  func has(_ name: String) -> Bool {
    guard let value = object?[name] else { return false }
    return !value.isNull
  }

  /// Exactly one of these fields is given.
  mutating func exactlyOne(of names: [String], example: String) {
    shape.exactlyOne = names
    guard object != nil else { return }
    let given = names.filter(has)
    if given.isEmpty {
      let near = (object?.members ?? []).lazy.compactMap { Spelling.nearest($0.name, among: names) }.first
      if near == nil {
        report("says nothing to do", hint: "one of \(names.joined(separator: ", ")), as \(example)")
      }
    } else if given.count > 1 {
      report("\"\(given[0])\" and \"\(given[1])\" do not go together", hint: "one of them at a time")
    }
  }

  private mutating func required<Field>(
    _ name: String, _ format: Format<Field>, _ summary: String, _ presence: FieldShape.Presence
  ) -> Field? {
    note(name, format, summary, presence, nil)
    guard let object else { return nil }
    guard let value = object[name], !value.isNull else {
      report("\"\(name)\" is missing", hint: summary)
      return nil
    }
    return format.read(value, path(of: name), problems)
  }

  private mutating func note<Field>(
    _ name: String, _ format: Format<Field>, _ summary: String, _ presence: FieldShape.Presence,
    _ fallback: String?
  ) {
    let known = object == nil ? format.shape() : .anything
    shape.fields.append(
      FieldShape(name: name, summary: summary, shape: known, presence: presence, fallback: fallback))
  }

  /// Reports the members that no field was read for, with the nearest name that there is.
  func reportUnknown() {
    let known = shape.fields.map(\.name).filter { $0 != "$schema" }
    for member in object?.members ?? [] where shape.field(member.name) == nil {
      problems.report(
        "unknown key \(JSONValue(.string(member.name)).text())", at: member.place, path: path,
        hint: Spelling.hint(member.name, among: known))
    }
  }
}
