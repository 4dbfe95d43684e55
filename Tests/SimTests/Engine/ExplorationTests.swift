import Testing

@testable import Sim

/// Models small enough to know by heart what must come out.
@Suite("An exploration")
struct ExplorationTests {
  private static func always(
    _ effects: [TableModel.Effect] = [], _ schedules: [(Int, Window)] = [], cancels: [Int] = []
  ) -> TableModel.Rule {
    let branch = TableModel.Branch(effects: effects, schedules: schedules, cancels: cancels)
    return .init(object: 0, value: 3, then: branch, otherwise: branch)
  }

  private static func sets(_ value: Int) -> [TableModel.Effect] {
    [.init(object: 0, value: value, adds: false)]
  }

  private static func seconds(_ earliest: Int64, _ latest: Int64) -> Window {
    Window(.seconds(earliest), .seconds(latest))
  }

  /// Event 0 leads to 1, which races with 2. Each window alone leaves both orders open; the sum of 0's and 1's does
  /// not: 4…6 s against 7…9 s.
  @Test("does not believe in orders that no times allow")
  func sums() {
    func ends(_ late: Window) -> [[Int]] {
      let model = TableModel(
        objects: 1,
        rules: [
          Self.always([], [(1, Self.seconds(2, 3))]), Self.always(Self.sets(1)), Self.always(Self.sets(2)),
        ],
        story: [[(0, Self.seconds(2, 3)), (2, late)]])
      return Explorer.explore(model).ends.map(\.state.values)
    }
    #expect(ends(Self.seconds(7, 9)) == [[2]])
    #expect(Set(ends(Self.seconds(6, 9))) == [[1], [2]])
    #expect(ends(Self.seconds(1, 3)) == [[1]])
  }

  /// Both windows can be at their worst, but not at once: what delays the one delays the other.
  @Test("knows that delays with the same cause go together")
  func correlation() {
    let model = TableModel(
      objects: 1,
      rules: [
        Self.always([], [(1, Self.seconds(5, 5)), (2, Self.seconds(6, 6))]), Self.always(Self.sets(1)),
        Self.always(Self.sets(2)),
      ],
      story: [[(0, Self.seconds(0, 100))]])
    #expect(Explorer.explore(model).ends.map(\.state.values) == [[2]])
  }

  @Test("takes a time-out that is restarted for a loop without end, and shows the way into it")
  func endless() throws {
    let found = Explorer.explore(Login(answers: Window(.seconds(6)), phases: 1, counts: false))
    #expect(found.complete)
    #expect(found.isEndless)
    #expect(found.ends.isEmpty)
    #expect(found.endless?.description == "1/1@0,3@5000000")
  }

  @Test("does not take a retry that always succeeds in the end for one without end")
  func counted() {
    let found = Explorer.explore(Login(answers: Window(.seconds(1), .seconds(5)), phases: 3, counts: false))
    // The answer may come at 5 s, together with the time-out: either may be first.
    #expect(found.isEndless)
    let early = Explorer.explore(Login(answers: Window(.seconds(1), .seconds(4)), phases: 3))
    #expect(!early.isEndless)
    #expect(early.complete)
    #expect(early.ends.map(\.state) == [Login.State(phase: 3, attempts: 3, loggedIn: true)])
  }

  /// The watchdog's deadline bounds the loop: 1 is taken ten times at most, then 2 stops it.
  @Test("does not take a loop that a deadline stops for one without end")
  func stopped() {
    let model = TableModel(
      objects: 1,
      rules: [Self.always(), Self.always([], [(1, Self.seconds(1, 2))]), Self.always([], [], cancels: [1])],
      story: [[(1, Self.seconds(1, 2)), (2, Self.seconds(5, 10))]])
    let found = Explorer.explore(model)
    #expect(found.complete)
    #expect(!found.isEndless)
    #expect(found.ends.count == 1)
  }

