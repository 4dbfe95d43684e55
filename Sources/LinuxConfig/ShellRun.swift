/// What a ``ShellInterpreter`` asks of the world around the script.
///
/// Every requirement has a default that knows nothing, so that a delegate answers only what it models.
public protocol ShellDelegate {
  /// Runs a command that is neither a builtin nor a function of the script: `ifdown`, `umount`, `/sbin/halt`, and
  /// also filters such as `grep`.
  ///
  /// - Returns: How it ended and what it wrote to standard output; `nil` leaves it to the interpreter, which
  ///   computes a few filters itself (`cat`, `grep`, `basename`, …) and takes everything else as unknown.
  mutating func run(_ call: ShellCall) -> ShellOutcome?

  /// Says what is at a path that scripts look at: `/proc/mounts`, `/sys/class/iscsi_session`, `/run/…`.
  ///
  /// - Returns: ``ShellFileAnswer/tree`` to look into the file tree.
  mutating func file(_ path: String) -> ShellFileAnswer

  /// Takes a branch where the script's condition cannot be known.
  ///
  /// - Returns: The index of the branch to take among ``ShellQuestion/branches``; `nil` takes none, and all of
  ///   them are reported in ``ShellRun/notLookedAt``.
  mutating func choose(_ question: ShellQuestion) -> Int?

  /// Whether a redirection may open a file for writing; where it may not, its command is not run and fails.
  mutating func opens(_ write: ShellWrite) -> Bool

  /// Is told of everything a redirection writes into a file, after the command ended.
  mutating func wrote(_ write: ShellWrite)
}

extension ShellDelegate {
  /// Leaves every command to the interpreter.
  public mutating func run(_ call: ShellCall) -> ShellOutcome? { nil }
  /// Looks into the file tree.
  public mutating func file(_ path: String) -> ShellFileAnswer { .tree }
  /// Takes no branch.
  public mutating func choose(_ question: ShellQuestion) -> Int? { nil }
  /// Lets every file be opened.
  public mutating func opens(_ write: ShellWrite) -> Bool { true }
  /// Ignores what is written.
  public mutating func wrote(_ write: ShellWrite) {}
}

/// A delegate that knows nothing of the world.
public struct IgnorantShellDelegate: ShellDelegate, Sendable {
  /// Makes one.
  public init() {}
}

/// What a delegate says is at a path.
public enum ShellFileAnswer: Sendable, Hashable {
  /// Whatever the file tree has there. What it does not have is absent; but below `/proc`, `/sys`, `/dev`, `/run`,
  /// `/var/run`, `/var/lock`, `/tmp`, which a machine fills as it runs, it is unknown.
  case tree
  /// Certainly nothing.
  case absent
  /// This file, directory or link.
  case node(FileNode)
  /// Nobody knows.
  case unknown
}

/// A command that a script ran.
public struct ShellCall: Sendable, Hashable {
  /// The command and its arguments, expanded. Never empty.
  public var words: [ShellValue]
  /// Variables assigned for this command only.
  public var assignments: [String: ShellValue]
  /// Standard input where it is known: piped text, a file, a here-document; `nil` when it comes from elsewhere.
  public var input: ShellValue?
  /// Whether the output is used: in `$(…)`, in a pipe, or written to a file.
  public var isCaptured: Bool
  /// Whether it was started with `&`.
  public var isBackground: Bool
  /// The names of the functions it was called from, outermost first.
  public var functions: [String]
  /// The script file the command is written in.
  public var file: String
  /// Its line there.
  public var line: Int
  /// How it ended, as the delegate said.
  public var status: ShellStatus
  /// The working directory; `nil` when it is not known.
  public var directory: String? = nil

  /// The command, when it is known.
  public var name: String? { words.first?.known }
  /// The command's arguments.
  public var arguments: ArraySlice<ShellValue> { words.dropFirst() }
  /// The words with blanks between, unknown stretches as `‹?›`.
  public var text: String { words.map(\.description).joined(separator: " ") }
}

/// What a command came to.
public struct ShellOutcome: Sendable, Hashable {
  /// How it ended.
  public var status: ShellStatus
  /// What it wrote to standard output; it matters when ``ShellCall/isCaptured``.
  public var output: ShellValue

