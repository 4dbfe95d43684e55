import Glibc

/// A folder of virtual LUNs. FORMAT.md says what is in it.
///
/// Any number of processes may read a store. One at a time serves it (`Store.serve`), and that one finds the
/// LUNs that others create meanwhile, since a LUN appears in a store in one step.
public struct Store: Sendable {
  /// As it was given to `open` or `create`.
  public let path: String
  /// Identifies the store wherever it is moved to.
  public let identifier: Identifier

  /// Who the store belongs to, with all that is in it.
  let owner: uid_t
  /// Whether images are opened that its owner could not read.
  let trustsImages: Bool

  let root: Descriptor
  let luns: Descriptor
  let layers: Descriptor

  static let recordName = "store"
  static let lunsName = "luns"
  static let layersName = "layers"
  static let lockName = "lock"

  /// With whose rights the images are opened that its records name.
  var imageRights: ImageRights { trustsImages || geteuid() == owner ? .own : .owner(owner, store: path) }

  /// Opens a store that exists.
  ///
  /// - Parameter trustsImages: whether, in a store of another user, images are opened that this one could not read, and
  ///   servers asked: whoever can write to the store then learns what is in them.
  /// - Throws: `absent`, `notAStore`, `damaged`, `newer`, or the failing system call.
  public static func open(_ path: String, trustsImages: Bool = false) throws(StoreError) -> Store {
    let root: Descriptor
    do throws(StoreError) {
      root = try Descriptor.open(path: path, O_RDONLY | O_DIRECTORY)
    } catch {
      switch error.kind {
      case .system(ENOENT):
        throw StoreError(
          .absent, at: path, "there is no such store",
          remedy: "'fuse-lun create STORE NAME --size SIZE' makes one with its first LUN")
      case .system(ENOTDIR):
        throw StoreError(.notAStore, at: path, "is not a folder, and so no store of fuse-lun")
      default: throw error
      }
    }
    guard let file = try root.openFileIfPresent(recordName, O_RDONLY) else {
      throw StoreError(
        .notAStore, at: path, "is a folder, but no store of fuse-lun: it has no file '\(recordName)'",
        remedy: "name a folder that 'fuse-lun create' made")
    }
    let record = try Record(
      decoding: file.contents(limit: Record.maximumLength), as: .store, path: file.path)
    try record.requireKeys(["uuid"], path: file.path)
    let identifier = try record.value("uuid", path: file.path, Identifier.init)
    func folder(_ name: String) throws(StoreError) -> Descriptor {
      if let folder = try root.openIfPresent(name, O_RDONLY | O_DIRECTORY) { return folder }
      throw StoreError(.damaged, at: path, "has no folder '\(name)'", remedy: "restore it from a backup")
    }
    return Store(
      path: path, identifier: identifier, owner: try root.status().st_uid, trustsImages: trustsImages,
      root: root, luns: try folder(lunsName), layers: try folder(layersName))
  }

  /// What `openOrCreate` had to make.
  public enum Made: Sendable { case nothing, contents, folderAndContents }

  /// Opens a store, or makes an empty one where there is nothing or an empty folder.
  ///
  /// - Parameter trustsImages: as `open` has it.
  /// - Throws: `notAStore` if something else is there.
  public static func openOrCreate(
    _ path: String, trustsImages: Bool = false
  ) throws(StoreError) -> (store: Store, made: Made) {
    guard !path.utf8.contains(0), !path.isEmpty else {
      throw StoreError(.invalidInput, at: "store '\(printable(path))'", "is not a path")
    }
    let madeFolder = mkdir(path, 0o700) == 0
    if !madeFolder && errno != EEXIST {
      let code = errno
      throw StoreError(
        .system(code), at: path, "cannot create the store: \(errorText(code))",
        remedy: code == ENOENT ? "its parent folder has to exist" : nil)
    }
    do throws(StoreError) {
      let root = try Descriptor.open(path: path, O_RDONLY | O_DIRECTORY)
      // One maker at a time; the second finds a store. A crash half way leaves no record, and the next one
      // goes on.
      try root.lock()
      let ours = { (name: String) in
        name == lunsName || name == layersName || name == "lost+found" || name.hasPrefix(".new-")
      }
      if try !root.entries().allSatisfy({ ours($0) }) {
        return (try open(path, trustsImages: trustsImages), .nothing)
      }
      guard fchmod(root.raw, 0o700) == 0 else { throw .system("restrict to its owner", path) }
      for name in [lunsName, layersName] where try root.openIfPresent(name, O_RDONLY | O_DIRECTORY) == nil {
        _ = try root.makeFolder(name)
      }
      try root.install(
        recordName, Record(kind: .store, fields: [("uuid", Identifier().description)]).encoded)
      if madeFolder { try Descriptor.open(path: path + "/..", O_RDONLY | O_DIRECTORY).synchronize() }
      return (try open(path, trustsImages: trustsImages), madeFolder ? .folderAndContents : .contents)
    } catch {
      if madeFolder { removeWhatIsEmpty(path) }
      if error.kind == .system(ENOTDIR) {
        throw StoreError(.notAStore, at: path, "is not a folder, and so no store of fuse-lun")
      }
      throw error
    }
  }

