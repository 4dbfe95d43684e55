@testable import Sim

/// A small model made of tables, for comparing the explorer with brute force on models nobody thought of.
struct TableModel: Model, CustomStringConvertible {
  struct State: Hashable, Sendable {
    var phase = 0
    /// One small number an object.
    var values: [Int]
  }

  struct Effect: Sendable {
    var object: Int
    /// The new value: the old one plus this, modulo 3, when `adds`; otherwise this.
    var value: Int
    var adds: Bool
  }

  struct Branch: Sendable {
    var effects: [Effect] = []
    var schedules: [(event: Int, window: Window)] = []
    var cancels: [Int] = []
    /// Whether the branch cancels before it schedules.
    var cancelsFirst = false
  }

  /// What an event does: one thing if an object has a value, another if not.
  struct Rule: Sendable {
    var object: Int
    var value: Int
    var then: Branch
    var otherwise: Branch
    var branches: [Branch] { [then, otherwise] }
  }

  var objects: Int
  var rules: [Rule]
  /// What each step of the story schedules.
  var story: [[(event: Int, window: Window)]]
  var footprints: [Footprint] = []
  var reaches: [Footprint] = []

  init(objects: Int, rules: [Rule], story: [[(event: Int, window: Window)]]) {
    self.objects = objects
    self.rules = rules
    self.story = story
    declareFootprints()
  }

  /// Derives footprints from the rules. Events that are ever cancelled have an object of their own, which those
  /// that cancel write, and those that schedule, and the event itself, read.
  private mutating func declareFootprints() {
    let cancelled = Set(rules.flatMap { $0.branches.flatMap(\.cancels) })
    func timer(_ event: Int) -> UInt64 { cancelled.contains(event) ? 1 << UInt64(32 + event) : 0 }
    footprints = rules.enumerated().map { event, rule in
      var footprint = Footprint(reads: timer(event))
      if rule.value < 3 { footprint.reads |= 1 << UInt64(rule.object) }
      for branch in rule.branches {
        for effect in branch.effects { footprint.writes |= 1 << UInt64(effect.object) }
        for (event, _) in branch.schedules { footprint.reads |= timer(event) }
        for event in branch.cancels { footprint.writes |= timer(event) }
      }
      return footprint
    }
    reaches = footprints
    for _ in rules {
      for (event, rule) in rules.enumerated() {
        for (next, _) in rule.branches.flatMap(\.schedules) {
          reaches[event] = reaches[event].union(reaches[next])
        }
      }
    }
  }

  func start() -> State { State(values: Array(repeating: 0, count: objects)) }

  func handle(_ event: Int, _ state: inout State, _ out: inout Outbox<Int, String>) {
    let rule = rules[event]
    let branch = state.values[rule.object] == rule.value ? rule.then : rule.otherwise
    for effect in branch.effects {
      let base = effect.adds ? state.values[effect.object] : 0
      state.values[effect.object] = (base + effect.value) % 3
    }
    if branch.cancelsFirst { for event in branch.cancels { out.cancel(event) } }
    for (event, window) in branch.schedules { out.schedule(event, window) }
    if !branch.cancelsFirst { for event in branch.cancels { out.cancel(event) } }
  }

  func resume(_ state: inout State, _ out: inout Outbox<Int, String>) -> Bool {
    guard state.phase < story.count else { return false }
    for (event, window) in story[state.phase] { out.schedule(event, window) }
    state.phase += 1
    return true
  }

  func footprint(of event: Int) -> Footprint { footprints[event] }
  func reach(of event: Int) -> Footprint { reaches[event] }
  func code(of event: Int) -> UInt64 { UInt64(event) }

  var description: String {
    func text(_ list: [(event: Int, window: Window)]) -> String {
      list.map { item in
        let latest = item.window.latest.isUnbounded ? "∞" : "\(item.window.latest.microseconds)"
        return "\(item.event)[\(item.window.earliest.microseconds),\(latest)]"
      }.joined(separator: " ")
    }
    func text(_ branch: Branch) -> String {
      let effects = branch.effects.map { "o\($0.object)\($0.adds ? "+" : ":")=\($0.value)" }
      return "{\(effects.joined(separator: " ")); \(text(branch.schedules)); "
        + (branch.cancelsFirst ? "cancel first " : "cancel ") + "\(branch.cancels)}"
    }
    let rules = rules.enumerated().map { event, rule in
      "  \(event): o\(rule.object)=\(rule.value) ? \(text(rule.then)) : \(text(rule.otherwise))"
    }
    return (["story " + story.map { text($0) }.joined(separator: " / ")] + rules).joined(separator: "\n")
  }
}

/// How to make up a model.
struct Recipe: Sendable {
  var events = 5
  var objects = 3
  var phases = 2
  var longest: Int64 = 3
  var cancels = true
  /// Whether an event may schedule one that comes before it in the table, so that runs may never end.
  var cycles = false
  var unbounded = false

  func make(seed: UInt64) -> TableModel {
    var random = RandomSource(seed: seed)
    func below(_ n: Int) -> Int { Int(random.next(below: UInt64(n))) }
    let events = 2 + below(self.events - 1)
    let objects = 1 + below(self.objects)
    func window(atLeast earliest: Int64) -> Window {
      if unbounded && below(4) == 0 { return Window(.microseconds(Int64(below(3))), .unbounded) }
      let first = earliest + Int64(below(Int(longest - earliest) + 1))
      let width = below(2) == 0 ? 0 : Int64(below(Int(longest - first) + 1))
      return Window(.microseconds(first), .microseconds(first + width))
    }
    func branch(_ event: Int) -> TableModel.Branch {
      var branch = TableModel.Branch()
      for _ in 0..<below(3) {
        branch.effects.append(.init(object: below(objects), value: below(3), adds: below(2) == 0))
      }
      let first = cycles ? 0 : event + 1
      if first < events {
        for _ in 0..<below(cycles ? 2 : 3) {
          let next = first + below(events - first)
          branch.schedules.append((next, window(atLeast: next <= event ? 1 : 0)))
        }
      }
      if cancels && below(3) == 0 { branch.cancels.append(below(events)) }
      branch.cancelsFirst = below(2) == 0
      return branch
    }
    let rules = (0..<events).map { event in
      // A rule whose value is 3 never asks: it does the same whatever the objects are.
      TableModel.Rule(
        object: below(objects), value: below(4), then: branch(event), otherwise: branch(event))
    }
    let story = (0..<1 + below(phases)).map { _ in
      (0..<1 + below(3)).map { _ in (event: below(events), window: window(atLeast: 0)) }
    }
    return TableModel(objects: objects, rules: rules, story: story)
  }
}
