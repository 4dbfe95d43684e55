import ArgumentParser
import Reports
import Sim

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Say what a finding means, how to recognise it and what cures it.")

  @Argument(help: "The finding's code; without it, all findings are listed.")
  var code: String?

  func run() throws {
    let findings = Finding.all
    guard let code else {
      let width = findings.map(\.code.rawValue.count).max() ?? 0
      for finding in findings {
        let padding = String(repeating: " ", count: width - finding.code.rawValue.count)
        Output.write("\(finding.code.rawValue)\(padding)  \(finding.title)\n")
      }
      return
    }
    guard let finding = Finding.named(code) else {
      Output.complain("bootsim: error: there is no finding \"\(code)\"")
      if let near = Spelling.nearest(code, among: findings.map(\.code.rawValue)) {
        Output.complain("  hint: did you mean \"\(near)\"?")
      } else {
        Output.complain("  hint: bootsim explain lists them")
      }
      throw Status.badInput
    }
    let style = Output.style
    Output.write("\(style.heading(finding.code.rawValue)): \(finding.title)\n")
    for (title, text) in [
      ("What it means", finding.meaning), ("How to recognise it", finding.recognise),
      ("What cures it", finding.cure),
      ("Sources", finding.sources.filter { DocumentRow.named($0) == nil }.joined(separator: "; ")),
    ] where !text.isEmpty {
      Output.write("\n\(style.heading(title))\n  \(style.paragraph(text, indentation: 2))\n")
    }
    let rows = finding.sources.compactMap(DocumentRow.named)
    if !rows.isEmpty { Output.write("\n\(style.heading("In the documents"))\n") }
    for row in rows {
      let text = "\(row.name): \(row.title) (\(row.place))"
      Output.write("  \(style.paragraph(text, indentation: 2))\n")
    }
  }
}
