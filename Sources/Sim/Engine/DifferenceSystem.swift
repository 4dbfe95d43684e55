/// Times under constraints of the form T(v) ≤ T(u) + w, with for each the interval that is still possible.
///
/// Variable 0 is the origin, at time 0. As long as ``narrow(_:to:)`` is called with values from the current
/// intervals, and the constraints could be met at first, there is always a value left for every variable.
struct DifferenceSystem {
  private struct Edge {
    var other: Int
    var weight: Int64
  }

  private(set) var low: [Int64] = [0]
  private(set) var high: [Int64] = [0]
  /// For each u the constraints T(v) ≤ T(u) + w, and for each v the same ones.
  private var outgoing: [[Edge]] = [[]]
  private var incoming: [[Edge]] = [[]]

  /// Adds a variable, anywhere from the origin on.
  mutating func addVariable() -> Int {
    low.append(0)
    high.append(Zone.infinity)
    outgoing.append([])
    incoming.append([])
    return low.count - 1
  }

  /// Demands T(v) ≤ T(u) + w.
  mutating func add(_ v: Int, atMost u: Int, plus w: Int64) {
    if w >= Zone.infinity { return }
    outgoing[u].append(Edge(other: v, weight: w))
    incoming[v].append(Edge(other: u, weight: w))
  }

  /// Works out all intervals after constraints were added.
  ///
  /// - Returns: whether the constraints can be met.
  mutating func settle() -> Bool {
    propagate(Array(low.indices))
  }

  /// Fixes a variable at a value of its interval.
  mutating func narrow(_ variable: Int, to value: Int64) -> Bool {
    low[variable] = value
    high[variable] = value
    return propagate([variable])
  }

  private mutating func propagate(_ changed: [Int]) -> Bool {
    var queue = changed
    var isQueued = [Bool](repeating: false, count: low.count)
    for variable in changed { isQueued[variable] = true }
    var head = 0
    while head < queue.count {
      let u = queue[head]
      head += 1
      isQueued[u] = false
      if low[u] > high[u] { return false }
      for edge in outgoing[u] {
        let bound = Zone.sum(high[u], edge.weight)
        if bound < high[edge.other] {
          high[edge.other] = bound
          if !isQueued[edge.other] {
            isQueued[edge.other] = true
            queue.append(edge.other)
          }
        }
      }
      for edge in incoming[u] {
        let bound = low[u] - edge.weight
        if bound > low[edge.other] {
          low[edge.other] = bound
          if !isQueued[edge.other] {
            isQueued[edge.other] = true
            queue.append(edge.other)
          }
        }
      }
    }
    return true
  }
}
