/// The few programs whose result scripts branch on and which the interpreter can compute from text it knows.
///
/// Programs that change files (`touch`, `rm`, `mkdir`, `ln`) change what the script sees afterwards; they are taken to
/// succeed, since a tree has no permissions. A delegate that answers for a command comes first.
extension ShellInterpreter {
  mutating func compute(_ call: ShellCall) -> ShellOutcome? {
    guard let path = call.name else { return nil }
    let arguments = Array(call.arguments)
    let options = arguments.filter { $0.knownPrefix.utf8.first == 0x2D && $0.knownPrefix.utf8.count > 1 }
    let operands = arguments.filter { $0.knownPrefix.utf8.first != 0x2D || $0.known == "-" }
    switch TreePath.name(path) {
    case "true", "sleep", "sync", "usleep": return ShellOutcome(.zero)
    case "false": return ShellOutcome(.nonzero)
    case "cat": return cat(operands, input: call.input)
    case "grep", "egrep", "fgrep":
      return grep(path, options.compactMap(\.known), operands, input: call.input, all: arguments.count)
    case "basename":
      guard options.isEmpty, let text = operands.first?.known else { return nil }
      let name = TreePath.name(text)
      let suffix = operands.count > 1 ? operands[1].known : ""
      guard let suffix else { return nil }
      let kept = name == suffix ? name : name.dropping(suffix: suffix) ?? name
      return ShellOutcome(.zero, output: ShellValue(kept + "\n"))
    case "dirname":
      guard options.isEmpty, let text = operands.first?.known else { return nil }
      let parent = text.utf8.contains(0x2F) ? Self.dirname(text) : "."
      return ShellOutcome(.zero, output: ShellValue(parent + "\n"))
    case "which":
      guard let name = operands.first?.known else { return nil }
      switch findProgram(name) {
      case .found(let path, _): return ShellOutcome(.zero, output: ShellValue(path + "\n"))
      case .absent: return ShellOutcome(.nonzero)
      case .unknown: return nil
      }
    case "readlink": return readlink(options.compactMap(\.known), operands)
    case "ls":
      guard options.isEmpty, operands.count == 1, let path = absolute(operands[0]) else { return nil }
      switch lookUp(path) {
      case .found(_, .directory(let names)):
        let shown = names.filter { $0.utf8.first != 0x2E }
        return ShellOutcome(.zero, output: ShellValue(shown.map { $0 + "\n" }.joined()))
      case .absent: return ShellOutcome(.code(2))
      default: return nil
      }
    case "head", "sed", "cut", "wc":
      let name = TreePath.name(path)
      return lines(name, arguments, input: call.input) ?? (name == "sed" ? sed(arguments, call.input) : nil)
    case "uname":
      guard operands.isEmpty, options.isEmpty || options.map(\.known) == ["-s"] else { return nil }
      return ShellOutcome(.zero, output: "Linux\n")
    case "id":
      guard operands.isEmpty, options.map(\.known) == ["-u"] else { return nil }
      return ShellOutcome(.zero, output: "0\n")  // Init scripts run as root.
    case "run-parts": return listParts(options.compactMap(\.known), operands)
    case "touch", "rm", "mkdir", "rmdir", "ln": return change(TreePath.name(path), options, operands)
    default: return nil
    }
  }

  private static func dirname(_ path: String) -> String {
    var bytes = Array(path.utf8)
    while bytes.count > 1, bytes.last == 0x2F { bytes.removeLast() }
    while let last = bytes.last, last != 0x2F { bytes.removeLast() }
    while bytes.count > 1, bytes.last == 0x2F { bytes.removeLast() }
    return bytes.isEmpty ? "." : String(bytes: bytes)
  }

  private mutating func cat(_ operands: [ShellValue], input: ShellValue?) -> ShellOutcome {
    if operands.isEmpty {
      if !sources.isEmpty { sources[sources.count - 1].rest = "" }
      return ShellOutcome(.zero, output: input ?? .unknown)
    }
    var output = ShellValue("")
    var status = ShellStatus.zero
    for operand in operands {
      let text = operand.known == "-" ? input ?? .unknown : content(operand)
      guard let text else {
        status = .nonzero
        continue
      }
      if !text.isKnown, status == .zero { status = .unknown }
      output.append(text)
    }
    return ShellOutcome(status, output: output)
  }

