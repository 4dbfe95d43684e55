import Glibc
import TestSupport
import Testing

@testable import LUNStore

@Suite("The volatile write cache", .timeLimit(.minutes(60)))
struct PowerLayerTests {
  @Test("is what clients read, and reaches the disk with a flush, in order")
  func flush() throws {
    let it = try StackFixture()
    let power = try it.add("power")
    #expect(it.write(100, [1, 2, 3]).count == 3)
    #expect(it.write(0, sectors(5, 4)).code == 0)
    #expect(it.write(512, sectors(6, 1)).code == 0)
    #expect(it.discard(1024, 512).code == 0)
    #expect(it.write(510, [7, 7, 7, 7]).count == 4)
    let expected =
      sectors(5, 1).dropLast(2) + [7, 7, 7, 7] + sectors(6, 1).dropFirst(2) + sectors(0, 1) + sectors(5, 1)
    #expect(it.read(0, 2048).data == Array(expected))
    #expect(it.read(509, 5).data == [5, 7, 7, 7, 7])
    #expect(try it.onDisk(0, 2048) == sectors(0, 4))
    #expect(it.counter(power, "volatile requests") == 5)
    #expect(it.flush().code == 0)
    #expect(try it.onDisk(0, 2048) == Array(expected))
    #expect(it.counter(power, "volatile bytes") == 0)
  }

  @Test("a write that has to be durable is, and what overlaps it is older")
  func durableWrites() throws {
    let it = try StackFixture()
    try it.add("power")
    _ = (it.write(0, sectors(1, 2)), it.write(4096, sectors(2, 1)))
    #expect(it.write(512, sectors(3, 1), durably: true).code == 0)
    #expect(try it.onDisk(512, 512) == sectors(3, 1))
    #expect(try it.onDisk(4096, 512) == sectors(0, 1))
    it.stack.cutPower(PowerCut(seed: 0))
    #expect(it.read(512, 512).data == sectors(3, 1))
  }

