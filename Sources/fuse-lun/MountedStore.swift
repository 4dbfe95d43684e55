import CFuse
import Glibc
import LUNStore
import Synchronization

/// A store as a folder of files: which volume has which inode.
///
/// LUNs and snapshots are opened when they are first looked up and stay open until they are deleted or the
/// mount ends. Several threads are in here at once.
final class MountedStore: Sendable {
  let openStore: OpenStore
  /// Where it is mounted.
  let point: String
  /// Whether users other than the one who mounted can see the mount (`-o allow_other`).
  let isShared: Bool
  let negotiation: Negotiation
  let hotPath = HotPath()
  let rings = Rings()
  /// The kernel's side, while there is one.
  let kernel = Kernel()
  /// Called once, when the kernel has taken the mount into use.
  let whenReady: @Sendable (MountedStore) -> Void

  private struct Table {
    var byName: [VolumeName: Node] = [:]
    var byNumber: [UInt64: Node] = [:]
    /// The inode numbers of what was ever listed or looked up, and not deleted since. They are our own: those of
    /// the host are used again for something new, while the kernel remembers the old.
    var numbers: [VolumeName: UInt64] = [:]
    var lastNumber = UInt64(FUSE_ROOT_ID)
    /// How many files have been forgotten.
    var deletions = 0

    mutating func number(_ name: VolumeName) -> UInt64 {
      if let number = numbers[name] { return number }
      lastNumber += 1
      numbers[name] = lastNumber
      return lastNumber
    }
  }

  private let table = Mutex(Table())

  init(
    _ openStore: OpenStore, at point: String, _ options: MountOptions,
    whenReady: @escaping @Sendable (MountedStore) -> Void
  ) {
    self.openStore = openStore
    self.point = point
    isShared = options.isShared
    negotiation = Negotiation(passthrough: options.allowsPassthrough, rings: options.transport != .device)
    self.whenReady = whenReady
  }

  var store: Store { openStore.store }

  /// What is in the folder, in the order of the names.
  func list() throws(StoreError) -> [(name: VolumeName, number: UInt64)] {
    let names = try openStore.volumes()
    return table.withLock { table in names.map { ($0, table.number($0)) } }
  }

  /// The node of an inode that the kernel knows.
  func node(_ number: UInt64) -> Node? { table.withLock { $0.byNumber[number] } }

  /// All that were looked up.
  var nodes: [Node] { table.withLock { $0.byName.values.sorted { $0.name < $1.name } } }

  /// The node of a name, opened if need be.
  ///
  /// - Throws: `absent` if there is nothing of that name.
  func node(named name: VolumeName) throws(StoreError) -> Node {
    while true {
      let (known, deletions) = table.withLock { ($0.byName[name], $0.deletions) }
      if let known { return known }
      // Not with the table locked: opening may have to wait for another machine, and other files do not.
      let lun = try openStore.volume(name)
      let node = table.withLock { table -> Node? in
        if let node = table.byName[name] { return node }
        // What was just opened may have been deleted since; then there is another one of that name, or none.
        guard table.deletions == deletions else { return nil }
        let node = Node(lun, number: table.number(name))
        table.byName[name] = node
        table.byNumber[node.number] = node
        return node
      }
      if let node { return node }
    }
  }

  /// The node of a name that a client asks for; `nil` if there is nothing of that name.
  func lookUp(_ name: VolumeName) throws(IOError) -> Node? {
    do throws(StoreError) {
      return try node(named: name)
    } catch {
      if error.kind == .absent { return nil }
      Log.error(error.description)
      if case .system(let code) = error.kind { throw IOError(code) }
      throw IOError(EIO)
    }
  }

  /// Forgets what was deleted, and has the kernel forget it.
  func forget(_ node: Node) {
    node.markGone()
    table.withLock { table in
      table.deletions += 1
      table.numbers[node.name] = nil
      table.byName[node.name] = nil
      table.byNumber[node.number] = nil
    }
    kernel.forget(node.name.description)
  }

  /// Registers the file of a LUN with the kernel, if the kernel may go to it by itself: `-o passthrough` was
  /// given, no layer wants to see requests, and the bytes are in one file.
  func registerBacking(of node: Node) -> Int32? {
    guard negotiation.allowsPassthrough, node.stack.isEmpty else { return nil }
    return node.lun.withFlatFile { kernel.openBacking($0) } ?? nil
  }

  /// Takes the file of a LUN back from the kernel, when nobody has the LUN open any more.
  func giveBack(_ backing: Int32, of node: Node) {
    kernel.closeBacking(backing)
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
    attributes.st_mode = S_IFDIR | (isShared ? 0o755 : 0o700)
    attributes.st_uid = getuid()
    attributes.st_gid = getgid()
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
