import Glibc
import LUNStore
import Synchronization

/// A store as a folder of files: which LUN has which inode, and who may touch it.
///
/// LUNs are opened when they are first looked up and stay open until the end, so that an inode number that
/// the kernel knows always leads somewhere. Several threads are in here at once.
final class MountedStore: Sendable {
  let openStore: OpenStore
  /// Whether users other than the one who mounted can see the mount (`-o allow_other`).
  let isShared: Bool
  /// Called once, when the kernel has taken the mount into use.
  let whenReady: @Sendable (MountedStore) -> Void

  private struct Table {
    var byName: [LUNName: Node] = [:]
    var byNumber: [UInt64: Node] = [:]
  }

  private let table = Mutex(Table())

  var store: Store { openStore.store }

  init(
    _ openStore: OpenStore, isShared: Bool, whenReady: @escaping @Sendable (MountedStore) -> Void
  ) {
    self.openStore = openStore
    self.isShared = isShared
    self.whenReady = whenReady
  }

  /// The node of a LUN that the kernel has looked up.
  func node(_ number: UInt64) -> Node? { table.withLock { $0.byNumber[number] } }

  /// The node of a name, opened if need be; `nil` if there is no such LUN.
  func lookUp(_ name: LUNName) throws(IOError) -> Node? {
    let outcome: Result<Node?, StoreError> = table.withLock { table in
      if let node = table.byName[name] { return .success(node) }
      do throws(StoreError) {
        let node = Node(try openStore.lun(name))
        table.byName[name] = node
        table.byNumber[node.lun.number] = node
        return .success(node)
      } catch {
        return error.kind == .absent ? .success(nil) : .failure(error)
      }
    }
    switch outcome {
    case .success(let node): return node
    case .failure(let error):
      Log.error(error.description)
      if case .system(let code) = error.kind { throw IOError(code) }
      throw IOError(EIO)
    }
  }

  /// The node of a name that the kernel has looked up.
  func node(named name: LUNName) -> Node? { table.withLock { $0.byName[name] } }

  /// The attributes of the folder.
  func folderAttributes() -> stat {
    var attributes = stat()
    attributes.st_ino = 1
    attributes.st_nlink = 2
    attributes.st_mode = S_IFDIR | (isShared ? 0o755 : 0o700)
    attributes.st_uid = getuid()
    attributes.st_gid = getgid()
    return attributes
  }
}

/// A LUN as a file.
final class Node: Sendable {
  let lun: LUN

  private struct Permissions {
    var mode: mode_t = 0o600
    var user = getuid()
    var group = getgid()
  }

  /// As of this mount; the store does not keep them.
  private let permissions = Mutex(Permissions())

  private let opened = Mutex(0)

  init(_ lun: LUN) { self.lun = lun }

  /// How many times clients have it open.
  var openCount: Int { opened.withLock { $0 } }

  func noteOpened() { opened.withLock { $0 += 1 } }

  func noteReleased() { opened.withLock { $0 -= 1 } }

  func attributes() throws(IOError) -> stat {
    var attributes = try lun.status()
    let permissions = permissions.withLock { $0 }
    attributes.st_ino = ino_t(lun.number)
    attributes.st_nlink = 1
    attributes.st_mode = S_IFREG | permissions.mode
    attributes.st_uid = permissions.user
    attributes.st_gid = permissions.group
    attributes.st_blksize = 4096
    return attributes
  }

  /// Sets who may touch the file, where others can reach it at all; a disk is never a program.
  func setPermissions(mode: mode_t?, user: uid_t?, group: gid_t?) {
    permissions.withLock { permissions in
      if let mode { permissions.mode = mode & 0o666 }
      if let user { permissions.user = user }
      if let group { permissions.group = group }
    }
  }
}