  /// n independent chains of two events, and their 3^n control states in all orders; reduced to one sequence.
  @Test("follows independent events in one sequence only")
  func reduction() {
    func explore(_ chains: Int, reduces: Bool) -> Exploration<TableModel> {
      let effect = { TableModel.Effect(object: $0, value: 1, adds: true) }
      var rules: [TableModel.Rule] = []
      for chain in 0..<chains {
        rules.append(Self.always([effect(chain)], [(2 * chain + 1, Self.seconds(1, 5))]))
        rules.append(Self.always([effect(chain)]))
      }
      let story = (0..<chains).map { (event: 2 * $0, window: Self.seconds(1, 5)) }
      var options = Explorer.Options()
      options.reduces = reduces
      return Explorer.explore(TableModel(objects: chains, rules: rules, story: [story]), options)
    }
    let reduced = explore(8, reduces: true)
    #expect(reduced.ends.count == 1)
    #expect(reduced.states == 2 + 16)
    let all = explore(4, reduces: false)
    #expect(all.ends.map(\.state) == explore(4, reduces: true).ends.map(\.state))
    // Every combination of progress once: taking independent events in either sequence gives the same zone.
    #expect(all.states == 1 + 81)
  }

  @Test("that its budget stops is not complete, and does not lie about what it found")
  func budget() {
    for seed in 0..<60 as Range<UInt64> {
      let model = Recipe(cycles: seed % 2 == 0).make(seed: seed)
      let whole = Explorer.explore(model)
      #expect(whole.complete)
      let same = Explorer.explore(model, budget: whole.states)
      #expect(same.complete)
      for budget in [0, 1, 2, whole.states / 2, whole.states - 1] {
        let part = Explorer.explore(model, budget: budget)
        #expect(!part.complete, "seed \(seed), \(budget) of \(whole.states)")
        #expect(part.states <= budget)
        #expect(Set(part.ends.map(\.state)).isSubset(of: whole.ends.map(\.state)))
      }
    }
  }

  @Test("is the same every time")
  func deterministic() {
    for seed in 0..<100 as Range<UInt64> {
      let model = Recipe(cycles: seed % 3 == 0).make(seed: seed)
      let (a, b) = (Explorer.explore(model), Explorer.explore(model))
      #expect(a.ends.map(\.state) == b.ends.map(\.state))
      #expect(a.ends.map(\.witness.description) == b.ends.map(\.witness.description))
      #expect(a.endless == b.endless)
      #expect((a.states, a.transitions) == (b.states, b.transitions))
    }
  }

  /// The first race is decided at the edge of both windows; everything else can stay nominal.
  @Test("witnesses stay at nominal times where the order allows it")
  func nominalWitness() {
    let model = TableModel(
      objects: 1,
      rules: [Self.always(Self.sets(1)), Self.always(Self.sets(2)), Self.always(Self.sets(0))],
      story: [[(0, Self.seconds(2, 4)), (1, Self.seconds(4, 8))], [(2, Self.seconds(0, 10))]])
    let found = Explorer.explore(model)
    #expect(found.ends.map(\.witness.description) == ["1/0@3000000,1@6000000/2@5000000"])
    var open = model
    open.story.removeLast()
    let late = Explorer.explore(open).ends.first { $0.state.values == [1] }
    #expect(late?.witness.description == "1/1@4000000,0@4000000")
  }

  @Test("copes with delays of thousands of years and hundreds of pending events")
  func extremes() {
    let effect = { TableModel.Effect(object: $0, value: 1, adds: true) }
    let huge = Window(.zero, .maximum)
    let chain = (0..<40).map { event in
      Self.always([effect(0)], event < 39 ? [(event + 1, huge)] : [])
    }
    let long = TableModel(objects: 1, rules: chain, story: [[(0, huge), (20, huge)]])
    let found = Explorer.explore(long)
    #expect(found.complete)
    #expect(found.ends.count == 1)
    let many = TableModel(
      objects: 30, rules: (0..<30).map { Self.always([effect($0)]) },
      story: [(0..<100).map { (event: $0 % 30, window: Self.seconds(0, Int64($0))) }])
    let wide = Explorer.explore(many, budget: 50)
    #expect(wide.states == 50)
    #expect(!wide.complete)
  }
}
