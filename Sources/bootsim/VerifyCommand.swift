import ArgumentParser
import Glibc
import Lab
import Reports
import Sim

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Simulate scenarios, boot them for real, and compare.")

  @Argument(help: "Scenarios whose profile is an image of the laboratory.")
  var files: [String]

  @Option(help: ArgumentHelp("The folder of the image recipes.", valueName: "folder"))
  var recipes = "Lab/images"

  @Option(
    help: ArgumentHelp("The program fuse-lun; by default the one beside this program.", valueName: "file"))
  var fuseLun: String?

  func run() throws {
    let work = getenv("BOOTSIM_LAB").map { String(cString: $0) } ?? "/var/tmp/bootsim-lab"
    let here = CommandLine.arguments[0]
    let beside = here.contains("/") ? here[..<here.lastIndex(of: "/")!] + "/fuse-lun" : "fuse-lun"
    let folder = LabFolder(path: work, recipes: recipes, fuseLun: fuseLun ?? String(beside))
    let mount = try LabMount(folder)
    defer { withExtendedLifetime(mount) {} }
    for loaded in try ScenarioFiles().load(files) {
      let scenario = loaded.scenario.scenario
      let report = Bootsim.simulate(scenario)
      let snapshot = try folder.prepare(scenario.profile ?? "")
      let kernel = try folder.info(scenario.profile ?? "")["kernel"] ?? ""
      let decoder = ScenarioDecoder(.files)
      let bare = decoder.load(
        Array("{\"version\":1,\"title\":\"x\",\"profile\":\"\(scenario.profile!)\"}".utf8), file: "profile")
      let plan = try LabPlan(scenario, profile: bare.value!.scenario, kernel: kernel)
      var name = loaded.file.split(separator: "/").last!
      name.removeLast(5)
      let run = LabRun(plan, variant: String(name), folder: folder, report: report)
      let transcript = try run.perform(from: snapshot)
      Output.write(transcript.text)
    }
  }
}
