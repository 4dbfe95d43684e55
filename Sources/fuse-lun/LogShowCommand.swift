import ArgumentParser
import FoundationEssentials
import LUNStore

struct LogShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "List what a log has.",
    usage:
      "fuse-lun log <store> <name> show [--log <log>] [--from-entry <n>] [--to-entry <n>] [--json] [--data]",
    discussion: """
      One line for each entry: its number, the seconds since recording began, what was done, the logical block \
      where that begins (and how many bytes into the block, if it does not begin with it), and its length in \
      bytes. For a flush: the numbers of the entries that are durable since. Also works while the log is recorded.
      """)

  @OptionGroup var which: WhichLog
  @OptionGroup var range: LogRange

  @Flag(help: "Write JSON.")
  var json = false

  @Flag(help: "Write the data as well: as a hexadecimal dump, or in Base64 as JSON.")
  var data = false

  func run() throws {
    var (number, reader) = try which.open()
    let output = LineBuffer()
    if json {
      let head = try encodeLine(LogReport(number, reader.header)).dropLast(2)
      try output.write(String(decoding: head, as: UTF8.self) + ",\"entries\":[")
    } else {
      try output.write(
        "log \(number) of '\(reader.header.lun)', begun \(iso8601(reader.header.created)) with the snapshot "
          + "\(reader.header.lun)@\(reader.header.base)\n")
    }
    var summary = LogSummary()
    while let entry = try reader.next(), entry.number <= range.last {
      guard entry.number >= range.first else { continue }
      let report = EntryReport(entry, reader.header, withData: data)
      if json {
        let line = try encodeLine(report).dropLast()
        try output.write((summary.entries == 0 ? "\n" : ",\n") + String(decoding: line, as: UTF8.self))
      } else {
        try output.write(report.line + (data ? hexDump(entry) : ""))
      }
      summary.add(entry)
    }
    if json {
      let tail = try encodeLine(LogTail(summary: summary, ending: reader.ending.map(Self.describe)))
        .dropFirst()
      try output.write("\n]," + String(decoding: tail, as: UTF8.self))
    } else {
      try output.write(summary.text + (reader.ending.map { "; \(Self.describe($0))" } ?? "") + "\n")
    }
    try output.flush()
  }

  private static func describe(_ ending: WriteLog.Ending) -> String {
    switch ending {
    case .ended(let reason): "ended: \(reason)"
    case .recording: "still being recorded"
    case .cutOff(0): "cut off: whoever recorded it was killed, or had no room"
    case .cutOff(let bytes):
      "cut off: whoever recorded it was killed, \(bytes) bytes into an entry"
    }
  }
}

/// Some of the entries of a log.
struct LogRange: ParsableArguments {
  @Option(help: ArgumentHelp("Begin with this entry.", valueName: "n"))
  var fromEntry: UInt64?

  @Option(help: ArgumentHelp("End with this entry.", valueName: "n"))
  var toEntry: UInt64?

  var first: UInt64 { fromEntry ?? 1 }
  var last: UInt64 { toEntry ?? .max }
}

/// Seconds since 1970, as ISO 8601 has it.
func iso8601(_ seconds: Int64) -> String {
  Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
}

/// What `log show --json` says first.
private struct LogReport: Encodable {
  var log: Int
  var uuid: String
  var lun: String
  var base: String
  var size: Int64
  var blockSize: Int64
  var begun: String

  init(_ number: Int, _ header: WriteLog.Header) {
    log = number
    uuid = header.identifier.description
    lun = header.lun.text
    base = "\(header.lun)@\(header.base)"
    size = header.size.bytes
    blockSize = header.blockSize.rawValue
    begun = iso8601(header.created)
  }
}

/// What `log show --json` says last.
private struct LogTail: Encodable {
  var summary: LogSummary
  var ending: String?
}

/// One entry.
private struct EntryReport: Encodable {
  var number: UInt64
  /// Nanoseconds since 1970.
  var time: Int64
  var operation: String
  /// In bytes, as is the length.
  var offset: Int64?
  var length: Int64?
  var lba: Int64?
  var firstDurable: UInt64?
  var lastDurable: UInt64?
  var text: String?
  var data: String?

  private enum CodingKeys: CodingKey {
    case number, time, operation, offset, length, lba, firstDurable, lastDurable, text, data
  }
  private let blockSize: Int64
  private let begun: Int64

