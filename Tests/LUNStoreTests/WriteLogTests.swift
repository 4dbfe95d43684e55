import Glibc
import TestSupport
import Testing

@testable import LUNStore

@Suite("A write log", .timeLimit(.minutes(60)))
struct WriteLogTests {
  @Test("rebuilds the LUN exactly as it was after each entry", arguments: 1...5 as ClosedRange<UInt64>)
  func everyPoint(seed: UInt64) throws {
    var random = SeededGenerator(seed)
    var recording = try Recording()
    for _ in 0..<60 { try recording.doAnything(&random) }
    let rebuilt = try makeLUN(recording.folder("store"), "rebuilt", recording.size)
    var position = WriteLog.Position.start
    for point in recording.states.indices {
      let reader = try WriteLog.Reader(recording.path, from: position)
      position = try WriteLog.rebuild(rebuilt, from: reader, to: WriteLog.Target(point: UInt64(point)))
      #expect(position.number == UInt64(point))
      #expect(try contents(of: rebuilt) == recording.states[point], "seed \(seed), entry \(point)")
    }
    // All at once comes to the same, whatever the LUN held behind the size of the one that was recorded.
    let other = try makeLUN(recording.folder("store"), "other", recording.size + 4096)
    let last = UInt64(recording.states.count - 1)
    try WriteLog.rebuild(other, from: WriteLog.Reader(recording.path), to: WriteLog.Target(point: last))
    let whole = try contents(of: other)
    #expect(Array(whole.prefix(Int(recording.size))) == recording.states[Int(last)])
    #expect(try contents(of: recording.lun) == recording.states[Int(last)])
  }

  @Test("has the order that the LUN has when many write to the same place at once")
  func manyWriters() async throws {
    let recording = try Recording()
    let (lun, recorder) = (recording.lun, recording.recorder)
    await withThrowingTaskGroup(of: Void.self) { group in
      for writer in 0..<8 as Range<UInt64> {
        group.addTask {
          var random = SeededGenerator(writer)
          for _ in 0..<100 {
            let bytes = [UInt8](repeating: UInt8(random.next() & 0xFF), count: 3000)
            let offset = Int64(random.next() % 8000)
            _ = try bytes.withUnsafeBytes { try recorder.write($0, at: offset, durably: false, to: lun) }
            if random.next() % 20 == 0 { try recorder.flush(lun) }
          }
        }
      }
    }
    let rebuilt = try makeLUN(recording.folder("store"), "rebuilt", recording.size)
    let entries = try recording.entries()
    #expect(entries.filter { $0.changed != nil }.count == 800)
    #expect(entries.map(\.number) == Array(1...UInt64(entries.count)))
    try WriteLog.rebuild(
      rebuilt, from: WriteLog.Reader(recording.path), to: WriteLog.Target(point: UInt64(entries.count)))
    #expect(try contents(of: rebuilt) == contents(of: lun))
  }