  /// Takes back what `openOrCreate` made, unless there is a LUN in it by now.
  public func undo(_ made: Made) {
    guard made != .nothing, unlinkat(root.raw, Self.lunsName, AT_REMOVEDIR) == 0 else { return }
    unlinkat(root.raw, Self.layersName, AT_REMOVEDIR)
    unlinkat(root.raw, Self.recordName, 0)
    if made == .folderAndContents { rmdir(path) }
  }

  private static func removeWhatIsEmpty(_ path: String) {
    rmdir(path + "/" + lunsName)
    rmdir(path + "/" + layersName)
    rmdir(path)
  }

  /// The LUNs in the order of their names, and what in the folder of LUNs is none.
  public func list() throws(StoreError) -> (luns: [LUNDescription], problems: [StoreError]) {
    var found: [LUNDescription] = []
    var problems: [StoreError] = []
    let sums = LayerSums()
    for entry in try luns.entries().sorted() where !entry.hasPrefix(".") {
      do throws(StoreError) {
        let (record, facts) = try look(at: .lun(LUNName(entry)), sums)
        found.append(LUNDescription(record, facts))
      } catch {
        // Deleted since the folder was read.
        if error.kind != .absent { problems.append(error) }
      }
    }
    return (found.sorted { $0.name < $1.name }, problems)
  }

  /// The snapshots of a LUN, oldest first, and what among them is none.
  public func snapshots(of lun: LUNName) throws(StoreError) -> (
    snapshots: [SnapshotDescription], problems: [StoreError]
  ) {
    let (_, folder) = try settled { () throws(StoreError) in try lunRecord(lun) }
    var found: [SnapshotDescription] = []
    var problems: [StoreError] = []
    for entry in try folder.entries() where entry.hasPrefix("@") {
      do throws(StoreError) {
        let name = try SnapshotName(lun: lun, label: LUNName(String(entry.dropFirst())))
        let (record, layer) = try settled { () throws(StoreError) in
          let record = try snapshotRecord(name, in: folder)
          return (record, try layerRecord(record.layer).record)
        }
        found.append(
          SnapshotDescription(
            name: name, identifier: record.identifier, size: ByteCount(layer.size), created: record.created))
      } catch {
        if error.kind != .absent { problems.append(error) }
      }
    }
    return (found.sorted { ($0.created, $0.name) < ($1.created, $1.name) }, problems)
  }

  /// The names of the LUNs and their snapshots, in order; reads no records.
  public func names() throws(StoreError) -> [VolumeName] {
    var found: [VolumeName] = []
    for entry in try luns.entries() {
      guard let lun = try? LUNName(entry) else { continue }
      found.append(.lun(lun))
      do throws(StoreError) { found += try snapshotNames(of: lun).map { .snapshot($0) } } catch {
        guard error.kind == .damaged else { throw error }
      }
    }
    return found.sorted()
  }

  /// The names of the snapshots of a LUN, in no order; none if there is no such LUN.
  public func snapshotNames(of lun: LUNName) throws(StoreError) -> [SnapshotName] {
    guard let folder = try openFolder(lun) else { return [] }
    return try folder.entries().filter { $0.hasPrefix("@") }.compactMap { entry in
      guard let label = try? LUNName(String(entry.dropFirst())) else { return nil }
      return try? SnapshotName(lun: lun, label: label)
    }
  }

  /// What all layers take up in the host's file system, in bytes; what LUNs share counts once.
  public func allocated() throws(StoreError) -> ByteCount {
    var total: Int64 = 0
    for layer in try layers.entries() where !layer.hasPrefix(".") {
      guard let folder = try layers.openIfPresent(layer, O_RDONLY | O_DIRECTORY) else { continue }
      for file in try folder.entries() {
        var status = stat()
        guard fstatat(folder.raw, file, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
        total += Int64(status.st_blocks) * 512
      }
    }
    return ByteCount(total)
  }

  /// Room in the file system that holds the store.
  public func fileSystemStatus() throws(StoreError) -> statvfs {
    var status = statvfs()
    guard fstatvfs(root.raw, &status) == 0 else { throw .system("read the free space", path) }
    return status
  }

  /// Makes the list of LUNs durable. `createLUN` does so by itself.
  public func synchronize() throws(StoreError) { try luns.synchronize() }
}

extension Descriptor {
  /// Waits for the exclusive lock of a folder, which its closing gives back.
  func lock() throws(StoreError) {
    guard retrying({ Int(flock(raw, LOCK_EX)) }) == 0 else { throw .system("lock", path) }
  }

  /// Whether the lock of a folder could be taken at once.
  func tryLock() -> Bool { flock(raw, LOCK_EX | LOCK_NB) == 0 }

  /// Gives the lock of a folder back.
  func unlock() { flock(raw, LOCK_UN) }
}
