/// Something in a file that a person should look at: what it is, where it is, and what would be right.
///
/// Parsers in this library never fail as a whole. They return everything they understood together with
/// every problem they met, so that one run shows all of them.
public struct Problem: Sendable, Hashable {
  /// How much a problem matters.
  public enum Severity: String, Sendable, Hashable, Comparable {
    /// The file still means something definite, though perhaps not what its author meant.
    case warning
    /// The program that reads this file would refuse it, or would read something else than is written.
    case error

    /// A warning is less than an error.
    public static func < (left: Severity, right: Severity) -> Bool {
      left == .warning && right == .error
    }
  }

  /// How much it matters.
  public var severity: Severity
  /// The path of the file, as it was given to the parser.
  public var file: String
  /// The line, counted from 1; 0 when the problem belongs to the file as a whole.
  public var line: Int
  /// The column, counted from 1 in UTF-8 bytes as compilers do; `nil` when the whole line is meant.
  public var column: Int?
  /// What is wrong, with the offending text quoted.
  public var message: String
  /// What would be right, where that is known.
  public var hint: String?

  /// Makes a problem at a place in a file.
  public init(
    _ severity: Severity, file: String, line: Int, column: Int? = nil, message: String, hint: String? = nil
  ) {
    self.severity = severity
    self.file = file
    self.line = line
    self.column = column
    self.message = message
    self.hint = hint
  }
}

extension Problem: CustomStringConvertible {
  /// `file:line:column: error: message`, the form that editors and build logs can jump from; the hint, when there
  /// is one, on a second line.
  public var description: String {
    var text = file
    if line > 0 { text += ":\(line)" }
    if line > 0, let column { text += ":\(column)" }
    text += ": \(severity.rawValue): \(message)"
    if let hint { text += "\n  hint: \(hint)" }
    return text
  }
}

/// What a parser made of a text: a value, always, and the problems it met on the way, in the order of the text.
public struct Parsed<Value> {
  /// What was understood.
  public var value: Value
  /// What was not, or what is likely to be a mistake.
  public var problems: [Problem]

  /// Pairs a value with the problems found while reading it.
  public init(_ value: Value, problems: [Problem] = []) {
    self.value = value
    self.problems = problems
  }

  /// Whether any problem is an error, that is, whether the program that reads the file would refuse some of it.
  public var hasErrors: Bool { problems.contains { $0.severity == .error } }

  /// The same problems with another value made from this one.
  public func map<Other>(_ transform: (Value) throws -> Other) rethrows -> Parsed<Other> {
    Parsed<Other>(try transform(value), problems: problems)
  }
}

extension Parsed: Sendable where Value: Sendable {}
extension Parsed: Equatable where Value: Equatable {}

/// A format of configuration file that can be read on its own.
public protocol ConfigurationFile: Sendable {
  /// Reads a text. Never fails: what was not understood is among the problems.
  ///
  /// - Parameters:
  ///   - text: The whole content of the file.
  ///   - file: The path to name in problems; it is not opened.
  static func parse(_ text: String, file: String) -> Parsed<Self>
}

extension ConfigurationFile {
  /// Reads a file of a tree, following links; `nil` when there is no such file.
  public static func load(_ path: String, from tree: some FileTree) -> Parsed<Self>? {
    guard let text = tree.text(path) else { return nil }
    return parse(text, file: path)
  }
}