  @Test("says what happened, when, and how it ended")
  func entries() throws {
    var recording = try Recording()
    let before = Int64(time(nil)) * 1_000_000_000
    try recording.write([1, 2, 3], at: 1000)
    // Cut off at the end of the LUN, as the LUN does it.
    try recording.write([UInt8](repeating: 7, count: 9), at: recording.size - 4)
    try recording.punchHole(512, .max)
    try recording.flush()
    try recording.mark("here ✓")
    try recording.write([5], at: 0, durably: true)
    try recording.zero(0, 4096)
    #expect(try readAll(recording.path).ending == .recording)
    try recording.recorder.end("stopped")
    let (entries, ending) = try readAll(recording.path)
    let size = recording.size
    #expect(
      entries.map(\.operation) == [
        .write(1000..<1003), .write((size - 4)..<size), .discard(512..<size), .flush(1..<4), .mark("here ✓"),
        .write(0..<1), .flush(6..<7), .zero(0..<4096), .end("stopped"),
      ])
    #expect(entries.map(\.data) == [[1, 2, 3], [7, 7, 7, 7], [], [], [], [5], [], [], []])
    #expect(ending == .ended("stopped"))
    #expect(zip(entries, entries.dropFirst()).allSatisfy { $0.time <= $1.time })
    #expect(entries[0].time >= before && entries[8].time < Int64(time(nil) + 1) * 1_000_000_000)
    // The LUN works on.
    try recording.write([9], at: 0)
    #expect(try readAll(recording.path).entries.count == 9)
  }

  @Test("keeps what the LUN refused out of it")
  func refused() throws {
    let recording = try Recording()
    #expect(throws: IOError(ENOSPC)) {
      try [1].withUnsafeBytes {
        try recording.recorder.write($0, at: recording.size, durably: false, to: recording.lun)
      }
    }
    #expect(throws: IOError(EINVAL)) {
      try recording.recorder.punchHole(at: recording.size, length: 1, in: recording.lun)
    }
    #expect(throws: IOError(EINVAL)) { try recording.recorder.zero(at: -1, length: 1, in: recording.lun) }
    #expect(try recording.entries().isEmpty)
  }

  @Test("does not replace a log, and cannot be repeated on a LUN that is too small or past its end")
  func wrongUse() throws {
    var recording = try Recording()
    try recording.write([1], at: 0)
    let header = recording.recorder.header
    #expect(thrown(StoreError.self) { try WriteLog.Writer.create(recording.path, header) }?.kind == .exists)
    let reader = try WriteLog.Reader(recording.path)
    let error = thrown(StoreError.self) {
      try WriteLog.rebuild(recording.lun, from: reader, to: WriteLog.Target(point: 2))
    }
    #expect(error?.kind == .invalidInput && "\(error as Any)".contains("the last one is entry 1"))
    let small = try makeLUN(recording.folder("store"), "small", recording.size - 512)
    #expect(
      thrown(StoreError.self) {
        try WriteLog.rebuild(small, from: reader, to: WriteLog.Target(point: 1))
      }?.kind == .invalidInput)
  }

  @Test(
    "that has no more room ends before the entry that does not fit, and the LUN works on",
    .enabled(if: getuid() == 0, "mounting a small file system needs root"))
  func noRoom() throws {
    let folder = TemporaryFolder()
    let small = folder.folder("small")
    try #require(run("mount", "-t", "tmpfs", "-o", "size=64k", "none", small).status == 0)
    defer { run("umount", small) }
    let lun = try makeLUN(folder("store"), "lun", 1 << 20)
    let header = WriteLog.Header(
      lun: lun.description.name, size: ByteCount(lun.size), blockSize: .bytes512, base: "", created: 0)
    let problems = Problems()
    let recorder = WriteLog.Recorder(
      try WriteLog.Writer.create("\(small)/log", header), whenFailed: problems.add)
    let bytes = [UInt8](repeating: 3, count: 8192)
    for index in 0..<20 {
      let count = try bytes.withUnsafeBytes { bytes in
        try recorder.write(bytes, at: Int64(index) * 8192, durably: false, to: lun)
      }
      #expect(count == 8192)
      try recorder.flush(lun)
    }
    #expect(problems.all.map(\.kind) == [.system(ENOSPC)])
    #expect(recorder.warnings(on: lun).count == 1)
    #expect(throws: IOError(ENOSPC)) { try recorder.end("stopped") }
    let (entries, ending) = try readAll("\(small)/log")
    #expect((8..<20).contains(entries.count) && entries.last?.number == UInt64(entries.count))
    #expect(ending == .cutOff(strayBytes: 0))
    #expect(try contents(of: lun).prefix(20 * 8192).allSatisfy { $0 == 3 })
  }

  @Test("of a LUN below a write cache has what reached the LUN, power cuts and all")
  func belowWriteCache() throws {
    let fixture = try StackFixture()
    let header = WriteLog.Header(
      lun: try LUNName("a"), size: ByteCount(fixture.lun.size), blockSize: .bytes512, base: "", created: 0)
    let recorder = WriteLog.Recorder(try WriteLog.Writer.create(fixture.folder("log"), header)) { problem in
      Issue.record("\(problem)")
    }
    let id = try fixture.stack.add(recorder)
    // Comes later, and stands above all the same.
    try fixture.add("power")
    #expect(fixture.stack.layers.map(\.layer.kind) == ["power", "log"])
    for round in 0..<20 as Range<UInt8> {
      for index in 0..<10 as Range<UInt8> {
        let device = fixture.stack.device
        let count = try [UInt8](repeating: round * 10 + index, count: 4096).withUnsafeBytes {
          try device.write($0, at: Int64(index) * 2048, durably: false)
        }
        #expect(count == 4096)
      }
      if round % 3 == 0 { try fixture.stack.device.flush() }
      fixture.stack.cutPower(PowerCut(seed: UInt64(round)))
    }
    try fixture.stack.remove(id)
    let (entries, ending) = try readAll(fixture.folder("log"))
    #expect(entries.contains { $0.changed != nil } && ending != .recording)
    let state = try rebuilt(fixture.folder("log"), WriteLog.Target(point: entries.last?.number ?? 0))
    #expect(try state == contents(of: fixture.lun))
  }
}

/// Collects what a recorder complains of.
private final class Problems: @unchecked Sendable {
  private(set) var all: [StoreError] = []
  @Sendable func add(_ problem: StoreError) { all.append(problem) }
}
