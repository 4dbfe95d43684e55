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
  let cache = LayerCache()
  let sums = LayerSums()
  private let lock: StoreLock
  private let table = OpenTable()
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
    guard access == .readWrite else {
      lock = try store.serveReadOnly()
      return
    }
    lock = try store.serve(at: mountpoint)
    do throws(StoreError) {
      let store = store
      try store.turn { () throws(StoreError) in
        try store.finishRenaming()
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
    let luns = table.all.filter { $0.access == .readWrite }
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
  public func lun(_ name: LUNName) throws(StoreError) -> LUN { try volume(.lun(name)) }

  /// A snapshot, opened if need be.
  ///
  /// - Throws: as `Store.openSnapshot` does.
  public func snapshotView(_ name: SnapshotName) throws(StoreError) -> LUN { try volume(.snapshot(name)) }

  /// A LUN or a snapshot, opened if need be. It stays open while somebody has it, and a while longer.
  public func volume(_ name: VolumeName) throws(StoreError) -> LUN {
    try table.volume(name) { () throws(StoreError) in
      switch name {
      case .lun(let name): access == .readWrite ? try open(name) : try store.openLUN(name, .readOnly, cache)
      case .snapshot(let name): try store.openSnapshot(name, cache)
      }
    }
  }

  /// Lets go of LUNs and snapshots that nobody has, with what they have open: connections to servers of images too.
  public func letGoOfIdle() { table.letGo() }

  /// The attributes of a LUN or a snapshot as a file, and whether it cannot be written. Opens nothing that is not open.
  ///
  /// - Throws: `absent`, `damaged`, or the failing system call.
  public func status(of name: VolumeName) throws(StoreError) -> (attributes: stat, isReadOnly: Bool) {
    if let lun = table[name], let status = try? lun.status() { return (status, lun.isReadOnly) }
    if let refusal = table.refusal(of: name) { throw refusal }
    let (record, facts) = try store.look(at: name, sums)
    var status = facts.status
    status.st_size = off_t(facts.record.size)
    if facts.depth > 1 { status.st_blocks = blkcnt_t(facts.allocated / 512) }
    guard case .lun = name else { return (status, true) }
    return (status, record.properties.isReadOnly || access == .readOnly)
  }

  /// Opens none of these any more: each is damaged, for the reason given. What is open stays so.
  public func refuse(_ damaged: [VolumeName: StoreError]) { table.refuse(damaged) }

  /// The names of the LUNs and their snapshots, in order.
  public func volumes() throws(StoreError) -> [VolumeName] { try store.names() }

  private func open(_ name: LUNName) throws(StoreError) -> LUN {
    let lun = try store.openLUN(name, .readWrite, cache)
    let head = lun.chain.headRecord
    // Left too long by a change of size that was interrupted. What is there must not show when the LUN grows.
    let file = lun.chain.head.data
    let data = try file.pinned()
    defer { file.unpin() }
    if try data.status().st_size > head.size {
      guard ftruncate(data.raw, off_t(head.size)) == 0 else { throw .system("shorten", data.path) }
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
  var openVolumes: [LUN] { table.all }

  /// Runs `body` with a LUN that is open, or with `nil`, and then nobody opens it meanwhile.
  func withLUNIfOpen(
    _ name: LUNName, _ body: (LUN?) throws(StoreError) -> Void
  ) throws(StoreError) {
    try table.withVolumeIfOpen(.lun(name), body)
  }

  func forget(_ name: VolumeName) -> LUN? { table.remove(name) }

  /// Puts an empty layer on top of a LUN's head, which nothing writes to from here on. To be called alone.
  func putHead(on lun: LUN) throws(StoreError) {
    guard lun.chain.layers.count < OwnerMap.maximumLayers else {
      throw StoreError(
        .invalidInput, at: "LUN '\(lun.volume)'", "has as many layers below it as there can be",
        remedy: "delete one of its snapshots, or of those of the LUN that it is a clone of")
    }
    try lun.seal()
    let frozen = lun.chain.headRecord
    let new = try store.makeLayer(LayerRecord(size: frozen.size, parent: frozen.identifier))
    let chain = try Chain(new.layer, above: lun.chain)
    try install(new, chain, on: lun)
    cache.insert(chain.layers[chain.layers.count - 2])
  }

  /// Makes a new layer the head of a LUN, in its record first. To be called alone.
  func install(
    _ new: (layer: Layer, folder: Descriptor), _ chain: Chain, on lun: LUN
  ) throws(StoreError) {
    var record = lun.record
    record.head = new.layer.record.identifier
    let failure: StoreError?
    do throws(StoreError) {
      failure = try store.lunRecord(record.name).folder.put(LUNRecord.fileName, record.encoded)
    } catch {
      store.layers.removeFolder(record.head.description)
      throw error
    }
    new.folder.unlock()
    lun.replace(chain, record: record)
    if let failure { throw failure }
  }
}
