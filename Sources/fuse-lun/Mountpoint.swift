import Glibc
import LUNStore

/// A folder that can be mounted at.
struct Mountpoint {
  /// Without links, so that it can still be found once the working directory is another one.
  let path: String

  /// - Throws: why nothing can be mounted there.
  init(_ given: String) throws(StoreError) {
    var status = stat()
    guard stat(given, &status) == 0, let resolved = resolvedPath(given) else {
      let code = errno
      throw StoreError(
        code == ENOENT ? .absent : .system(code), at: given, "cannot mount here: \(errorText(code))",
        remedy: code == ENOTCONN
          ? "a mount whose daemon is gone is in the way: 'fusermount3 -u' removes it" : nil)
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw StoreError(.invalidInput, at: given, "cannot mount here: it is not a folder")
    }
    path = resolved
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

  /// Whether anything is mounted exactly here, as `/proc/self/mountinfo` has it.
  static func isMounted(_ path: String) -> Bool {
    guard let file = fopen("/proc/self/mountinfo", "re") else { return true }
    defer { fclose(file) }
    // The fifth field, in which space, tab, line feed and backslash are written as octal numbers (proc(5)).
    let escaped = path.utf8.reduce(into: [UInt8]()) { field, byte in
      switch byte {
      case 0x20: field += Array("\\040".utf8)
      case 0x09: field += Array("\\011".utf8)
      case 0x0A: field += Array("\\012".utf8)
      case 0x5C: field += Array("\\134".utf8)
      default: field.append(byte)
      }
    }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while case let length = getline(&line, &capacity, file), length > 0, let line {
      let bytes = UnsafeRawBufferPointer(start: line, count: length)
      let fields = bytes.split(separator: UInt8(ascii: " "), maxSplits: 5)
      if fields.count > 4, fields[4].elementsEqual(escaped) { return true }
    }
    return false
  }
}

private func resolvedPath(_ path: String) -> String? {
  guard let resolved = realpath(path, nil) else { return nil }
  defer { free(resolved) }
  return String(cString: resolved)
}
