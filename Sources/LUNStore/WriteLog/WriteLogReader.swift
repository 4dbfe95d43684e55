import CLinux
import Glibc

extension WriteLog {
  /// Reads a log from one end to the other, also while it is being recorded.
  ///
  /// Every entry is checked before it is given out. A log that was cut off in the middle of an entry ends
  /// before it; but where what was durable once is damaged or gone, that is an error.
  public struct Reader {
    /// What the log is about.
    public let header: Header
    /// Behind the last entry that was read.
    public private(set) var position: Position
    /// How the log ends; `nil` until the reader is there.
    public private(set) var ending: Ending?
    /// The size of the file, in bytes: what `Position` of the last entry comes to, about.
    public var length: Int64 { get throws(StoreError) { Int64(try file.status().st_size) } }

    /// For messages.
    public var path: String { file.path }

    private let file: Descriptor
    private let log: UInt64

    /// Opens a log, to read on behind `position`.
    ///
    /// - Throws: `absent`, `damaged` if the header is, `newer`, or the failing system call.
    public init(_ path: String, from position: Position = .start) throws(StoreError) {
      try self.init(Descriptor.open(path: path, O_RDONLY | O_NONBLOCK), from: position)
    }

    init(_ file: Descriptor, from position: Position) throws(StoreError) {
      guard try file.status().st_mode & S_IFMT == S_IFREG else {
        throw StoreError(.damaged, at: file.path, "is not a regular file")
      }
      header = try Header(decoding: file.bytes(at: 0, count: WriteLog.headerLength), path: file.path)
      guard position.number < .max, position.offset >= Position.start.offset,
        position.offset % Int64(EntryHead.length) == 0, position.offset <= Int64(try file.status().st_size)
      else {
        throw StoreError(
          .invalidInput, at: file.path,
          "has no entry \(position.number) that ends at byte \(position.offset)")
      }
      log = header.identifier.firstWord
      self.file = file
      self.position = position
    }

    /// The next entry; `nil` at the end, when `ending` says how the log ends.
    ///
    /// - Throws: `damaged`, naming the entry, or the failing system call.
    public mutating func next() throws(StoreError) -> Entry? {
      if ending != nil { return nil }
      // Asked first: a log that was not growing before its end was seen has ended.
      let isGrowing = file.isLockedByAnother
      let size = Int64(try file.status().st_size)
      let offset = position.offset
      var found = try next(at: offset, size: size)
      var later: UInt64?
      if found == nil {
        later = try firstEntry(after: offset, size: size, provingDurable: offset)
        // While the log grows the entry may have become whole, and durable, between the two looks.
        if later != nil, isGrowing { found = try next(at: offset, size: Int64(try file.status().st_size)) }
      }
      guard let (head, payload) = found else {
        if let later { throw damaged("cannot be read, although entry \(later) proves that it was durable") }
        ending = isGrowing ? .recording : .cutOff(strayBytes: max(0, size - offset))
        return nil
      }
      guard let operation = head.operation(payload: payload, size: header.size.bytes) else {
        throw damaged("says what cannot be")
      }
      let footprint = EntryHead.footprint(payload: payload.count)
      position = Position(number: head.number, offset: offset + Int64(footprint))
      if case .end(let reason) = operation { ending = .ended(reason) }
      return Entry(
        number: head.number, time: head.time, operation: operation, data: head.kind == .write ? payload : [])
    }

    private func damaged(_ problem: String) -> StoreError {
      StoreError(
        .damaged, at: file.path, "entry \(position.number &+ 1) at byte \(position.offset) \(problem)",
        remedy: "the entries before it are good: replay up to entry \(position.number)")
    }

    /// The entry that has the next number, whole and with the right checksums; `nil` if there is none.
    private func next(at offset: Int64, size: Int64) throws(StoreError) -> (EntryHead, payload: [UInt8])? {
      let bytes = try file.bytes(at: offset, count: EntryHead.length)
      guard let head = bytes.withUnsafeBytes({ EntryHead(decoding: $0, log: log) }),
        head.number == position.number &+ 1, head.hasPossibleLength,
        head.payloadLength <= UInt64(max(0, size - offset - Int64(EntryHead.length)))
      else { return nil }
      let payload = try file.bytes(at: offset + Int64(EntryHead.length), count: Int(head.payloadLength))
      guard payload.count == Int(head.payloadLength), CRC32C.checksum(payload) == head.checksum else {
        return nil
      }
      return (head, payload)
    }

    /// The number of an entry somewhere behind `offset` that was written when what is at `durable` was
    /// durable.
    private func firstEntry(
      after offset: Int64, size: Int64, provingDurable durable: Int64
    ) throws(StoreError) -> UInt64? {
      let step = Int64(EntryHead.length)
      var start = offset + step
      while start < size {
        // A head is no hole.
        let data = Int64(lseek(file.raw, off_t(start), Int32(LINUX_SEEK_DATA)))
        if data < 0, errno == ENXIO { return nil }
        start = max(start, data / step * step)
        let window = try file.bytes(at: start, count: 1 << 20)
        let found = window.withUnsafeBytes { bytes -> UInt64? in
          for place in stride(from: 0, through: bytes.count - EntryHead.length, by: EntryHead.length) {
            let head = EntryHead(decoding: UnsafeRawBufferPointer(rebasing: bytes[place...]), log: log)
            if let head, head.durable > UInt64(durable) { return head.number }
          }
          return nil
        }
        if let found { return found }
        start += 1 << 20
      }
      return nil
    }
  }
}
