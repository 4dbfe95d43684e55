import CLinux
import Glibc

/// A raw image in a file or on a block device.
public final class FileBase: BaseSource {
  /// How to find the image again.
  public let reference: BaseReference
  private let file: Descriptor

  /// Opens an image.
  ///
  /// - Parameter path: a regular file or a block device.
  /// - Throws: `absent`, or `invalidInput` for another kind of file or an empty one; or the failing system call.
  public convenience init(_ path: String) throws(StoreError) {
    try self.init(path, expecting: nil, with: .own)
  }

  /// Opens an image that may have to be a certain one.
  ///
  /// - Throws: as `BaseReference.open` does.
  init(
    _ path: String, expecting reference: BaseReference?, with rights: ImageRights
  ) throws(StoreError) {
    let file: Descriptor
    do throws(StoreError) {
      file = try rights.open(path)
    } catch {
      guard error.kind == .system(ENOENT) || error.kind == .system(ENOTDIR) else { throw error }
      if reference != nil {
        throw StoreError(.baseChanged, at: path, "is gone", remedy: BaseReference.remedy)
      }
      throw StoreError(
        .absent, at: path, "there is no such image", remedy: "name a file, a block device or an NBD URI")
    }
    let status = try file.status()
    let size: Int64
    var modified: Int64?
    switch status.st_mode & S_IFMT {
    case S_IFREG:
      size = Int64(status.st_size)
      modified = status.modifiedNanoseconds
    case S_IFBLK:
      var bytes: UInt64 = 0
      guard linux_block_device_size(file.raw, &bytes) == 0 else { throw .system("read the size", path) }
      size = Int64(clamping: bytes)
    default:
      throw StoreError(.invalidInput, at: path, "is neither a file nor a block device")
    }
    guard size > 0 else { throw StoreError(.invalidInput, at: path, "is empty: there is no image in it") }
    if let reference {
      try BaseReference(.file(path: path, modified: modified), size: size).require(reference)
      (self.file, self.reference) = (file, reference)
    } else {
      self.file = file
      self.reference = BaseReference(.file(path: try absolute(path), modified: modified), size: size)
    }
  }

  /// The length of the image, in bytes, as it was when the image was first opened.
  public var size: Int64 { reference.size }

  /// Fills all of `buffer`; as `BaseSource` has it.
  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(IOError) {
    var done = 0
    while done < buffer.count {
      let count = retrying {
        pread(file.raw, buffer.baseAddress! + done, buffer.count - done, off_t(offset + Int64(done)))
      }
      guard count > 0 else { throw IOError(count < 0 ? errno : EIO) }
      done += count
    }
    // After the bytes were read: a change that came before the read is seen, whenever it was.
    guard isUnchanged else { throw IOError(EIO) }
  }

  /// The next range that is not known to be zeros; as `BaseSource` has it.
  public func nextData(from offset: Int64) throws(IOError) -> Range<Int64>? {
    guard offset < size else { return nil }
    // The offset that the kernel keeps for the descriptor moves; nothing here uses it.
    let data = lseek(file.raw, off_t(offset), Int32(LINUX_SEEK_DATA))
    if data < 0 {
      if errno == ENXIO { return nil }
      // A block device, or a file system that does not know its holes.
      if errno == EINVAL || errno == EOPNOTSUPP { return offset..<size }
      throw IOError(errno)
    }
    let hole = lseek(file.raw, data, Int32(LINUX_SEEK_HOLE))
    let end = hole < 0 ? size : min(Int64(hole), size)
    return Int64(data) < end ? Int64(data)..<end : nil
  }

  /// An error in words; as `BaseSource` has it.
  public func explain(_ error: IOError) -> StoreError {
    if let status = try? file.status(), !isSame(status) {
      return StoreError(
        .baseChanged, at: reference.description, "was changed while it was read",
        remedy: "an image has to stay as it is as long as it is read from")
    }
    return StoreError(.system(error.code), at: reference.description, "cannot read: \(errorText(error.code))")
  }

  private var isUnchanged: Bool {
    var status = stat()
    return fstat(file.raw, &status) == 0 && isSame(status)
  }

  private func isSame(_ status: stat) -> Bool {
    guard case .file(_, let modified?) = reference.location else { return true }
    return Int64(status.st_size) == size && status.modifiedNanoseconds == modified
  }
}

extension BaseReference {
  static let remedy = "put the image back as it was: blocks that were not copied from it yet are nowhere else"

  /// Refuses an image that is not the one that `expected` tells of.
  func require(_ expected: BaseReference) throws(StoreError) {
    guard size == expected.size else {
      throw StoreError(
        .baseChanged, at: expected.description,
        "has \(bytesText(size)) now, and had \(expected.size) when the LUN was based on it",
        remedy: Self.remedy)
    }
    if case .file(_, let modified) = expected.location, case .file(_, let now) = location, modified != now {
      throw StoreError(
        .baseChanged, at: expected.description, "was changed after the LUN was based on it",
        remedy: Self.remedy)
    }
  }
}

extension stat {
  /// The time of the last change of the contents, in nanoseconds since 1970.
  fileprivate var modifiedNanoseconds: Int64 {
    Int64(st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(st_mtim.tv_nsec)
  }
}

/// The path without links, so that it leads to the same file wherever a daemon stands.
private func absolute(_ path: String) throws(StoreError) -> String {
  guard let resolved = realpath(path, nil) else { throw .system("find", path) }
  defer { free(resolved) }
  guard let text = String(validatingCString: resolved) else {
    throw StoreError(.invalidInput, at: path, "is in a folder whose name is not UTF-8")
  }
  return text
}
