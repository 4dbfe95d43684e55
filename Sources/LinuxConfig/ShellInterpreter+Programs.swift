/// Builtins that run other commands: `command`, `eval`, `.`, and finding programs by `PATH`.
extension ShellInterpreter {
  mutating func commandBuiltin(
    _ builtin: ShellBuiltin, _ arguments: [ShellValue], line: Int
  ) -> ShellFlow {
    let asks = builtin == .type || arguments.first?.known == "-v" || arguments.first?.known == "-V"
    let rest = arguments.drop { $0.knownPrefix.utf8.first == 0x2D }
    guard let word = rest.first else {
      status = .zero
      return .next
    }
    guard asks else {
      if let name = word.known, let inner = ShellBuiltin(rawValue: name) {
        return run(inner, Array(rest.dropFirst()), line: line)
      }
      status = external(Array(rest), assignments: [:], line: line)
      return .next
    }
    guard let name = word.known else {
      status = .unknown
      return .next
    }
    if functions[name] != nil || ShellBuiltin(rawValue: name) != nil {
      emit(ShellValue(name + "\n"))
      status = .zero
      return .next
    }
    switch findProgram(name) {
    case .found(let path, _):
      emit(ShellValue(path + "\n"))
      status = .zero
    case .absent: status = .nonzero
    case .unknown:
      emit(.unknown)
      status = .unknown
    }
    return .next
  }

  /// A program or a file to source, by the directories of `PATH`.
  mutating func findProgram(_ name: String) -> ShellLookUp {
    if name.utf8.contains(0x2F) { return absolute(ShellValue(name)).map { lookUp($0) } ?? .unknown }
    guard let path = (variables["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin").known else { return .unknown }
    for directory in path.utf8.split(separator: 0x3A) {
      let candidate = TreePath.join(String(bytes: directory), name)
      switch lookUp(candidate) {
      case .found(_, .file(let bytes)): return .found(path: candidate, .file(bytes))
      case .unknown: return .unknown
      case .found, .absent: continue
      }
    }
    return .absent
  }

  mutating func evaluate(_ arguments: [ShellValue], line: Int) -> ShellFlow {
    var text = ShellValue("")
    for argument in arguments {
      text.append(argument)
      text.append(" ")
    }
    guard let known = text.known else {
      note(.notModelled, "eval \(text)", line: line)
      status = .unknown
      return .next
    }
    let parsed = ShellScript.parse(known, file: frame.file)
    for problem in parsed.problems { note(.unreadable, problem.message, line: line) }
    // The commands are those of this line, wherever in the text they stand.
    let saved = frame.file
    let flow = execute(parsed.value.commands)
    frame.file = saved
    return flow
  }

  mutating func source(_ arguments: [ShellValue], line: Int) -> ShellFlow {
    guard let word = arguments.first, let name = word.known else {
      note(.missingFile, ". \(arguments.first?.description ?? "")", line: line)
      status = .unknown
      return .next
    }
    let found = findProgram(name)
    guard case .found(_, .file(let bytes)) = found else {
      if endsAtMissingFile, case .absent = found { return .exit(.code(2)) }
      // dash ends the script here, bash goes on. A tree often lacks files that the machine has, so going on shows
      // more; the note says what is missing.
      note(.missingFile, ". \(name)", line: line)
      if case .unknown = found { status = .unknown } else { status = .nonzero }
      return .next
    }
    let script: ShellScript
    if let known = sourced[name], !files.wasWritten(name) {
      script = known
    } else {
      let parsed = ShellScript.parse(String(decoding: bytes, as: UTF8.self), file: name)
      if sourced[name] == nil { result.problems += parsed.problems }
      script = parsed.value
      sourced[name] = script
    }
    let caller = frame
    frame.file = name
    if arguments.count > 1 { frame.arguments = Array(arguments.dropFirst()) }
    status = .zero
    let flow = execute(script.commands)
    frame.file = caller.file
    if arguments.count > 1 { frame.arguments = caller.arguments }
    if case .return = flow { return .next }
    return flow
  }
}
