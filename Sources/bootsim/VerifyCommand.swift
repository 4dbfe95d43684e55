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

  @Option(
    help: ArgumentHelp(
      "Judge the transcript of an earlier run of the scenario; nothing is booted.", valueName: "file"))
  var transcript: String?

  @Option(help: ArgumentHelp("Keep the transcripts in this folder.", valueName: "folder"))
  var transcripts: String?

  func run() throws {
    let work = getenv("BOOTSIM_LAB").map { String(cString: $0) } ?? "/var/tmp/bootsim-lab"
    let here = CommandLine.arguments[0]
    let beside = here.contains("/") ? here[..<here.lastIndex(of: "/")!] + "/fuse-lun" : "fuse-lun"
    let folder = LabFolder(path: work, recipes: recipes, fuseLun: fuseLun ?? String(beside))
    let loaded = try ScenarioFiles().load(files)
    let mount = transcript == nil ? try LabMount(folder) : nil
    defer { withExtendedLifetime(mount) {} }
    for loaded in loaded {
      let scenario = loaded.scenario.scenario
      let report = Bootsim.simulate(scenario)
      var name = loaded.file.split(separator: "/").last!
      name.removeLast(5)
      let seen: Transcript
      if let transcript {
        seen = Transcript(parsing: String(decoding: try Input.bytes(transcript), as: UTF8.self))
      } else {
        let snapshot = try folder.prepare(scenario.profile ?? "")
        let kernel = try folder.info(scenario.profile ?? "")["kernel"] ?? ""
        let decoder = ScenarioDecoder(.files)
        let bare = decoder.load(
          Array("{\"version\":1,\"title\":\"x\",\"profile\":\"\(scenario.profile!)\"}".utf8), file: "profile")
        let plan = try LabPlan(scenario, profile: bare.value!.scenario, kernel: kernel)
        let run = LabRun(plan, variant: String(name), folder: folder, report: report)
        seen = try run.perform(from: snapshot)
        if let transcripts { try Output.write(seen.text, toFile: "\(transcripts)/\(name).log") }
      }
      let observation = Observation(judging: seen, devices: DeviceTable(scenario))
      var text = "== \(name): \(report.verdict.rawValue)\n"
      for outcome in report.outcomes {
        for boot in outcome.boots {
          text +=
            "  says boot \(boot.outcome.rawValue) \(boot.stage?.rawValue ?? "-") \(boot.finding ?? "-") \(Double(boot.at) / 1e6) root \(boot.rootDevice ?? "-") \(boot.disks.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })\n"
        }
        for off in outcome.shutdowns {
          text +=
            "  says off \(off.outcome.rawValue) \(off.finding ?? "-") \(Double(off.at) / 1e6) \(off.fileSystem.rawValue)\n"
        }
      }
      for boot in observation.boots {
        text +=
          "  seen boot \(boot.outcome.rawValue) \(boot.stage?.rawValue ?? "-") \(boot.findings) \(boot.at) root \(boot.rootDevice ?? "-") \(boot.disks?.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" } ?? [])\n"
      }
      for off in observation.shutdowns {
        text +=
          "  seen off \(off.outcome.rawValue) \(off.findings) \(off.at) \(off.fileSystem?.rawValue ?? "-")\n"
      }
      Output.write(text)
    }
  }
}
