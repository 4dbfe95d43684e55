/// A random identifier (RFC 9562, version 4), as `8-4-4-4-12` hexadecimal digits.
///
/// Foundation has one too; it would be the only thing this module needs it for, and loading it costs more
/// than most of the commands do.
public struct Identifier: Hashable, Sendable, CustomStringConvertible {
  // The 16 bytes, the first one on top: a store may have a hundred thousand of these in memory at once.
  private let high: UInt64
  private let low: UInt64

  /// A new one, never seen before.
  public init() {
    high = UInt64.random(in: 0...UInt64.max) & ~0xF000 | 0x4000
    low = UInt64.random(in: 0...UInt64.max) & ~(0xC0 << 56) | 0x80 << 56
  }

  /// Reads one back; `nil` for anything that is not in the usual form.
  init?(_ text: String) {
    let groups = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    guard groups.map(\.count) == [8, 4, 4, 4, 12] else { return nil }
    var halves: (high: UInt64, low: UInt64) = (0, 0)
    for byte in groups.joined() {
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
      default: return nil
      }
      halves = (halves.high << 4 | halves.low >> 60, halves.low << 4 | UInt64(digit))
    }
    (high, low) = halves
  }

  /// In its usual form, with small letters.
  public var description: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(unsafeUninitializedCapacity: 36) { text in
      var length = 0
      for index in 0..<32 {
        if [8, 12, 16, 20].contains(index) {
          text[length] = UInt8(ascii: "-")
          length += 1
        }
        let half = index < 16 ? high : low
        text[length] = digits[Int(half >> UInt64(60 - 4 * (index & 15)) & 15)]
        length += 1
      }
      return length
    }
  }
}
