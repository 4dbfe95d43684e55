import TestSupport
import Testing

@testable import LUNStore

@Suite("A power cut at a point of a write log")
struct WriteLogCutTests {
  @Test("keeps what is durable, and leaves each other block as it was at some time since", arguments: 1...6)
  func legal(seed: Int) throws {
    var random = SeededGenerator(UInt64(seed))
    let block = seed % 2 == 0 ? BlockSize.bytes512 : .bytes4096
    var recording = try Recording(size: 16 << 10, blockSize: block)
    for _ in 0..<40 { try recording.doAnything(&random) }
    let entries = try recording.entries()
    var outcomes: Set<[UInt8]> = []
    for cut in 1...24 as ClosedRange<UInt64> {
      let point = UInt64.random(in: 1...UInt64(entries.count), using: &random)
      let state = try rebuild(recording, WriteLog.Cut(seed: UInt64(seed), point: point, index: cut))
      outcomes.insert(state)
      var durability = WriteLog.Durability()
      for entry in entries.prefix(Int(point)) { durability.note(entry) }
      for byte in stride(from: Int(cut % 3), to: state.count, by: 3) {
        // The last durable change of the byte decides, unless a later one that was not flushed made it.
        let changes = entries.prefix(Int(point)).filter { $0.changed?.contains(Int64(byte)) ?? false }
        let last = changes.lastIndex { durability.contains($0.number) }
        let legal = [last.map { changes[$0].number } ?? 0] + changes[((last ?? -1) + 1)...].map(\.number)
        #expect(
          legal.contains { recording.states[Int($0)][byte] == state[byte] },
          "seed \(seed), cut \(cut) at \(point): byte \(byte)")
      }
    }
    #expect(outcomes.count > 12)
  }

  @Test("tears a change at the borders of blocks only")
  func torn() {
    let entry = WriteLog.Entry(
      number: 1, time: 0, operation: .write(1000..<9000), data: [UInt8](repeating: 1, count: 8000))
    var kinds: Set<String> = []
    for index in 1...200 as ClosedRange<UInt64> {
      let cut = WriteLog.Cut(seed: 3, point: 1, index: index)
      let parts = cut.surviving(entry, blockSize: 4096)
      #expect(cut.surviving(entry, blockSize: 4096) == parts)
      #expect(parts.allSatisfy { [1000, 4096, 8192].contains($0.lowerBound) })
      #expect(parts.allSatisfy { [4096, 8192, 9000].contains($0.upperBound) })
      #expect(zip(parts, parts.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
      kinds.insert(parts.isEmpty ? "lost" : parts == [1000..<9000] ? "whole" : "torn")
    }
    #expect(kinds == ["lost", "whole", "torn"])
    let huge = WriteLog.Entry(number: 2, time: 0, operation: .discard(0..<(1 << 50)), data: [])
    for index in 1...50 as ClosedRange<UInt64> {
      #expect(WriteLog.Cut(seed: 1, point: 2, index: index).surviving(huge, blockSize: 512).count <= 4097)
    }
  }

  @Test("is the same again for the same seed, and others are other")
  func reproducible() throws {
    var recording = try Recording()
    for index in 0..<8 as Range<UInt8> {
      try recording.write([UInt8](repeating: index + 1, count: 4096), at: Int64(index) * 4096)
    }
    let cut = WriteLog.Cut(seed: 7, point: 8, index: 1)
    let state = try rebuild(recording, cut)
    #expect(try rebuild(recording, cut) == state)
    let others = try (2...20 as ClosedRange<UInt64>).map {
      try rebuild(recording, WriteLog.Cut(seed: 7, point: 8, index: $0))
    }
    #expect(Set(others).count > 10)
  }

  @Test("after a flush keeps all that came before it, unless the disk drops flushes")
  func flushed() throws {
    var recording = try Recording()
    try recording.write([UInt8](repeating: 1, count: 4096), at: 0)
    try recording.write([UInt8](repeating: 2, count: 4096), at: 8192)
    try recording.flush()
    var lost = 0
    for index in 1...20 as ClosedRange<UInt64> {
      let cut = WriteLog.Cut(seed: 1, point: 3, index: index)
      #expect(try rebuild(recording, cut) == recording.states[3])
      if try rebuild(recording, cut, dropsFlushes: true) != recording.states[3] { lost += 1 }
    }
    #expect(lost > 5)
  }

  private func rebuild(
    _ recording: Recording, _ cut: WriteLog.Cut, dropsFlushes: Bool = false
  ) throws -> [UInt8] {
    try rebuilt(
      recording.path, WriteLog.Target(point: cut.point, cut: cut, dropsFlushes: dropsFlushes))
  }
}

@Suite("What is durable in a write log")
struct WriteLogDurabilityTests {
  @Test("is what a flush found when it began, and what was written through")
  func table() {
    var durability = WriteLog.Durability()
    var number: UInt64 = 0
    func note(_ operation: WriteLog.Entry.Operation) {
      number += 1
      durability.note(WriteLog.Entry(number: number, time: 0, operation: operation, data: []))
    }
    note(.write(0..<1))  // 1
    note(.write(1..<2))  // 2
    #expect(durability.prefix == 0)
    note(.flush(1..<2))  // 3: began before the second write
    #expect(durability.prefix == 1 && durability.contains(1) && !durability.contains(2))
    note(.write(2..<3))  // 4
    note(.flush(4..<5))  // 5: written through
    #expect(durability.prefix == 1 && durability.contains(4) && !durability.contains(2))
    note(.mark("x"))  // 6
    note(.flush(1..<5))  // 7
    #expect(durability.prefix == 7)
    note(.discard(0..<5))  // 8
    note(.end("stopped"))  // 9
    #expect(durability.prefix == 7 && !durability.contains(8) && durability.contains(9))
  }
}
