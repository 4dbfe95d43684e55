/// `grub.cfg`: a script in GRUB 2's language, as its syntax. ``GrubEvaluator`` says what it does.
///
/// The language looks like `sh` and is smaller: no pipes, no `&&`, no command substitution, and parentheses are
/// ordinary characters, since they belong to device names (GRUB manual, "Writing full configuration files directly").
public struct GrubConfig: ConfigurationFile, Hashable {
  /// The commands in order.
  public var commands: [GrubCommand]

  /// Makes a configuration of commands.
  public init(commands: [GrubCommand] = []) { self.commands = commands }

  /// Reads a configuration. What cannot be read becomes ``GrubCommand/Kind/unreadable(_:)``, as GRUB prints a syntax
  /// error and goes on.
  public static func parse(_ text: String, file: String) -> Parsed<GrubConfig> {
    var parser = GrubConfigParser(Array(text.utf8), file: file)
    let commands = parser.script()
    return Parsed(
      GrubConfig(commands: commands),
      problems: SourceText.carriageReturns(in: text, file: file) + parser.problems)
  }

  /// Every entry in the text, submenus first opened, in order, with its title where that needs no expansion. For
  /// what the menu really shows, evaluate it.
  public var entries: [GrubCommand] { Self.entries(in: commands) }

  private static func entries(in commands: [GrubCommand]) -> [GrubCommand] {
    commands.flatMap { command -> [GrubCommand] in
      switch command.kind {
      case .entry: [command]
      case .submenu(_, let body): [command] + entries(in: body)
      case .conditional(let branches, let otherwise):
        branches.flatMap { entries(in: $0.body) } + entries(in: otherwise)
      case .forEach(_, _, let body), .loop(_, let body, _), .function(_, let body): entries(in: body)
      case .simple, .unreadable: []
      }
    }
  }
}

/// One command of a `grub.cfg`, with the line it starts on.
public struct GrubCommand: Sendable, Hashable {
  /// What the command is.
  public indirect enum Kind: Sendable, Hashable {
    /// Words: `set root='hd0,msdos1'`. Never empty.
    case simple([GrubWord])
    /// `menuentry TITLE OPTIONS { … }`: the words after `menuentry`, and the body.
    case entry([GrubWord], body: [GrubCommand])
    /// `submenu TITLE OPTIONS { … }`.
    case submenu([GrubWord], body: [GrubCommand])
    /// `if … then … elif … else … fi`; `otherwise` is empty without `else`.
    case conditional([GrubBranch], otherwise: [GrubCommand])
    /// `for name in words; do … done`.
    case forEach(variable: String, words: [GrubWord], body: [GrubCommand])
    /// `while … do … done`, or `until`.
    case loop(condition: [GrubCommand], body: [GrubCommand], isUntil: Bool)
    /// `function name { … }`.
    case function(name: String, body: [GrubCommand])
    /// Text that no rule of the language fits.
    case unreadable(String)
  }

  /// What the command is.
  public var kind: Kind
  /// The line it starts on, counted from 1.
  public var line: Int
}

/// A condition of `if` and the commands it leads to.
public struct GrubBranch: Sendable, Hashable {
  /// The commands whose last status decides.
  public var condition: [GrubCommand]
  /// The commands run when it is true.
  public var body: [GrubCommand]
}

/// A word of a `grub.cfg` before expansion.
public struct GrubWord: Sendable, Hashable {
  /// A part of a word.
  public enum Part: Sendable, Hashable {
    /// Text that stands for itself.
    case text(String, quoted: Bool)
    /// `$name` or `${name}`; unquoted, its value is split at blanks.
    case variable(String, quoted: Bool)
  }

  /// The parts in order.
  public var parts: [Part]
  /// The line the word starts on.
  public var line: Int

  /// The text when nothing needs expansion.
  public var literal: String? {
    var result = ""
    for part in parts {
      guard case .text(let text, _) = part else { return nil }
      result += text
    }
    return result
  }

  /// The text when the word has neither expansions nor quotes.
  var bare: String? {
    guard parts.count == 1, case .text(let text, false) = parts[0] else { return nil }
    return text
  }
}
