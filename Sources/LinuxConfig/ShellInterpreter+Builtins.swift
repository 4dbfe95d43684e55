/// Simple commands: assignments, functions, builtins, and everything that goes to the delegate.
extension ShellInterpreter {
  mutating func simple(
    _ command: ShellCommand, assignments: [ShellAssignment], words: [ShellWord]
  ) -> ShellFlow {
    if words.first?.bare == "[[" {
      let opened = open(command.redirections)
      status = doubleBracket(words, line: command.line)
      close(opened)
      return afterFailure(.next)
    }
    // "$?" in the words means the command before; what matters for a bare assignment is its substitutions.
    let before = status
    let fields = expandFields(words)
    if !fields.isEmpty { status = before }
    guard let first = fields.first else {
      if words.isEmpty { status = .zero }
      for assignment in assignments { assign(assignment) }
      close(open(command.redirections))
      return afterFailure(.next)
    }
    let name = first.known
    if name == "exec", fields.count == 1 { return redirectForGood(command) }
    let opened = open(command.redirections)
    defer { close(opened) }
    guard !opened.isRefused else {
      status = .nonzero
      return afterFailure(.next)
    }
    if let name, let function = functions[name] {
      for assignment in assignments { assign(assignment) }
      return afterFailure(
        call(function, name: name, arguments: Array(fields.dropFirst()), line: command.line))
    }
    if let name, let builtin = ShellBuiltin(rawValue: name) {
      // Assignments before a builtin last only as long as it does; IFS before read is the one that matters.
      let saved = assignments.map { ($0.name, variables[$0.name]) }
      for assignment in assignments { assign(assignment) }
      let flow = run(builtin, Array(fields.dropFirst()), line: command.line)
      for (name, value) in saved where builtin != .export && builtin != .readonly { variables[name] = value }
      return afterFailure(flow)
    }
    var local: [String: ShellValue] = [:]
    for assignment in assignments { local[assignment.name] = expandToOne(assignment.value) }
    status = external(fields, assignments: local, line: command.line)
    return afterFailure(.next)
  }

  private mutating func assign(_ assignment: ShellAssignment) {
    if assignment.elements != nil {
      note(.notModelled, "array \(assignment.name)", line: assignment.line)
      return assign(assignment.name, .unknown)
    }
    var value = assignment.appends ? variables[assignment.name] ?? "" : ""
    value.append(expandToOne(assignment.value))
    assign(assignment.name, value)
  }

  /// `exec` with redirections only: they stay.
  private mutating func redirectForGood(_ command: ShellCommand) -> ShellFlow {
    for redirection in command.redirections {
      let target = expandToOne(redirection.target).known
      if redirection.kind == .duplicate || target == "/dev/null" || redirection.descriptor > 2 { continue }
      note(.notModelled, "exec redirects to \(target ?? "an unknown file")", line: command.line)
    }
    status = .zero
    return .next
  }

  private mutating func call(
    _ function: ShellFunction, name: String, arguments: [ShellValue], line: Int
  ) -> ShellFlow {
    let caller = frame
    frame = ShellFrame(file: function.file, arguments: arguments, name: caller.name)
    callNames.append(name)
    let flow = execute(function.body)
    callNames.removeLast()
    for (name, value) in frame.saved { variables[name] = value }
    frame = caller
    if case .exit = flow { return flow }
    return .next
  }

  /// A command outside the script: the delegate's, or one of the filters the interpreter computes itself.
  mutating func external(
    _ words: [ShellValue], assignments: [String: ShellValue], line: Int
  ) -> ShellStatus {
    var call = ShellCall(
      words: words, assignments: assignments, input: sources.last?.rest, isCaptured: isCaptured,
      isBackground: isBackground, functions: callNames, file: frame.file, line: line, status: .unknown,
      directory: directory)
    let outcome = delegate.run(call) ?? compute(call)
    call.status = outcome?.status ?? .unknown
    result.commands.append(call)
    // What an unknown command prints on the console is left out; where it is read, it is unknown.
    if let outcome { emit(outcome.output) } else if isCaptured { emit(.unknown) }
    return call.status
  }

  // MARK: Builtins

