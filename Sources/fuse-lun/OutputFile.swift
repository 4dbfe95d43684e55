import CLinux
import Glibc
import LUNStore

/// A file that is there complete, or not at all: written under a temporary name in its folder, then renamed.
final class OutputFile {
  /// The temporary name.
  private let path: String
  private var descriptor: Int32 = -1
  private let final: String
  private let replaces: Bool
  private var isFinished = false

  /// - Parameter replacing: whether a file that is there already may go.
  /// - Throws: `exists`, or why nothing can be written there.
  init(_ final: String, replacing: Bool) throws(StoreError) {
    var status = stat()
    if lstat(final, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFREG else {
        throw StoreError(.invalidInput, at: final, "is there already, and no file that could be replaced")
      }
      guard replacing else { throw Self.exists(final) }
    }
    let folder = final.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(final[...$0]) } ?? ""
    path = "\(folder).fuse-lun-\(Identifier())"
    (self.final, replaces) = (final, replacing)
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    if !isFinished { unlink(path) }
  }

  /// Makes the file, empty, and opens it for reading and writing, until this object is gone.
  func open() throws(StoreError) -> Int32 {
    descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      let code = errno
      throw StoreError(.system(code), at: final, "cannot be created: \(errorText(code))")
    }
    return descriptor
  }

  /// Makes what was written durable, and gives it its name.
  func finish() throws(StoreError) {
    guard fsync(descriptor) == 0 else {
      let code = errno
      throw StoreError(.system(code), at: final, "cannot be written: \(errorText(code))")
    }
    guard linux_rename(path, final, replaces ? 1 : 0) == 0 else {
      let code = errno
      if code == EEXIST { throw Self.exists(final) }
      throw StoreError(.system(code), at: final, "cannot be created: \(errorText(code))")
    }
    isFinished = true
  }

  private static func exists(_ path: String) -> StoreError {
    StoreError(.exists, at: path, "is there already", remedy: "give another name, or --force to replace it")
  }
}
