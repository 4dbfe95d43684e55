/// Walks a script as `sh` would, without running anything: a bounded, abstract interpreter.
///
/// What a script does on a machine depends on files, on other programs and on the state of the machine. Files come
/// from a ``FileTree``; the rest is asked of a ``ShellDelegate``. Where nobody knows, a value is unknown, and a branch
/// that depends on it is not taken but noted, and the variables it would have set are unknown from then on.
///
/// The rules are those of POSIX (XCU chapter 2) as `dash` has them, with what init scripts use of `bash`.
public struct ShellInterpreter<Delegate: ShellDelegate> {
  /// Who answers for the world; read it back after ``run(_:file:arguments:environment:)``.
  public var delegate: Delegate
  /// How far to go.
  public var limits: ShellLimits
  /// Whether `.` of a file that is certainly not there ends the script, as in dash; for trees that are complete.
  public var endsAtMissingFile = false

  /// The tree, with what the script itself wrote and removed.
  var files: ShellFiles
  /// Files the script wrote of which the text is not known.
  var unknownFiles: Set<String> = []
  var result = ShellRun(status: .zero)
  var notes: Set<ShellNote> = []
  var variables: [String: ShellValue] = [:]
  var exported: Set<String> = []
  var readonly: Set<String> = []
  var functions: [String: ShellFunction] = [:]
  var frame = ShellFrame(file: "", arguments: [], name: "")
  var callNames: [String] = []
  var status = ShellStatus.zero
  var steps = 0
  var depth = 0
  /// Where standard output goes: the last of these, or the terminal.
  var sinks: [ShellSink] = []
  /// Where standard input comes from: the last of these, or the terminal.
  var sources: [ShellSource] = []
  var isErrexit = false
  /// How many conditions are being evaluated: there a failure does not end the script under `set -e`.
  var conditions = 0
  var isBackground = false
  var directory: String? = "/"
  var sourced: [String: ShellScript] = [:]

  /// Makes an interpreter over a tree of files.
  public init(tree: any FileTree, delegate: Delegate, limits: ShellLimits = ShellLimits()) {
    files = ShellFiles(base: tree)
    self.delegate = delegate
    self.limits = limits
  }

  /// Runs a script of the tree; `nil` when the path is no file there.
  ///
  /// - Parameters:
  ///   - path: The script; `$0`.
  ///   - arguments: `$1` and the following.
  ///   - environment: The variables it starts with. What is not in here is unset, not unknown.
  public mutating func run(
    path: String, arguments: [String] = [], environment: [String: String] = [:]
  ) -> ShellRun? {
    guard let text = files.text(path) else { return nil }
    return run(
      ShellScript.parse(text, file: path), file: path, arguments: arguments, environment: environment)
  }

  /// Runs a script that was read before. What an earlier run wrote into files is still there; variables and
  /// functions are not.
  public mutating func run(
    _ script: Parsed<ShellScript>, file: String, arguments: [String] = [],
    environment: [String: String] = [:],
    directory start: String? = "/"
  ) -> ShellRun {
    result = ShellRun(status: .zero)
    result.problems = script.problems
    notes = []
    variables = environment.mapValues { ShellValue($0) }
    exported = Set(environment.keys)
    functions = [:]
    frame = ShellFrame(file: file, arguments: arguments.map { ShellValue($0) }, name: file)
    (status, steps, depth, conditions, directory) = (.zero, 0, 0, 0, start)
    (sinks, sources, callNames) = ([], [], [])
    isErrexit = false
    if let options = script.value.interpreter?.words.dropFirst() {
      isErrexit = options.contains { $0.text.starts(withBytes: "-") && $0.text.utf8.contains(0x65) }
    }
    if case .exit(let code) = execute(script.value.commands) { status = code }
    result.status = status
    result.variables = variables
    result.directory = directory
    return result
  }

  // MARK: Notes

  mutating func note(_ reason: ShellNote.Reason, _ text: String, line: Int, commands: [String] = []) {
    let shown = text.utf8.count > 200 ? String(text.prefix(200)) + "…" : text
    let note = ShellNote(reason: reason, text: shown, file: frame.file, line: line, commands: commands)
    if notes.insert(note).inserted { result.notLookedAt.append(note) }
  }

