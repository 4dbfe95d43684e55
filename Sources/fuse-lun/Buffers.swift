import CFuse
import Glibc
import LUNStore

/// One buffer for each thread that answers reads, kept from request to request: the kernel asks for up to 1
/// MiB, and getting and giving back that much memory costs more than reading it.
enum ReadBuffer {
  // The key's destructor frees the buffer when its thread ends, also when libfuse cancels it.
  private static let key: pthread_key_t? = {
    var key = pthread_key_t()
    return pthread_key_create(&key) { free($0) } == 0 ? key : nil
  }()

  // Of the calling thread, while `lend` runs: the address of a buffer pointer.
  private static let lentKey: pthread_key_t? = {
    var key = pthread_key_t()
    return pthread_key_create(&key, nil) == 0 ? key : nil
  }()

  /// Runs `body`, which is given `buffer` as the buffer of its thread.
  static func lend(_ buffer: UnsafeMutableRawBufferPointer, _ body: () -> Void) {
    guard let lentKey else { return body() }
    var buffer = buffer
    withUnsafeMutablePointer(to: &buffer) { place in
      pthread_setspecific(lentKey, place)
      body()
      pthread_setspecific(lentKey, nil)
    }
  }

  /// The buffer of the calling thread; shorter than asked for only when there is no memory.
  static func ofThisThread(atLeast size: Int) -> UnsafeMutableRawBufferPointer {
    if let lent = lentKey.flatMap({ pthread_getspecific($0) })?.load(as: UnsafeMutableRawBufferPointer.self),
      lent.count >= size
    {
      return lent
    }
    guard let key else { return UnsafeMutableRawBufferPointer(start: nil, count: 0) }
    // The length is kept in front of the bytes, in a page of its own so that the bytes stay aligned.
    let page = 4096
    let old = pthread_getspecific(key)
    if let old {
      let length = old.load(as: Int.self)
      if length >= size { return UnsafeMutableRawBufferPointer(start: old + page, count: length) }
    }
    let length = max(128 * 1024, (size + page - 1) / page * page)
    guard let new = aligned_alloc(page, length + page) else {
      return UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }
    new.storeBytes(of: length, as: Int.self)
    guard pthread_setspecific(key, new) == 0 else {
      free(new)
      return UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }
    free(old)
    return UnsafeMutableRawBufferPointer(start: new + page, count: length)
  }
}

/// The names in the folder as they were when it was opened.
final class Listing: Sendable {
  private let entries: [(name: VolumeName, number: UInt64)]

  init(_ entries: [(name: VolumeName, number: UInt64)]) { self.entries = entries }

  static func from(_ file: UnsafeMutablePointer<fuse_file_info>?) -> Unmanaged<Listing>? {
    guard let file, let handle = UnsafeRawPointer(bitPattern: UInt(file.pointee.fh)) else { return nil }
    return Unmanaged<Listing>.fromOpaque(handle)
  }

  /// Puts as many entries into `buffer` as fit, from the one at `offset` on: 0 is `.`, 1 is `..`.
  ///
  /// - Returns: the number of bytes used; 0 at the end.
  func fill(_ buffer: UnsafeMutableRawBufferPointer, from offset: off_t, for request: fuse_req_t?) -> Int {
    var used = 0
    guard offset >= 0, let base = buffer.bindMemory(to: CChar.self).baseAddress else { return 0 }
    for index in min(Int(offset), entries.count + 2)..<(entries.count + 2) {
      var attributes = stat()
      let name: String
      if index < 2 {
        (name, attributes.st_ino, attributes.st_mode) = (index == 0 ? "." : "..", 1, S_IFDIR)
      } else {
        let entry = entries[index - 2]
        (name, attributes.st_ino, attributes.st_mode) = (entry.name.description, ino_t(entry.number), S_IFREG)
      }
      let room = buffer.count - used
      let needed = fuse_add_direntry(request, base + used, room, name, &attributes, off_t(index + 1))
      if needed > room { break }
      used += needed
    }
    return used
  }
}
