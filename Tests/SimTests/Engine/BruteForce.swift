@testable import Sim

/// Every run of a model, by trying every whole number of microseconds for every delay, and every order of equal
/// times: what the explorer must agree with. Knows nothing of footprints, zones or reductions.
struct BruteForce<M: Model> {
  /// The control state, and what is pending with the time left to it.
  private struct Configuration: Hashable {
    var state: M.State
    var pending: [Timer]
  }

  private struct Timer: Hashable {
    var event: M.Event
    var left: Int64
  }

  let model: M
  /// The number of configurations after which to give up.
  let limit: Int
  /// The longest delay to try for a window without an end, beyond its earliest.
  var horizon: Int64 = 0

  private(set) var ends: Set<M.State> = []
  /// Whether some run never ends.
  private(set) var isEndless = false
  private(set) var isComplete = true
  /// The number of configurations found.
  var size: Int { numbers.count }
  private var numbers: [Configuration: Int] = [:]
  private var successors: [[Int]] = []

  init(_ model: M, limit: Int = 200_000, horizon: Int64 = 0) {
    self.model = model
    self.limit = limit
    self.horizon = horizon
  }

  mutating func run() {
    var open = [Configuration(state: model.start(), pending: [])]
    numbers[open[0]] = 0
    successors.append([])
    while let configuration = open.popLast() {
      let own = numbers[configuration] ?? 0
      for next in follow(configuration) {
        if let known = numbers[next] {
          successors[own].append(known)
          continue
        }
        if numbers.count >= limit {
          isComplete = false
          return
        }
        numbers[next] = numbers.count
        successors.append([])
        successors[own].append(numbers.count - 1)
        open.append(next)
      }
    }
    isEndless = hasLoop()
  }

  private mutating func follow(_ configuration: Configuration) -> [Configuration] {
    var out = Outbox<M.Event, M.Note>()
    var state = configuration.state
    guard let soonest = configuration.pending.map(\.left).min() else {
      if model.resume(&state, &out) { return schedule(out, Configuration(state: state, pending: [])) }
      ends.insert(state)
      return []
    }
    var result: [Configuration] = []
    for index in configuration.pending.indices where configuration.pending[index].left == soonest {
      var pending = configuration.pending
      let event = pending.remove(at: index).event
      for other in pending.indices { pending[other].left -= soonest }
      state = configuration.state
      out.empty()
      model.handle(event, &state, &out)
      result += schedule(out, Configuration(state: state, pending: pending))
    }
    return result
  }

  /// The configurations for all delays of what a handler asked for.
  private func schedule(
    _ out: borrowing Outbox<M.Event, M.Note>, _ start: Configuration
  ) -> [Configuration] {
    var all = [start]
    for index in 0..<out.count {
      let request = out[index]
      if request.cancels {
        for i in all.indices { all[i].pending.removeAll { $0.event == request.event } }
        continue
      }
      let earliest = request.window.earliest.microseconds
      let latest = request.window.latest.isUnbounded ? earliest + horizon : request.window.latest.microseconds
      all = all.flatMap { configuration in
        (earliest...latest).map { delay in
          var next = configuration
          next.pending.append(Timer(event: request.event, left: delay))
          return next
        }
      }
    }
    // Equal pending events are alike, so their order must not make configurations different.
    return all.map { configuration in
      var sorted = configuration
      sorted.pending.sort { a, b in
        let (x, y) = (model.code(of: a.event), model.code(of: b.event))
        return x != y ? x < y : a.left < b.left
      }
      return sorted
    }
  }

  /// Whether the graph of configurations has a loop: takes away configurations without successors until none is left.
  private func hasLoop() -> Bool {
    var predecessors = [[Int]](repeating: [], count: successors.count)
    var left = successors.map(\.count)
    for (node, targets) in successors.enumerated() {
      for target in targets { predecessors[target].append(node) }
    }
    var removable = left.indices.filter { left[$0] == 0 }
    var removed = 0
    while let node = removable.popLast() {
      removed += 1
      for other in predecessors[node] {
        left[other] -= 1
        if left[other] == 0 { removable.append(other) }
      }
    }
    return removed < successors.count
  }
}
