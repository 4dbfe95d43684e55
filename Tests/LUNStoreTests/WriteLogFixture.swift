import Glibc
import TestSupport
import Testing

@testable import LUNStore

/// A LUN that is recorded, beside a model of what it holds.
struct Recording {
  let folder = TemporaryFolder()
  let size: Int64
  let lun: LUN
  let recorder: WriteLog.Recorder
  var path: String { folder("log") }
  /// What the LUN holds after each entry; the first is the base.
  private(set) var states: [[UInt8]]

  init(size: Int64 = 64 << 10, blockSize: BlockSize = .bytes512) throws {
    self.size = size
    lun = try makeLUN(folder("store"), "lun", size)
    let header = WriteLog.Header(
      lun: try LUNName("lun"), size: ByteCount(size), blockSize: blockSize, base: "", created: 0)
    recorder = WriteLog.Recorder(try WriteLog.Writer.create(folder("log"), header)) { problem in
      Issue.record("\(problem)")
    }
    states = [[UInt8](repeating: 0, count: Int(size))]
  }

  mutating func write(_ bytes: [UInt8], at offset: Int64, durably: Bool = false) throws {
    let count = try bytes.withUnsafeBytes { bytes in
      try recorder.write(bytes, at: offset, durably: durably, to: lun)
    }
    change { state in
      state.replaceSubrange(Int(offset)..<(Int(offset) + count), with: bytes[..<count])
    }
    if durably { change { _ in } }
  }

  mutating func punchHole(_ offset: Int64, _ length: Int64) throws {
    try recorder.punchHole(at: offset, length: length, in: lun)
    clear(offset, length)
  }

  mutating func zero(_ offset: Int64, _ length: Int64) throws {
    try recorder.zero(at: offset, length: length, in: lun)
    clear(offset, length)
  }

  mutating func flush() throws {
    try recorder.flush(lun)
    change { _ in }
  }

  mutating func mark(_ text: String) throws {
    try recorder.mark(text)
    change { _ in }
  }

  private mutating func clear(_ offset: Int64, _ length: Int64) {
    let end = offset + min(length, size - offset)
    change { state in
      state.replaceSubrange(Int(offset)..<Int(end), with: repeatElement(0, count: Int(end - offset)))
    }
  }

  private mutating func change(_ body: (inout [UInt8]) -> Void) {
    var state = states[states.count - 1]
    body(&state)
    states.append(state)
  }

  /// Does something that a client may do.
  mutating func doAnything(_ random: inout some RandomNumberGenerator) throws {
    let offset = Int64.random(in: 0..<size, using: &random)
    let length = Int64.random(in: 1...9000, using: &random)
    switch Int.random(in: 0..<12, using: &random) {
    case 0: try punchHole(offset, length)
    case 1: try zero(offset, length)
    case 2: try flush()
    case 3: try mark("mark \(states.count) é")
    case 4: try write(noise(length, &random), at: offset, durably: true)
    default: try write(noise(length, &random), at: offset)
    }
  }

  private func noise(_ length: Int64, _ random: inout some RandomNumberGenerator) -> [UInt8] {
    (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
  }

  /// All entries of the log.
  func entries() throws -> [WriteLog.Entry] { try readAll(path).entries }
}

/// All entries of a log, and how it ends.
func readAll(_ path: String) throws -> (entries: [WriteLog.Entry], ending: WriteLog.Ending?) {
  var reader = try WriteLog.Reader(path)
  var entries: [WriteLog.Entry] = []
  while let entry = try reader.next() { entries.append(entry) }
  return (entries, reader.ending)
}

/// A new LUN of a store, which is made if need be.
func makeLUN(_ store: String, _ name: String, _ size: Int64) throws -> LUN {
  let store = try Store.openOrCreate(store).store
  try store.createLUN(LUNRequest(name: name, size: String(size)))
  return try store.openLUN(LUNName(name), .readWrite)
}

/// All that a LUN holds.
func contents(of lun: LUN) throws -> [UInt8] {
  var bytes = [UInt8](repeating: 0xEE, count: Int(lun.size))
  let count = try bytes.withUnsafeMutableBytes { try lun.read(into: $0, at: 0) }
  #expect(count == bytes.count)
  return bytes
}

/// Repeats a log on zeros.
func rebuilt(_ path: String, _ target: WriteLog.Target) throws -> [UInt8] {
  let reader = try WriteLog.Reader(path)
  let memory = Memory(reader.header.size.bytes)
  try WriteLog.rebuild(memory, from: reader, to: target)
  return memory.bytes
}

/// A device for one thread that forgets nothing and cannot fail.
private final class Memory: BlockDevice, @unchecked Sendable {
  private(set) var bytes: [UInt8]
  var size: Int64 { Int64(bytes.count) }
  let blockSize: Int64 = 512

  init(_ size: Int64) { bytes = [UInt8](repeating: 0, count: Int(size)) }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(IOError) -> Int {
    buffer.copyBytes(from: bytes[Int(offset)...].prefix(buffer.count))
    return min(buffer.count, bytes.count - Int(offset))
  }

  func write(_ buffer: UnsafeRawBufferPointer, at offset: Int64, durably: Bool) throws(IOError) -> Int {
    bytes.replaceSubrange(Int(offset)..<Int(offset) + buffer.count, with: buffer)
    return buffer.count
  }

  func zero(at offset: Int64, length: Int64) throws(IOError) {
    bytes.replaceSubrange(
      Int(offset)..<Int(offset + length), with: repeatElement(0, count: Int(length)))
  }

  func punchHole(at offset: Int64, length: Int64) throws(IOError) { try zero(at: offset, length: length) }
  func flush() throws(IOError) {}
  func allocate(at offset: Int64, length: Int64) throws(IOError) {}
  func nextData(from offset: Int64) throws(IOError) -> Int64? { offset < size ? offset : nil }
  func nextHole(from offset: Int64) throws(IOError) -> Int64? { offset < size ? size : nil }
}

/// The same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return (state ^ state >> 29) &* 0xBF58_476D_1CE4_E5B9
  }
}
