import CLinux
import Glibc

/// An open file or folder, closed when the last reference goes.
///
/// The store works relative to open folders, so that nothing it does can be led elsewhere by a folder that is
/// renamed or replaced by a link in the meantime.
final class Descriptor: Sendable {
  let raw: Int32
  /// For messages.
  let path: String

  init(raw: Int32, path: String) {
    self.raw = raw
    self.path = path
  }

  deinit { close(raw) }

  /// Opens a path that came from outside.
  static func open(path: String, _ flags: Int32) throws(StoreError) -> Descriptor {
    guard !path.utf8.contains(0) else {
      throw StoreError(.invalidInput, at: "path '\(printable(path))'", "has a NUL byte")
    }
    let raw = withRoom { Glibc.open(path, flags | O_CLOEXEC) }
    guard raw >= 0 else { throw .system("open", path) }
    return Descriptor(raw: raw, path: path)
  }

  /// Opens an entry of this folder that is there, never through a symbolic link.
  ///
  /// - Parameter links: how many names it may have where it is opened to be written to.
  /// - Throws: `damaged` for what the owner of the folder did not put there as a part of a store.
  func open(_ name: String, _ flags: Int32, links: nlink_t = 1) throws(StoreError) -> Descriptor {
    let entry = "\(path)/\(printable(name))"
    guard Self.isEntry(name) else { throw StoreError(.damaged, at: entry, "cannot be the name of a file") }
    // Does not wait for the writer of a FIFO.
    let raw = withRoom { openat(self.raw, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) }
    guard raw >= 0 else { throw .system("open", entry) }
    let file = Descriptor(raw: raw, path: entry)
    try requireOwn(file, isWritten: flags & O_ACCMODE != O_RDONLY, links)
    return file
  }

  /// Makes a file in this folder, for its owner alone.
  ///
  /// - Throws: `EEXIST` if there is anything of that name.
  func create(_ name: String, _ flags: Int32) throws(StoreError) -> Descriptor {
    let entry = "\(path)/\(name)"
    let raw = withRoom { openat(self.raw, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600) }
    guard raw >= 0 else { throw .system("create", entry) }
    let file = Descriptor(raw: raw, path: entry)
    do throws(StoreError) { try giveToOwner(file) } catch {
      unlinkat(self.raw, name, 0)
      throw error
    }
    return file
  }

  /// Opens a regular file of this folder, or makes it, empty.
  func openOrCreate(_ name: String, _ flags: Int32) throws(StoreError) -> Descriptor {
    while true {
      if let file = try openFileIfPresent(name, flags) { return file }
      do throws(StoreError) { return try create(name, flags) } catch {
        // Made by another one in between.
        guard error.kind == .system(EEXIST) else { throw error }
      }
    }
  }

