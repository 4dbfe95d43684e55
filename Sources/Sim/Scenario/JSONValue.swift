/// A place in a text: file, line and column, each counted from 1, columns in UTF-8 bytes as compilers do.
public struct SourcePlace: Sendable, Hashable {
  /// The file as it was named to the program.
  public var file: String
  /// The line, from 1; 0 when the value was made by the program and stands in no file.
  public var line: Int
  /// The column, from 1.
  public var column: Int

  /// A place in a file.
  public init(file: String, line: Int, column: Int) {
    self.file = file
    self.line = line
    self.column = column
  }

  /// The place of a value that stands in no file.
  public static let none = SourcePlace(file: "", line: 0, column: 0)
}

/// A JSON value that knows where it was written.
///
/// Scenarios and profiles are merged and varied as documents before they are decoded, so that a problem found
/// then still points to the line that a person wrote, in whichever file it is. Numbers stay text: nothing is
/// lost to a floating-point number on the way, and what does not fit is reported by the one who knows the
/// field.
public struct JSONValue: Sendable {
  /// What a value is.
  public enum Kind: Sendable {
    case null
    case bool(Bool)
    /// The number as written, valid by RFC 8259.
    case number(String)
    case string(String)
    case array([JSONValue])
    /// Members in the order of the text; the parser refuses a name that comes twice.
    case object([Member])
  }

  /// A name and its value in an object.
  public struct Member: Sendable {
    /// The name, unescaped.
    public var name: String
    /// Where the name stands.
    public var place: SourcePlace
    /// The value.
    public var value: JSONValue

    /// A member at a place, or at none.
    public init(_ name: String, _ value: JSONValue, place: SourcePlace = .none) {
      self.name = name
      self.place = place
      self.value = value
    }
  }

  /// What the value is.
  public var kind: Kind
  /// Where it begins.
  public var place: SourcePlace

  /// A value at a place, or at none.
  public init(_ kind: Kind, place: SourcePlace = .none) {
    self.kind = kind
    self.place = place
  }

  /// The member of an object with a name; `nil` for anything else.
  public subscript(name: String) -> JSONValue? {
    get {
      guard case .object(let members) = kind else { return nil }
      return members.first { $0.name == name }?.value
    }
    set {
      guard case .object(var members) = kind else { return }
      if let index = members.firstIndex(where: { $0.name == name }) {
        if let newValue { members[index].value = newValue } else { members.remove(at: index) }
      } else if let newValue {
        members.append(Member(name, newValue, place: newValue.place))
      }
      kind = .object(members)
    }
  }

  /// The elements of an array; empty for anything else.
  public var elements: [JSONValue] {
    if case .array(let elements) = kind { elements } else { [] }
  }

  /// The members of an object; empty for anything else.
  public var members: [Member] {
    if case .object(let members) = kind { members } else { [] }
  }

  /// The text of a string; `nil` for anything else.
  public var string: String? {
    if case .string(let text) = kind { text } else { nil }
  }

  /// Whether this is `null`.
  public var isNull: Bool {
    if case .null = kind { true } else { false }
  }

  /// What kind of value this is, in words for people: "a string", "an object".
  public var kindName: String {
    switch kind {
    case .null: "null"
    case .bool(let value): value ? "true" : "false"
    case .number: "a number"
    case .string: "a string"
    case .array: "a list"
    case .object: "an object"
    }
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral {
  /// A string that stands in no file.
  public init(stringLiteral value: String) { self.init(.string(value)) }
  /// A truth value that stands in no file.
  public init(booleanLiteral value: Bool) { self.init(.bool(value)) }
  /// A whole number that stands in no file.
  public init(integerLiteral value: Int64) { self.init(.number(String(value))) }
}

extension JSONValue: ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral {
  /// A list that stands in no file.
  public init(arrayLiteral elements: JSONValue...) { self.init(.array(elements)) }
  /// An object that stands in no file, its members in the order given.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self.init(.object(elements.map { Member($0, $1) }))
  }
}

// MARK: - Writing

extension JSONValue {
  /// The value as JSON text (RFC 8259), the same bytes for the same value every time.
  ///
  /// - Parameter indented: Two spaces a level and a member a line; lists and objects without members inside
  ///   that fit into a line of 100 columns stay on one. Otherwise everything is on one line.
  public func text(indented: Bool = false) -> String {
    var out = ""
    write(to: &out, indentation: indented ? 0 : nil)
    return out
  }

  private func write(to out: inout String, indentation: Int?) {
    switch kind {
    case .null: out += "null"
    case .bool(let value): out += value ? "true" : "false"
    case .number(let text): out += text
    case .string(let text): Self.write(text, to: &out)
    case .array(let elements):
      Self.write(
        "[", "]", elements, fitsOneLine: isFlat, to: &out, indentation: indentation
      ) { element, out, indentation in
        element.write(to: &out, indentation: indentation)
      }
    case .object(let members):
      Self.write(
        "{", "}", members, fitsOneLine: isFlat, to: &out, indentation: indentation
      ) { member, out, indentation in
        Self.write(member.name, to: &out)
        out += indentation == nil ? ":" : ": "
        member.value.write(to: &out, indentation: indentation)
      }
    }
  }

  /// No list or object inside, and short enough for a line.
  private var isFlat: Bool {
    let values: [JSONValue] = elements.isEmpty ? members.map(\.value) : elements
    for value in values {
      switch value.kind {
      case .array(let inner) where !inner.isEmpty: return false
      case .object(let inner) where !inner.isEmpty: return false
      default: continue
      }
    }
    return text().utf8.count + 2 * values.count <= 80
  }

  private static func write<Item>(
    _ open: String, _ close: String, _ items: [Item], fitsOneLine: @autoclosure () -> Bool,
    to out: inout String, indentation: Int?, item: (Item, inout String, Int?) -> Void
  ) {
    out += open
    let onOneLine = indentation == nil || items.isEmpty || fitsOneLine()
    let inner = onOneLine ? indentation : indentation.map { $0 + 1 }
    for (index, value) in items.enumerated() {
      if index > 0 { out += indentation != nil && onOneLine ? ", " : "," }
      if !onOneLine, let inner {
        out += "\n"
        out += String(repeating: "  ", count: inner)
      } else if onOneLine, indentation != nil, index == 0 {
        out += open == "{" ? " " : ""
      }
      item(value, &out, inner)
    }
    if !onOneLine, let indentation {
      out += "\n"
      out += String(repeating: "  ", count: indentation)
    } else if indentation != nil, !items.isEmpty, open == "{" {
      out += " "
    }
    out += close
  }

  private static func write(_ text: String, to out: inout String) {
    out += "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\r": out += "\\r"
      case "\t": out += "\\t"
      case "\u{0}"..<"\u{20}", "\u{7F}", "\u{2028}", "\u{2029}":
        let digits = String(scalar.value, radix: 16)
        out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: out.unicodeScalars.append(scalar)
      }
    }
    out += "\""
  }
}
