/// An amount of bytes, as people write it: `10G`, `10GiB`, `1.5T`, `512M`, `10737418240`.
///
/// The suffixes are those of GNU coreutils and `qemu-img`: `K`, `M`, `G`, `T`, `P`, `E` and `KiB`, `MiB`, …
/// are powers of 1024, `KB`, `MB`, `GB`, … are powers of 1000, and letters may be of either case. A fraction
/// has to come out as a whole number of bytes, as `1.5G` does and `0.3G` does not: nothing is rounded.
public struct ByteCount: Hashable, Sendable, Comparable {
  /// The amount; never negative, so that it always is a file offset too.
  public let bytes: Int64

  /// An amount that is known to be right.
  ///
  /// - Precondition: `bytes` is not negative.
  public init(_ bytes: Int64) {
    precondition(bytes >= 0)
    self.bytes = bytes
  }

  /// Reads what a person wrote.
  ///
  /// - Throws: what is wrong with the text and what would be right.
  public init(parsing text: String) throws(StoreError) {
    let utf8 = Array(text.utf8)
    let isDigit = { (byte: UInt8) in (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    let digits = utf8.prefix(while: isDigit)
    var rest = utf8[digits.endIndex...]
    func refuse(_ problem: String) -> StoreError {
      StoreError(
        .invalidInput, at: "size '\(printable(text))'", problem,
        remedy: "write a number of bytes or a number with a suffix, as in 10737418240, 512M, 1.5G or 10GiB")
    }
    guard !digits.isEmpty else { throw refuse("is not a size") }
    var decimals: ArraySlice<UInt8> = []
    if rest.first == UInt8(ascii: ".") {
      decimals = rest.dropFirst().prefix(while: isDigit)
      guard !decimals.isEmpty else { throw refuse("is not a size") }
      rest = rest[decimals.endIndex...]
      while decimals.last == UInt8(ascii: "0") { decimals.removeLast() }
    }
    guard let unit = Self.unit(rest) else {
      throw refuse("has a unit that is not known: '\(printable(rest))'")
    }
    guard let whole = Self.number(digits) else {
      throw refuse("is more than a file can hold (2^63 - 1 bytes)")
    }
    let (bytes, overflow) = whole.multipliedReportingOverflow(by: unit)
    if overflow { throw refuse("is more than a file can hold (2^63 - 1 bytes)") }
    // At most 18 digits times at most 10^18: 120 bits.
    guard decimals.count <= 18, let numerator = Self.number(decimals) else {
      throw refuse("is not a whole number of bytes")
    }
    let scale = decimals.reduce(into: UInt128(1)) { scale, _ in scale *= 10 }
    let (part, remainder) = (UInt128(numerator) * UInt128(unit)).quotientAndRemainder(dividingBy: scale)
    guard remainder == 0 else { throw refuse("is not a whole number of bytes") }
    let (total, carry) = bytes.addingReportingOverflow(Int64(part))
    if carry { throw refuse("is more than a file can hold (2^63 - 1 bytes)") }
    self.bytes = total
  }

  /// `nil` if it does not fit.
  private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
    var total: Int64 = 0
    for digit in digits {
      let (shifted, overflow) = total.multipliedReportingOverflow(by: 10)
      let (sum, carry) = shifted.addingReportingOverflow(Int64(digit - UInt8(ascii: "0")))
      if overflow || carry { return nil }
      total = sum
    }
    return total
  }

  private static let prefixes = Array("KMGTPE".utf8)

  private static func unit(_ suffix: ArraySlice<UInt8>) -> Int64? {
    let upper = suffix.map { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) ? $0 - 32 : $0 }
    if upper.isEmpty || upper == Array("B".utf8) { return 1 }
    guard let power = prefixes.firstIndex(of: upper[0]) else { return nil }
    let base: Int64
    switch upper.dropFirst() {
    case [], ArraySlice("IB".utf8): base = 1024
    case ArraySlice("B".utf8): base = 1000
    default: return nil
    }
    return (0...power).reduce(into: 1) { unit, _ in unit *= base }
  }

  /// The order of the amounts.
  public static func < (left: Self, right: Self) -> Bool { left.bytes < right.bytes }
}

/// A size as a command takes it: `20G`, or the difference from the present one, `+1T` or `-512M`.
public enum SizeChange: Equatable, Sendable, Codable {
  /// The size itself, in bytes.
  case to(Int64)
  /// How many bytes more, or less where it is negative.
  case by(Int64)

  /// Reads what a person wrote.
  ///
  /// - Throws: what is wrong with the text and what would be right.
  public init(parsing text: String) throws(StoreError) {
    switch text.utf8.first {
    case UInt8(ascii: "+")?: self = .by(try ByteCount(parsing: String(text.dropFirst())).bytes)
    case UInt8(ascii: "-")?: self = .by(-(try ByteCount(parsing: String(text.dropFirst())).bytes))
    default: self = .to(try ByteCount(parsing: text).bytes)
    }
  }

  /// The size that comes of it.
  ///
  /// - Throws: if that is nothing, or more than a file can hold.
  public func applied(to size: Int64) throws(StoreError) -> Int64 {
    let difference: Int64
    switch self {
    case .to(let new): return new
    case .by(let bytes): difference = bytes
    }
    let (new, overflow) = size.addingReportingOverflow(difference)
    let written = "\(difference < 0 ? "" : "+")\(difference)"
    guard !overflow else {
      throw StoreError(
        .invalidInput, at: "size '\(written)'",
        "with the \(bytesText(size)) of the LUN is more than a file can hold (2^63 - 1 bytes)")
    }
    guard new > 0 else {
      throw StoreError(
        .invalidInput, at: "size '\(written)'", "leaves nothing of the \(bytesText(size)) of the LUN",
        remedy: "a LUN has at least one block")
    }
    return new
  }
}

/// `1 byte`, `2 bytes`.
public func bytesText(_ count: some BinaryInteger) -> String { counted(count, "byte") }

/// A number with what it counts, in the right number: `1 byte`, `0 bytes`, `2 snapshots`.
public func counted(_ count: some BinaryInteger, _ one: String, _ several: String? = nil) -> String {
  "\(count) \(count == 1 ? one : several ?? one + "s")"
}

extension ByteCount: CustomStringConvertible {
  /// The amount in the largest power of 1024 that leaves at least one before the point; exact when there is
  /// no point, to a tenth otherwise.
  public var description: String {
    var unit: Int64 = 1
    var name = "B"
    for prefix in "KMGTPE" where bytes / 1024 >= unit {
      unit *= 1024
      name = "\(prefix)iB"
    }
    if bytes % unit == 0 { return "\(bytes / unit) \(name)" }
    let tenths = (Double(bytes) / Double(unit) * 10).rounded() / 10
    return "\(tenths) \(name)"
  }
}
