/// An image outside the store that can be read: what a LUN is copied from, or takes its blocks from when they are
/// first touched.
///
/// All functions may be called from any thread.
public protocol BaseSource: AnyObject, Sendable {
  /// Where the image is, and how it is recognised.
  var reference: BaseReference { get }

  /// The length of the image, in bytes; it does not change.
  var size: Int64 { get }

  /// Fills all of `buffer` with the bytes from `offset` on, all of which are inside the image.
  ///
  /// - Throws: the error of the host or of the server; `EIO` if the image is not what it was when it was opened.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(IOError)

  /// The first range at or after `offset` that may hold something else than zeros; `nil` if there is none.
  ///
  /// - Throws: as `read` does.
  func nextData(from offset: Int64) throws(IOError) -> Range<Int64>?

  /// An error of `read` or `nextData` in words, for a log or for the one who waits.
  func explain(_ error: IOError) -> StoreError
}

extension BaseSource {
  /// The first range in `bytes` in which the image may hold something else than zeros; it may end before `bytes` do.
  ///
  /// - Throws: an error of `nextData`, in words.
  func nextData(in bytes: Range<Int64>) throws(StoreError) -> Range<Int64>? {
    let inside = bytes.clamped(to: 0..<size)
    guard !inside.isEmpty else { return nil }
    do throws(IOError) {
      return try nextData(from: inside.lowerBound)?.clamped(to: inside).nilIfEmpty
    } catch { throw explain(error) }
  }

  /// As `read`; an error is in words.
  func readAll(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(StoreError) {
    do throws(IOError) { try read(into: buffer, at: offset) } catch { throw explain(error) }
  }
}

extension Range<Int64> {
  var nilIfEmpty: Self? { isEmpty ? nil : self }
}

/// Which image a LUN is based on, and how it is recognised: what the LUN's record says of it.
public struct BaseReference: Hashable, Sendable {
  /// Where the image is.
  public enum Location: Hashable, Sendable {
    /// A file that held the image's bytes one to one when it was last changed, in nanoseconds since 1970; `nil` for a
    /// block device, which does not tell when it was changed.
    case file(path: String, modified: Int64?)
    /// An export of an NBD server, as libnbd's nbd_connect_uri(3) reads it.
    case nbd(uri: String)
  }

  /// Where the image is.
  public let location: Location
  /// Its length in bytes.
  public let size: Int64

  init(_ location: Location, size: Int64) { (self.location, self.size) = (location, size) }

  /// Opens an image for the first time: a raw file, a block device, or an export of an NBD server.
  ///
  /// - Parameter text: a path, or a URI as nbd_connect_uri(3) has it.
  /// - Throws: what is wrong with it, by name.
  public static func find(_ text: String) throws(StoreError) -> any BaseSource {
    if NBDBase.isURI(text) { return try NBDBase(text) }
    return try FileBase(text)
  }

  /// Opens the image again.
  ///
  /// A file is the same while its length and the time of its last change are: an inode number would not survive a
  /// restored backup, and a checksum would take reading all of it. An NBD export is the same while its length is; there
  /// is nothing else that a server tells.
  ///
  /// - Parameter rights: with whose rights; `Store.imageRights` for one that a record names.
  /// - Throws: `baseChanged`, naming the image, if it is not what it was or is gone; what libnbd says if there is no
  ///   connection; `untrusted` if its owner may not read it, or may not have it read by another user.
  func open(with rights: ImageRights) throws(StoreError) -> any BaseSource {
    switch location {
    case .file(let path, _): return try FileBase(path, expecting: self, with: rights)
    case .nbd(let uri):
      try rights.requireOwn(uri)
      return try NBDBase.shared(uri, expecting: self)
    }
  }
}

extension BaseReference: CustomStringConvertible {
  /// The path or the URI.
  public var description: String {
    switch location {
    case .file(let path, _): path
    case .nbd(let uri): uri
    }
  }
}

extension BaseReference {
  /// The value of the key `base` in a record: `file SIZE MODIFIED PATH` (`-` for a block device's time) or
  /// `nbd SIZE URI`. Control characters and '%' in the path or the URI are written as `%` and two hexadecimal digits.
  public var recorded: String {
    switch location {
    case .file(let path, let modified):
      "file \(size) \(modified.map(String.init) ?? "-") \(escaped(path))"
    case .nbd(let uri): "nbd \(size) \(escaped(uri))"
    }
  }

  /// Reads `recorded` back; `nil` for anything that it does not write.
  public init?(recorded text: String) {
    let kind = text.prefix { $0 != " " }
    let words = text.split(
      separator: " ", maxSplits: kind == "file" ? 3 : 2, omittingEmptySubsequences: false)
    guard words.count == (kind == "file" ? 4 : 3), let size = Int64(words[1]), size > 0,
      let place = unescaped(words[words.count - 1]), !place.isEmpty, !place.utf8.contains(0)
    else { return nil }
    switch kind {
    case "file":
      guard place.hasPrefix("/") else { return nil }
      let modified = Int64(words[2])
      guard modified != nil || words[2] == "-" else { return nil }
      self.init(.file(path: place, modified: modified), size: size)
    case "nbd":
      // libnbd knows more schemes, one of which starts a program.
      guard NBDBase.isURI(place) else { return nil }
      self.init(.nbd(uri: place), size: size)
    default: return nil
    }
    // One text for one meaning: a sign, a leading zero or a needless escape is damage.
    guard recorded == text else { return nil }
  }
}

private func escaped(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    if scalar == "%" || LUNName.isUnprintable(scalar) {
      for byte in String(scalar).utf8 {
        result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
    } else {
      result.unicodeScalars.append(scalar)
    }
  }
  return result
}

private func unescaped(_ text: Substring) -> String? {
  var bytes: [UInt8] = []
  var rest = Array(text.utf8)[...]
  while let byte = rest.popFirst() {
    if byte == UInt8(ascii: "%") {
      guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
      else {
        return nil
      }
      rest = rest.dropFirst(2)
      bytes.append(value)
    } else {
      bytes.append(byte)
    }
  }
  return String(validating: bytes, as: UTF8.self)
}