  /// Makes a folder in this folder, for its owner alone, and opens it.
  func makeFolder(_ name: String) throws(StoreError) -> Descriptor {
    let entry = "\(path)/\(name)"
    guard mkdirat(raw, name, 0o700) == 0 else { throw .system("create", entry) }
    let raw = withRoom { openat(self.raw, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
    guard raw >= 0 else { throw .system("open", entry) }
    let folder = Descriptor(raw: raw, path: entry)
    // The owner of this folder may have put another one in the place of the one that was made.
    guard try folder.status().st_uid == geteuid(), try folder.entries().isEmpty else {
      throw StoreError(.damaged, at: entry, "was changed by another process while it was made")
    }
    try giveToOwner(folder)
    return folder
  }

  /// One entry of a folder, and not a path.
  private static func isEntry(_ name: String) -> Bool {
    ![".", "..", ""].contains(name) && !name.utf8.contains { $0 == 0 || $0 == UInt8(ascii: "/") }
  }

  /// Refuses what another user's command must not be led to by whoever can write to this folder: a file of somebody
  /// else, to be read, overwritten or cut, under the name of one of the store's.
  private func requireOwn(
    _ entry: Descriptor, isWritten: Bool, _ links: nlink_t
  ) throws(StoreError) {
    let (folder, status) = (try status(), try entry.status())
    guard status.st_uid == folder.st_uid else {
      throw StoreError(
        .damaged, at: entry.path,
        "belongs to \(userName(status.st_uid)), and its folder to \(userName(folder.st_uid))",
        remedy: "all of a store belongs to one user; 'chown -R' gives it to one, if you know what is in it")
    }
    // In a store of one's own, what it is another name of is one's own business.
    guard isWritten, geteuid() != folder.st_uid, status.st_mode & S_IFMT == S_IFREG, status.st_nlink > links
    else { return }
    throw StoreError(
      .damaged, at: entry.path, "has \(status.st_nlink) names, and would be changed under all of them",
      remedy: "put a copy of its own in its place")
  }

  /// What root makes in a store of somebody else is that one's, who could not use the store any more otherwise.
  private func giveToOwner(_ new: Descriptor) throws(StoreError) {
    let (owner, now) = (try status(), try new.status())
    guard owner.st_uid != now.st_uid || geteuid() == 0 && owner.st_gid != now.st_gid else { return }
    guard fchown(new.raw, owner.st_uid, owner.st_gid) == 0 else {
      throw .system("give to \(userName(owner.st_uid)), whose store it is,", new.path)
    }
  }

  func status() throws(StoreError) -> stat {
    var status = stat()
    guard fstat(raw, &status) == 0 else { throw .system("read the attributes", path) }
    return status
  }

  /// The attributes of an entry of this folder; `nil` if there is none.
  func status(of name: String) throws(StoreError) -> stat? {
    var status = stat()
    if fstatat(raw, name, &status, AT_SYMLINK_NOFOLLOW) == 0 { return status }
    guard errno == ENOENT else { throw .system("read the attributes", "\(path)/\(name)") }
    return nil
  }

  /// Makes contents, or for a folder its entries, durable.
  func synchronize() throws(StoreError) {
    guard retrying({ Int(fsync(raw)) }) == 0 else { throw .system("flush", path) }
  }

  /// Everything in a file, up to `limit` bytes; a longer one is an error.
  func contents(limit: Int) throws(StoreError) -> [UInt8] {
    // Nearly all records are much shorter than they may be.
    var buffer = [UInt8](repeating: 0, count: min(limit + 1, 2048))
    var length = 0
    while length <= limit {
      if length == buffer.count { buffer += [UInt8](repeating: 0, count: limit + 1 - length) }
      let count = buffer.withUnsafeMutableBytes { bytes in
        retrying { pread(raw, bytes.baseAddress! + length, bytes.count - length, off_t(length)) }
      }
      guard count >= 0 else { throw .system("read", path) }
      if count == 0 { return Array(buffer.prefix(length)) }
      length += count
    }
    throw StoreError(.damaged, at: path, "is longer than \(limit) bytes")
  }

  /// The bytes from an offset on; fewer where the file ends.
  func bytes(at offset: Int64, count: Int) throws(StoreError) -> [UInt8] {
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, length in
      length = 0
      while length < count {
        let read = retrying {
          pread(raw, buffer.baseAddress! + length, count - length, off_t(offset + Int64(length)))
        }
        if read < 0 { failure = errno }
        if read <= 0 { break }
        length += read
      }
    }
    guard failure == 0 else { throw .system("read", path, code: failure) }
    return bytes
  }

  /// Fills all of `buffer` from an offset on.
  ///
  /// - Throws: the failing system call; `EIO` where the file ends before.
  func readAll(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(StoreError) {
    var done = 0
    while done < buffer.count {
      let count = retrying {
        pread(raw, buffer.baseAddress! + done, buffer.count - done, off_t(offset + Int64(done)))
      }
      guard count > 0 else { throw .system("read", path, code: count < 0 ? errno : EIO) }
      done += count
    }
  }

  /// The first bytes of a range that are not a hole; `nil` if it is one hole, or behind the end.
  func nextData(in range: Range<Int64>) throws(StoreError) -> Range<Int64>? {
    let data = Int64(lseek(raw, off_t(range.lowerBound), Int32(LINUX_SEEK_DATA)))
    if data < 0 && errno == ENXIO { return nil }
    let hole = data < 0 ? data : Int64(lseek(raw, off_t(data), Int32(LINUX_SEEK_HOLE)))
    guard data >= 0, hole >= data else { throw .system("read", path) }
    return (data..<hole).clamped(to: range).nilIfEmpty
  }

  func writeAll(_ bytes: [UInt8], at offset: Int64 = 0) throws(StoreError) {
    // A closure cannot be passed through `withUnsafeBytes` and keep the type of its error.
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(StoreError) in try writeAll(bytes, at: offset) }
    }
    try result.get()
  }

