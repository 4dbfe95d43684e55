/// Tests what a model declares about its events, on which the explorer's reduction relies.
///
/// In every state that can be reached (within a budget), any two pending events that are declared independent are
/// handled in both orders: the states must be the same afterwards, and so must be what either of them schedules
/// and cancels. Whatever an event schedules must be within its declared reach, and codes must tell events apart.
public enum FootprintCheck {
  /// A declaration that is not true.
  public struct Violation<M: Model>: Sendable, CustomStringConvertible {
    /// What is wrong.
    public enum Kind: Hashable, Sendable {
      /// The two events leave different states behind, depending on which comes first.
      case state
      /// What the first event schedules or cancels depends on whether the second comes before it.
      case requests
      /// The first event cancels the second.
      case cancelled
      /// The first event cancels what the second schedules.
      case cancelledSuccessor
      /// The first event schedules the second, which may reach more than the first declares.
      case reach
      /// Handling the first event alone may touch more than it says that it can reach.
      case ownReach
      /// The two events are different but have the same code.
      case code
    }

    /// What is wrong.
    public let kind: Kind
    /// The event that the declaration belongs to.
    public let first: M.Event
    /// The other event; the same one where only one is concerned.
    public let second: M.Event
    /// The control state in which it showed.
    public let state: M.State

    /// One line for people.
    public var description: String {
      switch kind {
      case .state: "\(first) and \(second) are declared independent, but their order changes the state"
      case .requests:
        "\(first) is declared independent of \(second), but schedules or cancels otherwise after it"
      case .cancelled: "\(first) is declared independent of \(second), but cancels it"
      case .cancelledSuccessor:
        "\(first) is declared independent of \(second), but cancels what that schedules"
      case .reach: "\(first) schedules \(second), whose reach is not within that of \(first)"
      case .ownReach: "the footprint of \(first) is not within its reach"
      case .code: "\(first) and \(second) have the same code"
      }
    }
  }

  /// Checks a model.
  ///
  /// - Parameters:
  ///   - model: the world to check.
  ///   - budget: how many states to look at.
  /// - Returns: what is wrong, each pair of events once for each kind, in the order of discovery.
  public static func check<M: Model>(_ model: M, budget: Int = 20_000) -> [Violation<M>] {
    var options = Explorer.Options(budget: budget)
    options.reduces = false
    options.lead = .zero
    var search = Search(model, options)
    search.expandAll()
    var check = PairCheck(model)
    for node in 0..<Int32(search.nodes.count) {
      let pending = (0..<search.nodes.pendingCount(of: node)).map {
        search.alphabet[search.nodes.event(of: node, at: $0)]
      }
      check.look(at: search.states[search.nodes.state(of: node)], pending)
    }
    return check.violations
  }
}

private struct PairCheck<M: Model> {
  private struct Handled {
    var state: M.State
    var scheduled: [(event: M.Event, window: Window)]
    var cancelled: [M.Event]

    func hasSameRequests(as other: Handled) -> Bool {
      cancelled == other.cancelled && scheduled.count == other.scheduled.count
        && zip(scheduled, other.scheduled).allSatisfy { $0.event == $1.event && $0.window == $1.window }
    }
  }

  private struct Seen: Hashable {
    var kind: FootprintCheck.Violation<M>.Kind
    var first: M.Event
    var second: M.Event
  }

  private struct Situation: Hashable {
    var state: M.State
    var pending: Set<M.Event>
  }

  private let model: M
  private(set) var violations: [FootprintCheck.Violation<M>] = []
  private var seen: Set<Seen> = []
  private var situations: Set<Situation> = []
  private var codes: [UInt64: M.Event] = [:]

  init(_ model: M) {
    self.model = model
  }

  mutating func look(at state: M.State, _ pending: [M.Event]) {
    if !situations.insert(Situation(state: state, pending: Set(pending))).inserted { return }
    let handled = pending.map { handle($0, state) }
    for (i, first) in pending.enumerated() {
      checkAlone(first, handled[i], state)
      for j in 0..<i where !model.footprint(of: first).conflicts(with: model.footprint(of: pending[j])) {
        checkPair((first, handled[i]), (pending[j], handled[j]), state)
      }
    }
  }

  private func handle(_ event: M.Event, _ state: M.State) -> Handled {
    var out = Outbox<M.Event, M.Note>()
    var state = state
    model.handle(event, &state, &out)
    return Handled(state: state, scheduled: out.scheduled, cancelled: out.cancelled)
  }

  private mutating func checkAlone(_ event: M.Event, _ handled: Handled, _ state: M.State) {
    let reach = model.reach(of: event)
    if !reach.covers(model.footprint(of: event)) { report(.ownReach, event, event, state) }
    for (next, _) in handled.scheduled where !reach.covers(model.reach(of: next)) {
      report(.reach, event, next, state)
    }
    let code = model.code(of: event)
    if let other = codes[code], other != event { report(.code, event, other, state) }
    codes[code] = event
  }

  private mutating func checkPair(
    _ a: (event: M.Event, handled: Handled), _ b: (event: M.Event, handled: Handled), _ state: M.State
  ) {
    if a.handled.cancelled.contains(b.event) { return report(.cancelled, a.event, b.event, state) }
    if b.handled.cancelled.contains(a.event) { return report(.cancelled, b.event, a.event, state) }
    let (aThenB, bThenA) = (handle(b.event, a.handled.state), handle(a.event, b.handled.state))
    if aThenB.state != bThenA.state { report(.state, a.event, b.event, state) }
    if !a.handled.hasSameRequests(as: bThenA) { report(.requests, a.event, b.event, state) }
    if !b.handled.hasSameRequests(as: aThenB) { report(.requests, b.event, a.event, state) }
    if b.handled.scheduled.contains(where: { a.handled.cancelled.contains($0.event) }) {
      report(.cancelledSuccessor, a.event, b.event, state)
    }
    if a.handled.scheduled.contains(where: { b.handled.cancelled.contains($0.event) }) {
      report(.cancelledSuccessor, b.event, a.event, state)
    }
  }

  private mutating func report(
    _ kind: FootprintCheck.Violation<M>.Kind, _ first: M.Event, _ second: M.Event, _ state: M.State
  ) {
    guard seen.insert(Seen(kind: kind, first: first, second: second)).inserted else { return }
    violations.append(.init(kind: kind, first: first, second: second, state: state))
  }
}
