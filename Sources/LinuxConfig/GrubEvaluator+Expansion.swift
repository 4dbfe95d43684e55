/// Expansion of words: variables, and splitting of unquoted ones.
extension GrubEvaluator {
  func expand(_ words: [GrubWord]) -> [String] { words.flatMap { expand($0) } }

  func expand(_ word: GrubWord) -> [String] {
    var fields: [String] = []
    var current: [UInt8] = []
    var isOpen = false
    for part in word.parts {
      switch part {
      case .text(let text, let quoted):
        current += Array(text.utf8)
        if quoted || !text.isEmpty { isOpen = true }
      case .variable("@", true):
        for (index, argument) in arguments.enumerated() {
          if index > 0 {
            fields.append(String(bytes: current))
            current = []
          }
          current += Array(argument.utf8)
          isOpen = true
        }
      case .variable(let name, true):
        current += Array(value(name).utf8)
        isOpen = true
      case .variable(let name, false):
        for byte in value(name).utf8 {
          if byte.isSpace {
            if isOpen { fields.append(String(bytes: current)) }
            (current, isOpen) = ([], false)
          } else {
            current.append(byte)
            isOpen = true
          }
        }
      }
    }
    if isOpen { fields.append(String(bytes: current)) }
    return fields
  }

  private func value(_ name: String) -> String {
    switch name {
    case "@", "*": arguments.joined(separator: " ")
    case "#": "\(arguments.count)"
    case "?": status ? "0" : "1"
    case let digits where digits.decimal != nil:
      digits.decimal.flatMap { arguments.indices.contains($0 - 1) ? arguments[$0 - 1] : nil } ?? ""
    default: variables[name] ?? ""
    }
  }
}
