import Testing

@testable import Sim

@Suite("The footprint check")
struct FootprintCheckTests {
  @Test("has nothing to say about footprints derived from the rules")
  func honest() {
    for seed in 0..<200 as Range<UInt64> {
      let model = Recipe().make(seed: seed)
      #expect(FootprintCheck.check(model).isEmpty, "seed \(seed)\n\(model)")
    }
  }

  /// Leaves something out of a footprint of each model. An omission need not show (the object may never matter), but
  /// where the explorer then misses an end, the check must have complained.
  @Test("complains wherever a false footprint makes the explorer miss an end")
  func omissions() {
    var missed = 0
    for seed in 0..<1_500 as Range<UInt64> {
      var model = Recipe().make(seed: seed)
      let honest = Set(Explorer.explore(model).ends.map(\.state))
      if honest.count == 1 { continue }
      let victim = Int(seed) % model.rules.count
      model.footprints[victim] = .none
      for event in model.rules.indices { model.reaches[event] = .none }
      for _ in model.rules {
        for (event, rule) in model.rules.enumerated() {
          model.reaches[event] = model.reaches[event].union(model.footprints[event])
          for (next, _) in rule.branches.flatMap(\.schedules) {
            model.reaches[event] = model.reaches[event].union(model.reaches[next])
          }
        }
      }
      let found = Set(Explorer.explore(model).ends.map(\.state))
      if found == honest { continue }
      missed += 1
      #expect(!FootprintCheck.check(model).isEmpty, "seed \(seed)\n\(model)")
    }
    #expect(missed > 10)
  }

  @Test("complains about a reach that leaves out what follows")
  func reach() {
    let tick = TableModel.Branch(schedules: [(1, Window(.seconds(1)))])
    let write = TableModel.Branch(effects: [.init(object: 0, value: 1, adds: false)])
    var model = TableModel(
      objects: 1,
      rules: [
        .init(object: 0, value: 3, then: tick, otherwise: tick),
        .init(object: 0, value: 3, then: write, otherwise: write),
      ],
      story: [[(0, .now)]])
    #expect(FootprintCheck.check(model).isEmpty)
    model.reaches[0] = .none
    let violations = FootprintCheck.check(model)
    #expect(violations.map(\.kind) == [.reach])
    #expect(violations.first?.description == "0 schedules 1, whose reach is not within that of 0")
  }
}