  /// `head -n N`, `sed -n Np`, `cut -dC -fN` and `wc -l` on one text; other forms are not computed.
  private mutating func lines(_ name: String, _ arguments: [ShellValue], input: ShellValue?) -> ShellOutcome?
  {
    var words = arguments[...]
    var count: Int?
    var delimiter: UInt8 = 0x09
    func isOption(_ text: String?) -> Bool { text?.utf8.first == 0x2D && text != "-" }
    while let word = words.first?.known, isOption(word) {
      words = words.dropFirst()
      switch (name, word) {
      case ("head", "-n"), ("cut", "-f"): count = words.popFirst()?.known?.decimal
      case ("head", _): count = (word.dropping(prefix: "-n") ?? word.dropping(prefix: "-"))?.decimal
      case ("cut", "-d"): delimiter = words.popFirst()?.known?.utf8.first ?? 0x09
      case ("cut", _):
        if let text = word.dropping(prefix: "-d"), let byte = text.utf8.first, text.utf8.count == 1 {
          delimiter = byte
        }
        if let text = word.dropping(prefix: "-f") { count = text.decimal }
      case ("sed", "-n"): count = words.popFirst()?.known?.dropping(suffix: "p")?.decimal
      case ("wc", "-l"): count = 1
      default: return nil
      }
    }
    guard let count, count > 0, words.count <= 1 else { return nil }
    let text: ShellValue
    if let file = words.first {
      guard let content = content(file) else { return ShellOutcome(.nonzero) }
      text = content
    } else {
      text = input ?? .unknown
    }
    guard let known = text.known else { return nil }
    let all = known.sourceLines.map(\.text)
    let kept: [String]
    switch name {
    case "head": kept = Array(all.prefix(count))
    case "sed": kept = all.count >= count ? [all[count - 1]] : []
    case "wc":
      let shown = words.first.map { " \($0)" } ?? ""
      kept = ["\(known.utf8.count { $0 == 0x0A })\(shown)"]
    default:
      kept = all.map { line in
        let fields = line.utf8.split(separator: delimiter, omittingEmptySubsequences: false)
        return fields.count == 1 ? line : fields.count >= count ? String(bytes: fields[count - 1]) : ""
      }
    }
    return ShellOutcome(.zero, output: ShellValue(kept.map { $0 + "\n" }.joined()))
  }

  /// `sed` as a filter, without `-i`.
  private mutating func sed(_ arguments: [ShellValue], _ input: ShellValue?) -> ShellOutcome? {
    guard let call = SedCall(arguments.map(\.known)), !call.inPlace, call.files.count <= 1 else { return nil }
    var text = input ?? .unknown
    if let file = call.files.first {
      guard let content = content(ShellValue(file)) else { return ShellOutcome(.code(2)) }
      text = content
    }
    guard let known = text.known, let output = call.script.run(on: known, quiet: call.isQuiet) else {
      return nil
    }
    return ShellOutcome(.zero, output: ShellValue(output))
  }

  /// `run-parts --list`: the files whose names it accepts (run-parts(8), debianutils).
  private mutating func listParts(_ options: [String], _ operands: [ShellValue]) -> ShellOutcome? {
    guard options.contains("--list"), options.allSatisfy({ $0 == "--list" || $0 == "--lsbsysinit" }),
      operands.count == 1, let shown = operands[0].known, let path = absolute(operands[0])
    else { return nil }
    guard case .found(_, .directory(let names)) = lookUp(path) else { return nil }
    let isLSB = options.contains("--lsbsysinit")
    let kept = names.filter { name in
      if isLSB, name.utf8.first == 0x2E || name.utf8.contains(0x2E) && name.dropping(prefix: "_") == nil {
        // With --lsbsysinit a name with a dot has to be of the LANANA form; package leftovers are not.
        return !["dpkg-old", "dpkg-dist", "dpkg-new", "dpkg-tmp"].contains {
          name.dropping(suffix: "." + $0) != nil
        }
          && name.utf8.first != 0x2E && name.utf8.allSatisfy { $0.isNamePart || $0 == 0x2D || $0 == 0x2E }
      }
      return name.utf8.allSatisfy { $0.isNamePart || $0 == 0x2D }
    }
    return ShellOutcome(.zero, output: ShellValue(kept.map { TreePath.join(shown, $0) + "\n" }.joined()))
  }

