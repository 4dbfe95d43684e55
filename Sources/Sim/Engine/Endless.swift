/// What the graph of explored states says about runs that never end.
enum EndlessVerdict {
  /// There is none.
  case none
  /// There is one: the positions of the events to take from the start, -1 for a step of the story.
  case found([Int32])
  /// It depends on what really follows from these states.
  case unknown([Int32])
}

extension Search {
  /// The positions of the events that lead to a node from the start, -1 for a step of the story.
  func path(to node: Int32) -> [Int32] {
    var path: [Int32] = []
    var node = node
    while nodes[node].parent >= 0 {
      path.append(nodes[node].via)
      node = nodes[node].parent
    }
    return path.reversed()
  }

  /// Looks for loops in the graph.
  ///
  /// A loop of exact edges is a run that can go on for any length, unless all along the loop an event with a
  /// deadline stays pending: time would have to stand still for it.
  func findEndless() -> EndlessVerdict {
    let all = components(exactOnly: false)
    if all.loops.isEmpty { return .none }
    let exact = nodes.hasCovered ? components(exactOnly: true) : all
    for loop in exact.loops {
      if let path = endlessPath(loop, exact.component) { return .found(path) }
    }
    var open: [Int32] = []
    for loop in all.loops {
      for node in loop where hasInexactEdge(node, within: all.component) { open.append(node) }
    }
    return open.isEmpty ? .none : .unknown(open.sorted())
  }

  private func hasInexactEdge(_ node: Int32, within component: [Int32]) -> Bool {
    let own = component[Int(node)]
    if nodes[node].covered >= 0 { return component[Int(nodes[node].covered)] == own }
    for index in edgeRange(node) where !edges[index].isExact {
      if component[Int(edges[index].target)] == own { return true }
    }
    return false
  }

  private func edgeRange(_ node: Int32) -> Range<Int32> {
    let first = nodes[node].firstEdge
    return first < 0 ? 0..<0 : first..<first + nodes[node].edgeCount
  }

  /// The strongly connected components, and those among them that contain a loop (Tarjan 1972, without recursion).
  private func components(exactOnly: Bool) -> (component: [Int32], loops: [[Int32]]) {
    var component = [Int32](repeating: -1, count: nodes.count)
    // Of a node whose component is known the order is the largest, which lowers nothing: an edge to it then takes
    // one look at one array.
    let isDone = Int32.max
    var order = [Int32](repeating: -1, count: nodes.count)
    var low = [Int32](repeating: 0, count: nodes.count)
    var stack: [Int32] = []
    var calls: [(node: Int32, edge: Int32)] = []
    var loops: [[Int32]] = []
    var nextOrder: Int32 = 0
    var nextComponent: Int32 = 0

    /// The target of a node's successor number `edge`; -1 if it is to be left out, nil after the last.
    func successor(_ node: Int32, _ edge: Int32) -> Int32? {
      if nodes[node].covered >= 0 { return edge > 0 ? nil : exactOnly ? -1 : nodes[node].covered }
      if nodes[node].firstEdge < 0 || edge >= nodes[node].edgeCount { return nil }
      let found = edges[nodes[node].firstEdge + edge]
      return exactOnly && !found.isExact ? -1 : found.target
    }

    for root in 0..<Int32(nodes.count) where order[Int(root)] < 0 {
      calls.append((root, 0))
      while let (node, edge) = calls.last {
        if edge == 0 {
          order[Int(node)] = nextOrder
          low[Int(node)] = nextOrder
          nextOrder += 1
          stack.append(node)
        }
        if let target = successor(node, edge) {
          calls[calls.count - 1].edge += 1
          if target < 0 { continue }
          let reached = order[Int(target)]
          if reached < 0 {
            calls.append((target, 0))
          } else if reached < low[Int(node)] {
            low[Int(node)] = reached
          }
          continue
        }
        calls.removeLast()
        if let caller = calls.last?.node { low[Int(caller)] = min(low[Int(caller)], low[Int(node)]) }
        if low[Int(node)] == order[Int(node)] {
          var members: [Int32] = []
          repeat {
            members.append(stack.removeLast())
            component[Int(members[members.count - 1])] = nextComponent
            order[Int(members[members.count - 1])] = isDone
          } while members[members.count - 1] != node
          nextComponent += 1
          var edge: Int32 = 0
          var hasLoop = members.count > 1
          while !hasLoop, let target = successor(node, edge) {
            hasLoop = target == node
            edge += 1
          }
          if hasLoop { loops.append(members) }
        }
      }
    }
    return (component, loops)
  }

  /// The way into a loop and once round it; nil when the loop cannot go on while time passes.
  private func endlessPath(_ members: [Int32], _ component: [Int32]) -> [Int32]? {
    guard let entry = members.min(by: { nodes[$0].depth < nodes[$1].depth }) else { return nil }
    for position in 0..<nodes.pendingCount(of: entry) where nodes.hasDeadline(entry, at: position) {
      let event = nodes.event(of: entry, at: position)
      if isStuck(event, members, component) { return nil }
    }
    guard let lap = lap(from: entry, component) else { return nil }
    return path(to: entry) + lap
  }

  /// Whether an event is pending at each of these nodes, and neither taken nor cancelled between them.
  private func isStuck(_ event: Int32, _ members: [Int32], _ component: [Int32]) -> Bool {
    for node in members {
      let isPending = (0..<nodes.pendingCount(of: node)).contains {
        nodes.event(of: node, at: $0) == event
      }
      if !isPending { return false }
      for index in edgeRange(node) {
        let edge = edges[index]
        if !edge.isExact || component[Int(edge.target)] != component[Int(node)] { continue }
        if edge.position < 0 { return false }
        let taken = nodes.event(of: node, at: Int(edge.position))
        if taken == event || cancels(taken, event, in: nodes.state(of: node)) { return false }
      }
    }
    return true
  }

  private func cancels(_ taken: Int32, _ event: Int32, in state: Int32) -> Bool {
    var copy = states[state]
    var out = Outbox<M.Event, M.Note>()
    model.handle(alphabet[taken], &copy, &out)
    return out.cancelled.contains(alphabet[event])
  }

  /// The shortest way from a node back to itself, within its component.
  private func lap(from start: Int32, _ component: [Int32]) -> [Int32]? {
    var origin: [Int32: (node: Int32, via: Int32)] = [:]
    var queue = [start]
    var head = 0
    while head < queue.count {
      let node = queue[head]
      head += 1
      for index in edgeRange(node) where edges[index].isExact {
        let edge = edges[index]
        if component[Int(edge.target)] != component[Int(start)] || origin[edge.target] != nil { continue }
        origin[edge.target] = (node, edge.position)
        queue.append(edge.target)
        if edge.target == start { head = queue.count }
      }
    }
    var lap: [Int32] = []
    var node = start
    repeat {
      guard let step = origin[node] else { return nil }
      lap.append(step.via)
      node = step.node
    } while node != start
    return lap.reversed()
  }
}