  /// Makes an outcome; without output unless given.
  public init(_ status: ShellStatus, output: ShellValue = "") {
    self.status = status
    self.output = output
  }

  /// Neither status nor output are known.
  public static let unknown = ShellOutcome(.unknown, output: .unknown)
}

/// A condition that the interpreter cannot decide.
public struct ShellQuestion: Sendable, Hashable {
  /// What kind of command asks.
  public enum Kind: Sendable, Hashable {
    /// `if`: branch 0 is `then`, branch 1 what follows when the condition fails.
    case conditional
    /// `a && b` or `a || b`: branch 0 runs the right side, branch 1 does not.
    case andOr
    /// `case`: one branch for each arm, in order, then one for no arm.
    case choice
    /// `while` or `until`: branch 0 runs the body once more, branch 1 ends the loop. Asked anew each time around.
    case loop
    /// `for` over words that are not known: branch 0 runs the body once, with an unknown value; branch 1 never.
    case forEach
  }

  /// What kind of command asks.
  public var kind: Kind
  /// The condition, as far as it is known.
  public var condition: String
  /// The branches: a short text for each, such as the patterns of an arm.
  public var branches: [String]
  /// The script file.
  public var file: String
  /// The line.
  public var line: Int
}

/// Text that a redirection put into a file.
public struct ShellWrite: Sendable, Hashable {
  /// The file, expanded; relative to the working directory when it does not start with `/`.
  public var path: ShellValue
  /// What was written, as far as it is known.
  public var text: ShellValue
  /// `>>`: at the end of what was there.
  public var appends: Bool
  /// The script file.
  public var file: String
  /// The line.
  public var line: Int
  /// The path from the root, the working directory before it; `nil` when either is not known.
  public var absolutePath: String? = nil
}

/// A place in a script that the interpreter did not follow, and why.
public struct ShellNote: Sendable, Hashable, CustomStringConvertible {
  /// Why a place was not followed.
  public enum Reason: String, Sendable, Hashable {
    /// A branch of a condition that nobody could decide.
    case undecided
    /// The syntax was not understood.
    case unreadable
    /// A file to be sourced is not in the tree.
    case missingFile
    /// A construct or builtin that the interpreter does not model; what it would change is unknown.
    case notModelled
    /// The bound on steps, depth or loop turns was reached here.
    case limit
  }

  /// Why.
  public var reason: Reason
  /// What is there.
  public var text: String
  /// The script file.
  public var file: String
  /// The first line not followed.
  public var line: Int
  /// The names of the commands that would run there, functions called included, sorted: what may happen and was
  /// not looked at. Builtins are left out.
  public var commands: [String] = []

  /// `file:line: reason: text`.
  public var description: String { "\(file):\(line): \(reason.rawValue): \(text)" }
}

/// What a script did.
public struct ShellRun: Sendable, Hashable {
  /// The status of the script.
  public var status: ShellStatus
  /// Every command that is neither a builtin nor a function, in the order run.
  public var commands: [ShellCall] = []
  /// What redirections wrote, in order.
  public var writes: [ShellWrite] = []
  /// What was not followed, in the order met; each place once.
  public var notLookedAt: [ShellNote] = []
  /// Problems in the syntax of the scripts read, sourced ones too.
  public var problems: [Problem] = []
  /// What went to standard output, as far as it is known; what commands outside print there is left out.
  public var output: ShellValue = ""
  /// The variables at the end.
  public var variables: [String: ShellValue] = [:]
  /// The working directory at the end; `nil` when it is not known.
  public var directory: String? = "/"
  /// Whether a bound stopped the run: then commands may be missing at the end.
  public var isComplete = true
}

/// How far an interpreter goes before it gives up; a script that hits a bound says so in its ``ShellRun``.
public struct ShellLimits: Sendable, Hashable {
  /// Commands executed, builtins included.
  public var steps = 200_000
  /// Compound commands, function calls, substitutions and sourced files inside one another.
  public var depth = 160
  /// Turns of one loop.
  public var turns = 10_000

  /// The bounds above.
  public init() {}
}
