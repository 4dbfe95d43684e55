import ArgumentParser
import Sim

struct InitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Print a commented scenario to start from; it runs as it is.",
    discussion: "The profiles inside bootsim: \(EmbeddedProfiles.names.joined(separator: ", ")).")

  @Argument(help: "The profile that it starts from.")
  var profile = "debian-12"

  func run() throws {
    do throws(ScenarioResources.Failure) {
      _ = try EmbeddedProfiles.document(profile)
    } catch {
      Output.complain("bootsim: error: profile \"\(profile)\": \(error.message)")
      if let hint = error.hint { Output.complain("  hint: \(hint)") }
      throw Status.badInput
    }
    Output.write(StarterScenario.text(profile: profile))
  }
}
