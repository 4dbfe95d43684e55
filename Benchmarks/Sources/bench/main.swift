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
  let sizes = arguments.count > 3 ? [Int(arguments[3]) ?? 8] : [8, 64, 1024, 65536]
  for lps in sizes {
    let model = Phold(lps: lps)
    var counts: [UInt64] = []
    // The one step of the story counts as well.
    let time = processorTime {
      counts = Simulation.run(model, choosing: .nominal, limit: events + 1).end.counts
    }
    let check = zip(1..., counts).reduce(0) { $0 &+ $1.0 &* $1.1 }
    print("\(lps)\t\(Int(Double(counts.reduce(0, +)) / time))\t\(check)")
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
  FileHandle.standardError.write(Data("usage: bench phold [EVENTS [LPS]] | processes [--safety]\n".utf8))
  exit(2)
}
