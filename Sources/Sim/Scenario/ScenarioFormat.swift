import LinuxConfig

/// The scenario format, version 1: every field with its type, its default and what it means.
///
/// This is the one description of the format. ``ScenarioDecoder`` reads documents by it, and the JSON Schema
/// that `bootsim schema` prints is made from it. This file has the plain values; the objects are in the files
/// beside it.
enum ScenarioFormat {
  static let version: Int64 = 1

  /// A format of a text that `check` makes a value of, or says what is wrong with and what would be right.
  static func text<Value: Sendable>(
    pattern: String? = nil,
    _ check: @escaping @Sendable (String) throws(Quantity.Failure) -> Value
  ) -> Format<Value> {
    Format(.text(pattern: pattern)) { value, path, problems in
      guard let text = value.string else {
        var hint: String?
        if case .number(let number) = value.kind {
          hint = "write it in quotes, as \"\(number)…\", if it is meant"
        }
        problems.report("expected a text, found \(value.kindName)", at: value.place, path: path, hint: hint)
        return nil
      }
      do throws(Quantity.Failure) {
        return try check(text)
      } catch {
        problems.report(error.message, at: value.place, path: path, hint: error.hint)
        return nil
      }
    }
  }

  static let anyText = text { (text: String) throws(Quantity.Failure) -> String in text }

  static let nonEmpty = text(pattern: ".") { (text: String) throws(Quantity.Failure) -> String in
    guard text.contains(where: { !$0.isWhitespace }) else {
      throw Quantity.Failure(message: "is empty", hint: "leave the field out if there is nothing to say")
    }
    return text
  }

  static let boolean = Format<Bool>(.boolean) { value, path, problems in
    if case .bool(let flag) = value.kind { return flag }
    problems.report("expected true or false, found \(value.kindName)", at: value.place, path: path)
    return nil
  }

  static func integer(_ range: ClosedRange<Int64>) -> Format<Int> {
    Format(.integer(range)) { value, path, problems in
      guard case .number(let text) = value.kind else {
        problems.report("expected a whole number, found \(value.kindName)", at: value.place, path: path)
        return nil
      }
      guard let number = Int64(text), range.contains(number) else {
        problems.report(
          "\(JSONParser.shortened(text)) is not a whole number from \(range.lowerBound) to \(range.upperBound)",
          at: value.place, path: path)
        return nil
      }
      return Int(number)
    }
  }

  /// One of an enumeration's raw values.
  static func choice<Value>(
    _ type: Value.Type, among cases: [Value] = Array(Value.allCases)
  ) -> Format<Value> where Value: RawRepresentable & CaseIterable & Sendable, Value.RawValue == String {
    let names = cases.map(\.rawValue)
    return Format(.choice(names)) { value, path, problems in
      if let text = value.string, names.contains(text), let found = Value(rawValue: text) { return found }
      let list = names.map { "\"\($0)\"" }.joined(separator: ", ")
      let found = value.string.map { JSONValue(.string($0)).text() } ?? value.kindName
      let near = value.string.flatMap { Spelling.nearest($0, among: names) }
      problems.report(
        "expected one of \(list), found \(found)", at: value.place, path: path,
        hint: near.map { "did you mean \"\($0)\"?" })
      return nil
    }
  }

  /// Any JSON value, as it is.
  static let anything = Format<JSONValue>(.anything) { value, _, _ in value }

  // MARK: Quantities

  /// The largest disk or LU: 1 PiB, far above what a boot LUN is and far below where sums overflow.
  static let sizeLimit: Int64 = 1 << 50
  /// The longest time: 30 days.
  static let timeLimit: Int64 = 30 * 24 * 3_600_000_000

