import Foundation

// Prints lines of `name <tab> number`, which run.sh sets against those of the peers.

let arguments = CommandLine.arguments

/// The processor time that `body` takes, in seconds: on a shared machine steadier than the time by the clock.
func processorTime(_ body: () -> Void) -> Double {
  func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
  let start = now()
  body()
  return now() - start
}

switch arguments.count > 1 ? arguments[1] : "" {
case "phold":
  let events = arguments.count > 2 ? Int(arguments[2]) ?? 4_000_000 : 4_000_000
  for lps in [8, 64, 1024, 65536] {
    let model = Phold(lps: lps)
    var handled = 0
    let time = processorTime {
      let run = Simulation.run(model, choosing: .nominal, limit: events)
      handled = Int(run.end.counts.reduce(0, +))
    }
    print("\(lps)\t\(Int(Double(handled) / time))")
  }
case "processes":
  var options = Explorer.Options(budget: 100_000_000)
  options.reduces = false
  options.findsEndless = !arguments.contains("--safety")
  var found: Exploration<Processes>?
  let time = processorTime { found = Explorer.explore(Processes(), options) }
  guard let found, found.complete else { fatalError("the exploration is not complete") }
  // The state before the story's first step is ours alone.
  print("\(found.states - 1)\t\(Int(Double(found.states) / time))")
default:
  FileHandle.standardError.write(Data("usage: bench phold [EVENTS] | processes [--safety]\n".utf8))
  exit(2)
}
