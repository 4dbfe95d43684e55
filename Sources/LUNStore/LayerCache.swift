import Synchronization

/// The layers that are open in this process, so that LUNs that share one share its descriptors too.
final class LayerCache: Sendable {
  private struct Entry {
    weak var layer: Layer?
  }

  /// What the layers may be opened for: merging writes to layers below heads as well.
  let access: LUN.Access
  private let entries = Mutex<[Identifier: Entry]>([:])

  init(_ access: LUN.Access) { self.access = access }

  /// The open layer, or what `open` returns.
  func layer(_ identifier: Identifier, _ open: () throws(StoreError) -> Layer) throws(StoreError) -> Layer {
    if let layer = entries.withLock({ $0[identifier]?.layer }) { return layer }
    let layer = try open()
    entries.withLock { $0[identifier] = Entry(layer: layer) }
    return layer
  }

  /// Puts in a layer that was opened for writing and is written no more.
  func insert(_ layer: Layer) {
    entries.withLock { $0[layer.record.identifier] = Entry(layer: layer) }
  }

  /// Forgets a layer: its record has changed, and whoever opens it from here on is to see that.
  func forget(_ identifier: Identifier) {
    entries.withLock { $0[identifier] = nil }
  }
}
