/// Runs a model many times with random delays, to see how often it ends in which way.
///
/// What it never sees may still happen: only ``Explorer`` can say that something cannot.
public enum Sampler {
  /// How often the sampled runs ended in each way.
  public struct Tally<M: Model>: Sendable {
    /// The runs that ended in one state.
    public struct Outcome: Sendable {
      /// The control state at the end.
      public let end: M.State
      /// How many runs ended so.
      public internal(set) var count: Int
      /// The seed of the first of them, for ``Simulation/Choice/seed(_:)``.
      public let seed: UInt64
    }

    /// The outcomes in the order of their first runs.
    public internal(set) var outcomes: [Outcome] = []
    /// How many runs reached the limit on events before they ended.
    public internal(set) var unfinished = 0
    /// How many runs there were.
    public internal(set) var runs = 0
    /// How many events all of them handled.
    public internal(set) var events = 0
  }

  /// Samples a model. Run number i of the series is the same whatever the number of runs.
  ///
  /// - Parameters:
  ///   - model: the world to run.
  ///   - runs: how many times to run it.
  ///   - seed: what the delays of the whole series depend on.
  ///   - limit: the number of events after which a run is given up.
  public static func sample<M: Model>(
    _ model: M, runs: Int, seed: UInt64, limit: Int = 1_000_000
  ) -> Tally<M> {
    var tally = Tally<M>()
    var places: [M.State: Int] = [:]
    for index in 0..<Swift.max(0, runs) {
      let own = RandomSource.seed(seed, run: UInt64(index))
      let run = Simulation.timed(model, random: RandomSource(seed: own), tracing: false, limit: limit)
      tally.runs += 1
      tally.events += run.events
      guard run.stop == .finished else {
        tally.unfinished += 1
        continue
      }
      if let place = places[run.end] {
        tally.outcomes[place].count += 1
      } else {
        places[run.end] = tally.outcomes.count
        tally.outcomes.append(Tally.Outcome(end: run.end, count: 1, seed: own))
      }
    }
    return tally
  }
}