  /// Gives up a branch nobody could decide: notes it, and forgets what it would have assigned.
  mutating func skip(_ commands: [ShellCommand], reason: ShellNote.Reason = .undecided, why: String) {
    guard let first = commands.first else { return }
    var finder = ShellAssignedNames(functions: functions)
    finder.visit(commands)
    note(reason, why, line: first.line, commands: finder.commands.sorted())
    for name in finder.names { variables[name] = .unknown }
    if finder.changesDirectory { directory = nil }
  }

  // MARK: Lists and compound commands

  /// Runs commands in order until one of them leaves the list.
  mutating func execute(_ commands: [ShellCommand]) -> ShellFlow {
    for command in commands {
      let flow = execute(command)
      guard case .next = flow else { return flow }
    }
    return .next
  }

  mutating func execute(_ command: ShellCommand) -> ShellFlow {
    depth += 1
    defer { depth -= 1 }
    steps += 1
    if steps > limits.steps || depth > limits.depth {
      note(.limit, steps > limits.steps ? "steps" : "depth", line: command.line)
      result.isComplete = false
      status = .unknown
      return .exit(.unknown)
    }
    if case .simple(let assignments, let words) = command.kind {
      return simple(command, assignments: assignments, words: words)
    }
    guard !command.redirections.isEmpty else { return executeKind(command) }
    let plan = open(command.redirections)
    defer { close(plan) }
    guard !plan.isRefused else {
      status = .nonzero
      return afterFailure(.next)
    }
    return executeKind(command)
  }

  private mutating func executeKind(_ command: ShellCommand) -> ShellFlow {
    switch command.kind {
    case .simple: return .next
    case .pipeline(let commands, let negated): return pipeline(commands, negated: negated)
    case .andOr(let first, let rest): return andOr(first, rest, line: command.line)
    case .background(let inner):
      let wasBackground = isBackground
      isBackground = true
      _ = inSubshell { $0.execute(inner) }
      isBackground = wasBackground
      status = .zero
      return .next
    case .group(let body): return execute(body)
    case .subshell(let body):
      let flow = inSubshell { $0.execute(body) }
      return afterFailure(flow)
    case .conditional(let branches, let otherwise): return conditional(branches, otherwise: otherwise)
    case .choice(let word, let arms): return choice(word, arms, line: command.line)
    case .forEach(let variable, let words, let body):
      return forEach(variable, words, body, line: command.line)
    case .loop(let condition, let body, let isUntil):
      return loop(condition, body, isUntil: isUntil, line: command.line)
    case .function(let name, let body):
      functions[name] = ShellFunction(body: body, file: frame.file)
      status = .zero
      return .next
    case .unreadable(let text):
      note(.unreadable, text, line: command.line)
      status = .unknown
      return .next
    }
  }

  /// `set -e`: a known failure outside a condition ends the script.
  func afterFailure(_ flow: ShellFlow) -> ShellFlow {
    guard case .next = flow, isErrexit, conditions == 0, status.isZero == false else { return flow }
    return .exit(status)
  }

  /// Runs commands whose status only decides something.
  mutating func asCondition(_ commands: [ShellCommand]) -> ShellFlow {
    conditions += 1
    defer { conditions -= 1 }
    return execute(commands)
  }

  /// Runs something with its own copy of variables, functions, options and directory.
  mutating func inSubshell(_ body: (inout Self) -> ShellFlow) -> ShellFlow {
    let saved = (variables, exported, functions, frame, isErrexit, directory)
    let flow = body(&self)
    (variables, exported, functions, frame, isErrexit, directory) = saved
    // Leaving the subshell leaves only it; hitting a bound leaves everything.
    if case .exit(let code) = flow {
      status = code
      if !result.isComplete { return flow }
    }
    return .next
  }