  /// Bytes of a disk, an LU or a partition: whole sectors of 512 bytes.
  static let size = text(pattern: Quantity.sizePattern) { (text: String) throws(Quantity.Failure) -> Int64 in
    let bytes = try Quantity.size(text)
    guard bytes > 0, bytes <= sizeLimit else {
      throw Quantity.Failure(
        message: "\"\(text)\" is no possible size", hint: "more than nothing, and no more than 1024TiB")
    }
    guard bytes % 512 == 0 else {
      throw Quantity.Failure(
        message: "\"\(text)\" is not a whole number of sectors", hint: "a sector has 512 bytes")
    }
    return bytes
  }

  static let memory = text(pattern: Quantity.sizePattern) { (text: String) throws(Quantity.Failure) -> Int in
    let bytes = try Quantity.size(text)
    guard bytes >= 4 << 20, bytes <= 64 << 40, bytes % (1 << 20) == 0 else {
      throw Quantity.Failure(
        message: "\"\(text)\" is no possible amount of memory", hint: "whole MiB, from 4MiB to 64TiB")
    }
    return Int(bytes >> 20)
  }

  /// Microseconds.
  static let duration = text(pattern: Quantity.timePattern) {
    (text: String) throws(Quantity.Failure) -> Int64 in
    let time = try Quantity.time(text)
    guard time <= timeLimit else {
      throw Quantity.Failure(message: "\"\(text)\" is too long", hint: "30 days (720h) is the most")
    }
    return time
  }

  static let positiveDuration = text(pattern: Quantity.timePattern) {
    (text: String) throws(Quantity.Failure) -> Int64 in
    let time = try Quantity.time(text)
    guard time > 0, time <= timeLimit else {
      throw Quantity.Failure(
        message: "\"\(text)\" is no possible time here", hint: "more than nothing, and no more than 720h")
    }
    return time
  }

  /// `"2s"`, or `["1s", "5s"]` for anything between the two.
  static let delay = Format<Delay>(
    .anyOf([
      duration.shape(), .list(duration.shape(), identity: nil, atLeast: 2, atMost: 2),
    ])
  ) { value, path, problems in
    guard case .array = value.kind else {
      return duration.read(value, path, problems).map { Delay(earliest: $0, latest: $0) }
    }
    let ends = duration.list(atLeast: 2, atMost: 2).read(value, path, problems) ?? []
    guard ends.count == 2 else { return nil }
    guard ends[0] <= ends[1] else {
      problems.report(
        "ends before it begins", at: value.place, path: path, hint: "[earliest, latest], as [\"1s\", \"5s\"]")
      return nil
    }
    return Delay(earliest: ends[0], latest: ends[1])
  }

  // MARK: Names and addresses

  /// The name of a device or an axis, free to choose.
  static let name = text(pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$") {
    (text: String) throws(Quantity.Failure) -> String in
    let isPlain = text.utf8.allSatisfy { byte in
      JSONParser.isWordByte(byte) && byte < 0x80 && byte != UInt8(ascii: "$") || byte == UInt8(ascii: ".")
        || byte == UInt8(ascii: "-")
    }
    guard isPlain, let first = text.first, first.isLetter || first.isNumber, text.utf8.count <= 64 else {
      throw Quantity.Failure(
        message: "\(JSONValue(.string(JSONParser.shortened(text))).text()) is no name",
        hint: "letters, digits, '.', '_' and '-', a letter or digit first, no more than 64 of them")
    }
    return text
  }

  /// An iSCSI name as RFC 3720, 3.2.6 has it. Capitals are let through: real ones have them (S-63).
  static let iscsiName = text(pattern: #"^(iqn|eui|naa)\.\S{1,219}$"#) {
    (text: String) throws(Quantity.Failure) -> String in
    let type = text.prefix(4)
    let hasSpace = text.unicodeScalars.contains { $0.properties.isWhitespace || $0.value < 0x20 }
    guard ["iqn.", "eui.", "naa."].contains(type), text.utf8.count > 4, text.utf8.count <= 223, !hasSpace
    else {
      throw Quantity.Failure(
        message: "\(JSONValue(.string(JSONParser.shortened(text))).text()) is no iSCSI name",
        hint: "as iqn.2024-01.com.example:disk, no more than 223 bytes and no space (RFC 3720, 3.2.6)")
    }
    return text
  }

