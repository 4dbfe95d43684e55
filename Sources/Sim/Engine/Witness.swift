/// A concrete schedule: which event happens when. Replaying it leads to the same end every time.
///
/// As text a witness is one line without blanks: a version, then a `/` before each phase, then the phase's steps,
/// separated by commas: `1/3f@400000,7#1@400000/12@0`. A step is the event's code in hexadecimal, `#` and the
/// occurrence if that is not 0, `@`, and the time in microseconds since the phase began.
public struct Witness: Hashable, Sendable {
  /// One event at one time.
  public struct Step: Hashable, Sendable {
    /// The event's code; see ``Model/code(of:)``.
    public var code: UInt64
    /// Which of several equal pending events it is, counted from 0 in the order of scheduling.
    public var occurrence: Int
    /// When it happens, since the phase began.
    public var time: SimTime

    /// A step of a schedule.
    public init(code: UInt64, occurrence: Int = 0, time: SimTime) {
      self.code = code
      self.occurrence = occurrence
      self.time = time
    }
  }

  /// The steps of each phase, in the order in which they are taken.
  public var phases: [[Step]]

  /// A schedule of these phases.
  public init(phases: [[Step]] = []) {
    self.phases = phases
  }
}

/// What is wrong with the text of a witness, and where.
public struct WitnessError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The line, counted from 1.
  public let line: Int
  /// The column in bytes, counted from 1.
  public let column: Int
  /// What was found and what would be right.
  public let message: String

  /// `line:column: message`.
  public var description: String { "\(line):\(column): \(message)" }
}

extension Witness: CustomStringConvertible {
  /// The text of the witness; ``init(parsing:)`` reads it back.
  public var description: String {
    var text = "1"
    for steps in phases {
      text += "/"
      var first = true
      for step in steps {
        if !first { text += "," }
        first = false
        text += String(step.code, radix: 16)
        if step.occurrence != 0 { text += "#\(step.occurrence)" }
        text += "@\(step.time.microseconds)"
      }
    }
    return text
  }

  /// Reads the text of a witness. Blanks and line ends between its parts are allowed.
  public init(parsing text: String) throws(WitnessError) {
    var reader = WitnessReader(bytes: Array(text.utf8))
    self.init(phases: try reader.read())
  }
}

extension Witness: Codable {
  /// A witness is one string wherever it is stored.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }

  /// Reads the string of a witness; text that is none is a `DecodingError` that says where it goes wrong.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    do {
      try self.init(parsing: text)
    } catch {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "witness: \(error)")
    }
  }
}

private struct WitnessReader {
  let bytes: [UInt8]
  var position = 0

  init(bytes: [UInt8]) {
    self.bytes = bytes
  }

  mutating func read() throws(WitnessError) -> [[Witness.Step]] {
    let version = try number(radix: 10, "the version of the schedule, 1")
    if version != 1 {
      throw error("the schedule has version \(version); this program reads version 1", at: 0)
    }
    var phases: [[Witness.Step]] = []
    while let byte = peek() {
      guard byte == UInt8(ascii: "/") else { throw error("expected '/' and a phase, or the end") }
      position += 1
      phases.append(try phase())
    }
    return phases
  }

  private mutating func phase() throws(WitnessError) -> [Witness.Step] {
    var steps: [Witness.Step] = []
    guard let first = peek(), first != UInt8(ascii: "/") else { return steps }
    var last = SimTime.zero
    while true {
      let step = try step()
      if step.time < last {
        throw error("the time \(step.time) is before that of the step before it, \(last)")
      }
      last = step.time
      steps.append(step)
      guard peek() == UInt8(ascii: ",") else { return steps }
      position += 1
    }
  }

  private mutating func step() throws(WitnessError) -> Witness.Step {
    let code = try number(radix: 16, "the code of an event in hexadecimal")
    var occurrence: UInt64 = 0
    if peek() == UInt8(ascii: "#") {
      position += 1
      occurrence = try number(radix: 10, "an occurrence")
      if occurrence > 1 << 24 { throw error("the occurrence \(occurrence) is impossibly large") }
    }
    guard peek() == UInt8(ascii: "@") else { throw error("expected '@' and a time in microseconds") }
    position += 1
    let time = try number(radix: 10, "a time in microseconds")
    if time > UInt64(SimTime.maximum.microseconds) {
      throw error("the time \(time) is beyond the largest, \(SimTime.maximum.microseconds) microseconds")
    }
    return Witness.Step(
      code: code, occurrence: Int(occurrence), time: SimTime(microseconds: Int64(time)))
  }

  /// The next byte that is not a blank.
  private mutating func peek() -> UInt8? {
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"): position += 1
      default: return bytes[position]
      }
    }
    return nil
  }

  private mutating func number(radix: UInt64, _ what: String) throws(WitnessError) -> UInt64 {
    _ = peek()
    let start = position
    var value: UInt64 = 0
    while position < bytes.count, let digit = WitnessReader.digit(bytes[position]), digit < radix {
      let (product, tooLarge) = value.multipliedReportingOverflow(by: radix)
      let (sum, overflow) = product.addingReportingOverflow(digit)
      if tooLarge || overflow { throw error("this number does not fit into 64 bits", at: start) }
      value = sum
      position += 1
    }
    if position == start { throw error("expected \(what)") }
    return value
  }

  private static func digit(_ byte: UInt8) -> UInt64? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
    default: nil
    }
  }

  private func error(_ message: String, at offset: Int? = nil) -> WitnessError {
    let offset = offset ?? position
    var line = 1
    var column = 1
    for byte in bytes[..<offset] {
      column += 1
      if byte == UInt8(ascii: "\n") { (line, column) = (line + 1, 1) }
    }
    return WitnessError(line: line, column: column, message: message)
  }
}