  private mutating func readlink(_ options: [String], _ operands: [ShellValue]) -> ShellOutcome? {
    guard operands.count == 1, let path = absolute(operands[0]) else { return nil }
    if options.isEmpty {
      switch lookUp(path, followLast: false) {
      case .found(_, .link(let target)): return ShellOutcome(.zero, output: ShellValue(target + "\n"))
      case .found, .absent: return ShellOutcome(.nonzero)
      case .unknown: return nil
      }
    }
    guard options == ["-f"], case .found(let real, _) = lookUp(path) else { return nil }
    return ShellOutcome(.zero, output: ShellValue(real + "\n"))
  }

  private mutating func change(
    _ name: String, _ options: [ShellValue], _ operands: [ShellValue]
  ) -> ShellOutcome? {
    let paths = operands.map { absolute($0) }
    guard !paths.contains(nil) else { return nil }
    let known = paths.compactMap { $0 }
    switch name {
    case "touch":
      for path in known {
        if case .found = lookUp(path) { continue }
        files.put(.file([]), at: path)
      }
    case "mkdir": for path in known { files.put(.directory([]), at: path) }
    case "ln":
      guard options.contains(where: { $0.known?.utf8.contains(0x73) ?? false }), known.count == 2,
        let target = operands[0].known
      else { return nil }
      files.put(.link(target), at: known[1])
    default: for path in known { files.remove(path) }
    }
    return ShellOutcome(.zero)
  }

  private mutating func grep(
    _ path: String, _ options: [String], _ operands: [ShellValue], input: ShellValue?, all: Int
  ) -> ShellOutcome? {
    let flags = Set(options.flatMap { Array($0.utf8.dropFirst()) })
    let modelled: [UInt8] = [0x71, 0x73, 0x76, 0x69, 0x46, 0x45, 0x77, 0x63]  // q s v i F E w c
    guard flags.subtracting(modelled).isEmpty, !flags.contains(0x77), !flags.contains(0x63),
      options.allSatisfy({ !$0.starts(withBytes: "--") }), let pattern = operands.first?.known
    else { return nil }
    let name = TreePath.name(path)
    let isFixed = flags.contains(0x46) || name == "fgrep"
    let isExtended = flags.contains(0x45) || name == "egrep"
    guard let regex = ShellRegex(pattern, isFixed: isFixed, isExtended: isExtended) else { return nil }
    var text = operands.count == 1 ? input : ShellValue("")
    for operand in operands.dropFirst() {
      guard let content = content(operand) else {
        return operands.count == 2 ? ShellOutcome(.code(2)) : nil
      }
      text?.append(content)
    }
    guard let known = text?.known, operands.count <= 2 else { return nil }
    var found: [String] = []
    for line in known.sourceLines {
      let subject = flags.contains(0x69) ? line.text.lowercased() : line.text
      guard let matches = regex.matches(subject, ignoringCase: flags.contains(0x69)) else { return nil }
      if matches != flags.contains(0x76) { found.append(line.text) }
    }
    let output = flags.contains(0x71) ? "" : found.map { $0 + "\n" }.joined()
    return ShellOutcome(found.isEmpty ? .nonzero : .zero, output: ShellValue(output))
  }
}

/// The part of regular expressions that init scripts use with grep: characters, `.`, `[…]`, `*`, `^`, `$`, and in
/// extended ones `|` at the top level, `+` and `?`. Anything else is not read, so that no wrong answer is given.
struct ShellRegex {
  private struct Step {
    var item: ShellPattern.Item
    var least = 1
    var isMany = false
  }
  private struct Branch {
    var steps: [Step] = []
    var isAnchoredAtStart = false
    var isAnchoredAtEnd = false
  }
  private var branches: [Branch] = []

