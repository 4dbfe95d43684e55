import Glibc
import Synchronization

extension WriteLog {
  /// Appends to a log that it has made; may be used from any number of threads at once.
  ///
  /// Entries are in the order of the calls. They survive the death of the process as soon as `append` has
  /// returned, and that of the machine after `synchronize`.
  public final class Writer: Sendable {
    /// What the log is about.
    public let header: Header

    private let file: Descriptor
    private let log: UInt64

    private struct Tail {
      /// The number of the last entry.
      var number: UInt64 = 0
      /// Where the next one goes.
      var offset = Int64(WriteLog.headerLength)
      /// There are no more entries: after the end, and where one could not be written, since one that is
      /// missing would be worse.
      var isClosed = false
      var hasFailed = false
    }

    private let tail = Mutex(Tail())
    /// Up to where the file is durable. Held while flushing, so that flushes go one after the other and most
    /// of those that waited find their work done.
    private let flushed = Mutex(Int64(WriteLog.headerLength))
    /// The same, to be read without waiting for a flush.
    private let durable = Atomic(UInt64(WriteLog.headerLength))

    /// Makes a log that is there with its header, durably, or not at all.
    ///
    /// - Throws: the failing system call; `exists` if the file is there.
    public static func create(_ path: String, _ header: Header) throws(StoreError) -> Writer {
      let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
      let folder = slash.map { String(path[...$0]) } ?? "."
      let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
      let opened = try Descriptor.open(path: folder, O_RDONLY | O_DIRECTORY)
      return try Writer(creating: name, in: opened, header)
    }

    init(creating name: String, in folder: Descriptor, _ header: Header) throws(StoreError) {
      self.header = header
      log = header.identifier.firstWord
      let temporary = ".new-\(Identifier())"
      file = try folder.create(temporary, O_RDWR)
      do throws(StoreError) {
        // Says to readers that the log grows.
        guard file.setLock(F_WRLCK) else { throw .system("lock", file.path) }
        try file.writeAll(header.encoded)
        try file.synchronize()
        // Unlike a rename, a link never replaces a log.
        guard linkat(folder.raw, temporary, folder.raw, name, 0) == 0 else {
          if errno == EEXIST { throw StoreError(.exists, at: "\(folder.path)/\(name)", "is there already") }
          throw .system("create", "\(folder.path)/\(name)")
        }
        unlinkat(folder.raw, temporary, 0)
        try folder.synchronize()
      } catch {
        unlinkat(folder.raw, temporary, 0)
        throw error
      }
    }

    /// The number of the last entry; 0 if there is none.
    public var last: UInt64 { tail.withLock { $0.number } }

    /// Appends an entry.
    ///
    /// - Parameters:
    ///   - data: for a write, as many bytes as its range has; `EINVAL` otherwise.
    ///   - checksum: of the data, if the caller has it.
    /// - Returns: the number of the entry.
    /// - Throws: the host's error the first time, and then `EIO`: the log ends before the entry that could
    ///   not be written.
    @discardableResult
    public func append(
      _ operation: Entry.Operation, _ data: UnsafeRawBufferPointer = .init(start: nil, count: 0),
      checksum: UInt32? = nil
    ) throws(IOError) -> UInt64 {
      switch operation {
      case .write(let range):
        guard range.count == data.count else { throw IOError(EINVAL) }
        return try append(operation, payload: data, checksum)
      case .mark(let text), .end(let text):
        let appended = Array(text.utf8).withUnsafeBytes { bytes in
          Result { () throws(IOError) in try append(operation, payload: bytes, nil) }
        }
        return try appended.get()
      case .discard, .zero, .flush:
        return try append(operation, payload: UnsafeRawBufferPointer(start: nil, count: 0), nil)
      }
    }

    private func append(
      _ operation: Entry.Operation, payload: UnsafeRawBufferPointer, _ known: UInt32?
    ) throws(IOError) -> UInt64 {
      let checksum = known ?? CRC32C.checksum(payload)
      let appended: Result<UInt64, IOError> = tail.withLock { tail in
        if tail.isClosed { return .failure(IOError(EIO)) }
        let head = EntryHead(
          operation, number: tail.number + 1, time: nanosecondsSince1970(),
          durable: durable.load(ordering: .relaxed), checksum: checksum
        ).encoded(log: log)
        let footprint = EntryHead.footprint(payload: payload.count)
        let code = write(head, payload, padding: footprint - head.count - payload.count, at: tail.offset)
        guard code == 0 else {
          (tail.isClosed, tail.hasFailed) = (true, true)
          ftruncate(file.raw, off_t(tail.offset))
          _ = file.setLock(F_UNLCK)
          return .failure(IOError(code))
        }
        if case .end = operation { tail.isClosed = true }
        tail.number += 1
        tail.offset += Int64(footprint)
        return .success(tail.number)
      }
      return try appended.get()
    }

    /// One call for all parts: most entries are small, and what a call costs is most of their cost.
    ///
    /// - Returns: 0 or the error number.
    private func write(
      _ head: [UInt8], _ payload: UnsafeRawBufferPointer, padding: Int, at offset: Int64
    ) -> Int32 {
      let total = head.count + payload.count + padding
      var done = 0
      while done < total {
        // What is left of each part after `done` bytes.
        var skip = done
        func rest(_ part: UnsafeRawBufferPointer) -> iovec {
          let skipped = min(skip, part.count)
          skip -= skipped
          return iovec(
            iov_base: UnsafeMutableRawPointer(mutating: part.baseAddress).map { $0 + skipped },
            iov_len: part.count - skipped)
        }
        let count = head.withUnsafeBytes { head in
          Self.zeros.withUnsafeBytes { zeros in
            let parts = [
              rest(head), rest(payload), rest(UnsafeRawBufferPointer(rebasing: zeros[..<padding])),
            ]
            return retrying {
              pwritev(file.raw, parts, Int32(parts.count), off_t(offset + Int64(done)))
            }
          }
        }
        guard count > 0 else { return count < 0 ? errno : EIO }
        done += count
      }
      return 0
    }

    private static let zeros = [UInt8](repeating: 0, count: EntryHead.length)

    /// Makes durable what was appended before the call.
    ///
    /// - Throws: the host's error the first time, and then `EIO`; nothing is appended any more.
    public func synchronize() throws(IOError) {
      let (needed, hasFailed) = tail.withLock { ($0.offset, $0.hasFailed) }
      guard !hasFailed else { throw IOError(EIO) }
      let code: Int32 = flushed.withLock { flushed in
        if flushed >= needed { return 0 }
        // What others have appended until now becomes durable with it.
        let reached = tail.withLock { $0.offset }
        guard retrying({ Int(fdatasync(file.raw)) }) == 0 else {
          let code = errno
          tail.withLock { ($0.isClosed, $0.hasFailed) = (true, true) }
          _ = file.setLock(F_UNLCK)
          return code
        }
        flushed = reached
        durable.store(UInt64(reached), ordering: .relaxed)
        return 0
      }
      guard code == 0 else { throw IOError(code) }
    }

    /// Ends the log, durably.
    ///
    /// - Throws: the host's error if that could not be noted: readers then find the log cut off.
    public func end(_ reason: String) throws(IOError) {
      try synchronize()
      try append(.end(reason))
      try synchronize()
      _ = file.setLock(F_UNLCK)
    }
  }
}

private func nanosecondsSince1970() -> Int64 {
  var now = timespec()
  clock_gettime(CLOCK_REALTIME, &now)
  return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
}
