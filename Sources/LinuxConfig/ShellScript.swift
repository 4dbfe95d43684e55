/// A shell script as its syntax: POSIX `sh`, and what init scripts use of `bash` (`[[ ]]`, `$"…"`, `&>`, `function`).
///
/// Nothing is executed here; see ``ShellInterpreter`` for what a script would do.
public struct ShellScript: ConfigurationFile, Hashable {
  /// The commands of the script in order. A function definition is one of them.
  public var commands: [ShellCommand]
  /// The interpreter named on a first line `#!…`, with its options: `/bin/sh -e`; `nil` when there is none.
  public var interpreter: String?

  /// Makes a script of commands.
  public init(commands: [ShellCommand] = [], interpreter: String? = nil) {
    self.commands = commands
    self.interpreter = interpreter
  }

  /// Reads a script. Where the syntax cannot be read, an error says where and why, the command becomes
  /// ``ShellCommand/Kind/unreadable(_:)`` and reading goes on at the next line.
  public static func parse(_ text: String, file: String) -> Parsed<ShellScript> {
    var parser = ShellParser(Array(text.utf8), file: file)
    let commands = parser.script()
    var script = ShellScript(commands: commands)
    if let first = text.utf8.split(separator: 0x0A, maxSplits: 1).first,
      let rest = String(bytes: first).dropping(prefix: "#!")
    {
      script.interpreter = rest.trimmed
    }
    return Parsed(
      script, problems: SourceText.carriageReturns(in: text, file: file) + parser.problems)
  }
}

/// One command of a script, with the line it starts on.
public struct ShellCommand: Sendable, Hashable {
  /// What the command is.
  public indirect enum Kind: Sendable, Hashable {
    /// Assignments and words: `VAR=x ifdown -a`. Either may be empty, not both.
    case simple(assignments: [ShellAssignment], words: [ShellWord])
    /// `a | b | c`, with `! ` before it when negated. At least one command.
    case pipeline([ShellCommand], negated: Bool)
    /// `a && b || c`: the first command, then each next one with what joins it to all before.
    case andOr(ShellCommand, [ShellJoined])
    /// `a &`.
    case background(ShellCommand)
    /// `{ a; b; }`.
    case group([ShellCommand])
    /// `( a; b )`.
    case subshell([ShellCommand])
    /// `if … then … elif … then … else … fi`: each condition with what it leads to, and the `else` part.
    case conditional([ShellBranch], otherwise: [ShellCommand]?)
    /// `case word in pattern) … ;; esac`.
    case choice(ShellWord, [ShellCaseArm])
    /// `for name in words; do … done`; without `in`, over the positional parameters.
    case forEach(variable: String, words: [ShellWord]?, body: [ShellCommand])
    /// `while … do … done`, or `until`.
    case loop(condition: [ShellCommand], body: [ShellCommand], isUntil: Bool)
    /// `name() body`.
    case function(name: String, body: ShellCommand)
    /// Text that no rule of the grammar fits; kept as it was written.
    case unreadable(String)
  }

  /// What the command is.
  public var kind: Kind
  /// Redirections of the command as a whole, in order.
  public var redirections: [ShellRedirection]
  /// The line the command starts on, counted from 1.
  public var line: Int

  /// Makes a command.
  public init(_ kind: Kind, redirections: [ShellRedirection] = [], line: Int) {
    self.kind = kind
    self.redirections = redirections
    self.line = line
  }
}

/// A condition of `if` and the commands it leads to.
public struct ShellBranch: Sendable, Hashable {
  /// The commands whose last status decides.
  public var condition: [ShellCommand]
  /// The commands run when that status is zero.
  public var body: [ShellCommand]
  /// The line of `if` or `elif`.
  public var line: Int
}

/// A command of an and-or list after the first.
public struct ShellJoined: Sendable, Hashable {
  /// `true` for `&&`, `false` for `||`.
  public var isAnd: Bool
  /// The command.
  public var command: ShellCommand
}

/// `pattern | pattern) commands ;;`.
public struct ShellCaseArm: Sendable, Hashable {
  /// The patterns.
  public var patterns: [ShellWord]
  /// What is run when one of them matches.
  public var body: [ShellCommand]
  /// The line of the first pattern.
  public var line: Int
}

