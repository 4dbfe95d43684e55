import Synchronization

/// The layers that are in use in this process, so that LUNs that share one share its files too.
final class LayerCache: Sendable {
  private struct Entry {
    weak var layer: Layer?
  }

  private struct State {
    var entries: [Identifier: Entry] = [:]
    /// From how many entries on it is worth looking for those whose layer is gone.
    var limit = 64
  }

  private let state = Mutex(State())

  /// The layer, if it is in use.
  subscript(identifier: Identifier) -> Layer? { state.withLock { $0.entries[identifier]?.layer } }

  /// The layer that is in use, or what `open` returns.
  func layer(_ identifier: Identifier, _ open: () throws(StoreError) -> Layer) throws(StoreError) -> Layer {
    if let layer = self[identifier] { return layer }
    let layer = try open()
    insert(layer)
    return layer
  }

  /// Puts in a layer that was opened for writing and is written no more.
  func insert(_ layer: Layer) {
    state.withLock { state in
      state.entries[layer.record.identifier] = Entry(layer: layer)
      guard state.entries.count > state.limit else { return }
      state.entries = state.entries.filter { $0.value.layer != nil }
      state.limit = max(64, 2 * state.entries.count)
    }
  }

  /// Forgets a layer: its record has changed, and whoever opens it from here on is to see that.
  func forget(_ identifier: Identifier) {
    state.withLock { $0.entries[identifier] = nil }
  }
}
