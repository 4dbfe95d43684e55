/// The name of a LUN: the name of its file in a mount, and of its folder in the store.
///
/// Two names are the same when their bytes are. Swift's `String` compares what people read instead (é is é,
/// in one code point or in two), and the kernel does not.
public struct LUNName: Sendable {
  /// The name, as UTF-8 of 1 to 255 bytes.
  public let text: String

  /// Checks a name.
  ///
  /// What is refused, and why: a `/` (a path), a leading `.` (the store's own files), an `@` (a snapshot of a
  /// LUN is `NAME@SNAPSHOT`), control characters and line separators (a list prints a line for each), what turns the
  /// direction of text (two names would look the same), U+FFFD
  /// (what the command line turns bytes into that are no UTF-8), and more than the 255 bytes of a file name.
  ///
  /// - Throws: every rule that the name breaks, in one error.
  public init(_ text: String) throws(StoreError) {
    var faults: [String] = []
    let scalars = text.unicodeScalars
    if scalars.isEmpty { faults.append("is empty") }
    if text.utf8.count > 255 {
      faults.append("has \(text.utf8.count) bytes, and a file name has at most 255")
    }
    if scalars.first == "." { faults.append("begins with a '.'") }
    if scalars.contains("/") { faults.append("has a '/'") }
    if scalars.contains("@") { faults.append("has an '@', which separates a LUN from its snapshot") }
    if scalars.contains(where: Self.isUnprintable) {
      faults.append("has a control character or a line separator")
    }
    if scalars.contains(where: \.properties.isBidiControl) {
      faults.append("has a character that changes the direction of text")
    }
    if scalars.contains("\u{FFFD}") { faults.append("is not valid UTF-8") }
    guard faults.isEmpty else {
      throw StoreError(
        .invalidInput, at: "name '\(printable(text))'", faults.joined(separator: ", and "),
        remedy: "use letters, digits, '-', '_', '.' and ':', as in disk0 or iqn.2004-10.org.example:root")
    }
    self.text = text
  }

  /// A name from the kernel or from a folder: `nil` when no LUN can have it.
  public init?(bytes: UnsafePointer<CChar>) {
    guard let text = String(validatingCString: bytes), let name = try? LUNName(text) else { return nil }
    self = name
  }

  static func isUnprintable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator, .surrogate: true
    default: false
    }
  }
}

extension LUNName: Hashable, Comparable, CustomStringConvertible {
  /// Whether the bytes are the same.
  public static func == (left: Self, right: Self) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

  /// The order of the bytes.
  public static func < (left: Self, right: Self) -> Bool {
    left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
  }

  /// The hash of the bytes.
  public func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
    hasher.combine(UInt8(0xFF))
  }

  /// The name itself.
  public var description: String { text }
}
