/// A checksummed text file of the store: a headline, `key value` lines, and the CRC32C of all that.
///
///     fuse-lun LUN 2
///     name disk0
///     size 10737418240
///     crc32c 5d1f0a3b
///
/// Text, since the one who repairs a store at three in the morning has `cat`; LVM's metadata is text for the
/// same reason. FORMAT.md is the specification.
struct Record: Equatable {
  /// What the record describes, which is the second word of the headline.
  enum Kind: String { case store, lun = "LUN", snapshot, layer, log, rename }

  /// The version of the format that this program writes, and the newest it reads.
  static let version = 2

  /// More than any record needs: what is longer is something else.
  static let maximumLength = 64 * 1024

  var kind: Kind
  var fields: [(key: String, value: String)]

  static func == (left: Record, right: Record) -> Bool {
    left.kind == right.kind && left.fields.elementsEqual(right.fields) { $0 == $1 }
  }

  var encoded: [UInt8] {
    var text = "fuse-lun \(kind.rawValue) \(Self.version)\n"
    for (key, value) in fields { text += "\(key) \(value)\n" }
    let checksum = hexadecimal(CRC32C.checksum(text.utf8))
    return Array((text + "crc32c \(checksum)\n").utf8)
  }

  /// Reads a record back.
  ///
  /// The checksum is tested first, then the version: the rule of the last line is the one thing that no
  /// version may change, so that a damaged record is never mistaken for a newer one.
  init(decoding bytes: [UInt8], as kind: Kind, path: String) throws(StoreError) {
    func damaged(_ problem: String) -> StoreError {
      StoreError(.damaged, at: path, problem, remedy: "restore this file from a backup of the store")
    }
    guard bytes.starts(with: Array("fuse-lun \(kind.rawValue) ".utf8)) else {
      throw damaged("does not begin with 'fuse-lun \(kind.rawValue)'")
    }
    // Split on bytes: for `String` a line feed or a space can be one character with what follows it.
    guard bytes.last == UInt8(ascii: "\n") else { throw damaged("is cut off: its last line has no end") }
    var lines = bytes.dropLast().split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    guard let last = lines.popLast(), last.starts(with: Array("crc32c ".utf8)) else {
      throw damaged("is cut off: its last line is no checksum")
    }
    let computed = "crc32c " + hexadecimal(CRC32C.checksum(bytes[..<last.startIndex]))
    guard last.elementsEqual(computed.utf8) else {
      throw damaged("has the wrong checksum: '\(printable(last))' is written, '\(computed)' would be right")
    }
    guard String(validating: bytes, as: UTF8.self) != nil, !lines.isEmpty else {
      throw damaged("is not UTF-8")
    }
    let headline = lines.removeFirst()
    let number = String(decoding: headline.dropFirst("fuse-lun \(kind.rawValue) ".utf8.count), as: UTF8.self)
    guard let version = Int(number), version > 0 else {
      throw damaged("has no version: '\(printable(number))'")
    }
    guard version <= Self.version else {
      throw StoreError(
        .newer, at: path,
        "has format version \(version), and this program knows versions up to \(Self.version)",
        remedy: "use the release of fuse-lun that wrote it, or a later one")
    }
    guard version == Self.version else {
      throw StoreError(
        .older, at: path,
        "has format version \(version), which only builds before the first release wrote",
        remedy: "copy the LUNs' data with the build that wrote them")
    }
    self.kind = kind
    self.fields = []
    for line in lines {
      guard let space = line.firstIndex(of: UInt8(ascii: " ")), space != line.startIndex else {
        throw damaged("has a line without a key: '\(printable(line))'")
      }
      let key = String(decoding: line[..<space], as: UTF8.self)
      guard !fields.contains(where: { $0.key == key }) else {
        throw damaged("says '\(printable(key))' twice")
      }
      fields.append((key, String(decoding: line[(space + 1)...], as: UTF8.self)))
    }
  }

  init(kind: Kind, fields: [(key: String, value: String)]) {
    self.kind = kind
    self.fields = fields
  }

  /// The value of a key, read by `parse`.
  func value<Value>(
    _ key: String, path: String, _ parse: (String) -> Value?
  ) throws(StoreError) -> Value {
    guard let field = fields.first(where: { $0.key == key }) else {
      throw StoreError(.damaged, at: path, "does not say '\(key)'")
    }
    guard let value = parse(field.value) else {
      throw StoreError(.damaged, at: path, "says '\(key) \(printable(field.value))', which cannot be")
    }
    return value
  }

  /// The value of a key as a whole number in its usual form: digits, without a sign or leading zeros.
  func number<Number: FixedWidthInteger>(
    _ key: String, path: String, in range: ClosedRange<Number>
  ) throws(StoreError) -> Number {
    try value(key, path: path) { text in
      Number(text).flatMap { range.contains($0) && String($0) == text ? $0 : nil }
    }
  }

  /// The value of a key as seconds since 1970, up to the year 9999: what people can read.
  func time(_ key: String, path: String) throws(StoreError) -> Int64 {
    try number(key, path: path, in: 0...253_402_300_799)
  }

  /// A record has these keys and no others: what is not understood is not ignored.
  func requireKeys(_ keys: [String], path: String) throws(StoreError) {
    for field in fields where !keys.contains(field.key) {
      throw StoreError(
        .damaged, at: path, "has a key that version \(Self.version) does not have: '\(printable(field.key))'")
    }
  }
}

/// Eight digits of a 32-bit number.
private func hexadecimal(_ value: UInt32) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 8 - digits.count) + digits
}
