import CLinux
import Glibc

/// The options that a layer was given, as text, to be read one after the other; what is wrong with any of them
/// is collected.
struct LayerOptions {
  private var rest: [LayerSetting]
  private let kind: String
  private let known: (String) -> String
  private var readable: [String] = []
  private(set) var problems: [StoreError] = []

  /// - Parameter shown: how an option's name is written where these come from: `--lba` or `lba`.
  init(_ options: [LayerSetting], of kind: String, shown: @escaping (String) -> String) {
    (rest, self.kind, known) = (options, kind, shown)
  }

  /// The value of an option, read by `parse`, which says with `nil` that it cannot be.
  mutating func value<Value>(_ name: String, _ right: String, _ parse: (String) -> Value?) -> Value? {
    readable.append(name)
    guard let index = rest.firstIndex(where: { $0.name == name }) else { return nil }
    let text = rest.remove(at: index).value
    if let value = parse(text) { return value }
    problems.append(
      StoreError(
        .invalidInput, at: "\(known(name)) '\(printable(text))'", "is not possible", remedy: "give \(right)"))
    return nil
  }

  mutating func flag(_ name: String) -> Bool {
    value(name, "no value") { $0 == "" || $0 == "true" ? true : nil } ?? false
  }

  mutating func number(_ name: String, from minimum: Int64) -> Int64? {
    value(name, "a whole number from \(minimum) on") { Int64($0).flatMap { $0 >= minimum ? $0 : nil } }
  }

  mutating func seed() -> UInt64 { value("seed", "a whole number from 0 on") { UInt64($0) } ?? 0 }

  mutating func duration(_ name: String) -> Duration? {
    value(name, "a time as in 500us, 20ms, 5s, 2m or 1h") { Duration(parsing: $0) }
  }

  mutating func durations(_ name: String) -> ClosedRange<Duration>? {
    value(name, "a time as in 20ms or 5s, or two with the shorter one first, as in 5ms..20ms") { text in
      guard let dots = text.range(of: "..") else { return Duration(parsing: text).map { $0...$0 } }
      guard let shortest = Duration(parsing: text[..<dots.lowerBound]),
        let longest = Duration(parsing: text[dots.upperBound...]), shortest <= longest
      else { return nil }
      return shortest...longest
    }
  }

  mutating func bytes(_ name: String) -> Int64? {
    value(name, "a size as in 512K, 64M or 1G") { text in
      (try? ByteCount(parsing: text)).flatMap { $0.bytes > 0 ? $0.bytes : nil }
    }
  }

  /// Blocks `A-B`, both included, or `A`; in bytes of a LUN of this block size.
  mutating func blocks(_ name: String, of blockSize: Int64) -> Range<Int64>? {
    value(name, "a block number, or the first and the last one, as in 2048-4095") { text in
      let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int64($0) }
      guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1],
        first >= 0, first <= last, last < Int64.max / blockSize
      else { return nil }
      return first * blockSize..<(last + 1) * blockSize
    }
  }

  /// Error numbers of which the kernel takes no notice are none: those that FUSE lets through are below 512.
  mutating func errorNumber(_ name: String) -> Int32? {
    value(name, "a name or number of errno, as in EIO, ENOSPC or 5") { text in
      if let number = Int32(text) { return (1..<512).contains(number) ? number : nil }
      return (1..<512 as Range<Int32>).first { errorName($0) == text.uppercased() }
    }
  }

  /// All that is wrong, also options that nobody has asked for and such as are given twice.
  func requireNoProblems() throws(StoreProblems) {
    let more = rest.map { option in
      readable.contains(option.name)
        ? StoreError(.invalidInput, at: known(option.name), "is given twice", remedy: "give it once")
        : StoreError(
          .invalidInput, at: known(option.name), "means nothing for '\(kind)'",
          remedy: readable.isEmpty
            ? "it has no options" : "it has " + readable.map(known).joined(separator: ", "))
    }
    if !problems.isEmpty || !more.isEmpty { throw StoreProblems(problems + more) }
  }
}

extension StringProtocol {
  /// Where `text` is, the first time.
  fileprivate func range(of text: String) -> Range<Index>? {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
      start = index(after: start)
    }
    return nil
  }
}

extension Duration {
  /// Reads a whole number with its unit: `500us`, `20ms`, `5s`, `2m`, `1h`; at most 100 years.
  public init?(parsing text: some StringProtocol) {
    let digits = text.prefix { ("0"..."9").contains($0) }
    let nanoseconds: Int64? =
      switch text[digits.endIndex...] {
      case "ns": 1
      case "us": 1000
      case "ms": 1_000_000
      case "s": 1_000_000_000
      case "m": 60_000_000_000
      case "h": 3_600_000_000_000
      default: nil
      }
    guard let nanoseconds, let number = Int64(digits) else { return nil }
    let (product, overflow) = number.multipliedReportingOverflow(by: nanoseconds)
    guard !overflow, product <= 100 * 365 * 24 * 3_600_000_000_000 else { return nil }
    self = .nanoseconds(product)
  }

  /// In the largest unit in which it is a whole number, as `init(parsing:)` reads it.
  var shortText: String {
    let nanoseconds = wholeNanoseconds
    for (unit, name) in [
      (3_600_000_000_000, "h"), (60_000_000_000, "m"), (1_000_000_000, "s"), (1_000_000, "ms"), (1000, "us"),
    ] as [(Int64, String)] where nanoseconds % unit == 0 && nanoseconds != 0 {
      return "\(nanoseconds / unit)\(name)"
    }
    return nanoseconds == 0 ? "0s" : "\(nanoseconds)ns"
  }
}

/// A number of bytes in the largest unit in which it is a whole number, as `ByteCount` reads it: `64M`.
func sizeText(_ bytes: Int64) -> String {
  var (number, unit) = (bytes, "")
  for next in ["K", "M", "G", "T"] where number > 0 && number % 1024 == 0 {
    (number, unit) = (number / 1024, next)
  }
  return "\(number)\(unit)"
}

/// The name of an error number in `<errno.h>`, or the number.
public func errorName(_ code: Int32) -> String {
  linux_errno_name(code).map { String(cString: $0) } ?? String(code)
}
