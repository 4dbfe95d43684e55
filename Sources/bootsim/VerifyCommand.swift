import ArgumentParser
import Glibc
import Lab
import Reports
import Sim

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Simulate scenarios, boot them for real, and compare.",
    discussion: """
      The scenario's profile names the image that the machine boots from; Lab/README.md has them. The machine runs under \
      QEMU, its LUs are files of a fuse-lun mount, and tgtd serves them, in a network of its own. Root is needed, and what \
      'Scripts/setup lab' installs. Images, LUNs and logs are in the folder that BOOTSIM_LAB names, /var/tmp/bootsim-lab \
      otherwise.
      Exit status: 0 all that was seen is as predicted; 1 something differs; 2 bad input, out of the laboratory's reach, or \
      the laboratory itself failed.
      """)

  @Argument(help: "Scenarios whose profile is an image of the laboratory.")
  var files: [String]

  @Option(help: ArgumentHelp("Do so many scenarios at a time.", valueName: "count"))
  var jobs = 1

  @Option(help: ArgumentHelp("Do each scenario so many times.", valueName: "count"))
  var times = 1

  @Option(
    help: ArgumentHelp(
      "Write what was predicted and seen into this folder, a file a scenario; runs are added to those that it has.",
      valueName: "folder"))
  var results: String?

  @Flag(help: "Leave out what the results have already, with the same prediction and packages.")
  var resume = false

  @Option(help: ArgumentHelp("Write the page of all results.", valueName: "file"))
  var page: String?

  @Option(
    help: ArgumentHelp(
      "Record the writes to the root's LU, check what a power cut at each flush would have left, and write that as JSON.",
      valueName: "file"))
  var crashPoints: String?

  @Option(help: ArgumentHelp("Keep the transcripts in this folder, as NAME.log.", valueName: "folder"))
  var transcripts: String?

  @Flag(help: "Boot nothing: judge the transcripts that an earlier run kept.")
  var again = false

  @Option(help: ArgumentHelp("The folder of the image recipes.", valueName: "folder"))
  var recipes = "Lab/images"

  @Option(
    help: ArgumentHelp("The program fuse-lun; by default the one beside this program.", valueName: "file"))
  var fuseLun: String?

  func validate() throws {
    if jobs < 1 { throw ValidationError("--jobs is 1 or more") }
    if times < 1 { throw ValidationError("--times is 1 or more") }
    if again, transcripts == nil {
      throw ValidationError("--again needs --transcripts: the folder that they are in")
    }
    if resume, results == nil {
      throw ValidationError("--resume needs --results: the folder that is looked at")
    }
    if page != nil, results == nil {
      throw ValidationError("--page needs --results: the folder that it is made of")
    }
    if crashPoints != nil, files.count > 1 { throw ValidationError("--crash-points is for one scenario") }
  }

  func run() throws {
    let loaded = try ScenarioFiles().load(files)
    let laboratory = Laboratory(
      folder: LabFolder(
        path: getenv("BOOTSIM_LAB").map { String(cString: $0) } ?? "/var/tmp/bootsim-lab", recipes: recipes,
        fuseLun: fuseLun ?? Self.beside), results: results, transcripts: transcripts, again: again)
    let work = try laboratory.plan(loaded, times: times, resume: resume)
    var worst = Status.good
    if again || work.count == 1 {
      for variant in work { worst = max(worst, laboratory.verify(variant, crashPoints: crashPoints)) }
    } else if !work.isEmpty {
      worst = try each(work, laboratory)
    }
    if let page { try laboratory.writePage(page) }
    if worst != .good { throw worst }
  }

  /// Each in a process of its own, so many at a time; what each says is printed when it has ended.
  private func each(_ work: [Laboratory.Variant], _ laboratory: Laboratory) throws -> Status {
    var worst = Status.good
    do throws(LabError) {
      let mount = try LabMount(laboratory.folder)
      defer { withExtendedLifetime(mount) {} }
      for image in Set(work.map(\.image)).sorted() {
        Output.complain("image \(image)")
        _ = try laboratory.folder.prepare(image)
      }
      var options = ["--recipes", recipes, "--fuse-lun", laboratory.folder.fuseLun]
      if let results { options += ["--results", results] }
      if let transcripts { options += ["--transcripts", transcripts] }
      if let crashPoints { options += ["--crash-points", crashPoints] }
      let words = work.map { [Self.program, "verify", $0.file] + options }
      var done = 0
      try LabJobs.run(words, lanes: jobs) { job, status, text in
        done += 1
        Output.write(text)
        Output.complain("\(done) of \(work.count): \(work[job].name)")
        worst = max(worst, Status(rawValue: status) ?? .badInput)
      }
    } catch {
      Output.complain("bootsim: error: \(error)")
      return .badInput
    }
    return worst
  }

  /// This program's file, whatever it was called by.
  private static let program: String = {
    var path = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let count = readlink("/proc/self/exe", &path, Int(PATH_MAX))
    return count > 0
      ? String(decoding: path[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self) : "bootsim"
  }()

  private static var beside: String {
    guard let slash = program.lastIndex(of: "/") else { return "fuse-lun" }
    let path = program[...slash] + "fuse-lun"
    return access(String(path), X_OK) == 0 ? String(path) : "fuse-lun"
  }
}

extension Status: Comparable {
  static func < (left: Status, right: Status) -> Bool { left.rawValue < right.rawValue }
}
