/// An amount of bytes, as people write it: `10G`, `10GiB`, `512M`, `10737418240`.
///
/// The suffixes are those of GNU coreutils and `qemu-img`: `K`, `M`, `G`, `T`, `P`, `E` and `KiB`, `MiB`, …
/// are powers of 1024, `KB`, `MB`, `GB`, … are powers of 1000, and letters may be of either case. There are
/// no fractions: what `1.5G` means to the byte is better said as `1536M`.
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
    let digits = utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    func refuse(_ problem: String) -> StoreError {
      StoreError(
        .invalidInput, at: "size '\(printable(text))'", problem,
        remedy: "write a number of bytes or a number with a suffix, as in 10737418240, 512M, 10G or 10GiB")
    }
    guard !digits.isEmpty else { throw refuse("is not a size") }
    guard let unit = Self.unit(utf8[digits.endIndex...]) else {
      throw refuse("has a unit that is not known: '\(printable(text.utf8.dropFirst(digits.count)))'")
    }
    var total: Int64 = 0
    for digit in digits {
      let (shifted, overflow) = total.multipliedReportingOverflow(by: 10)
      let (sum, carry) = shifted.addingReportingOverflow(Int64(digit - UInt8(ascii: "0")))
      if overflow || carry { throw refuse("is more than a file can hold (2^63 - 1 bytes)") }
      total = sum
    }
    let (bytes, overflow) = total.multipliedReportingOverflow(by: unit)
    if overflow { throw refuse("is more than a file can hold (2^63 - 1 bytes)") }
    self.bytes = bytes
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