  private mutating func pipeline(_ commands: [ShellCommand], negated: Bool) -> ShellFlow {
    if commands.count == 1 {
      let flow = negated ? asCondition([commands[0]]) : execute(commands[0])
      guard case .next = flow else { return flow }
    } else {
      var input: ShellValue?
      for (index, command) in commands.enumerated() {
        let isLast = index == commands.count - 1
        if let input { sources.append(ShellSource(input)) }
        if !isLast { sinks.append(ShellSink(text: "")) }
        let flow = inSubshell { shell in
          isLast && !negated ? shell.execute(command) : shell.asCondition([command])
        }
        if input != nil { sources.removeLast() }
        if !isLast { input = sinks.removeLast().text }
        guard case .next = flow else { return flow }
      }
    }
    if negated {
      status = status.negated
      return .next
    }
    return afterFailure(.next)
  }

  private mutating func andOr(_ first: ShellCommand, _ rest: [ShellJoined], line: Int) -> ShellFlow {
    var flow = asCondition([first])
    for (index, joined) in rest.enumerated() {
      guard case .next = flow else { return flow }
      let isLast = index == rest.count - 1
      let goesOn: Bool
      if let isZero = status.isZero {
        goesOn = isZero == joined.isAnd
      } else {
        let question = ShellQuestion(
          kind: .andOr, condition: ShellText.of(index == 0 ? first : rest[index - 1].command),
          branches: [ShellText.of(joined.command), "nothing"], file: frame.file, line: joined.command.line)
        switch delegate.choose(question) {
        case 0?: goesOn = true
        case 1?:
          goesOn = false
          status = joined.isAnd ? .nonzero : .zero
        default:
          // "a || true" succeeds whatever became of a.
          if case .simple([], let words) = joined.command.kind, words.count == 1, !joined.isAnd,
            words[0].bare == "true" || words[0].bare == ":"
          {
            status = .zero
            continue
          }
          // A test has no effect, and "? && false" is false: run it for its answer alone.
          if joined.command.isPureTest {
            flow = asCondition([joined.command])
            if status.isZero != !joined.isAnd { status = .unknown }
            continue
          }
          skip([joined.command], why: ShellText.of(joined.command))
          status = .unknown
          continue
        }
      }
      if goesOn { flow = isLast ? execute(joined.command) : asCondition([joined.command]) }
    }
    return flow
  }

  private mutating func conditional(_ branches: [ShellBranch], otherwise: [ShellCommand]?) -> ShellFlow {
    for (index, branch) in branches.enumerated() {
      let flow = asCondition(branch.condition)
      guard case .next = flow else { return flow }
      var isTaken = status.isZero
      if isTaken == nil {
        let condition = branch.condition.map(ShellText.of).joined(separator: "; ")
        let question = ShellQuestion(
          kind: .conditional, condition: condition, branches: ["then", "else"], file: frame.file,
          line: branch.line)
        switch delegate.choose(question) {
        case 0?: isTaken = true
        case 1?: isTaken = false
        default:
          skip(branch.body, why: "if \(condition)")
          for later in branches[(index + 1)...] { skip(later.condition + later.body, why: "elif") }
          skip(otherwise ?? [], why: "else of: if \(condition)")
          status = .unknown
          return .next
        }
      }
      if isTaken == true {
        status = .zero
        return execute(branch.body)
      }
    }
    status = .zero
    return execute(otherwise ?? [])
  }

  private mutating func choice(_ word: ShellWord, _ arms: [ShellCaseArm], line: Int) -> ShellFlow {
    let value = expandToOne(word)
    status = .zero
    for (index, arm) in arms.enumerated() {
      let matches = arm.patterns.map { ShellPattern.matches(value, expandPattern($0)) }
      if matches.contains(true) { return execute(arm.body) }
      guard matches.contains(nil) else { continue }
      let question = ShellQuestion(
        kind: .choice, condition: value.description,
        branches: arms.map { $0.patterns.map(ShellText.of).joined(separator: "|") } + ["none"],
        file: frame.file, line: line)
      if let taken = delegate.choose(question) {
        return arms.indices.contains(taken) ? execute(arms[taken].body) : .next
      }
      for later in arms[index...] {
        skip(later.body, why: "case \(value) in \(later.patterns.map(ShellText.of).joined(separator: "|"))")
      }
      status = .unknown
      return .next
    }
    return .next
  }

