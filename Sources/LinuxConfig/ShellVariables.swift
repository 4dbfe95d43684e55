/// A file of shell assignments that scripts source: `/etc/default/*`, `/etc/sysconfig/*`, `initramfs.conf`.
///
/// The file is interpreted, so that `HALTARGS="$HALTARGS -i"` and `if … fi` around an assignment mean what they mean to
/// the shell. A value that depends on something outside the file is not known.
public struct ShellVariables: ConfigurationFile, Hashable {
  /// The last value given to a variable.
  public struct Variable: Sendable, Hashable {
    /// The value; not always known.
    public var value: ShellValue
    /// The line of the last assignment in the file, counted from 1.
    public var line: Int
  }

  /// The variables the file sets, by name.
  public var variables: [String: Variable]

  /// Makes a set of variables.
  public init(variables: [String: Variable] = [:]) { self.variables = variables }

  /// The value of a variable; `nil` when the file does not set it or its value is not known.
  public subscript(name: String) -> String? { variables[name]?.value.known }

  /// Whether a variable is set to something that scripts take as yes: `yes`, `true`, `on`, `1` or `y`, in any case.
  public func isYes(_ name: String) -> Bool {
    guard let value = self[name]?.lowercased() else { return false }
    return ["yes", "true", "on", "1", "y"].contains(value)
  }

  /// Reads a file.
  public static func parse(_ text: String, file: String) -> Parsed<ShellVariables> {
    let parsed = ShellScript.parse(text, file: file)
    var problems = parsed.problems
    var shell = ShellInterpreter(tree: MemoryFileTree(), delegate: IgnorantShellDelegate())
    let run = shell.run(parsed, file: file)
    for command in run.commands {
      let near = command.name.map { "\($0.quoted) is not an assignment" } ?? "this is not an assignment"
      problems.append(
        Problem(
          .warning, file: file, line: command.line, message: near,
          hint: "a shell that sources this file runs it as a command; there must be no blanks around '='"))
    }
    for note in run.notLookedAt where note.reason != .unreadable {
      problems.append(
        Problem(
          .warning, file: file, line: note.line,
          message: "not followed (\(note.reason.rawValue)): \(note.text)"))
    }
    var lines: [String: Int] = [:]
    Self.collect(parsed.value.commands, into: &lines)
    var variables: [String: Variable] = [:]
    for (name, line) in lines {
      if let value = run.variables[name] { variables[name] = Variable(value: value, line: line) }
    }
    return Parsed(ShellVariables(variables: variables), problems: problems.sorted { $0.line < $1.line })
  }

  private static func collect(_ commands: [ShellCommand], into lines: inout [String: Int]) {
    for command in commands {
      switch command.kind {
      case .simple(let assignments, let words):
        if words.isEmpty {
          for assignment in assignments { lines[assignment.name] = assignment.line }
        } else if ["export", "readonly", "declare", "typeset"].contains(words[0].bare ?? "") {
          for word in words.dropFirst() {
            if case .text(let text, _)? = word.parts.first, let (name, _) = text.split(at: 0x3D) {
              lines[name] = word.line
            }
          }
        }
        for word in words + assignments.map(\.value) { collect(word, into: &lines) }
      case .andOr(let first, let rest): collect([first] + rest.map(\.command), into: &lines)
      case .pipeline(let inner, _): if inner.count == 1 { collect(inner, into: &lines) }
      case .group(let body): collect(body, into: &lines)
      case .conditional(let branches, let otherwise):
        for branch in branches { collect(branch.condition + branch.body, into: &lines) }
        collect(otherwise ?? [], into: &lines)
      case .choice(_, let arms): for arm in arms { collect(arm.body, into: &lines) }
      case .forEach(let name, _, let body):
        lines[name] = command.line
        collect(body, into: &lines)
      case .loop(let condition, let body, _): collect(condition + body, into: &lines)
      case .background, .subshell, .function, .unreadable: break
      }
    }
  }

  /// `: ${NAME:=value}` assigns too.
  private static func collect(_ word: ShellWord, into lines: inout [String: Int]) {
    for part in word.parts {
      if case .parameter(let parameter, _) = part, case .orAssign = parameter.operation {
        lines[parameter.name] = word.line
      }
    }
  }

  /// These variables with another file's over them, as when a shell sources one after the other.
  public func merging(_ later: ShellVariables) -> ShellVariables {
    ShellVariables(variables: variables.merging(later.variables) { $1 })
  }
}
