import Testing

@testable import Sim

/// Ways to explore, all of which have to find the same ends.
enum Mode: String, CaseIterable, Sendable {
  case full, exactMerging, unreduced, plain, inStep

  var options: Explorer.Options {
    var options = Explorer.Options(budget: 5_000)
    switch self {
    case .full: break
    case .exactMerging: options.covers = false
    case .unreduced: options.reduces = false
    case .plain: (options.covers, options.reduces) = (false, false)
    case .inStep: options.lead = .zero
    }
    return options
  }
}

@Suite("The explorer")
struct ExplorerTests {
  /// How many models of each kind to compare; a release build can do far more (`ENGINE_MODELS`).
  #if DEBUG
    static let models = UInt64(Environment.number("ENGINE_MODELS") ?? 150)
  #else
    static let models = UInt64(Environment.number("ENGINE_MODELS") ?? 2_000)
  #endif
  static let first = UInt64(Environment.number("ENGINE_SEED") ?? 0)

  static func compare(_ recipe: Recipe, seed: UInt64) {
    let model = recipe.make(seed: seed)
    var brute = BruteForce(model, limit: 20_000, horizon: 14)
    brute.run()
    guard brute.isComplete else { return }
    for mode in Mode.allCases {
      let found = Explorer.explore(model, mode.options)
      let ends = Set(found.ends.map(\.state))
      #expect(ends.count == found.ends.count)
      if !found.complete {
        // Only without one of the savings may there be too many states.
        #expect(
          mode == .unreduced || mode == .exactMerging || mode == .plain,
          "seed \(seed), \(mode): \(found.states) states\n\(model)")
        #expect(ends.isSubset(of: brute.ends), "seed \(seed), \(mode)\n\(model)")
        continue
      }
      #expect(ends == brute.ends, "seed \(seed), \(mode)\n\(model)")
      #expect(found.isEndless == brute.isEndless, "seed \(seed), \(mode): endless\n\(model)")
      for end in found.ends {
        let run = Simulation.run(model, choosing: .schedule(end.witness))
        #expect(
          run.stop == .finished && run.end == end.state, "seed \(seed), \(mode), \(end.witness)\n\(model)")
        #expect((try? Witness(parsing: end.witness.description)) == end.witness)
      }
      if let endless = found.endless {
        let run = Simulation.run(model, choosing: .schedule(endless))
        #expect(run.stop == .scheduleEnded, "seed \(seed), \(mode), \(endless)\n\(model)")
      }
    }
  }

  @Test("finds exactly the ends that brute force finds, with schedules that lead there")
  func bruteForce() {
    for seed in Self.first..<Self.first + Self.models { Self.compare(Recipe(), seed: seed) }
  }

  @Test("finds exactly the ends that brute force finds where nothing is cancelled")
  func withoutCancelling() {
    let recipe = Recipe(events: 6, phases: 1, longest: 4, cancels: false)
    for seed in Self.first..<Self.first + Self.models { Self.compare(recipe, seed: seed) }
  }

  @Test("finds exactly the ends, and whether there are endless runs, where events may repeat")
  func cycles() {
    let recipe = Recipe(events: 4, cycles: true)
    for seed in Self.first..<Self.first + Self.models { Self.compare(recipe, seed: seed) }
  }

  @Test("finds exactly the ends where some events have no deadline")
  func unbounded() {
    let recipe = Recipe(events: 4, phases: 1, longest: 2, unbounded: true)
    for seed in Self.first..<Self.first + Self.models { Self.compare(recipe, seed: seed) }
  }
}
