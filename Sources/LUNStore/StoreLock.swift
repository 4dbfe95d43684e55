import CLinux
import Glibc

/// Who serves a store.
public struct StoreHolder: Equatable, Sendable {
  /// Its process number, as it sees itself; `nil` in the moment between taking the lock and saying so.
  public let process: Int32?
  /// Where it has the store mounted.
  public let mountpoint: String
}

/// The right to serve a store, held until this value is gone or its process ends, however it ends.
public final class StoreLock: Sendable {
  /// `nil` where nobody has ever served the store, and nobody can.
  private let file: Descriptor?
  private let access: LUN.Access

  init(file: Descriptor?, _ access: LUN.Access = .readWrite) { (self.file, self.access) = (file, access) }

  /// Gives the right back.
  public func release() {
    guard let file else { return }
    if access == .readWrite { ftruncate(file.raw, 0) }
    _ = file.setLock(F_UNLCK)
  }
}

extension Store {
  /// Takes the right to serve the store at `mountpoint`.
  ///
  /// - Throws: `busy`, naming the process that has it.
  public func serve(at mountpoint: String) throws(StoreError) -> StoreLock {
    let file: Descriptor
    do throws(StoreError) { file = try root.openOrCreate(Self.lockName, O_RDWR) } catch {
      // It became read-only under whoever serves the store, and can still be asked.
      guard error.kind == .system(EROFS), let holder = try holder() else { throw error }
      throw StoreError(
        .busy, at: path, "is served by \(holder.process.map { "process \($0)" } ?? "another process")",
        remedy: "its file system is read-only now")
    }
    guard file.setLock(F_WRLCK) else {
      guard errno == EAGAIN || errno == EACCES else { throw .system("lock", file.path) }
      guard file.isLockedForWriting else {
        throw StoreError(
          .busy, at: path, "is being read by another process, from a place where it is read-only",
          remedy: "try again when that has ended")
      }
      let holder = holder(in: file)
      let who = holder.process.map { "process \($0)" } ?? "another process"
      guard !holder.mountpoint.isEmpty else {
        throw StoreError(
          .busy, at: path, "is being worked on by another command: \(who)",
          remedy: "try again when it has ended")
      }
      throw StoreError(
        .busy, at: path, "is already mounted by \(who) at '\(printable(holder.mountpoint))'",
        remedy: "a store is served once at a time; unmount it there with 'fuse-lun umount'")
    }
    guard ftruncate(file.raw, 0) == 0 else { throw .system("write", file.path) }
    try file.writeAll(Array("\(getpid())\n\(mountpoint)\n".utf8))
    return StoreLock(file: file)
  }

  /// Takes the right to read the store while nobody changes it, which several may have at once. Nothing is written
  /// for it: the store may be in a file system that is read-only.
  ///
  /// - Throws: `busy`, naming the process that may change it.
  public func serveReadOnly() throws(StoreError) -> StoreLock {
    guard let file = try root.openFileIfPresent(Self.lockName, O_RDONLY) else {
      return StoreLock(file: nil, .readOnly)
    }
    guard file.setLock(F_RDLCK) else {
      guard errno == EAGAIN || errno == EACCES else { throw .system("lock", file.path) }
      let holder = holder(in: file)
      throw StoreError(
        .busy, at: path,
        "is being served by \(holder.process.map { "process \($0)" } ?? "another process")",
        remedy: "try again when it has ended")
    }
    return StoreLock(file: file, .readOnly)
  }

  /// Whether nothing in the store can be changed, since the host's file system, or its mount, is read-only.
  public var isInReadOnlyFileSystem: Bool {
    var status = statvfs()
    if fstatvfs(root.raw, &status) == 0, status.f_flag & UInt(ST_RDONLY) != 0 { return true }
    // One that has given up after an error tells only those who want to write (ext4, Linux 6.15).
    let file = openat(root.raw, Self.lockName, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard file >= 0 else { return errno == EROFS }
    close(file)
    return false
  }

  /// Who serves the store right now, if anybody does who may change it.
  public func holder() throws(StoreError) -> StoreHolder? {
    guard let file = try root.openFileIfPresent(Self.lockName, O_RDONLY) else { return nil }
    return file.isLockedForWriting ? holder(in: file) : nil
  }

  private func holder(in file: Descriptor) -> StoreHolder {
    let text = String(decoding: (try? file.contents(limit: 8192)) ?? [], as: UTF8.self)
    let lines = text.split(separator: "\n", maxSplits: 1)
    return StoreHolder(
      process: lines.first.flatMap { Int32($0) },
      mountpoint: lines.count > 1 ? String(lines[1].dropLast()) : "")
  }
}

extension Descriptor {
  // Locks of the open file, not of the process (F_OFD_SETLK, Linux 3.15): they survive fork, and closing
  // another descriptor of the same file does not drop them.

  /// `false`, with `EAGAIN`, if another has the lock.
  func setLock(_ type: Int32) -> Bool {
    var lock = wholeFile(type)
    return retrying { Int(fcntl(raw, Int32(LINUX_F_OFD_SETLK), &lock)) } == 0
  }

  var isLockedByAnother: Bool { conflict(with: F_WRLCK) != F_UNLCK }

  var isLockedForWriting: Bool { conflict(with: F_RDLCK) == F_WRLCK }

  /// The type of a lock of somebody else's that keeps one of this type from being taken.
  private func conflict(with type: Int32) -> Int32 {
    var lock = wholeFile(type)
    guard fcntl(raw, Int32(LINUX_F_OFD_GETLK), &lock) == 0 else { return F_UNLCK }
    return Int32(lock.l_type)
  }

  private func wholeFile(_ type: Int32) -> flock {
    var lock = flock()
    lock.l_type = Int16(type)
    lock.l_whence = Int16(SEEK_SET)
    return lock
  }
}
