import Glibc
import LUNStore

/// A folder that can be mounted at.
struct Mountpoint {
  /// Without links, so that it can still be found once the working directory is another one.
  let path: String

  /// - Throws: why nothing can be mounted there.
  init(_ given: String) throws(StoreError) {
    var status = stat()
    // The root of a mount of ours is a folder, and asking that of one whose daemon hangs would take for ever.
    let look = { @Sendable () -> (stat, String?, Int32) in
      var status = stat()
      let isThere = stat(given, &status) == 0
      let code = errno
      return (status, isThere ? resolvedPath(given) : nil, code)
    }
    guard let (found, resolved, code) = try inTime(look) else {
      throw StoreError(
        .system(ETIMEDOUT), at: given,
        "cannot mount here: the file system that is mounted here does not answer",
        remedy: "'fuse-lun umount' says which process that is, where it is one of ours")
    }
    status = found
    guard let resolved else {
      throw StoreError(
        code == ENOENT ? .absent : .system(code), at: given, "cannot mount here: \(errorText(code))",
        remedy: code == ENOTCONN
          ? "a mount whose daemon is gone is in the way: 'fusermount3 -u \(printable(given))' removes it"
          : nil)
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw StoreError(.invalidInput, at: given, "cannot mount here: it is not a folder")
    }
    path = resolved
  }

  /// Refuses a mount that would hide files, or another mount of ours.
  func requireFree() throws(StoreError) {
    if let other = MountTable.read()?.top(at: path), other.type == Self.type {
      throw StoreError(
        .invalidInput, at: path, "cannot mount here: the store '\(printable(other.source))' is mounted here",
        remedy: "'fusermount3 -u \(printable(path))' removes that mount")
    }
    guard let entry = try firstEntry() else { return }
    throw StoreError(
      .invalidInput, at: path, "cannot mount here: the folder is not empty, it has '\(printable(entry))'",
      remedy: "mount at an empty folder, or hide what is in this one with '-o nonempty'")
  }

  private func firstEntry() throws(StoreError) -> String? {
    guard let folder = opendir(path) else {
      // Whether one may look into a folder is another matter than whether one may mount at it.
      if errno == EACCES { return nil }
      throw StoreError(.system(errno), at: path, "cannot mount here: \(errorText(errno))")
    }
    defer { closedir(folder) }
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      // What a new file system of the ext family has is not there for anybody to miss.
      if ![".", "..", "lost+found"].contains(name) { return name }
    }
    return nil
  }

  /// Refuses a mount that would hide the store under itself.
  func requireOutside(store: String) throws(StoreError) {
    guard let store = resolvedPath(store) else { return }
    let inside = { (path: String, folder: String) in
      (path + "/").utf8.starts(with: (folder == "/" ? "/" : folder + "/").utf8)
    }
    if inside(path, store) || inside(store, path) {
      throw StoreError(
        .invalidInput, at: path, "cannot mount here: the store '\(store)' would be hidden by its own mount",
        remedy: "mount at a folder outside the store that does not contain it")
    }
  }

  /// The type of our file systems in the kernel's table of mounts.
  static let type = "fuse.\(subtype)"
  static let subtype = "fuse-lun"

  /// Whether a store is mounted exactly here; taken for so where that cannot be known. Nothing is at an empty path, which
  /// is what a command that holds the store gives for its place.
  ///
  /// A daemon whose mount was taken away still holds the store, and still answers commands, until everything is
  /// durable: only the kernel knows that its files are gone.
  static func isMounted(_ store: String, at path: String) -> Bool {
    guard !path.isEmpty else { return false }
    guard let table = MountTable.read(), let source = resolvedPath(store) else { return true }
    guard let top = table.top(at: path) else { return false }
    // The kernel keeps the name that the store had, and it may have been renamed since, or the one that '-o fsname='
    // gave: what is not the path of another store does not speak against it.
    return top.isOurs(of: source)
      || top.type == type && top.isTrusted
        && (!top.source.hasPrefix("/") || (try? Store.open(top.source)) == nil)
  }

  /// Refuses to have programs use the files at a mount point where another user's process answers for them: what has a
  /// LUN's name there may be a link to any other file.
  static func requireTrusted(_ path: String) throws(StoreError) {
    guard let top = MountTable.read()?.top(at: path), !top.isTrusted, let user = top.user else { return }
    throw StoreError(
      .untrusted, at: path, "is a mount of \(userName(user)), who decides what other programs find there",
      remedy: "have that user do this, or unmount the store first")
  }

  /// Where a store is still mounted by a daemon that is gone: everything there fails with `ENOTCONN`.
  static func stale(store: String) -> [String] {
    guard let table = MountTable.read(), let path = resolvedPath(store) else { return [] }
    return table.entries.filter { entry in
      guard entry.isOurs(of: path), entry.isTrusted else { return false }
      let point = entry.point
      let code = try? inTime { () -> Int32 in
        var status = stat()
        return stat(point, &status) == 0 ? 0 : errno
      }
      return code == ENOTCONN
    }.map(\.point)
  }
}

extension MountTable.Entry {
  /// Whether this is a mount of the store that is at a path without links.
  fileprivate func isOurs(of store: String) -> Bool {
    type == Mountpoint.type && source.utf8.elementsEqual(store.utf8)
  }
}

/// A path without links and relative parts; `nil` if nothing is there.
func resolvedPath(_ path: String) -> String? {
  guard let resolved = realpath(path, nil) else { return nil }
  defer { free(resolved) }
  return String(cString: resolved)
}