  init(_ entry: WriteLog.Entry, _ header: WriteLog.Header, withData: Bool) {
    (number, time, blockSize) = (entry.number, entry.time, header.blockSize.rawValue)
    begun = header.created
    operation = entry.operation.name
    if let range = entry.changed {
      (offset, length) = (range.lowerBound, range.upperBound - range.lowerBound)
      lba = range.lowerBound / blockSize
    }
    switch entry.operation {
    case .flush(let numbers) where !numbers.isEmpty:
      (firstDurable, lastDurable) = (numbers.lowerBound, numbers.upperBound - 1)
    case .mark(let said), .end(let said): text = said
    default: break
    }
    if withData, !entry.data.isEmpty { data = Data(entry.data).base64EncodedString() }
  }

  var line: String {
    let micros = max(0, time / 1000 - begun * 1_000_000)
    let fraction = String(micros % 1_000_000)
    let seconds = "\(micros / 1_000_000)." + String(repeating: "0", count: 6 - fraction.count) + fraction
    var what = ""
    if let offset, let length {
      let inside = offset % blockSize
      what =
        padded(inside == 0 ? "\(offset / blockSize)" : "\(offset / blockSize)+\(inside)", 12)
        + padded(String(length), 12)
    } else if let firstDurable, let lastDurable {
      what = "  entries \(firstDurable) to \(lastDurable)"
    } else if let text {
      what = "  " + text.debugDescription
    }
    return padded(String(number), 9) + padded(seconds, 14) + "  " + operation
      + (what.isEmpty ? "" : String(repeating: " ", count: 8 - operation.count) + what) + "\n"
  }
}

extension WriteLog.Entry.Operation {
  /// As it is called on the command line.
  var name: String {
    switch self {
    case .write: "write"
    case .discard: "discard"
    case .zero: "zero"
    case .flush: "flush"
    case .mark: "mark"
    case .end: "end"
    }
  }
}

/// What there is in a part of a log.
private struct LogSummary: Encodable {
  var entries = 0
  var writes = 0
  var bytesWritten: Int64 = 0
  var discards = 0
  var zeros = 0
  var flushes = 0
  var marks = 0

  mutating func add(_ entry: WriteLog.Entry) {
    entries += 1
    switch entry.operation {
    case .write(let range):
      writes += 1
      bytesWritten += range.upperBound - range.lowerBound
    case .discard: discards += 1
    case .zero: zeros += 1
    case .flush: flushes += 1
    case .mark: marks += 1
    case .end: break
    }
  }

  var text: String {
    "\(entries) entries: \(writes) writes of \(ByteCount(bytesWritten)), \(discards) discards, \(zeros) zeroings, "
      + "\(flushes) flushes, \(marks) marks"
  }
}

private func padded(_ text: String, _ width: Int) -> String {
  String(repeating: " ", count: max(1, width - text.count)) + text
}

/// The data of a write, 16 bytes a line, as `hexdump -C` shows them.
private func hexDump(_ entry: WriteLog.Entry) -> String {
  guard let range = entry.changed, !entry.data.isEmpty else { return "" }
  let digits = Array("0123456789abcdef".utf8)
  var text: [UInt8] = []
  for start in stride(from: 0, to: entry.data.count, by: 16) {
    let bytes = entry.data[start..<min(start + 16, entry.data.count)]
    let offset = String(range.lowerBound + Int64(start), radix: 16)
    text += Array((String(repeating: " ", count: max(0, 26 - offset.count)) + offset + " ").utf8)
    for byte in bytes { text += [0x20, digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    text += [UInt8](repeating: 0x20, count: 3 * (16 - bytes.count) + 2) + [0x7C]
    text += bytes.map { (0x20..<0x7F).contains($0) ? $0 : 0x2E } + [0x7C, 0x0A]
  }
  return String(decoding: text, as: UTF8.self)
}

/// Gathers short texts for the standard output: a log may have millions of lines.
private final class LineBuffer {
  private var text = ""

  func write(_ more: String) throws(StoreError) {
    text += more
    if text.utf8.count > 1 << 16 { try flush() }
  }

  func flush() throws(StoreError) {
    try emit(text)
    text = ""
  }
}
