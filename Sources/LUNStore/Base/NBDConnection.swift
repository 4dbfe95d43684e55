import CNbd
import Glibc

extension NBDBase {
  /// A connection to an NBD server, used by one thread at a time.
  final class Connection {
    /// What libnbd says when something fails.
    struct Failure: Error {
      var code: Int32
      var text: String
      /// The server did not answer in time.
      var isSilence = false

      func asStoreError(_ uri: String, _ action: String) -> StoreError {
        StoreError(.system(code), at: uri, "\(action): \(printable(text))")
      }
    }

    /// The length of the export, in bytes.
    let size: Int64
    /// How many bytes one request may ask for.
    let maximumRequest: Int

    private let library: cnbd_library
    private let handle: OpaquePointer
    private let knowsExtents: Bool
    /// What the server last said of its extents: where they begin, and each one's end, in order.
    private var extents = Extents()

    init(_ uri: String) throws(Failure) {
      var problem: UnsafePointer<CChar>?
      guard let library = cnbd_load(&problem)?.pointee else {
        let text = problem.map { String(cString: $0) } ?? ""
        throw Failure(code: ENOENT, text: "libnbd is needed (Debian: libnbd0): \(text)")
      }
      guard let handle = library.create() else { throw Failure(lastOf: library) }
      do throws(Failure) {
        // TLS keys that the URI names: who may name the URI may read them.
        try library.check(library.set_uri_allow_local_file(handle, true))
        try library.check(library.add_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION))
        try library.check(library.aio_connect_uri(handle, uri))
        try library.wait(for: handle) { () throws(Failure) in
          try library.check(library.aio_is_connecting(handle)) == 0
        }
        guard try library.check(library.aio_is_ready(handle)) == 1 else { throw Failure(lastOf: library) }
        let size = library.get_size(handle)
        guard size >= 0 else { throw Failure(lastOf: library) }
        let maximum = library.get_block_size(handle, Int32(LIBNBD_SIZE_MAXIMUM))
        // 0 where the server does not say.
        maximumRequest = maximum > 0 ? Int(min(maximum, 2 << 20)) : 2 << 20
        knowsExtents =
          try library.check(library.can_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION)) == 1
        (self.size, self.library, self.handle) = (size, library, handle)
      } catch {
        library.close(handle)
        throw error
      }
    }

    deinit {
      if isUsable { _ = library.aio_disconnect(handle, 0) }
      library.close(handle)
    }

    /// Whether it makes sense to send anything more.
    var isUsable: Bool { library.aio_is_dead(handle) == 0 && library.aio_is_closed(handle) == 0 }

    /// Reads `count` bytes, at most `maximumRequest`.
    func read(_ bytes: UnsafeMutableRawPointer, _ count: Int, at offset: Int64) throws(Failure) {
      let cookie = library.aio_pread(
        handle, bytes, count, UInt64(offset), nbd_completion_callback(), 0)
      try finish(cookie)
    }

    /// The extent that `offset` is in: where it ends, and whether it may hold something else than zeros.
    func extent(at offset: Int64) throws(Failure) -> (end: Int64, isData: Bool) {
      guard knowsExtents else { return (size, true) }
      if let known = extents.extent(at: offset) { return known }
      extents = Extents(begin: offset)
      try withExtendedLifetime(extents) { () throws(Failure) in
        let callback = nbd_extent_callback(
          callback: { userData, context, offset, entries, count, _ in
            guard let userData, let entries, let context,
              strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0
            else { return 0 }
            Unmanaged<Extents>.fromOpaque(userData).takeUnretainedValue().add(
              UnsafeBufferPointer(start: entries, count: count))
            return 0
          }, user_data: Unmanaged.passUnretained(extents).toOpaque(), free: nil)
        // 1 GiB at a time: not every server copes with more than 32 bits.
        try finish(
          library.aio_block_status(
            handle, UInt64(min(size - offset, 1 << 30)), UInt64(offset), callback,
            nbd_completion_callback(), 0))
      }
      // A server that answers without saying anything has not said that there are zeros.
      guard let extent = extents.extent(at: offset) else { return (min(size, offset + 1 << 30), true) }
      return (min(extent.end, size), extent.isData)
    }

    private func finish(_ cookie: Int64) throws(Failure) {
      guard cookie >= 0 else { throw Failure(lastOf: library) }
      try library.wait(for: handle) { () throws(Failure) in
        try library.check(library.aio_command_completed(handle, UInt64(cookie))) != 0
      }
    }
  }

  /// What a server said of a part of its export.
  final class Extents {
    private let begin: Int64
    private var ends: [(end: Int64, isData: Bool)] = []

    init(begin: Int64 = 0) { self.begin = begin }

    /// Takes pairs of a length and flags, as NBD_REPLY_TYPE_BLOCK_STATUS has them.
    func add(_ entries: UnsafeBufferPointer<UInt32>) {
      for index in stride(from: 0, to: entries.count - 1, by: 2) where entries[index] > 0 {
        let end = (ends.last?.end ?? begin) + Int64(entries[index])
        // A hole may read as anything; only LIBNBD_STATE_ZERO promises zeros.
        ends.append((end, entries[index + 1] & UInt32(LIBNBD_STATE_ZERO) == 0))
      }
    }

    func extent(at offset: Int64) -> (end: Int64, isData: Bool)? {
      guard offset >= begin else { return nil }
      var (low, high) = (0, ends.count)
      while low < high {
        let middle = (low + high) / 2
        if ends[middle].end > offset { high = middle } else { low = middle + 1 }
      }
      return low < ends.count ? ends[low] : nil
    }
  }
}

extension NBDBase.Connection.Failure {
  /// The last error of this thread.
  fileprivate init(lastOf library: cnbd_library) {
    let code = library.get_errno()
    self.init(
      code: code > 0 ? code : EIO, text: library.get_error().map { String(cString: $0) } ?? errorText(EIO))
  }
}

extension cnbd_library {
  /// - Throws: for the -1 by which libnbd's functions fail.
  @discardableResult
  fileprivate func check(_ result: Int32) throws(NBDBase.Connection.Failure) -> Int32 {
    guard result >= 0 else { throw NBDBase.Connection.Failure(lastOf: self) }
    return result
  }

  /// Lets a connection work until `isDone`, or until nothing came for as long as patience lasts.
  fileprivate func wait(
    for handle: OpaquePointer, until isDone: () throws(NBDBase.Connection.Failure) -> Bool
  ) throws(NBDBase.Connection.Failure) {
    while try !isDone() {
      if try check(poll(handle, Int32(NBDBase.patience * 1000))) == 0 {
        throw NBDBase.Connection.Failure(
          code: ETIMEDOUT, text: "the server did not answer for \(NBDBase.patience) seconds", isSilence: true)
      }
    }
  }
}
