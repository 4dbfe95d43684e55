import CLinux
import Glibc
import LUNStore
import Synchronization

/// A connection between processes of this machine, through a socket in the store's folder.
///
/// Closed when the last reference goes. One thread at a time reads, and one writes.
final class UnixSocket: @unchecked Sendable {
  static let name = "control"

  let descriptor: Int32
  /// Read, and not yet handed out. Only the one thread that reads touches it.
  private var pending: [UInt8] = []
  /// Held by whoever writes.
  private let writing = Mutex(())
  private let hasTimedOutFlag = Atomic(false)

  /// Whether waiting for the other end has taken longer than it may.
  var hasTimedOut: Bool { hasTimedOutFlag.load(ordering: .relaxed) }

  private init(descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// Waits for connections in the store's folder. The caller holds the store, so that a socket which is there
  /// already is one that nobody listens at any more.
  static func listen(in folder: Folder) throws(StoreError) -> UnixSocket {
    let socket = try make()
    remove(from: folder)
    // Linux gives the file the mode of the socket, so that it is nobody else's for no moment.
    fchmod(socket.descriptor, 0o600)
    guard withAddress("/proc/self/fd/\(folder.descriptor)/\(name)", { bind(socket.descriptor, $0, $1) }) == 0,
      Glibc.listen(socket.descriptor, 64) == 0
    else {
      let code = errno
      throw StoreError(
        .system(code), at: "\(folder.path)/\(name)",
        "cannot make the socket for commands: \(errorText(code))",
        remedy: "the store has to be in a file system of this machine that can hold sockets")
    }
    return socket
  }

  /// Removes the socket's file. The caller holds the store.
  static func remove(from folder: Folder) { unlinkat(folder.descriptor, name, 0) }

  /// Connects to whoever listens in the store's folder; `nil` if nobody does.
  ///
  /// - Parameter seconds: how long the other end may say nothing; `nil` for as long as it likes.
  /// - Throws: `untrusted` for anything else than a socket of the store's owner or root: a link would lead root's command
  ///   to a service that has nothing to do with it.
  static func connect(in folder: Folder, patience seconds: Int32? = nil) throws(StoreError) -> UnixSocket? {
    let entry = openat(folder.descriptor, name, Int32(LINUX_O_PATH) | O_NOFOLLOW | O_CLOEXEC)
    guard entry >= 0 else {
      if errno == ENOENT { return nil }
      throw unreachable(folder, errno)
    }
    defer { close(entry) }
    let (owner, found) = (status(folder.descriptor).st_uid, status(entry))
    let isTrusted = { (user: uid_t) in [0, owner, geteuid()].contains(user) }
    guard found.st_mode & S_IFMT == S_IFSOCK, found.st_nlink == 1, isTrusted(found.st_uid) else {
      throw untrusted(folder)
    }
    let socket = try make()
    if let seconds { linux_set_socket_timeout(socket.descriptor, seconds) }
    guard withAddress("/proc/self/fd/\(entry)", { Glibc.connect(socket.descriptor, $0, $1) }) == 0 else {
      let code = errno
      if code == ENOENT || code == ECONNREFUSED { return nil }
      // More wait there already than it lets wait.
      guard code == EAGAIN else { throw unreachable(folder, code) }
      socket.hasTimedOutFlag.store(true, ordering: .relaxed)
      return socket
    }
    guard let peer = socket.peer, isTrusted(peer) else { throw untrusted(folder) }
    return socket
  }

  private static func unreachable(_ folder: Folder, _ code: Int32) -> StoreError {
    StoreError(
      .system(code), at: "\(folder.path)/\(name)", "cannot reach the mount: \(errorText(code))",
      remedy: code == EACCES ? "commands are for the user who mounted the store, and for root" : nil)
  }

  private static func untrusted(_ folder: Folder) -> StoreError {
    StoreError(
      .untrusted, at: "\(folder.path)/\(name)", "is no socket of a mount by the store's owner or by root",
      remedy: "remove it if the store is not mounted")
  }

  private static func status(_ file: Int32) -> stat {
    var status = stat()
    fstat(file, &status)
    return status
  }

  /// The next connection; `nil` once `shutDown` was called.
  func accept() -> UnixSocket? {
    while true {
      let connection = linux_accept_cloexec(descriptor)
      if connection >= 0 { return UnixSocket(descriptor: connection) }
      // Anything else concerns one connection, or descriptors that others will give back.
      if errno == EINVAL || errno == EBADF { return nil }
      if errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM { usleep(10_000) }
    }
  }

  /// Makes waiting for connections, or for something to read, end now.
  func shutDown() { shutdown(descriptor, Int32(SHUT_RD)) }

  /// The user of the process at the other end, as the kernel knows it.
  var peer: uid_t? {
    var user = uid_t()
    return linux_peer_user(descriptor, &user) == 0 ? user : nil
  }

  /// The process that listens at the other end, for who has connected.
  var listener: Int32? {
    let process = linux_peer_process(descriptor)
    return process > 0 ? process : nil
  }

  /// The next line without its end; `nil` at the end, and for a line of more than `limit` bytes.
  func readLine(limit: Int = 64 << 20) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    var searched = 0
    while true {
      if let end = pending[searched...].firstIndex(of: 0x0A) {
        let line = Array(pending[..<end])
        pending.removeSubrange(...end)
        return line
      }
      searched = pending.count
      guard searched <= limit else { return nil }
      let count = read(descriptor, &buffer, buffer.count)
      if count > 0 {
        pending += buffer[..<count]
      } else if count == 0 || errno != EINTR {
        if count < 0, errno == EAGAIN { hasTimedOutFlag.store(true, ordering: .relaxed) }
        return nil
      }
    }
  }

  /// Writes all of it; `false` if the other end is gone.
  func write(_ bytes: [UInt8]) -> Bool {
    writing.withLock { _ in
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes {
          send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count > 0 {
          rest = rest.dropFirst(count)
        } else if errno != EINTR {
          if errno == EAGAIN { hasTimedOutFlag.store(true, ordering: .relaxed) }
          return false
        }
      }
      return true
    }
  }

  /// Writes something short, unless that would have to wait.
  func writeAtOnce(_ bytes: [UInt8]) {
    _ = writing.withLockIfAvailable { _ in
      bytes.withUnsafeBytes {
        send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
      }
    }
  }

  private static func make() throws(StoreError) -> UnixSocket {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw StoreError(.system(errno), at: "socket", errorText(errno)) }
    return UnixSocket(descriptor: descriptor)
  }

  /// A socket's address. Through something open, since the path of a store may be longer than the 107 bytes that an
  /// address has room for.
  private static func withAddress(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }
}

/// An open folder, closed when the last reference goes.
final class Folder: Sendable {
  let descriptor: Int32
  /// For messages.
  let path: String

  init(_ path: String) throws(StoreError) {
    descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw StoreError(.system(errno), at: path, "cannot open: \(errorText(errno))")
    }
    self.path = path
  }

  deinit { close(descriptor) }
}
