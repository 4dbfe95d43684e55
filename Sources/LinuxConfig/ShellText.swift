/// A command or a word written out again, for messages; not byte for byte what was in the file.
enum ShellText {
  static func of(_ word: ShellWord) -> String {
    word.parts.map { part in
      switch part {
      case .text(let text, let quoted): quoted && text.utf8.contains { $0.isSpace } ? "\"\(text)\"" : text
      case .parameter(let parameter, _): of(parameter)
      case .command(let commands, _): "$(" + commands.map { of($0) }.joined(separator: "; ") + ")"
      case .arithmetic(let expression, _): "$((" + of(expression) + "))"
      }
    }.joined()
  }

  private static func of(_ parameter: ShellParameter) -> String {
    func braced(_ sign: String, _ word: ShellWord) -> String { "${\(parameter.name)\(sign)\(of(word))}" }
    return switch parameter.operation {
    case .value: parameter.name.utf8.count == 1 ? "$\(parameter.name)" : "${\(parameter.name)}"
    case .length: "${#\(parameter.name)}"
    case .orDefault(let word, let emptyCounts): braced(emptyCounts ? ":-" : "-", word)
    case .orAssign(let word, let emptyCounts): braced(emptyCounts ? ":=" : "=", word)
    case .orFail(let word, let emptyCounts): braced(emptyCounts ? ":?" : "?", word)
    case .alternative(let word, let emptyCounts): braced(emptyCounts ? ":+" : "+", word)
    case .withoutPrefix(let word, let longest): braced(longest ? "##" : "#", word)
    case .withoutSuffix(let word, let longest): braced(longest ? "%%" : "%", word)
    case .replacing(let pattern, let word, let all):
      "${\(parameter.name)\(all ? "//" : "/")\(of(pattern))/\(of(word))}"
    case .other(let text): "${\(parameter.name)\(text)}"
    }
  }

  static func of(_ command: ShellCommand) -> String {
    switch command.kind {
    case .simple(let assignments, let words):
      (assignments.map { "\($0.name)=\(of($0.value))" } + words.map { of($0) }).joined(separator: " ")
    case .pipeline(let commands, let negated):
      (negated ? "! " : "") + commands.map { of($0) }.joined(separator: " | ")
    case .andOr(let first, let rest):
      rest.reduce(of(first)) { $0 + ($1.isAnd ? " && " : " || ") + of($1.command) }
    case .background(let inner): of(inner) + " &"
    case .group: "{ … }"
    case .subshell: "( … )"
    case .conditional(let branches, _):
      "if \(branches.first?.condition.map { of($0) }.joined(separator: "; ") ?? "") …"
    case .choice(let word, _): "case \(of(word)) in …"
    case .forEach(let variable, let words, _):
      "for \(variable) in \((words ?? []).map { of($0) }.joined(separator: " ")) …"
    case .loop(let condition, _, let isUntil):
      "\(isUntil ? "until" : "while") \(condition.map { of($0) }.joined(separator: "; ")) …"
    case .function(let name, _): "\(name)() …"
    case .unreadable(let text): text
    }
  }
}