  mutating func run(_ builtin: ShellBuiltin, _ arguments: [ShellValue], line: Int) -> ShellFlow {
    switch builtin {
    case .colon, .true, .trap, .umask, .wait, .ulimit, .hash, .alias, .unalias, .jobs, .disown, .shopt:
      status = .zero
    case .false: status = .nonzero
    case .bracket:
      guard let last = arguments.last, last.known == "]" else {
        note(.notModelled, "[ without ]", line: line)
        status = .code(2)
        return .next
      }
      status = test(Array(arguments.dropLast()))
    case .test: status = test(arguments)
    case .arithmetic, .let:
      let value = arithmetic(arguments.first ?? "", line: line)
      status = value.known.map { $0 == "0" ? .nonzero : .zero } ?? .unknown
    case .echo: echo(arguments)
    case .printf: printf(arguments, line: line)
    case .cd: changeDirectory(arguments)
    case .pwd:
      emit(directory.map { ShellValue($0 + "\n") } ?? .unknown)
      status = .zero
    case .export, .readonly, .local, .declare, .typeset: declare(builtin, arguments)
    case .unset: unset(arguments)
    case .set: set(arguments, line: line)
    case .shift: shift(arguments)
    case .read: read(arguments)
    case .command, .type: return commandBuiltin(builtin, arguments, line: line)
    case .builtin:
      if let name = arguments.first?.known, let inner = ShellBuiltin(rawValue: name) {
        return run(inner, Array(arguments.dropFirst()), line: line)
      }
      status = .unknown
    case .getopts:
      note(.notModelled, "getopts", line: line)
      if arguments.count > 1, let name = arguments[1].known { variables[name] = .unknown }
      variables["OPTARG"] = .unknown
      status = .unknown
    case .eval: return evaluate(arguments, line: line)
    case .dot, .source: return source(arguments, line: line)
    case .exec:
      status = external(arguments, assignments: [:], line: line)
      return .exit(status)
    case .exit: return .exit(code(arguments))
    case .return:
      status = code(arguments)
      return .return
    case .break: return .break(levels(arguments))
    case .continue: return .continue(levels(arguments))
    }
    return .next
  }

  private func code(_ arguments: [ShellValue]) -> ShellStatus {
    guard let argument = arguments.first else { return status }
    return argument.known.flatMap { Int($0) }.map { .code($0 & 0xFF) } ?? .unknown
  }

  private func levels(_ arguments: [ShellValue]) -> Int {
    max(1, arguments.first?.known?.decimal ?? 1)
  }

  private mutating func echo(_ arguments: [ShellValue]) {
    var rest = arguments[...]
    var endsLine = true
    var expands = false
    while let option = rest.first?.known, option.utf8.count > 1, option.utf8.first == 0x2D,
      option.utf8.dropFirst().allSatisfy({ [0x6E, 0x65, 0x45].contains($0) })
    {
      if option.utf8.contains(0x6E) { endsLine = false }
      if option.utf8.contains(0x65) { expands = true }
      rest = rest.dropFirst()
    }
    var text = ShellValue("")
    for (index, argument) in rest.enumerated() {
      if index > 0 { text.append(" ") }
      text.append(argument)
    }
    if expands { text = ShellValue(pieces: text.pieces.map { $0.map(ShellBuiltin.unescape) }) }
    if endsLine { text.append("\n") }
    emit(text)
    status = .zero
  }

  private mutating func printf(_ arguments: [ShellValue], line: Int) {
    status = .zero
    guard let format = arguments.first?.known.map(ShellBuiltin.unescape) else { return emit(.unknown) }
    var rest = arguments.dropFirst()
    var text = ShellValue("")
    repeat {
      let before = rest.count
      var pieces = Array(format.utf8)[...]
      while let byte = pieces.popFirst() {
        guard byte == 0x25, let kind = pieces.popFirst() else {
          text.append(String(bytes: [byte]))
          continue
        }
        switch kind {
        case 0x25: text.append("%")
        case 0x73, 0x64, 0x69, 0x75: text.append(rest.popFirst() ?? (kind == 0x73 ? "" : "0"))
        case 0x62:
          let value = rest.popFirst() ?? ""
          text.append(ShellValue(pieces: value.pieces.map { $0.map(ShellBuiltin.unescape) }))
        default:  // Widths and other conversions are not worth computing.
          emit(.unknown)
          return
        }
      }
      if rest.count == before { break }
    } while !rest.isEmpty
    emit(text)
  }

  private mutating func changeDirectory(_ arguments: [ShellValue]) {
    guard let target = arguments.last(where: { $0.knownPrefix.utf8.first != 0x2D }),
      let path = absolute(target)
    else {
      directory = nil
      status = .unknown
      return
    }
    switch lookUp(path) {
    case .found(let real, .directory):
      directory = real
      status = .zero
    case .found, .absent: status = .nonzero
    case .unknown:
      directory = nil
      status = .unknown
    }
  }

  private mutating func declare(_ builtin: ShellBuiltin, _ arguments: [ShellValue]) {
    status = .zero
    for argument in arguments where argument.knownPrefix.utf8.first != 0x2D {
      guard let (name, _) = argument.knownPrefix.split(at: 0x3D) ?? argument.known.map({ ($0, "") }) else {
        continue
      }
      if builtin != .export, builtin != .readonly, !callNames.isEmpty, frame.saved[name] == nil {
        frame.saved.updateValue(variables[name], forKey: name)
        if !argument.knownPrefix.utf8.contains(0x3D), builtin == .local { variables[name] = nil }
      }
      if argument.knownPrefix.utf8.contains(0x3D) {
        var pieces = argument.pieces
        pieces[0] = argument.knownPrefix.split(at: 0x3D)?.after
        assign(name, ShellValue(pieces: pieces))
      }
      if builtin == .export { exported.insert(name) }
      if builtin == .readonly { readonly.insert(name) }
    }
  }