  private mutating func forEach(
    _ variable: String, _ words: [ShellWord]?, _ body: [ShellCommand], line: Int
  ) -> ShellFlow {
    let values = words.map { expandFields($0) } ?? frame.arguments
    status = .zero
    for (turn, value) in values.enumerated() {
      if turn >= limits.turns {
        note(.limit, "turns of for \(variable)", line: line)
        result.isComplete = false
        break
      }
      if value == .unknown {
        let question = ShellQuestion(
          kind: .forEach,
          condition: "for \(variable) in \((words ?? []).map(ShellText.of).joined(separator: " "))",
          branches: ["once", "never"], file: frame.file, line: line)
        switch delegate.choose(question) {
        case 0?: break
        case 1?: continue
        default:
          skip(body, why: question.condition)
          variables[variable] = .unknown
          continue
        }
      }
      assign(variable, value)
      switch leaveLoop(execute(body)) {
      case .goesOn: continue
      case .ends: return .next
      case .leaves(let flow): return flow
      }
    }
    return .next
  }

  private mutating func loop(
    _ condition: [ShellCommand], _ body: [ShellCommand], isUntil: Bool, line: Int
  ) -> ShellFlow {
    var last = ShellStatus.zero
    for turn in 0... {
      if turn >= limits.turns {
        note(.limit, "turns of while", line: line)
        result.isComplete = false
        status = .unknown
        return .next
      }
      switch leaveLoop(asCondition(condition)) {
      case .goesOn: break
      case .ends: return .next
      case .leaves(let flow): return flow
      }
      var goesOn = status.isZero.map { $0 != isUntil }
      if goesOn == nil {
        let text = condition.map(ShellText.of).joined(separator: "; ")
        let question = ShellQuestion(
          kind: .loop, condition: text, branches: ["again", "done"], file: frame.file, line: line)
        switch delegate.choose(question) {
        case 0?: goesOn = true
        case 1?: goesOn = false
        default:
          skip(condition + body, why: "\(isUntil ? "until" : "while") \(text)")
          status = .unknown
          return .next
        }
      }
      if goesOn == false { break }
      switch leaveLoop(execute(body)) {
      case .goesOn: last = status
      case .ends: return .next
      case .leaves(let flow): return flow
      }
    }
    status = last
    return .next
  }

  private enum LoopExit {
    case goesOn
    case ends
    case leaves(ShellFlow)
  }

  /// What a loop does about the way its body ended.
  private func leaveLoop(_ flow: ShellFlow) -> LoopExit {
    switch flow {
    case .next: .goesOn
    case .break(let levels): levels > 1 ? .leaves(.break(levels - 1)) : .ends
    case .continue(let levels): levels > 1 ? .leaves(.continue(levels - 1)) : .goesOn
    case .return, .exit: .leaves(flow)
    }
  }
}

extension ShellCommand {
  /// Whether it is `[`, `test` or `[[` on words whose expansion changes nothing.
  fileprivate var isPureTest: Bool {
    guard case .simple(let assignments, let words) = kind, assignments.isEmpty, redirections.isEmpty,
      let name = words.first?.bare, ["[", "test", "[["].contains(name)
    else { return false }
    return words.allSatisfy { word in
      word.parts.allSatisfy { part in
        switch part {
        case .text: return true
        case .command, .arithmetic: return false
        case .parameter(let parameter, _):
          switch parameter.operation {
          case .value, .length: return true
          case .orDefault(let word, _), .alternative(let word, _): return word.literal != nil
          default: return false
          }
        }
      }
    }
  }
}

/// How a list of commands ended.
enum ShellFlow {
  case next
  case `break`(Int)
  case `continue`(Int)
  case `return`
  case exit(ShellStatus)
}

/// A function with the file it was defined in.
struct ShellFunction {
  var body: ShellCommand
  var file: String
}

/// What a function call or a sourced file has of its own.
struct ShellFrame {
  var file: String
  var arguments: [ShellValue]
  var name: String
  /// Values that `local` put aside; `.some(nil)` for a variable that was not set.
  var saved: [String: ShellValue?] = [:]
}

/// Where standard output goes.
struct ShellSink {
  /// What was gathered, for `$(…)`, a pipe or a file; `nil` when it goes to `/dev/null` or to standard error.
  var text: ShellValue?
}

/// Where standard input comes from.
struct ShellSource {
  /// What is left to read, as far as it is known.
  var rest: ShellValue
  init(_ text: ShellValue) { rest = text }
}