  @Test("holds no more than its limit: the oldest goes first")
  func limit() throws {
    let it = try StackFixture()
    let power = try it.add("power", "cache=8K")
    for block in 0..<100 {
      #expect(it.write(Int64(block) * 512, sectors(UInt8(block + 1), 1)).code == 0)
      #expect(try #require(it.counter(power, "volatile bytes")) <= 8192)
    }
    #expect(try it.onDisk(0, 512) == sectors(1, 1))
    #expect(try it.onDisk(99 * 512, 512) == sectors(0, 1))
    for block in 0..<100 { #expect(it.read(Int64(block) * 512, 512).data == sectors(UInt8(block + 1), 1)) }
    // What does not fit at all goes past the cache, after what is older.
    #expect(it.write(99 * 512, sectors(200, 17)).code == 0)
    #expect(try it.onDisk(99 * 512, 17 * 512) == sectors(200, 17))
    #expect(it.write(0, sectors(3, 1)).code == 0)
    #expect(it.discard(0, 1 << 20).code == 0)
    #expect(try it.onDisk(0, 1 << 20) == sectors(0, 2048) && it.read(0, 512).data == sectors(0, 1))
  }

  @Test("tells the truth about holes, and ends where the LUN ends")
  func boundaries() throws {
    let it = try StackFixture()
    try it.add("power")
    #expect(it.write(65_536, sectors(1, 8)).code == 0)
    #expect(try it.stack.device.nextData(from: 0) == 65_536)
    #expect(try it.stack.device.nextHole(from: 65_536) == 65_536 + 4096)
    #expect(it.write((1 << 20) - 3, [1, 2, 3, 4]).count == 3)
    #expect(it.write(1 << 20, [1]).code == ENOSPC)
    #expect(it.read((1 << 20) - 4, 10).data == [0, 1, 2, 3])
    #expect(it.discard((1 << 20) - 512, 1024).code == 0)
    #expect(it.read((1 << 20) - 4, 10).data == [0, 0, 0, 0])
    #expect(it.discard(1 << 20, 512).code == EINVAL)
  }

  @Test("a power cut does the same for the same seed, and many things for many seeds")
  func cuts() throws {
    func after(_ seed: UInt64) throws -> [UInt8] {
      let it = try StackFixture()
      try it.add("power")
      for round in 1...3 { _ = it.write(0, sectors(UInt8(round), 16)) }
      it.stack.cutPower(PowerCut(seed: seed))
      let data = try it.onDisk(0, 16 * 512)
      #expect(it.read(0, 16 * 512).data == data)
      return (0..<16).map { data[$0 * 512] }
    }
    let outcomes = try (0..<60).map { try after(UInt64($0)) }
    #expect(try (0..<60).map { try after(UInt64($0)) } == outcomes)
    #expect(Set(outcomes).count > 40)
    // Everything kept, and each of the values lost and kept.
    #expect(outcomes.contains([UInt8](repeating: 3, count: 16)))
    #expect(Set(outcomes.joined()) == [0, 1, 2, 3])
  }

  @Test("a power cut leaves blocks of 4096 bytes whole unless it is asked to tear them")
  func tearing() throws {
    var torn = 0
    for seed in 0..<30 {
      for tears in [false, true] {
        let it = try StackFixture(blockSize: "4096")
        try it.add("power")
        _ = it.write(0, sectors(1, 64))
        it.stack.cutPower(PowerCut(seed: UInt64(seed), tearsBlocks: tears))
        let data = try it.onDisk(0, 64 * 512)
        for block in 0..<8 where Set(data[block * 4096..<(block + 1) * 4096]).count > 1 {
          torn += 1
          #expect(tears)
        }
      }
    }
    #expect(torn > 10)
  }

  /// After each cut, each sector holds what it held at the last flush that was acknowledged or one of the values
  /// written to it since, and nothing else; what was read before the cut was the newest value.
  @Test("loses nothing that was flushed, and nobody's neighbours", arguments: 0..<6)
  func model(_ seed: UInt64) throws {
    let it = try StackFixture(size: "128K")
    try it.add("power", "cache=24K")
    var random = SplitMix64(seed: seed)
    let count = 256
    // Each write has a mark of its own, so that a value says which write it is from.
    var mark: UInt32 = 0
    var possible = [[UInt32]](repeating: [0], count: count)
    func sectors(_ marks: [UInt32]) -> [UInt8] {
      var words: [UInt32] = []
      for mark in marks { words += repeatElement(mark, count: 128) }
      return words.withUnsafeBytes { Array($0) }
    }
    for _ in 0..<2000 {
      let first = Int(random.next(below: 250))
      let length = 1 + Int(random.next(below: 6))
      let range = first..<first + length
      switch random.next(below: 100) {
      case 0..<55:
        mark += 1
        let isDurable = random.next(below: 20) == 0
        #expect(
          it.write(Int64(first) * 512, sectors([UInt32](repeating: mark, count: length)), durably: isDurable)
            .code == 0)
        for sector in range { possible[sector] = isDurable ? [mark] : possible[sector] + [mark] }
      case 55..<65:
        let kind: IORequest.Kind = random.next(below: 2) == 0 ? .discard : .zero
        #expect(it.send(.change(kind, at: Int64(first) * 512, length: Int64(length) * 512)).code == 0)
        for sector in range { possible[sector].append(0) }
      case 65..<85:
        #expect(
          it.read(Int64(first) * 512, Int64(length) * 512).data == sectors(range.map { possible[$0].last! }))
      case 85..<93:
        #expect(it.flush().code == 0)
        for sector in 0..<count { possible[sector] = [possible[sector].last!] }
      default:
        it.stack.cutPower(PowerCut(seed: random.next()))
        let disk = try it.onDisk(0, count * 512)
        for sector in 0..<count {
          let (found, isWhole) = disk.withUnsafeBytes { bytes in
            let start = bytes.baseAddress! + sector * 512
            // Each word is like the next one.
            return (start.load(as: UInt32.self), memcmp(start, start + 4, 508) == 0)
          }
          if !isWhole { Issue.record("sector \(sector) is not of one piece") }
          if !possible[sector].contains(found) {
            Issue.record("sector \(sector) has \(found), and not one of \(possible[sector])")
          }
          possible[sector] = [found]
        }
      }
    }
    try it.stack.close()
    #expect(try it.onDisk(0, count * 512) == sectors(possible.map { $0.last! }))
  }
}
