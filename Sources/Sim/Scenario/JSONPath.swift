/// A path to a place in a scenario document, as problems name them and axes give them:
/// `machine.usb[0].attached`, `machine.usb[usb0].attached`, `targets[0].luns[lun=1].writeCache`,
/// `system.files['/etc/default/halt']`.
///
/// A number in brackets is an index from 0; anything else there is the name of a thing in its list.
public struct JSONPath: Sendable, Hashable, CustomStringConvertible {
  enum Part: Sendable, Hashable {
    case member(String)
    case index(Int)
    /// The thing whose identity (`name`, `lun`, `number`) is this; the key may be left to the format.
    case named(key: String?, String)
  }

  let parts: [Part]
  /// The path as it was written.
  public let description: String

  /// What is wrong with a path or with a place that it should lead to.
  struct Failure: Error {
    var message: String
    var hint: String?
  }

  /// Reads a path.
  init(_ text: String) throws(Failure) {
    var parts: [Part] = []
    var rest = text[...]
    while !rest.isEmpty {
      if rest.first == "[" {
        parts.append(try Self.bracket(&rest, in: text))
      } else {
        if !parts.isEmpty {
          guard rest.first == "." else { throw Self.malformed(text, "expected '.' or '['", before: rest) }
          rest = rest.dropFirst()
        }
        let name = rest.prefix { $0 != "." && $0 != "[" }
        guard !name.isEmpty else { throw Self.malformed(text, "expected a name", before: rest) }
        parts.append(.member(String(name)))
        rest = rest.dropFirst(name.count)
      }
    }
    guard !parts.isEmpty else { throw Failure(message: "the path is empty", hint: nil) }
    guard parts.count <= JSONParser.depthLimit else {
      throw Failure(message: "the path is too long", hint: nil)
    }
    self.parts = parts
    description = text
  }

  private static func malformed(_ text: String, _ what: String, before rest: Substring) -> Failure {
    let place = rest.isEmpty ? "at its end" : "before \"\(JSONParser.shortened(String(rest), to: 20))\""
    return Failure(
      message: "\"\(JSONParser.shortened(text))\" is no path: \(what) \(place)",
      hint: "as machine.usb[usb0].attached or system.files['/etc/default/halt']")
  }

  private static func bracket(_ rest: inout Substring, in text: String) throws(Failure) -> Part {
    rest = rest.dropFirst()
    if let quote = rest.first, quote == "'" || quote == "\"" {
      let inside = rest.dropFirst().prefix { $0 != quote }
      rest = rest.dropFirst(inside.count + 1)
      guard rest.first == quote, rest.dropFirst().first == "]" else {
        throw malformed(text, "expected \(quote)]", before: rest)
      }
      rest = rest.dropFirst(2)
      return .member(String(inside))
    }
    let inside = rest.prefix { $0 != "]" }
    rest = rest.dropFirst(inside.count)
    guard rest.first == "]", !inside.isEmpty else {
      throw malformed(text, "expected an index and ']'", before: rest)
    }
    rest = rest.dropFirst()
    if inside.allSatisfy({ $0.isASCII && $0.isNumber }) {
      guard let index = Int(inside) else { throw Failure(message: "[\(inside)] is too large", hint: nil) }
      return .index(index)
    }
    if let equals = inside.firstIndex(of: "=") {
      return .named(key: String(inside[..<equals]), String(inside[inside.index(after: equals)...]))
    }
    return .named(key: nil, String(inside))
  }
}

extension JSONValue {
  /// The value at a path; fails where the path leads nowhere.
  func value(at path: JSONPath, shape: Shape?) throws(JSONPath.Failure) -> JSONValue {
    var here = self
    var shape = shape
    for part in path.parts {
      switch part {
      case .member(let name):
        guard let next = here[name] else { throw here.noMember(name, shape) }
        here = next
        shape = shape?.member(name)
      case .index, .named:
        here = here.elements[try here.index(part, shape)]
        shape = shape?.element
      }
    }
    return here
  }

  /// Changes the value at a path. What lies on the way is made when it is not there, as far as it is objects.
  mutating func update(
    at path: JSONPath, shape: Shape?, _ change: (JSONValue?) throws(JSONPath.Failure) -> JSONValue
  ) throws(JSONPath.Failure) {
    self = try updated(path.parts[...], shape, change)
  }

  private func updated(
    _ parts: ArraySlice<JSONPath.Part>, _ shape: Shape?,
    _ change: (JSONValue?) throws(JSONPath.Failure) -> JSONValue
  ) throws(JSONPath.Failure) -> JSONValue {
    guard let part = parts.first else { return try change(self) }
    var result = self
    switch part {
    case .member(let name):
      if case .object(let object)? = shape, object.field(name) == nil { throw noMember(name, shape) }
      guard case .object = kind else { throw noMember(name, shape) }
      if let inner = self[name], !inner.isNull || parts.count == 1 {
        result[name] = try inner.updated(parts.dropFirst(), shape?.member(name), change)
      } else if parts.count == 1 {
        result[name] = try change(nil)
      } else {
        let empty = JSONValue(.object([]), place: place)
        result[name] = try empty.updated(parts.dropFirst(), shape?.member(name), change)
      }
    case .index, .named:
      let index = try index(part, shape)
      guard case .array(var elements) = kind else { throw JSONPath.Failure(message: "no list", hint: nil) }
      elements[index] = try elements[index].updated(parts.dropFirst(), shape?.element, change)
      result.kind = .array(elements)
    }
    return result
  }

  private func noMember(_ name: String, _ shape: Shape?) -> JSONPath.Failure {
    guard case .object(let members) = kind else {
      return JSONPath.Failure(message: "the path looks for \"\(name)\" in \(kindName)", hint: nil)
    }
    var known = members.map(\.name)
    if case .object(let object)? = shape {
      known = object.fields.map(\.name)
      if known.contains(name) {
        return JSONPath.Failure(message: "the path leads to \"\(name)\", which is not given here", hint: nil)
      }
    }
    return JSONPath.Failure(
      message: "the path leads nowhere: there is no \"\(name)\"", hint: Spelling.hint(name, among: known))
  }

  private func index(_ part: JSONPath.Part, _ shape: Shape?) throws(JSONPath.Failure) -> Int {
    guard case .array(let elements) = kind else {
      throw JSONPath.Failure(message: "the path looks for an element in \(kindName)", hint: nil)
    }
    switch part {
    case .index(let index):
      guard index < elements.count else {
        throw JSONPath.Failure(
          message: "the path leads nowhere: there is no [\(index)]",
          hint: "the list has \(elements.count) elements, counted from 0")
      }
      return index
    case .named(let key, let name):
      let identity = key ?? shape?.identity ?? "name"
      let names = elements.map { element in element[identity].map { $0.string ?? $0.text() } ?? "" }
      if let index = names.firstIndex(of: name) { return index }
      throw JSONPath.Failure(
        message: "the path leads nowhere: nothing in the list has the \(identity) \"\(name)\"",
        hint: Spelling.hint(name, among: names.filter { !$0.isEmpty }))
    case .member:
      throw JSONPath.Failure(message: "the path looks for an element by a member", hint: nil)
    }
  }
}
