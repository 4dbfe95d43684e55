/// The parameters a boot loader hands to Linux.
///
/// Words are separated by white space; double quotes protect blanks. The rules are those of `next_arg` in the
/// kernel's `lib/cmdline.c`. Scripts in an initramfs read `/proc/cmdline` with `for x in $(cat /proc/cmdline)`,
/// which knows no quotes: for what they see, use ``plainWords``.
public struct KernelCommandLine: ConfigurationFile, Hashable {
  /// One parameter.
  public struct Argument: Sendable, Hashable {
    /// What stands before the first `=`, or the whole word.
    public var key: String
    /// What stands after it, without the quotes around it; `nil` for a word without `=`.
    public var value: String?
    /// The word as it was written, quotes and all.
    public var text: String
    /// The line of the file the word is on, and its column in the text that was parsed, both counted from 1.
    public var line: Int
    /// The column of the word in the text, counted from 1.
    public var column: Int
  }

  /// The longest line x86 kernels keep, with its terminator (`COMMAND_LINE_SIZE`, arch/x86/include/asm/setup.h);
  /// kernels before 2.6.24 kept 256 bytes.
  public static let longest = 2048

  /// The line as it was given.
  public var text: String
  /// The parameters in order, those after `--` too.
  public var arguments: [Argument]

  /// Reads a line; nothing can go wrong that ``parse(_:file:)`` would not also report.
  public init(_ text: String, line: Int = 1) {
    self.text = text
    arguments = Self.split(text, line: line).arguments
  }

  /// Reads a line, for instance the content of `/proc/cmdline`.
  public static func parse(_ text: String, file: String) -> Parsed<KernelCommandLine> {
    let line = KernelCommandLine(text)
    return Parsed(line, problems: line.problems(file: file))
  }

  /// What is likely to be a mistake: an open quote, an empty or repeated `root=`, more than the kernel keeps.
  public func problems(file: String) -> [Problem] {
    var problems: [Problem] = []
    let line = arguments.first?.line ?? 1
    if let column = Self.split(text, line: line).openQuote {
      problems.append(
        Problem(
          .error, file: file, line: line, column: column, message: "the quote is never closed",
          hint: "the kernel takes everything up to the end of the line as one parameter"))
    }
    let roots = kernelArguments.filter { $0.key == "root" }
    for root in roots where (root.value ?? "").isEmpty {
      problems.append(
        Problem(.error, file: file, line: root.line, column: root.column, message: "'root' has no value"))
    }
    if roots.count > 1, let last = roots.last {
      problems.append(
        Problem(
          .warning, file: file, line: last.line, column: last.column,
          message: "root= is given \(roots.count) times; the last one, \(last.text.quoted), is used"))
    }
    if text.utf8.count >= Self.longest {
      problems.append(
        Problem(
          .error, file: file, line: line,
          message: "the command line has \(text.utf8.count) bytes; x86 kernels keep \(Self.longest - 1)"))
    }
    return problems
  }

  /// The value given last to a key, the one that counts for most parameters; `nil` when the key is absent or has
  /// no `=`.
  public func last(_ key: String) -> String? {
    arguments.last { $0.key == key && $0.value != nil }?.value
  }

  /// Every value given to a key, in order; what `console=` and `ip=` need.
  public func all(_ key: String) -> [String] {
    arguments.compactMap { $0.key == key ? $0.value : nil }
  }

  /// Whether a word is there, with or without a value.
  public func contains(_ key: String) -> Bool {
    arguments.contains { $0.key == key }
  }

  /// The parameters the kernel itself looks at: those before `--`.
  public var kernelArguments: ArraySlice<Argument> {
    arguments.prefix { $0.text != "--" }
  }

  /// What is passed to init as it stands: the words after `--`.
  public var initArguments: [String] {
    arguments.drop { $0.text != "--" }.dropFirst().map(\.text)
  }

  /// The words as a script in the initramfs sees them: split at white space, quotes left where they are.
  public var plainWords: [String] { text.words.map(\.text) }

  private static func split(_ text: String, line: Int) -> (arguments: [Argument], openQuote: Int?) {
    let bytes = Array(text.utf8)
    var arguments: [Argument] = []
    var lineNumber = line
    var lineStart = 0
    var openQuote: Int?
    var at = 0
    while at < bytes.count {
      if bytes[at].isSpace {
        if bytes[at] == 0x0A {
          lineNumber += 1
          lineStart = at + 1
        }
        at += 1
        continue
      }
      let start = at
      var quote: Int?
      while at < bytes.count, quote != nil || !bytes[at].isSpace {
        if bytes[at] == 0x22 { quote = quote == nil ? at : nil }
        at += 1
      }
      if let quote { openQuote = openQuote ?? quote - lineStart + 1 }
      arguments.append(
        argument(bytes[start..<at], line: lineNumber, column: start - lineStart + 1))
    }
    return (arguments, openQuote)
  }

  private static func argument(_ raw: ArraySlice<UInt8>, line: Int, column: Int) -> Argument {
    var word = raw
    if word.first == 0x22 {
      word.removeFirst()
      if word.last == 0x22 { word.removeLast() }
    }
    var key = word
    var value: ArraySlice<UInt8>?
    // A word that starts with '=' has no key: the kernel takes it as a name.
    if let equals = word.firstIndex(of: 0x3D), equals > word.startIndex {
      key = word[..<equals]
      var rest = word[(equals + 1)...]
      if rest.first == 0x22 {
        rest.removeFirst()
        if rest.last == 0x22 { rest.removeLast() }
      }
      value = rest
    }
    return Argument(
      key: String(bytes: key), value: value.map { String(bytes: $0) }, text: String(bytes: raw), line: line,
      column: column)
  }
}
