// How the header and the entries of a log are written. WRITELOG.md says the same for people.

extension WriteLog.Header {
  static let keys = ["uuid", "lun", "size", "block-size", "base", "created"]

  /// A record and zeros up to the first entry.
  var encoded: [UInt8] {
    let record = Record(
      kind: .log,
      fields: [
        ("uuid", identifier.description), ("lun", lun.text), ("size", String(size.bytes)),
        ("block-size", String(blockSize.rawValue)), ("base", base), ("created", String(created)),
      ]
    ).encoded
    return record + [UInt8](repeating: 0, count: WriteLog.headerLength - record.count)
  }

  init(decoding bytes: [UInt8], path: String) throws(StoreError) {
    let record = try Record(decoding: Array(bytes.prefix { $0 != 0 }), as: .log, path: path)
    try record.requireKeys(Self.keys, path: path)
    identifier = try record.value("uuid", path: path, Identifier.init)
    lun = try record.value("lun", path: path) { try? LUNName($0) }
    let block = try record.value("block-size", path: path) { Int64($0).flatMap(BlockSize.init) }
    blockSize = block
    size = try record.value("size", path: path) { text in
      guard let size = Int64(text), (1...LUN.maximumSize).contains(size) else { return nil }
      return size % block.rawValue == 0 ? ByteCount(size) : nil
    }
    // It is looked for by this name.
    base = try record.value("base", path: path) { $0.isEmpty || (try? LUNName($0)) != nil ? $0 : nil }
    created = try record.time("created", path: path)
  }
}

/// The fixed part of an entry: 64 bytes, before the payload.
///
/// The payload (what was written, or a text) has `length` bytes, and zeros follow up to a multiple of 64.
struct EntryHead: Equatable {
  enum Kind: UInt32 {
    case write = 1
    case discard, zero, flush, mark, end
  }

  static let length = 64
  static let magic: UInt32 = 0x454C_5746  // "FWLE"

  var kind: Kind
  var number: UInt64
  var time: Int64
  /// The first byte of the LUN, or the first entry that a flush made durable.
  var first: UInt64
  /// How many of them; for marks and ends the length of the text.
  var count: UInt64
  /// So many bytes of the log were durable when the entry was written.
  var durable: UInt64
  /// Of the payload.
  var checksum: UInt32

  /// What follows the head, without the padding.
  var payloadLength: UInt64 {
    switch kind {
    case .write, .mark, .end: count
    case .discard, .zero, .flush: 0
    }
  }

  /// Whether a log may have an entry of this length.
  var hasPossibleLength: Bool {
    payloadLength <= UInt64(kind == .write ? WriteLog.longestWrite : WriteLog.longestMark)
  }

  /// `length` and the payload, rounded up so that every entry begins at a multiple of 64.
  static func footprint(payload: Int) -> Int { (length + payload + length - 1) / length * length }

  /// - Parameter log: the first 64 bits of the log's identifier.
  func encoded(log: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.length)
    func put(_ value: some FixedWidthInteger) {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    put(Self.magic)
    put(kind.rawValue)
    put(log)
    put(number)
    put(time)
    put(first)
    put(count)
    put(durable)
    put(checksum)
    put(CRC32C.checksum(bytes))
    return bytes
  }

  /// `nil` for anything but an undamaged head of this log.
  init?(decoding bytes: UnsafeRawBufferPointer, log: UInt64) {
    func get<Value: FixedWidthInteger>(_: Value.Type, _ offset: Int) -> Value {
      Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
    guard bytes.count >= Self.length, get(UInt32.self, 0) == Self.magic, get(UInt64.self, 8) == log,
      get(UInt32.self, 60) == CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<60])),
      let kind = Kind(rawValue: get(UInt32.self, 4))
    else { return nil }
    self.kind = kind
    number = get(UInt64.self, 16)
    time = get(Int64.self, 24)
    first = get(UInt64.self, 32)
    count = get(UInt64.self, 40)
    durable = get(UInt64.self, 48)
    checksum = get(UInt32.self, 56)
  }

  init(
    _ operation: WriteLog.Entry.Operation, number: UInt64, time: Int64, durable: UInt64, checksum: UInt32
  ) {
    (self.number, self.time, self.durable, self.checksum) = (number, time, durable, checksum)
    switch operation {
    case .write(let range): (kind, first, count) = (.write, UInt64(range.lowerBound), UInt64(range.count))
    case .discard(let range): (kind, first, count) = (.discard, UInt64(range.lowerBound), UInt64(range.count))
    case .zero(let range): (kind, first, count) = (.zero, UInt64(range.lowerBound), UInt64(range.count))
    case .flush(let numbers): (kind, first, count) = (.flush, numbers.lowerBound, UInt64(numbers.count))
    case .mark(let text): (kind, first, count) = (.mark, 0, UInt64(text.utf8.count))
    case .end(let reason): (kind, first, count) = (.end, 0, UInt64(reason.utf8.count))
    }
  }

  /// What the entry says; `nil` if it says what cannot be: a range outside the LUN, or durable entries that
  /// do not exist yet.
  func operation(payload: [UInt8], size: Int64) -> WriteLog.Entry.Operation? {
    let (end, overflow) = first.addingReportingOverflow(count)
    switch kind {
    case .write, .discard, .zero:
      guard !overflow, count > 0, end <= UInt64(size) else { return nil }
      let range = Int64(first)..<Int64(end)
      switch kind {
      case .write: return .write(range)
      case .discard: return .discard(range)
      default: return .zero(range)
      }
    case .flush:
      guard !overflow, first > 0, end <= number else { return nil }
      return .flush(first..<end)
    case .mark: return String(validating: payload, as: UTF8.self).map { .mark($0) }
    case .end: return String(validating: payload, as: UTF8.self).map { .end($0) }
    }
  }
}

extension Identifier {
  /// Its first 64 bits.
  var firstWord: UInt64 {
    UInt64(
      description.utf8.filter { $0 != UInt8(ascii: "-") }.prefix(16).reduce(into: "") { text, byte in
        text.unicodeScalars.append(Unicode.Scalar(byte))
      }, radix: 16) ?? 0
  }
}
