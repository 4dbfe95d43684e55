/// One exploration: the states found so far, and the work of finding their successors.
///
/// States are expanded in the order in which they were found, so witnesses are short and every exploration of a
/// model is the same.
struct Search<M: Model>: ~Copyable {
  let model: M
  let options: Explorer.Options
  var nodes = NodeStore()
  var edges = EdgeList()
  var states: InternTable<M.State>
  var alphabet: Alphabet<M>
  private(set) var ends: [(state: M.State, node: Int32)] = []
  private var endStates: [M.State: Int] = [:]
  private var transitions = 0
  private var next: Int32 = 0
  private var isOutOfBudget = false

  private var out = Outbox<M.Event, M.Note>()
  private var parent = Zone()
  private var work = Zone()
  private var child = Zone()
  private var scratch = ZoneScratch()
  private var choice = Choice()
  private var step = StepPlan()

  init(_ model: M, _ options: Explorer.Options) {
    self.model = model
    self.options = options
    states = InternTable()
    alphabet = Alphabet(model)
  }

  /// Explores everything that the budget allows.
  mutating func run() -> Exploration<M> {
    expandAll()
    var endless = options.findsEndless ? findEndless() : .none
    while case .unknown(let open) = endless, !isOutOfBudget {
      // A loop through a state that is only covered by another proves nothing: its own runs may be fewer. So
      // find out what really follows.
      for node in open where !isOutOfBudget {
        nodes[node].covered = -1
        transitions -= Int(nodes[node].edgeCount)
        expand(node, covering: false)
      }
      expandAll(covering: false)
      endless = findEndless()
    }
    var loop: Witness?
    if case .found(let path) = endless { loop = witness(path) }
    return Exploration(
      ends: ends.map { Exploration.End(state: $0.state, witness: witness(path(to: $0.node))) },
      states: nodes.count, transitions: transitions, complete: !isOutOfBudget, endless: loop)
  }

  /// Expands every state that is not, and those found meanwhile.
  mutating func expandAll(covering: Bool = true) {
    if nodes.count == 0 {
      child.reset(count: 0, pastCount: 0)
      _ = add(intern(model.start()), parent: -1, via: -1, depth: 0)
    }
    while Int(next) < nodes.count, !isOutOfBudget {
      if nodes[next].covered < 0, nodes[next].firstEdge < 0 {
        expand(next, covering: covering && options.covers)
      }
      next += 1
    }
  }

  // MARK: Successors

  private mutating func expand(_ node: Int32, covering: Bool) {
    nodes[node].firstEdge = Int32(edges.count)
    nodes.read(node, into: &parent)
    if parent.count == 0 {
      resume(node, covering)
    } else {
      let depth = nodes[node].depth
      let lead = options.lead?.microseconds ?? Swift.min(8 * step.longest, SimTime.maximum.microseconds)
      choice.choose(parent, alphabet, reducing: options.reduces, lead: lead)
      for k in 0..<parent.count where choice.isChosen[k] && !isOutOfBudget {
        take(k, from: node, depth, covering)
      }
      addStaged(from: node, depth, covering)
    }
    nodes[node].edgeCount = Int32(edges.count) - nodes[node].firstEdge
  }

  /// Takes the next step of the story from a quiescent state.
  private mutating func resume(_ node: Int32, _ covering: Bool) {
    var state = states[nodes.state(of: node)]
    out.empty()
    guard model.resume(&state, &out) else {
      if endStates[state] == nil {
        endStates[state] = ends.count
        ends.append((state, node))
      }
      return
    }
    parent.reset(count: 0, pastCount: 0)
    step.plan(out, parent, taking: -1, &alphabet)
    step.build(&child, from: parent, taking: -1)
    connect(add(intern(state), parent: node, via: -1, depth: nodes[node].depth + 1, covering), -1)
  }

  /// Takes the pending event at position `k`, if it can be the next one.
  private mutating func take(_ k: Int, from node: Int32, _ depth: Int32, _ covering: Bool) {
    let event = parent.events[k]
    var state = states[nodes.state(of: node)]
    out.empty()
    // Without bounds there is nothing to demand, so the event can be the next one.
    let isBlank = parent.isBlank
    if isBlank {
      model.handle(alphabet[event], &state, &out)
      if step.buildBlank(&child, out, from: parent, taking: k, &alphabet) {
        nodes.stage(state: intern(state), child, via: Int32(k))
        return
      }
    }
    addStaged(from: node, depth, covering)
    if isOutOfBudget { return }
    let footprint = alphabet.footprint(event)
    let lead = choice.leads(of: k, parent, alphabet)
    work.copy(parent)
    scratch.reserve(parent.count)
    if !work.demand(k, lead: lead, footprint: footprint, &scratch) { return }

    if !isBlank { model.handle(alphabet[event], &state, &out) }
    step.plan(out, work, taking: k, &alphabet)
    if step.cancelled.contains(where: { lead[$0] > 0 }) {
      // A model with honest footprints never comes here: cancelling is a conflict.
      for x in step.cancelled { lead[x] = 0 }
      if !work.demand(k, lead: lead, footprint: footprint, &scratch) { return }
    }
    work.closePast(&scratch)
    step.build(&child, from: work, taking: k)
    step.remember(&child, from: work, taking: k, footprint)
    child.simplifyPast(alphabet)
    connect(add(intern(state), parent: node, via: Int32(k), depth: depth + 1, covering), Int32(k))
  }

  @inline(__always)
  private mutating func intern(_ state: M.State) -> Int32 {
    states.intern(state, hash: model.hash(of: state))
  }

  /// Adds the states staged since the last time.
  @inline(__always)
  private mutating func addStaged(from node: Int32, _ depth: Int32, _ covering: Bool) {
    if nodes.stagedCount == 0 { return }
    nodes.readAhead()
    for number in 0..<nodes.stagedCount where !isOutOfBudget {
      let (addition, via) = nodes.addStaged(
        number, &child, alphabet, parent: node, depth: depth + 1, merging: options.merges,
        covering: covering, budget: options.budget)
      if addition == nil { isOutOfBudget = true }
      connect(addition, via)
    }
    nodes.unstage()
  }

  private mutating func add(
    _ state: Int32, parent: Int32, via: Int32, depth: Int32, _ covering: Bool = true
  ) -> NodeStore.Addition? {
    let addition = nodes.add(
      state: state, &child, alphabet, parent: parent, via: via, depth: depth, merging: options.merges,
      covering: covering, budget: options.budget)
    if addition == nil { isOutOfBudget = true }
    return addition
  }

  private mutating func connect(_ addition: NodeStore.Addition?, _ position: Int32) {
    guard let addition else { return }
    transitions += 1
    // Edges are for finding loops.
    if !options.findsEndless { return }
    switch addition {
    case .added(let target), .same(let target): edges.append(target, position, isExact: true)
    case .covered(let target): edges.append(target, position, isExact: false)
    }
  }
}
