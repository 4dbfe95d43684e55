import Glibc
import Synchronization

/// How far something long has come: bytes done, and bytes in all as far as one can tell.
public typealias Progress = @Sendable (_ done: Int64, _ total: Int64) -> Void

/// A store in the hands of the one process that may change what is in its LUNs, be it a daemon or a command.
///
/// LUNs are opened once and shared. Whatever changes their structure — snapshots, clones, sizes — can be done
/// while they are in use: requests wait for it, each a moment. All functions may be called from any thread.
public final class OpenStore: Sendable {
  /// The store.
  public let store: Store

  /// Whether the store may be changed.
  public let access: LUN.Access
  let cache: LayerCache
  private let lock: StoreLock

  private struct Table {
    var luns: [LUNName: LUN] = [:]
    var views: [SnapshotName: LUN] = [:]
    /// What is not whole, and is refused.
    var refused: [VolumeName: StoreError] = [:]
  }
  private let table = Mutex(Table())
  private let changes = Mutex(())

  /// Opens a store, takes the right to serve it, and removes what interrupted changes have left behind.
  ///
  /// - Parameters:
  ///   - mountpoint: where it will be served, for others to read; empty for a command.
  ///   - access: `.readOnly` changes nothing, not even what an interrupted change has left, and works in a file system
  ///     that is read-only.
  ///   - trustsImages: as `Store.open` has it.
  /// - Throws: `busy`, naming the process that has it; what `Store.open` throws.
  public init(
    _ path: String, at mountpoint: String, _ access: LUN.Access = .readWrite, trustsImages: Bool = false
  ) throws(StoreError) {
    store = try Store.open(path, trustsImages: trustsImages)
    self.access = access
    cache = LayerCache(access)
    guard access == .readWrite else {
      lock = try store.serveReadOnly()
      return
    }
    lock = try store.serve(at: mountpoint)
    do throws(StoreError) {
      let store = store
      try store.turn { () throws(StoreError) in
        var catalog = try Catalog(store)
        try catalog.removeLeftovers(store, isFresh: true)
      }
    } catch {
      lock.release()
      throw error
    }
  }

  /// Makes everything durable, and gives the right to serve the store back. No LUN may be used after that.
  ///
  /// - Throws: everything that could not be made durable.
  public func release() throws(StoreProblems) {
    let luns = table.withLock { Array($0.luns.values) }
    var problems: [StoreError] = []
    for lun in luns.sorted(by: { $0.volume < $1.volume }) {
      do throws(StoreError) {
        try lun.alone { () throws(StoreError) in
          try lun.seal()
          lun.retire()
        }
      } catch { problems.append(error) }
    }
    lock.release()
    if !problems.isEmpty { throw StoreProblems(problems) }
  }

  /// A LUN, opened if need be.
  ///
  /// - Throws: as `Store.openLUN` does.
  public func lun(_ name: LUNName) throws(StoreError) -> LUN {
    try table.withLock { table throws(StoreError) in
      if let lun = table.luns[name] { return lun }
      if let refusal = table.refused[.lun(name)] { throw refusal }
      let lun = try access == .readWrite ? open(name) : store.openLUN(name, .readOnly, cache)
      table.luns[name] = lun
      return lun
    }
  }

  /// A snapshot, opened if need be.
  ///
  /// - Throws: as `Store.openSnapshot` does.
  public func snapshotView(_ name: SnapshotName) throws(StoreError) -> LUN {
    try table.withLock { table throws(StoreError) in
      if let view = table.views[name] { return view }
      if let refusal = table.refused[.snapshot(name)] { throw refusal }
      let view = try store.openSnapshot(name, cache)
      table.views[name] = view
      return view
    }
  }

  /// A LUN or a snapshot, opened if need be.
  public func volume(_ name: VolumeName) throws(StoreError) -> LUN {
    switch name {
    case .lun(let name): try lun(name)
    case .snapshot(let name): try snapshotView(name)
    }
  }

