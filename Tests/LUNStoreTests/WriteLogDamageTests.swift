import Glibc
import TestSupport
import Testing

@testable import LUNStore

@Suite("A damaged write log", .timeLimit(.minutes(60)))
struct WriteLogDamageTests {
  /// A log of some entries, where each begins, and up to which of them it has been flushed.
  private struct Log {
    let folder = TemporaryFolder()
    let bytes: [UInt8]
    let entries: [WriteLog.Entry]
    let starts: [Int]
    /// How long each is without padding.
    let lengths: [Int]
    /// The number of the last entry that some later one proves to have been durable.
    let proved: Int

    init(ended: Bool) throws {
      var recording = try Recording()
      try recording.write([UInt8](repeating: 1, count: 100), at: 0)
      try recording.write([UInt8](repeating: 2, count: 700), at: 4096)
      try recording.flush()
      try recording.punchHole(0, 8192)
      try recording.mark("half way")
      try recording.write([UInt8](repeating: 3, count: 64), at: 9000)
      if ended { try recording.recorder.end("stopped") }
      bytes = contents(of: recording.path) ?? []
      var reader = try WriteLog.Reader(recording.path)
      var (entries, starts) = ([WriteLog.Entry](), [Int]())
      var start = reader.position.offset
      while let entry = try reader.next() {
        entries.append(entry)
        starts.append(Int(start))
        start = reader.position.offset
      }
      (self.entries, self.starts) = (entries, starts)
      lengths = entries.map { EntryHead.length + Int($0.payloadLength) }
      // The last write follows the mark, which was flushed; the end follows a flush of everything.
      proved = ended ? 6 : 5
    }

    func read(_ bytes: [UInt8]) throws -> (entries: [WriteLog.Entry], ending: WriteLog.Ending?) {
      write(bytes, to: folder("log"))
      return try readAll(folder("log"))
    }
  }

  @Test("is read up to the last whole entry, wherever it is cut", arguments: [false, true])
  func cutShort(ended: Bool) throws {
    let log = try Log(ended: ended)
    for length in stride(from: WriteLog.headerLength, to: log.bytes.count, by: 7) {
      // Nobody misses the padding.
      let whole = log.starts.indices.prefix { log.starts[$0] + log.lengths[$0] <= length }.count
      let (entries, ending) = try log.read(Array(log.bytes.prefix(length)))
      #expect(entries == Array(log.entries.prefix(whole)), "cut at \(length)")
      let next = whole < log.starts.count ? log.starts[whole] : log.bytes.count
      let isEnded = ended && whole == log.entries.count
      #expect(
        ending == (isEnded ? .ended("stopped") : .cutOff(strayBytes: Int64(max(0, length - next)))),
        "cut at \(length)")
    }
  }

  @Test(
    "gives no wrong entry when any one bit is turned over, and is refused where it was durable",
    arguments: [false, true])
  func flipped(ended: Bool) throws {
    let log = try Log(ended: ended)
    for index in log.bytes.indices.dropFirst(WriteLog.headerLength) {
      var damaged = log.bytes
      damaged[index] ^= 1 << UInt8(index % 8)
      let number = (log.starts.lastIndex { $0 <= index } ?? 0) + 1
      let start = log.starts[number - 1]
      if index >= start + log.lengths[number - 1] {
        // Padding means nothing.
        #expect(try log.read(damaged).entries == log.entries)
      } else if number <= log.proved {
        let error = thrown(StoreError.self) { try log.read(damaged) }
        #expect(error?.kind == .damaged, "byte \(index)")
        #expect(
          "\(error as Any)".contains("entry \(number) at byte \(start)"), "byte \(index): \(error as Any)")
      } else {
        let (entries, ending) = try log.read(damaged)
        #expect(entries == Array(log.entries.prefix(number - 1)), "byte \(index)")
        #expect(ending == .cutOff(strayBytes: Int64(log.bytes.count - start)), "byte \(index)")
      }
    }
  }

  @Test("with a damaged header is refused", arguments: [0, 20, 100, 4000])
  func header(index: Int) throws {
    let log = try Log(ended: true)
    var damaged = log.bytes
    damaged[index] ^= 1
    #expect(thrown(StoreError.self) { try log.read(damaged) }?.kind == (index < 300 ? .damaged : nil))
    #expect(thrown(StoreError.self) { try log.read(Array(log.bytes.prefix(100))) }?.kind == .damaged)
    #expect(thrown(StoreError.self) { try log.read([]) }?.kind == .damaged)
  }

  @Test("of a later version is refused as such")
  func newer() throws {
    let log = try Log(ended: true)
    let record = "fuse-lun log \(Record.version + 1)\nnothing we know\n"
    let sum = String(CRC32C.checksum(record.utf8), radix: 16)
    let text = record + "crc32c " + String(repeating: "0", count: 8 - sum.count) + sum + "\n"
    let header = Array(text.utf8) + [UInt8](repeating: 0, count: WriteLog.headerLength - text.utf8.count)
    let error = thrown(StoreError.self) {
      try log.read(header + log.bytes.dropFirst(WriteLog.headerLength))
    }
    #expect(error?.kind == .newer)
  }

  @Test("that is no file, or none at all, is refused")
  func noFile() throws {
    let folder = TemporaryFolder()
    #expect(thrown(StoreError.self) { try WriteLog.Reader(folder.path) }?.kind == .damaged)
    #expect(thrown(StoreError.self) { try WriteLog.Reader(folder("none")) }?.kind == .system(ENOENT))
  }

  @Test("does not take a log that was written to the LUN for its own")
  func logInLog() throws {
    let inner = try Log(ended: true)
    var recording = try Recording()
    try recording.write([1], at: 0)
    try recording.write(inner.bytes, at: 512)
    let path = recording.path
    let bytes = contents(of: path) ?? []
    // The entry that contains the other log loses its head: what is inside is data all the same.
    patch(path, at: WriteLog.headerLength + 128, [0])
    let (entries, ending) = try readAll(path)
    #expect(entries.count == 1)
    #expect(ending == .recording)
    #expect(bytes.count > inner.bytes.count)
  }
}

extension WriteLog.Entry {
  fileprivate var payloadLength: UInt64 {
    EntryHead(operation, number: number, time: time, durable: 0, checksum: 0).payloadLength
  }
}