  private mutating func unset(_ arguments: [ShellValue]) {
    status = .zero
    let wantsFunctions = arguments.first?.known == "-f"
    for name in arguments.compactMap(\.known) where name.utf8.first != 0x2D {
      if wantsFunctions { functions[name] = nil } else { variables[name] = nil }
    }
  }

  private mutating func set(_ arguments: [ShellValue], line: Int) {
    status = .zero
    var rest = arguments[...]
    while let option = rest.first?.known, let sign = option.utf8.first, sign == 0x2D || sign == 0x2B {
      rest = rest.dropFirst()
      if option == "--" {
        frame.arguments = Array(rest)
        return
      }
      if option.utf8.contains(0x65) && option != "-o" && option != "+o" { isErrexit = sign == 0x2D }
      if option == "-o" || option == "+o" {
        if rest.first?.known == "errexit" { isErrexit = sign == 0x2D }
        rest = rest.dropFirst()
      }
    }
    if !rest.isEmpty { frame.arguments = Array(rest) }
  }

  private mutating func shift(_ arguments: [ShellValue]) {
    guard let count = arguments.isEmpty ? 1 : arguments[0].known?.decimal else {
      frame.arguments = [.unknown]
      status = .unknown
      return
    }
    status = count <= frame.arguments.count ? .zero : .nonzero
    if count <= frame.arguments.count { frame.arguments.removeFirst(count) }
  }

  private mutating func read(_ arguments: [ShellValue]) {
    var names: [String] = []
    var skipsNext = false
    for argument in arguments.map({ $0.known ?? "" }) {
      if skipsNext {
        skipsNext = false
      } else if argument.utf8.first == 0x2D {
        skipsNext = ["-t", "-p", "-n", "-u", "-d"].contains(argument)
      } else {
        names.append(argument)
      }
    }
    if names.isEmpty { names = ["REPLY"] }
    guard let source = sources.popLast() else {
      for name in names { assign(name, .unknown) }
      status = .unknown
      return
    }
    var rest = source.rest
    defer { sources.append(ShellSource(rest)) }
    if rest.pieces.isEmpty {
      for name in names { assign(name, "") }
      status = .nonzero
      return
    }
    guard let first = rest.pieces[0] else {
      for name in names { assign(name, .unknown) }
      status = .unknown
      return
    }
    var line = first
    var isWhole = true
    if let (before, after) = first.split(at: 0x0A) {
      line = before
      rest = ShellValue(pieces: [after] + rest.pieces.dropFirst())
    } else {
      isWhole = rest.pieces.count == 1
      rest = isWhole ? "" : .unknown
    }
    status = isWhole ? .zero : .unknown
    // A last line without its line end is read, and read fails all the same.
    if isWhole, rest.pieces.isEmpty, first.utf8.last != 0x0A, !first.utf8.contains(0x0A) { status = .nonzero }
    let separators = Array((variables["IFS"]?.known ?? " \t\n").utf8)
    var words = line.utf8.drop { separators.contains($0) && $0.isSpace }
    for (index, name) in names.enumerated() {
      let isLast = index == names.count - 1
      let word = isLast ? words : words.prefix { !separators.contains($0) }
      words = words.dropFirst(word.count)
      if let next = words.first, !next.isSpace { words = words.dropFirst() }
      words = words.drop { separators.contains($0) && $0.isSpace }
      let kept = word.reversed().drop { isLast && separators.contains($0) && $0.isSpace }.reversed()
      assign(name, isWhole ? ShellValue(String(bytes: kept)) : .unknown)
    }
  }
}

/// The builtins the interpreter runs itself.
enum ShellBuiltin: String {
  case colon = ":"
  case `true`
  case `false`
  case bracket = "["
  case test
  case arithmetic = "(("
  case `let`
  case echo, printf, cd, pwd, export, readonly, local, declare, typeset, unset, set, shift, read, command,
    type
  case builtin, getopts, eval, source, exec, exit, `return`, `break`, `continue`, trap, umask, wait, ulimit,
    hash
  case alias, unalias, jobs, disown, shopt
  case dot = "."

  /// The escapes of `echo -e` and of a format of `printf`.
  static func unescape(_ text: String) -> String {
    let escapes: [UInt8: UInt8] = [0x6E: 0x0A, 0x74: 0x09, 0x72: 0x0D, 0x5C: 0x5C, 0x61: 7, 0x65: 27]
    var output: [UInt8] = []
    var isEscaped = false
    for byte in text.utf8 {
      if isEscaped {
        output += escapes[byte].map { [$0] } ?? [0x5C, byte]
        isEscaped = false
      } else if byte == 0x5C {
        isEscaped = true
      } else {
        output.append(byte)
      }
    }
    if isEscaped { output.append(0x5C) }
    return String(bytes: output)
  }
}
