import ArgumentParser
import Sim

struct SchemaCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schema", abstract: "Print the JSON Schema (draft 2020-12) of scenarios.",
    discussion: "#/$defs/profile in it is the schema of a profile.")

  func run() throws {
    Output.write(ScenarioSchema.document.text(indented: true) + "\n")
  }
}
