import Glibc
import Synchronization

/// What there is to know of a chain of layers from its records and the attributes of its files, with nothing opened.
struct LayerFacts: Sendable {
  /// Of the topmost layer.
  var record: LayerRecord
  /// Of the topmost layer's data file.
  var status: stat
  /// Of all of them.
  var below: LayerSum

  /// What all of them take up in the host's file system, in bytes; at most the size of the LUN that they are, although
  /// a layer may have blocks that one above it hides.
  var allocated: Int64 { min(record.size, below.allocated + status.allocated) }
  var depth: Int { below.depth + 1 }
  var base: BaseReference? { record.parent == nil ? record.base : below.base }
}

/// A layer and all those below it, added up; what is below the root is all zeros.
struct LayerSum: Sendable {
  var depth = 0
  var allocated: Int64 = 0
  /// The image that the root is a lazy copy of.
  var base: BaseReference?
}

/// What was found out about layers that are below others and so do not change, until somebody makes two of them one:
/// ten thousand snapshots of a LUN are each in all the layers of those before it.
final class LayerSums: Sendable {
  private struct State {
    var sums: [Identifier: LayerSum] = [:]
    var generation = 0
  }
  private let state = Mutex(State())

  /// Layers have become one, or have given blocks back.
  func forget() {
    state.withLock { $0 = State(generation: $0.generation + 1) }
  }

  /// Adds up the layers from `top` down.
  fileprivate func sum(
    _ top: Identifier?, in store: Store, from head: Identifier
  ) throws(StoreError) -> LayerSum {
    var pending: [(Identifier, allocated: Int64, base: BaseReference?)] = []
    var seen: Set<Identifier> = [head]
    var next = top
    var sum = LayerSum()
    let generation = state.withLock { $0.generation }
    while let identifier = next {
      if let known = state.withLock({ $0.sums[identifier] }) {
        sum = known
        break
      }
      guard seen.insert(identifier).inserted else { throw store.circle(from: head) }
      let (record, folder) = try store.layerRecord(identifier)
      pending.append((identifier, try folder.dataStatus(record).allocated, record.base))
      next = record.parent
    }
    var found: [(Identifier, LayerSum)] = []
    for (identifier, allocated, base) in pending.reversed() {
      sum = LayerSum(
        depth: sum.depth + 1, allocated: min(sum.allocated + allocated, LUN.maximumSize),
        base: sum.base ?? base)
      found.append((identifier, sum))
    }
    state.withLock { state in
      guard state.generation == generation else { return }
      for (identifier, sum) in found { state.sums[identifier] = sum }
    }
    return sum
  }
}

extension Store {
  /// Looks at the layers of a LUN or a snapshot.
  ///
  /// - Parameter sums: what is known already.
  /// - Throws: `damaged`, or the failing system call.
  func layerFacts(_ head: Identifier, _ sums: LayerSums) throws(StoreError) -> LayerFacts {
    let (record, folder) = try layerRecord(head)
    return LayerFacts(
      record: record, status: try folder.dataStatus(record),
      below: try sums.sum(record.parent, in: self, from: head))
  }
}
