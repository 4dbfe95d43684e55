import ArgumentParser
import Reports
import Sim

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Simulate scenarios: timeline, verdict, why, and cures that were verified.",
    discussion:
      "Exit status: 0 comes up in every order and goes down clean; 1 fails or may fail; 2 bad input.")

  @Argument(help: "Scenarios; - is standard input.")
  var files: [String]

  @Flag(help: "Print JSON; for several files a list.")
  var json = false

  @Option(help: "The seed of the sampled runs, which give the shares.")
  var seed: UInt64 = 1

  @Option(help: ArgumentHelp("Replay a witness from a file.", valueName: "file"))
  var schedule: String?

  @Flag(help: "Only the one run in which everything takes its usual time.")
  var nominal = false

  func validate() throws {
    if nominal, schedule != nil { throw ValidationError("--nominal and --schedule do not go together") }
    if schedule != nil, files.count > 1 { throw ValidationError("--schedule replays a run of one scenario") }
    if files.count(where: { $0 == "-" }) + (schedule == "-" ? 1 : 0) > 1 {
      throw ValidationError("standard input (-) can be read only once")
    }
  }

  func run() throws {
    var options = Bootsim.Options()
    options.seed = seed
    if nominal { options.mode = .nominal }
    let loaded = try ScenarioFiles().load(files)
    if let schedule {
      let witness = try witness(schedule)
      if let scenario = loaded.first?.scenario.scenario, let why = Bootsim.mismatch(witness, scenario) {
        Output.complain("\(schedule): error: this schedule is not of \(files[0]): \(why)")
        Output.complain("  hint: a witness replays only the scenario it was found in")
        throw Status.badInput
      }
      options.mode = .schedule(witness)
    }
    let reports = loaded.map { ($0.file, Bootsim.simulate($0.scenario.scenario, options: options)) }
    if json {
      let values = reports.map { file, report in report.json(file: file) }
      let value = files.count == 1 ? values[0] : JSONValue(.array(values))
      Output.write(value.text(indented: true) + "\n")
    } else {
      let style = Output.style
      let extent: TerminalReport.Extent = schedule != nil ? .witness : nominal ? .nominal : .everyOrder
      let texts = reports.map { TerminalReport.text($0.1, extent: extent, style: style) }
      Output.write(texts.joined(separator: "\n"))
    }
    // "In every order" was not shown where the budget ended the exploration.
    let explored = options.mode == .explore
    if reports.contains(where: { $0.1.verdict != .boots || explored && !$0.1.complete }) {
      throw Status.failing
    }
  }

  private func witness(_ file: String) throws(Status) -> Witness {
    let text: String
    do throws(Input.Failure) {
      text = String(decoding: try Input.bytes(file), as: UTF8.self)
    } catch {
      Output.complain("\(file): error: \(error.message)")
      throw .badInput
    }
    do throws(WitnessError) {
      return try Witness(parsing: text)
    } catch {
      Output.complain("\(file):\(error.line):\(error.column): error: \(error.message)")
      Output.complain("  hint: a schedule is the \"witness\" of an outcome that --json printed")
      throw .badInput
    }
  }
}
