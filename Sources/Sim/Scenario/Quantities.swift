/// Quantities with their units, as scenarios write them: `"10GiB"`, `"30s"`.
enum Quantity {
  /// The multiplier of each unit of size, in bytes. SI prefixes are powers of ten, IEC prefixes powers of
  /// two.
  static let sizes: [(unit: String, factor: Int64)] = [
    ("B", 1), ("kB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
  ]
  /// The multiplier of each unit of time, in microseconds.
  static let times: [(unit: String, factor: Int64)] = [
    ("us", 1), ("ms", 1000), ("s", 1_000_000), ("min", 60_000_000), ("h", 3_600_000_000),
  ]

  static let sizePattern = #"^[0-9]+(\.[0-9]+)? ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$"#
  static let timePattern = #"^[0-9]+(\.[0-9]+)? ?(us|ms|s|min|h)$"#

  /// What is wrong with a quantity: the message and what would be right.
  struct Failure: Error {
    var message: String
    var hint: String
  }

  /// Reads a size in bytes.
  static func size(_ text: String) throws(Failure) -> Int64 {
    try parse(text, sizes, what: "a size", example: "10GiB")
  }

  /// Reads a time in microseconds.
  static func time(_ text: String) throws(Failure) -> Int64 {
    try parse(text, times, what: "a time", example: "30s")
  }

  private static func parse(
    _ text: String, _ units: [(unit: String, factor: Int64)], what: String, example: String
  ) throws(Failure) -> Int64 {
    let quoted = JSONValue(.string(text)).text()
    let all = units.map(\.unit).joined(separator: ", ")
    let form = "\(what) is a number and a unit (\(all)), as \"\(example)\""
    let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    var unit = text.dropFirst(number.count)
    if unit.first == " " { unit = unit.dropFirst() }
    let parts = number.split(separator: ".", omittingEmptySubsequences: false)
    guard !number.isEmpty, parts.count <= 2, parts.allSatisfy({ !$0.isEmpty }) else {
      let negative = text.hasPrefix("-") ? "negative: " : ""
      throw Failure(message: "\(quoted) is not \(what)", hint: negative + form)
    }
    guard let factor = units.first(where: { $0.unit == unit })?.factor else {
      if unit.isEmpty { throw Failure(message: "\(quoted) has no unit", hint: form) }
      let near = Self.meant(String(unit), units.map(\.unit))
      throw Failure(
        message: "\(quoted) has an unknown unit, \"\(unit)\"",
        hint: near.map { "write \"\(number)\($0)\"" } ?? form)
    }
    let fraction = parts.count == 2 ? parts[1] : ""
    guard fraction.count <= 9, let digits = Int64(parts[0] + fraction) else {
      throw Failure(message: "\(quoted) is too large or too exact", hint: form)
    }
    let (product, overflow) = digits.multipliedReportingOverflow(by: factor)
    let scale = (0..<fraction.count).reduce(Int64(1)) { scale, _ in scale * 10 }
    guard !overflow else { throw Failure(message: "\(quoted) is too large", hint: form) }
    guard product % scale == 0 else {
      throw Failure(message: "\(quoted) is not a whole number of \(units[0].unit)", hint: form)
    }
    return product / scale
  }

  /// The unit somebody meant by another spelling.
  private static func meant(_ unit: String, _ known: [String]) -> String? {
    let others = [
      "K": "KiB", "k": "KiB", "M": "MiB", "G": "GiB", "T": "TiB", "KB": "kB", "µs": "us", "μs": "us",
      "usec": "us",
      "msec": "ms", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "m": "min", "minutes": "min",
      "minute": "min", "hours": "h", "hour": "h", "bytes": "B", "byte": "B",
    ]
    if let other = others[unit], known.contains(other) { return other }
    return known.first { $0.lowercased() == unit.lowercased() }
  }

  /// A size for people, exact: the largest IEC unit that divides it.
  static func text(size: Int64) -> String {
    let unit = sizes.filter { $0.unit == "B" || $0.unit.hasSuffix("iB") }.last {
      size >= $0.factor && size % $0.factor == 0
    }
    guard let unit else { return "\(size)B" }
    return "\(size / unit.factor)\(unit.unit)"
  }
}
