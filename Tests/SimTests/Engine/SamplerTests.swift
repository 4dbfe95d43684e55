import Testing

@testable import Sim

@Suite("The sampler")
struct SamplerTests {
  /// Two events between 0 and 3 µs; the one that comes last decides. Equal times go in the order of scheduling.
  private static let race: TableModel = {
    func sets(_ value: Int) -> TableModel.Rule {
      let branch = TableModel.Branch(effects: [.init(object: 0, value: value, adds: false)])
      return .init(object: 0, value: 3, then: branch, otherwise: branch)
    }
    let window = Window(.zero, .microseconds(3))
    return TableModel(objects: 1, rules: [sets(1), sets(2)], story: [[(0, window), (1, window)]])
  }()

  @Test("counts outcomes in proportion to the times that lead to them")
  func proportions() {
    let tally = Sampler.sample(Self.race, runs: 16_000, seed: 1)
    #expect(tally.runs == 16_000)
    #expect(tally.outcomes.map(\.count).reduce(0, +) == 16_000)
    let secondLast = tally.outcomes.first { $0.end.values == [2] }?.count ?? 0
    // Of the 16 pairs of times 10 let the second event be the last; the deviation allowed is 5 sigma.
    #expect(abs(secondLast - 10_000) < 310)
  }

  @Test("takes the usual delay of a steady window nearly always, and each other one as often as the rest")
  func steady() {
    var random = RandomSource(seed: 5)
    let window = Window(.zero, .microseconds(9), seldomElse: .microseconds(2))
    var counts = Array(repeating: 0, count: 10)
    for _ in 0..<16_000 { counts[Int(random.delay(in: window).microseconds)] += 1 }
    // One in 16 is drawn from the ten delays: 1,000 and 100 are expected, and 5 sigma allowed.
    #expect(abs(16_000 - counts[2] - 900) < 150)
    for (delay, count) in counts.enumerated() where delay != 2 { #expect(abs(count - 100) < 50) }
  }

  @Test("gives the same tally for the same seed, and seeds that replay")
  func deterministic() {
    let (a, b) = (Sampler.sample(Self.race, runs: 50, seed: 7), Sampler.sample(Self.race, runs: 50, seed: 7))
    #expect(a.outcomes.map(\.count) == b.outcomes.map(\.count))
    #expect(a.outcomes.map(\.seed) == b.outcomes.map(\.seed))
    for outcome in a.outcomes {
      #expect(Simulation.run(Self.race, choosing: .seed(outcome.seed)).end == outcome.end)
    }
  }

  @Test("sees no outcome that the explorer does not know")
  func within() {
    for seed in 0..<150 as Range<UInt64> {
      let model = Recipe(unbounded: seed % 2 == 0).make(seed: seed)
      let ends = Set(Explorer.explore(model).ends.map(\.state))
      for outcome in Sampler.sample(model, runs: 40, seed: seed).outcomes {
        #expect(ends.contains(outcome.end), "seed \(seed)\n\(model)")
      }
    }
  }

  @Test("counts runs that never end as unfinished")
  func endless() {
    let tally = Sampler.sample(Login(answers: Window(.seconds(6))), runs: 3, seed: 0, limit: 100)
    #expect(tally.unfinished == 3)
    #expect(tally.outcomes.isEmpty)
  }
}
