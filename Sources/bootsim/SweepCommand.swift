import ArgumentParser
import Reports
import Sim

struct SweepCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sweep",
    abstract:
      "Simulate every combination of what a scenario varies, and say which choices are enough to fail.",
    discussion: """
      Every combination is tried over every order of its events. Failing ones are grouped by finding and reduced to \
      the smallest sets of choices that fail already.
      Exit status: 0 every combination comes up and goes down clean; 1 one does not; 2 bad input.
      """)

  @Argument(help: "A scenario with \"vary\"; - is standard input.")
  var file: String

  @Flag(help: "Print JSON.")
  var json = false

  @Option(help: ArgumentHelp("Write the JSON to a file, too.", valueName: "file"))
  var out: String?

  @Option(help: "The seed of the sampled runs.")
  var seed: UInt64 = 1

  func run() throws {
    guard let loaded = try ScenarioFiles().load([file]).first?.scenario else { throw Status.badInput }
    guard !loaded.variation.axes.isEmpty else {
      Output.complain("\(file): error: nothing varies\n  hint: add \"vary\", as {\"usb\": \"usb0\"}")
      throw Status.badInput
    }
    let problems = Sweep.problems(of: loaded.variation)
    guard problems.isEmpty else {
      Output.complain(problems)
      throw Status.badInput
    }
    var progress = Output.Progress()
    var options = Bootsim.Options()
    options.seed = seed
    options.fixes = false
    let report = Sweep.run(loaded) { done in
      progress.show(done, of: loaded.variation.count, "combinations")
    } simulate: { scenario in
      Bootsim.simulate(scenario, options: options)
    }
    let text = report.json(file: file).text(indented: true) + "\n"
    Output.write(json ? text : SweepTerminalReport.text(report, style: Output.style))
    if let out { try Output.write(text, toFile: out) }
    if report.boots < report.count { throw Status.failing }
  }
}
