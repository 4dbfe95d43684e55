/// A random identifier (RFC 9562, version 4), as `8-4-4-4-12` hexadecimal digits.
///
/// Foundation has one too; it would be the only thing this module needs it for, and loading it costs more
/// than most of the commands do.
public struct Identifier: Hashable, Sendable, CustomStringConvertible {
  /// In its usual form, with small letters.
  public let description: String

  /// A new one, never seen before.
  public init() {
    var bytes = (0..<16).map { _ in UInt8.random(in: 0...255) }
    bytes[6] = bytes[6] & 0x0F | 0x40
    bytes[8] = bytes[8] & 0x3F | 0x80
    let digits = Array("0123456789abcdef".unicodeScalars)
    var text = ""
    for (index, byte) in bytes.enumerated() {
      if [4, 6, 8, 10].contains(index) { text += "-" }
      text.unicodeScalars.append(digits[Int(byte >> 4)])
      text.unicodeScalars.append(digits[Int(byte & 15)])
    }
    description = text
  }

  /// Reads one back; `nil` for anything that is not in the usual form.
  init?(_ text: String) {
    let groups = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    guard groups.map(\.count) == [8, 4, 4, 4, 12] else { return nil }
    let isHexadecimal = { (byte: UInt8) in "0123456789abcdef".utf8.contains(byte) }
    guard groups.joined().allSatisfy(isHexadecimal) else { return nil }
    description = text
  }
}
