import CFuse
import Glibc
import LUNStore
import Synchronization

/// A store as a folder of files: which volume has which inode.
///
/// What is only looked at is not opened; a LUN or a snapshot is when a client opens it or a command needs it, and stays
/// so while it is in use and a while longer. Several threads are in here at once.
final class MountedStore: Sendable {
  let openStore: OpenStore
  /// Where it is mounted.
  let point: String
  /// Whether users other than the one who mounted can see the mount (`-o allow_other`).
  let isShared: Bool
  private let rights: FileRights
  let largestRead: UInt32
  let negotiation: Negotiation
  let hotPath = HotPath()
  let rings = Rings()
  /// The kernel's side, while there is one.
  let kernel = Kernel()
  /// Called once, when the kernel has taken the mount into use.
  let whenReady: @Sendable (MountedStore) -> Void

  /// What the kernel knows of.
  private struct Known {
    let name: VolumeName
    /// How many times it was told of it, and has not forgotten it since.
    var lookups: UInt64
  }

  private struct Table {
    /// The files that are open, or were a while ago.
    var nodes: [VolumeName: Node] = [:]
    /// The inode numbers of what was ever listed or looked up, and not deleted since. They are our own: those of
    /// the host are used again for something new, while the kernel remembers the old.
    var numbers: [VolumeName: UInt64] = [:]
    var known: [UInt64: Known] = [:]
    /// Of those whose permissions were changed.
    var permissions: [UInt64: Permissions] = [:]
    var lastNumber = UInt64(FUSE_ROOT_ID)
    /// How many files have been forgotten.
    var deletions = 0
    /// What a command is about to delete: nobody opens it meanwhile.
    var reserved: Set<VolumeName> = []

    mutating func number(_ name: VolumeName) -> UInt64 {
      if let number = numbers[name] { return number }
      lastNumber += 1
      numbers[name] = lastNumber
      return lastNumber
    }

    /// Lets nodes go that nobody but this table has, and of which nothing would be lost.
    mutating func letGo() {
      for name in Array(nodes.keys) {
        if isKnownUniquelyReferenced(&nodes[name]), nodes[name]?.stack.isEmpty ?? true { nodes[name] = nil }
      }
    }
  }

  /// From how many nodes on those that nobody has are let go.
  private static let limit = 128

  private let table = Mutex(Table())

  init(
    _ openStore: OpenStore, at point: String, _ options: MountOptions,
    whenReady: @escaping @Sendable (MountedStore) -> Void
  ) {
    self.openStore = openStore
    self.point = point
    isShared = options.isShared
    rights = options.rights
    largestRead = options.largestRead
    negotiation = Negotiation(passthrough: options.allowsPassthrough, rings: options.transport != .device)
    self.whenReady = whenReady
  }

  var store: Store { openStore.store }

  /// What is in the folder, in the order of the names.
  func list() throws(StoreError) -> [(name: VolumeName, number: UInt64)] {
    let names = try openStore.volumes()
    return table.withLock { table in names.map { ($0, table.number($0)) } }
  }

  /// The files that are open, or were a while ago.
  var nodes: [Node] { table.withLock { $0.nodes.values.sorted { $0.name < $1.name } } }

  /// The node of a name, if it is open.
  subscript(name: VolumeName) -> Node? { table.withLock { $0.nodes[name] } }

  /// The node of a name, opened if need be.
  ///
  /// - Throws: `absent` if there is nothing of that name.
  func node(named name: VolumeName) throws(StoreError) -> Node {
    while true {
      let (known, deletions, isReserved) = table.withLock { table in
        (table.nodes[name], table.deletions, table.reserved.contains(name))
      }
      if let known { return known }
      if isReserved { throw Node.reserved(name) }
      // Not with the table locked: opening may have to wait for another machine, and other files do not.
      let lun = try opened(name)
      let node = table.withLock { table -> Node? in
        if let node = table.nodes[name] { return node }
        // What was just opened may have been deleted since; then there is another one of that name, or none.
        guard table.deletions == deletions, !table.reserved.contains(name) else { return nil }
        if table.nodes.count >= Self.limit { table.letGo() }
        let node = Node(lun, number: table.number(name))
        table.nodes[name] = node
        return node
      }
      if let node { return node }
    }
  }

  private func opened(_ name: VolumeName) throws(StoreError) -> LUN {
    do throws(StoreError) { return try openStore.volume(name) } catch {
      guard error.kind == .system(EMFILE) else { throw error }
      // What nobody has any more may have what it takes.
      table.withLock { $0.letGo() }
      openStore.letGoOfIdle()
      return try openStore.volume(name)
    }
  }