  /// `"10.0.2.2:3260"` or `"[fe80::1]:3260"`; without a port it is 3260.
  static let portal = text(pattern: #"^(\d{1,3}(\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$"#) {
    (text: String) throws(Quantity.Failure) -> String in
    let failure = Quantity.Failure(
      message: "\(JSONValue(.string(JSONParser.shortened(text))).text()) is no portal",
      hint: "an address and a port, as \"10.0.2.2:3260\" or \"[fe80::1]:3260\"")
    let address: Substring
    var port: Substring = "3260"
    if text.hasPrefix("[") {
      guard let end = text.firstIndex(of: "]") else { throw failure }
      address = text[...end]
      let rest = text[text.index(after: end)...]
      guard rest.isEmpty || rest.first == ":" else { throw failure }
      if !rest.isEmpty { port = rest.dropFirst() }
      let inside = address.dropFirst().dropLast()
      guard inside.utf8.count <= 45, inside.contains(":"),
        inside.allSatisfy({ $0.isHexDigit && $0.isASCII || $0 == ":" || $0 == "." })
      else { throw failure }
    } else {
      let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      address = parts[0]
      if parts.count == 2 { port = parts[1] }
      guard isIPv4(address) else { throw failure }
    }
    guard port.allSatisfy({ $0.isASCII && $0.isNumber }), let number = UInt16(port), number > 0 else {
      throw failure
    }
    return "\(address):\(number)"
  }

  static func isIPv4(_ text: Substring) -> Bool {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4
      && parts.allSatisfy { part in
        !part.isEmpty && part.utf8.count <= 3 && part.allSatisfy { $0.isASCII && $0.isNumber }
          && UInt8(part) != nil
      }
  }

  /// `"dhcp"` (nil), or an address with its prefix length.
  static let interfaceAddress = text(pattern: #"^(dhcp|\d{1,3}(\.\d{1,3}){3}/\d{1,2})$"#) {
    (text: String) throws(Quantity.Failure) -> String? in
    if text == "dhcp" { return nil }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, isIPv4(parts[0]), let length = Int(parts[1]), (1...32).contains(length) else {
      throw Quantity.Failure(
        message: "\(JSONValue(.string(JSONParser.shortened(text))).text()) is no address",
        hint: "\"dhcp\", or an address and the length of its prefix, as \"10.0.2.15/24\"")
    }
    return text
  }

  static let mac = text(pattern: "^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$") {
    (text: String) throws(Quantity.Failure) -> String in
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    let octets = parts.compactMap { $0.utf8.count == 2 ? UInt8($0, radix: 16) : nil }
    guard octets.count == 6, parts.count == 6, octets[0] & 1 == 0 else {
      throw Quantity.Failure(
        message: "\(JSONValue(.string(JSONParser.shortened(text))).text()) is no adapter's address",
        hint: "six octets, the first of them even, as \"52:54:00:12:34:56\"")
    }
    return text.lowercased()
  }

  /// A path in the simulated machine's tree.
  static let absolutePath = text(pattern: "^/") { (text: String) throws(Quantity.Failure) -> String in
    if let wrong = wrongPath(text) {
      throw Quantity.Failure(
        message: "\(JSONValue(.string(JSONParser.shortened(text))).text()) \(wrong)",
        hint: "as \"/etc/fstab\"")
    }
    return TreePath.normalized(text)
  }

  /// What is wrong with a path; `nil` when nothing is.
  static func wrongPath(_ text: String) -> String? {
    if !text.hasPrefix("/") { return "is no absolute path" }
    if TreePath.parts(text).contains("..") { return "has \"..\" in it" }
    if text.utf8.count > 4095 { return "is longer than Linux takes (4095 bytes)" }
    if TreePath.parts(text).contains(where: { $0.utf8.count > 255 }) {
      return "has a name longer than Linux takes (255 bytes)"
    }
    return nil
  }
}