  init?(_ pattern: String, isFixed: Bool, isExtended: Bool) {
    let bytes = Array(pattern.utf8)
    if isFixed {
      branches = [Branch(steps: bytes.map { Step(item: .byte($0)) })]
      return
    }
    var branch = Branch()
    var at = 0
    while at < bytes.count {
      let byte = bytes[at]
      at += 1
      switch byte {
      case 0x5E where branch.steps.isEmpty && !branch.isAnchoredAtStart: branch.isAnchoredAtStart = true
      case 0x24 where at == bytes.count || (isExtended && bytes[at] == 0x7C): branch.isAnchoredAtEnd = true
      case 0x2E: branch.steps.append(Step(item: .one))
      case 0x5B:
        guard let end = bytes[at...].dropFirst().firstIndex(of: 0x5D) else { return nil }
        let text = String(bytes: bytes[(at - 1)...end])
        let set = ShellPattern([(text.replacingCaret, false)])
        guard set.items.count == 1 else { return nil }
        branch.steps.append(Step(item: set.items[0]))
        at = end + 1
      case 0x2A:
        guard !branch.steps.isEmpty else { return nil }
        branch.steps[branch.steps.count - 1].least = 0
        branch.steps[branch.steps.count - 1].isMany = true
      case 0x2B where isExtended, 0x3F where isExtended:
        guard !branch.steps.isEmpty else { return nil }
        if byte == 0x3F { branch.steps[branch.steps.count - 1].least = 0 }
        if byte == 0x2B { branch.steps[branch.steps.count - 1].isMany = true }
      case 0x7C where isExtended:
        branches.append(branch)
        branch = Branch()
      case 0x28 where isExtended, 0x29 where isExtended, 0x7B where isExtended: return nil
      case 0x5C:
        // A backslash makes ordinary characters special (\(, \w, \|); only escaped punctuation is itself.
        guard at < bytes.count, [0x2E, 0x2A, 0x5B, 0x5D, 0x5E, 0x24, 0x2F, 0x5C, 0x2D].contains(bytes[at])
        else {
          return nil
        }
        branch.steps.append(Step(item: .byte(bytes[at])))
        at += 1
      default: branch.steps.append(Step(item: .byte(byte)))
      }
    }
    branches.append(branch)
  }

  /// Whether a line matches somewhere; `nil` when finding out takes too long.
  func matches(_ line: String, ignoringCase: Bool) -> Bool? {
    let bytes = Array(line.utf8)
    var answer: Bool? = false
    for branch in branches {
      // The set of steps that may come next, after each byte: time is the product of both lengths.
      guard bytes.count * (branch.steps.count + 1) <= 4_000_000 else { return nil }
      var active = Set<Int>()
      func add(_ step: Int, to set: inout Set<Int>) {
        var step = step
        while set.insert(step).inserted, step < branch.steps.count, branch.steps[step].least == 0 {
          step += 1
        }
      }
      add(0, to: &active)
      var isMatch = active.contains(branch.steps.count) && (!branch.isAnchoredAtEnd || bytes.isEmpty)
      for (offset, byte) in bytes.enumerated() where !isMatch {
        var next = Set<Int>()
        for step in active where step < branch.steps.count {
          guard Self.matches(branch.steps[step].item, byte, ignoringCase) else { continue }
          if branch.steps[step].isMany { add(step, to: &next) }
          add(step + 1, to: &next)
        }
        if !branch.isAnchoredAtStart { add(0, to: &next) }
        active = next
        let isEnd = offset == bytes.count - 1
        isMatch = active.contains(branch.steps.count) && (!branch.isAnchoredAtEnd || isEnd)
      }
      if isMatch { answer = true }
    }
    return answer
  }

  private static func matches(_ item: ShellPattern.Item, _ byte: UInt8, _ ignoringCase: Bool) -> Bool {
    switch item {
    case .byte(let wanted):
      wanted == byte || (ignoringCase && (0x41...0x5A).contains(wanted) && wanted + 0x20 == byte)
    case .set(let ranges, let inverted): ranges.contains { $0.contains(byte) } != inverted
    case .one, .any, .unknown: true
    }
  }
}

extension String {
  /// `[^…]` of regular expressions as `[!…]` of patterns.
  fileprivate var replacingCaret: String {
    starts(withBytes: "[^") ? "[!" + String(bytes: utf8.dropFirst(2)) : self
  }
}