  /// Opens none of these any more: each is damaged, for the reason given. What is open stays so.
  public func refuse(_ damaged: [VolumeName: StoreError]) { table.withLock { $0.refused = damaged } }

  /// The names of the LUNs and their snapshots, in order.
  public func volumes() throws(StoreError) -> [VolumeName] { try store.names() }

  private func open(_ name: LUNName) throws(StoreError) -> LUN {
    let lun = try store.openLUN(name, .readWrite, cache)
    let head = lun.chain.headRecord
    // Left too long by a change of size that was interrupted. What is there must not show when the LUN grows.
    if try lun.chain.head.data.status().st_size > head.size {
      guard ftruncate(lun.chain.head.data.raw, off_t(head.size)) == 0 else {
        throw .system("shorten", lun.chain.head.data.path)
      }
    }
    // A snapshot was taken and no new head put on top of it before the power went.
    let folder = try store.lunRecord(name).folder
    for entry in try folder.entries() where entry.hasPrefix("@") {
      guard let file = try folder.openFileIfPresent(entry, O_RDONLY),
        let snapshot = try? SnapshotRecord(reading: file), snapshot.layer == head.identifier
      else { continue }
      try lun.alone { () throws(StoreError) in try putHead(on: lun) }
      break
    }
    return lun
  }

  /// One change of structure at a time.
  ///
  /// - Throws: `EROFS` if the store is open for reading only.
  func change<Result: Sendable>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
    guard access == .readWrite else {
      throw StoreError(
        .system(EROFS), at: store.path, "is in a file system that is read-only, and cannot be changed",
        remedy: "'list', 'info', 'check', 'export' and 'mount -o ro' work there")
    }
    return try betweenChanges(body)
  }

  /// Looks at what no change of structure changes meanwhile.
  func betweenChanges<Result: Sendable>(
    _ body: () throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    try changes.withLock { _ throws(StoreError) in try body() }
  }

  /// The LUNs and snapshots that are open.
  var openVolumes: [LUN] { table.withLock { Array($0.luns.values) + Array($0.views.values) } }

  /// Runs `body` with a LUN that is open, or with `nil`, and then nobody opens it meanwhile.
  func withLUNIfOpen(
    _ name: LUNName, _ body: (LUN?) throws(StoreError) -> Void
  ) throws(StoreError) {
    let lun = try table.withLock { table throws(StoreError) -> LUN? in
      if let lun = table.luns[name] { return lun }
      try body(nil)
      return nil
    }
    if let lun { try body(lun) }
  }

  func forget(_ name: VolumeName) -> LUN? {
    table.withLock { table in
      table.refused[name] = nil
      return switch name {
      case .lun(let name): table.luns.removeValue(forKey: name)
      case .snapshot(let name): table.views.removeValue(forKey: name)
      }
    }
  }

  /// Puts an empty layer on top of a LUN's head, which nothing writes to from here on. To be called alone.
  func putHead(on lun: LUN) throws(StoreError) {
    try lun.seal()
    let frozen = lun.chain.headRecord
    let head = try store.makeLayer(LayerRecord(size: frozen.size, parent: frozen.identifier))
    let chain = try Chain(head, above: lun.chain)
    try install(head, chain, on: lun)
    cache.insert(chain.layers[chain.layers.count - 2])
  }

  /// Makes a new layer the head of a LUN, in its record first. To be called alone.
  func install(_ head: Layer, _ chain: Chain, on lun: LUN) throws(StoreError) {
    var record = lun.record
    record.head = head.record.identifier
    let failure: StoreError?
    do throws(StoreError) {
      failure = try store.lunRecord(record.name).folder.put(LUNRecord.fileName, record.encoded)
    } catch {
      store.layers.removeFolder(record.head.description)
      throw error
    }
    head.folder.unlock()
    lun.replace(chain, record: record)
    if let failure { throw failure }
  }
}
