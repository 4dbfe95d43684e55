/// Finds the variables that commands may assign and the programs they may call, through functions too.
struct ShellAssignedNames {
  let functions: [String: ShellFunction]
  var names: Set<String> = []
  var changesDirectory = false
  /// Commands called that are neither functions nor builtins.
  var commands: Set<String> = []
  /// Whether the commands looked at run in a subshell, where assignments do not last.
  private var isInside = false
  private var visited: Set<String> = []

  init(functions: [String: ShellFunction]) { self.functions = functions }

  mutating func visit(_ commands: [ShellCommand]) { for command in commands { visit(command) } }

  mutating func visit(_ command: ShellCommand) {
    switch command.kind {
    case .simple(let assignments, let words):
      guard let name = words.first?.literal else {
        if !isInside { names.formUnion(assignments.map(\.name)) }
        return
      }
      visitCall(name, words.dropFirst())
    case .pipeline(let commands, _): visit(commands)
    case .andOr(let first, let rest):
      visit(first)
      visit(rest.map(\.command))
    case .background(let inner): inSubshell { $0.visit(inner) }
    case .subshell(let body): inSubshell { $0.visit(body) }
    case .function, .unreadable: break
    case .group(let body): visit(body)
    case .conditional(let branches, let otherwise):
      for branch in branches { visit(branch.condition + branch.body) }
      visit(otherwise ?? [])
    case .choice(_, let arms): for arm in arms { visit(arm.body) }
    case .forEach(let variable, _, let body):
      if !isInside { names.insert(variable) }
      visit(body)
    case .loop(let condition, let body, _): visit(condition + body)
    }
  }

  private mutating func inSubshell(_ body: (inout Self) -> Void) {
    let wasInside = isInside
    isInside = true
    body(&self)
    isInside = wasInside
  }

  private mutating func visitCall(_ name: String, _ arguments: ArraySlice<ShellWord>) {
    switch name {
    case "read", "export", "local", "readonly", "declare", "typeset", "unset", "getopts", "let":
      for argument in arguments {
        guard case .text(let text, _)? = argument.parts.first else { continue }
        if !isInside { names.insert(text.split(at: 0x3D)?.before ?? text) }
      }
    case "cd": if !isInside { changesDirectory = true }
    default:
      guard let function = functions[name] else {
        if ShellBuiltin(rawValue: name) == nil { commands.insert(name) }
        return
      }
      // Seen once from outside a subshell, a function need not be seen again.
      if visited.insert(isInside ? "( " + name : name).inserted { visit(function.body) }
    }
  }
}
