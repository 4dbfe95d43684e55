import ArgumentParser
import Glibc
import LinuxConfig
import Reports
import Sim

struct TestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "test",
    abstract: "Simulate scenarios and compare what comes with what they expect.",
    discussion: """
      A folder stands for every .json file in it and below it, but for those in folders called profiles.
      Exit status: 0 every expectation holds; 1 one does not, or a scenario expects nothing; 2 bad input.
      """)

  @Argument(help: "Scenarios, or folders of scenarios.")
  var paths: [String]

  @Option(help: ArgumentHelp("Write the results as JUnit XML, too.", valueName: "file"))
  var junit: String?

  @Option(help: "The seed of the sampled runs.")
  var seed: UInt64 = 1

  func run() throws {
    let loaded = try ScenarioFiles().load(try files())
    let style = Output.style
    var options = Bootsim.Options()
    options.seed = seed
    // Cures are no part of what is expected, and finding them takes most of the time.
    options.fixes = false
    var results: [TestResult] = []
    for scenario in loaded {
      let start = Self.now()
      let report = Bootsim.simulate(scenario.scenario.scenario, options: options)
      let result = TestResult(
        file: scenario.file, scenario: scenario.scenario.scenario, report: report, seconds: Self.now() - start
      )
      Output.write(result.text(style: style))
      results.append(result)
    }
    let failed = results.count { !$0.holds }
    let scenarios = results.count == 1 ? "1 scenario" : "\(results.count) scenarios"
    Output.write("\(scenarios): \(failed == 0 ? "every expectation holds" : "\(failed) failed")\n")
    if let junit { try Output.write(JUnitReport.text(results), toFile: junit) }
    if failed > 0 { throw Status.failing }
  }

  /// The files that the paths stand for, each once, those of a folder in the order of their names.
  private func files() throws(Status) -> [String] {
    var files: [String] = []
    var seen = Set<String>()
    var isBad = false
    func complain(_ path: String, _ message: String) {
      Output.complain("\(path): error: \(message)")
      isBad = true
    }
    for path in paths {
      guard Self.isFolder(path) else {
        if seen.insert(path).inserted { files.append(path) }
        continue
      }
      do throws(Input.Failure) {
        let found = try Self.scenarios(in: path)
        if found.isEmpty { complain(path, "there is no scenario in this folder") }
        files += found.filter { seen.insert($0).inserted }
      } catch {
        complain(path, error.message)
      }
    }
    if isBad { throw .badInput }
    return files
  }

  private static func scenarios(in folder: String) throws(Input.Failure) -> [String] {
    let folder = folder.hasSuffix("/") && folder != "/" ? String(folder.dropLast()) : folder
    var files: [String] = []
    for name in try Input.names(in: folder) {
      let path = TreePath.join(folder, name)
      // A link to a folder could lead in a circle; a link to a file cannot.
      if isFolder(path, followingLinks: false) {
        if name != "profiles", !name.hasPrefix(".") { files += try scenarios(in: path) }
      } else if name.hasSuffix(".json"), !isFolder(path) {
        files.append(path)
      }
    }
    return files
  }

  private static func isFolder(_ path: String, followingLinks: Bool = true) -> Bool {
    var information = stat()
    let status = followingLinks ? stat(path, &information) : lstat(path, &information)
    return status == 0 && information.st_mode & S_IFMT == S_IFDIR
  }

  private static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