  func writeAll(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StoreError) {
    try LUNStore.writeAll(bytes, to: raw, at: offset, path: path)
  }

  /// A new file in this folder that is complete and durable, or absent: written under a temporary name,
  /// flushed, renamed, and the folder flushed.
  func install(_ name: String, _ bytes: [UInt8]) throws(StoreError) {
    if let failure = try put(name, bytes) { throw failure }
  }

  /// As `install`, for those who have to know whether the new file is there.
  ///
  /// - Returns: why it may not be durable, although it is there.
  /// - Throws: why it is not there, and what was there before still is.
  func put(_ name: String, _ bytes: [UInt8]) throws(StoreError) -> StoreError? {
    let temporary = ".new-\(Identifier())"
    let file = try create(temporary, O_WRONLY)
    do throws(StoreError) {
      try file.writeAll(bytes)
      try file.synchronize()
      guard renameat(raw, temporary, raw, name) == 0 else { throw .system("rename", file.path) }
    } catch {
      unlinkat(raw, temporary, 0)
      throw error
    }
    do throws(StoreError) { try synchronize() } catch { return error }
    return nil
  }

  /// The names in this folder without `.` and `..`, in no order. Names that are no UTF-8 are repaired: they are for
  /// messages only.
  func entries() throws(StoreError) -> [String] {
    let raw = withRoom { openat(self.raw, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    guard raw >= 0 else { throw .system("list", path) }
    guard let folder = fdopendir(raw) else {
      close(raw)
      throw .system("list", path)
    }
    defer { closedir(folder) }
    var found: [String] = []
    errno = 0
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { found.append(name) }
      errno = 0
    }
    guard errno == 0 else { throw .system("list", path) }
    return found
  }

  /// Opens a regular file that may be absent; anything else in its place is damage.
  func openFileIfPresent(
    _ name: String, _ flags: Int32, links: nlink_t = 1
  ) throws(StoreError) -> Descriptor? {
    guard let file = try openIfPresent(name, flags, links: links) else { return nil }
    guard try file.status().st_mode & S_IFMT == S_IFREG else {
      throw StoreError(.damaged, at: file.path, "is not a regular file")
    }
    return file
  }

  /// Opens an entry that may be absent.
  func openIfPresent(_ name: String, _ flags: Int32, links: nlink_t = 1) throws(StoreError) -> Descriptor? {
    do throws(StoreError) {
      return try open(name, flags, links: links)
    } catch {
      if error.kind == .system(ENOENT) { return nil }
      throw error
    }
  }
}

/// Writes all of the bytes to a file.
///
/// - Parameter path: for messages.
func writeAll(
  _ bytes: UnsafeRawBufferPointer, to file: Int32, at offset: Int64, path: String
) throws(StoreError) {
  var done = 0
  while done < bytes.count {
    let count = retrying {
      pwrite(file, bytes.baseAddress! + done, bytes.count - done, off_t(offset + Int64(done)))
    }
    guard count > 0 else { throw .system("write", path, code: count < 0 ? errno : EIO) }
    done += count
  }
}

/// Repeats a system call that a signal interrupted.
@inline(__always)
func retrying(_ call: () -> Int) -> Int {
  while true {
    let result = call()
    if result != -1 || errno != EINTR { return result }
  }
}