  /// The node of an inode that a client opens or changes.
  func node(_ number: UInt64) throws(IOError) -> Node {
    guard let name = table.withLock({ $0.known[number]?.name }) else { throw IOError(ENOENT) }
    return try asked { () throws(StoreError) in
      let node = try node(named: name)
      // Deleted, and made anew.
      if node.number != number { throw StoreError(.absent, at: "LUN '\(name)'", "is another one now") }
      return node
    }
  }

  /// Looks a name up for the kernel, which knows its number from here on.
  func lookUp(_ name: VolumeName) throws(IOError) -> (number: UInt64, attributes: stat) {
    let deletions = table.withLock { $0.deletions }
    let status = try asked { () throws(StoreError) in try openStore.status(of: name) }
    return try table.withLock { table throws(IOError) in
      // One that was deleted meanwhile must not get a number that the next one of its name would have.
      if table.deletions != deletions, (try? openStore.store.has(name)) != true { throw IOError(ENOENT) }
      let number = table.number(name)
      table.known[number, default: Known(name: name, lookups: 0)].lookups += 1
      return (number, attributes(status, number, table.permissions[number]))
    }
  }

  /// The kernel has forgotten what it was told of a number so many times.
  func forget(_ number: UInt64, lookups: UInt64) {
    table.withLock { table in
      guard let known = table.known[number] else { return }
      if known.lookups > lookups {
        table.known[number]?.lookups -= lookups
      } else {
        table.known[number] = nil
      }
    }
  }

  /// The attributes of an inode that the kernel knows.
  func attributes(_ number: UInt64) throws(IOError) -> stat {
    let (name, permissions) = table.withLock { ($0.known[number]?.name, $0.permissions[number]) }
    guard let name else { throw IOError(ENOENT) }
    let status = try asked { () throws(StoreError) in try openStore.status(of: name) }
    return attributes(status, number, permissions)
  }

  private func attributes(
    _ status: (attributes: stat, isReadOnly: Bool), _ number: UInt64, _ permissions: Permissions?
  ) -> stat {
    var attributes = status.attributes
    let permissions = permissions ?? Permissions(rights)
    attributes.st_ino = ino_t(number)
    attributes.st_nlink = 1
    attributes.st_mode = S_IFREG | (status.isReadOnly ? permissions.mode & 0o444 : permissions.mode)
    attributes.st_uid = permissions.user
    attributes.st_gid = permissions.group
    attributes.st_blksize = 4096
    return attributes
  }

  /// Changes who may touch a file, where others can reach it at all.
  func changePermissions(_ number: UInt64, _ change: (inout Permissions) -> Void) {
    table.withLock { table in
      guard table.known[number] != nil || table.permissions[number] != nil else { return }
      change(&table.permissions[number, default: Permissions(rights)])
    }
  }

  /// Answers a client in numbers, and says in the log what they cannot.
  private func asked<Result>(_ body: () throws(StoreError) -> Result) throws(IOError) -> Result {
    do throws(StoreError) { return try body() } catch {
      if error.kind == .absent { throw IOError(ENOENT) }
      if error.kind == .busy { throw IOError(EBUSY) }
      Log.error(error.description)
      if case .system(let code) = error.kind { throw IOError(code) }
      throw IOError(EIO)
    }
  }

  /// Does away with files that nobody has open, and nobody opens meanwhile.
  ///
  /// - Parameter what: for messages: "deleting it".
  func whileClosed<Result>(
    _ names: [VolumeName], _ what: String, _ body: () throws -> Result
  ) throws -> Result {
    let nodes = try table.withLock { table in
      if let taken = names.first(where: { table.reserved.contains($0) }) { throw Node.reserved(taken) }
      table.reserved.formUnion(names)
      return names.compactMap { table.nodes[$0] }
    }
    defer { table.withLock { $0.reserved.subtract(names) } }
    var reserved: [Node] = []
    defer { reserved.forEach { $0.giveBackReservation() } }
    for node in nodes {
      try node.reserve(what, at: point)
      reserved.append(node)
    }
    // It may be gone although not all of the space could be given back.
    defer { forget(names.filter { (try? openStore.store.has($0)) == false }) }
    return try body()
  }

  /// Forgets what was deleted, and has the kernel forget it.
  private func forget(_ names: [VolumeName]) {
    var known: [VolumeName] = []
    table.withLock { table in
      table.deletions += 1
      for name in names {
        table.nodes.removeValue(forKey: name)?.markGone()
        guard let number = table.numbers.removeValue(forKey: name) else { continue }
        table.permissions[number] = nil
        if table.known.removeValue(forKey: number) != nil { known.append(name) }
      }
    }
    for name in known { kernel.forget(name.description) }
  }