/// `name=word` before or instead of a command.
public struct ShellAssignment: Sendable, Hashable {
  /// The variable.
  public var name: String
  /// The value before expansion. For an array, `x=(a b)`, see ``elements``.
  public var value: ShellWord
  /// The elements of an array assignment of bash; `nil` for a plain one.
  public var elements: [ShellWord]?
  /// Whether it was `name+=word` (bash).
  public var appends: Bool
  /// The line.
  public var line: Int
}

/// `2>file`, `<file`, `>>file`, `>&2`, `<<END`.
public struct ShellRedirection: Sendable, Hashable {
  /// What it does with the file descriptor.
  public enum Kind: Sendable, Hashable {
    /// `<`
    case read
    /// `>` or `>|`
    case write
    /// `>>`
    case append
    /// `<>`
    case readWrite
    /// `>&n` or `<&n`; `-` closes.
    case duplicate
    /// `&>` or `>&file` of bash: standard output and error together.
    case writeBoth
    /// `<<` and `<<-`: the target holds the text itself.
    case hereDocument
    /// `<<<` of bash: the target holds the text itself, and a line end follows it.
    case hereString
  }

  /// What it does.
  public var kind: Kind
  /// The descriptor it is about, 0 or 1 when none is written.
  public var descriptor: Int
  /// The file, the other descriptor, or the text of a here-document.
  public var target: ShellWord
  /// The line.
  public var line: Int
}

/// A word before expansion: literal text and what is to be expanded, in order.
public struct ShellWord: Sendable, Hashable {
  /// A part of a word.
  public indirect enum Part: Sendable, Hashable {
    /// Text that stands for itself; unquoted text may hold the pattern characters `*?[`.
    case text(String, quoted: Bool)
    /// `$x`, `${x:-y}`, `$1`, `$@`, `$?`.
    case parameter(ShellParameter, quoted: Bool)
    /// `$(…)` or backticks.
    case command([ShellCommand], quoted: Bool)
    /// `$((…))`: the expression, itself a word since it may hold expansions.
    case arithmetic(ShellWord, quoted: Bool)
  }

  /// The parts in order; empty for a word that vanishes.
  public var parts: [Part]
  /// The line the word starts on.
  public var line: Int

  /// Makes a word of parts.
  public init(parts: [Part], line: Int) {
    self.parts = parts
    self.line = line
  }

  /// Makes a word of unquoted text.
  public init(_ text: String, line: Int) {
    self.init(parts: [.text(text, quoted: false)], line: line)
  }

  /// The text when nothing in the word needs expansion; patterns and `~` stay as they are.
  public var literal: String? {
    var result = ""
    for part in parts {
      guard case .text(let text, _) = part else { return nil }
      result += text
    }
    return result
  }

  /// The text when the word has neither expansions nor quotes, so that it can be a keyword.
  var bare: String? {
    guard parts.count == 1, case .text(let text, false) = parts[0] else { return nil }
    return text
  }
}

/// A parameter expansion.
public struct ShellParameter: Sendable, Hashable {
  /// What is done with the value.
  public indirect enum Operation: Sendable, Hashable {
    /// `$x`
    case value
    /// `${#x}`
    case length
    /// `${x:-word}`, and `${x-word}` without the colon.
    case orDefault(ShellWord, emptyCounts: Bool)
    /// `${x:=word}`
    case orAssign(ShellWord, emptyCounts: Bool)
    /// `${x:?word}`
    case orFail(ShellWord, emptyCounts: Bool)
    /// `${x:+word}`
    case alternative(ShellWord, emptyCounts: Bool)
    /// `${x#pattern}`, `${x##pattern}`
    case withoutPrefix(ShellWord, longest: Bool)
    /// `${x%pattern}`, `${x%%pattern}`
    case withoutSuffix(ShellWord, longest: Bool)
    /// `${x/pattern/word}`, `${x//pattern/word}` of bash.
    case replacing(ShellWord, with: ShellWord, all: Bool)
    /// An expansion this library does not compute, as it was written after the name.
    case other(String)
  }

  /// The variable, or `0` … `9`, `@`, `*`, `#`, `?`, `$`, `!`, `-`.
  public var name: String
  /// What is done with its value.
  public var operation: Operation

  /// Makes an expansion.
  public init(_ name: String, _ operation: Operation = .value) {
    self.name = name
    self.operation = operation
  }
}