  /// Goes on under new names with the inodes of what was renamed, and has the kernel forget the old names.
  ///
  /// - Parameter names: all that had the old name: the LUN and its snapshots, or the snapshot.
  func rename(_ names: [VolumeName], from old: VolumeName, to new: VolumeName) {
    table.withLock { table in
      table.deletions += 1
      for name in names {
        table.nodes.removeValue(forKey: name)?.markGone()
        guard let number = table.numbers.removeValue(forKey: name) else { continue }
        let renamed = name.renamed(from: old, to: new)
        table.numbers[renamed] = number
        if let known = table.known[number] {
          table.known[number] = Known(name: renamed, lookups: known.lookups)
        }
      }
    }
    for name in names { kernel.forget(name.description) }
  }

  /// Registers the file of a LUN with the kernel, if the kernel may go to it by itself: `-o passthrough` was
  /// given, no layer wants to see requests, and the bytes are in one file.
  func registerBacking(of node: Node) -> Int32? {
    guard negotiation.allowsPassthrough, node.stack.isEmpty, node.lun.holdFlatFile() else { return nil }
    if let backing = node.lun.withFlatFile({ kernel.openBacking($0) }) ?? nil { return backing }
    node.lun.letGoOfFlatFile()
    return nil
  }

  /// Takes the file of a LUN back from the kernel, when nobody has the LUN open any more.
  func giveBack(_ backing: Int32, of node: Node) {
    kernel.closeBacking(backing)
    node.lun.letGoOfFlatFile()
    do throws(IOError) {
      try node.lun.cutAtEnd()
    } catch {
      Log.error(
        "LUN '\(node.name)': cannot cut off what was written behind its end: \(errorText(error.code))")
    }
  }

  /// Makes the rings that requests will come by.
  func openRings(maxWrite: UInt32, maxPages: UInt32) -> Bool {
    // The session's own device: those of libfuse's threads go with them.
    guard let device = kernel.device else { return false }
    return rings.open(device: device, maxWrite: maxWrite, maxPages: maxPages)
  }

  /// The end of the mount is near: requests that layers hold fail, and none is held any more.
  func closeLayers() {
    for node in nodes {
      do {
        try node.stack.close()
      } catch {
        Log.error("LUN '\(node.name)': not everything could be written: \(error)")
      }
    }
  }

  /// Has the kernel write back what it holds of the files that are open: pages of shared mappings.
  func writeBack() {
    for node in nodes where node.openCount > 0 {
      let file = open("\(point)/\(node.name)", O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
      guard file >= 0 else { continue }
      if fsync(file) != 0 { Log.error("LUN '\(node.name)': cannot flush: \(errorText(errno))") }
      close(file)
    }
  }

  /// The attributes of the folder.
  func folderAttributes() -> stat {
    var attributes = stat()
    attributes.st_ino = ino_t(FUSE_ROOT_ID)
    attributes.st_nlink = 2
    attributes.st_mode = S_IFDIR | rights.folder(isShared: isShared)
    attributes.st_uid = rights.user
    attributes.st_gid = rights.group
    return attributes
  }
}

/// The kernel's side of a mount: what the daemon tells it of its own accord.
final class Kernel: Sendable {
  // The address of the session, from `attach` to `detach`. Whoever is in here meanwhile is a request of the
  // kernel or of a command, and all of those have ended before the session is taken apart.
  private let session = Atomic<UInt>(0)

  func attach(_ session: OpaquePointer) {
    self.session.store(UInt(bitPattern: session), ordering: .releasing)
  }

  func detach() { session.store(0, ordering: .releasing) }

  private func withSession<Result>(_ body: (OpaquePointer) -> Result) -> Result? {
    OpaquePointer(bitPattern: session.load(ordering: .acquiring)).map(body)
  }

  /// The device that the mount began with.
  var device: Int32? { withSession { fuse_session_fd($0) } }

  /// Gives libfuse a request that did not come by the device.
  func process(_ message: UnsafeMutableRawBufferPointer) {
    var buffer = fuse_buf()
    (buffer.mem, buffer.size) = (message.baseAddress, message.count)
    _ = withSession { fuse_session_process_buf($0, &buffer) }
  }

  /// Drops a name of the folder.
  func forget(_ name: String) {
    _ = withSession { fuse_lowlevel_notify_inval_entry($0, fuse_ino_t(FUSE_ROOT_ID), name, name.utf8.count) }
  }

  /// Drops the pages and the attributes of a file.
  func invalidate(_ node: Node) {
    _ = withSession { fuse_lowlevel_notify_inval_inode($0, fuse_ino_t(node.number), 0, 0) }
  }

  /// Registers a file that the kernel may go to by itself.
  ///
  /// - Returns: its number, or `nil` if the kernel does not want to: only root may, from Linux 6.9 on.
  func openBacking(_ file: Int32) -> Int32? {
    withSession { cfuse_open_backing($0, file) }.flatMap { $0 > 0 ? $0 : nil }
  }

  func closeBacking(_ number: Int32) { _ = withSession { cfuse_close_backing($0, UInt32(number)) } }
}
