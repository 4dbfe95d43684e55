import Glibc
import TestSupport
import Testing

@testable import LUNStore

@Suite("Fault rules", .timeLimit(.minutes(60)))
struct FaultRuleTests {
  /// Reads and writes of block 0, 1, 2, … in turn, then a flush; the numbers of those that the rule hits.
  private func hits(_ options: [String], size: String = "1M", blockSize: String = "512") throws -> [Int] {
    let it = try StackFixture(size: size, blockSize: blockSize)
    guard case .request(let rule) = try NewLayer(fault: "error", settings(options), on: it.lun) else {
      return []
    }
    try it.stack.add(rule)
    let block = it.lun.blockSize
    let codes = (0..<20).map { number in
      if number == 19 { return it.flush().code }
      let offset = Int64(number / 2) * block
      return number % 2 == 0
        ? it.read(offset, block).code : it.write(offset, [UInt8](repeating: 1, count: Int(block))).code
    }
    return codes.indices.filter { codes[$0] != 0 }
  }

  @Test(
    "apply to the requests that their conditions name",
    arguments: [
      ([], Array(0..<20)), (["op=read"], Array(stride(from: 0, to: 19, by: 2))),
      (["op=write"], Array(stride(from: 1, to: 19, by: 2))), (["op=flush"], [19]),
      (["op=read,flush"], Array(stride(from: 0, to: 19, by: 2)) + [19]), (["op=discard"], []),
      (["lba=3"], [6, 7]), (["lba=3-4"], [6, 7, 8, 9]), (["lba=3-4", "op=write"], [7, 9]),
      (["count=2"], [0, 1]), (["after=5"], Array(5..<20)), (["after=5", "count=2"], [5, 6]),
      (["op=write", "after=2", "count=3"], [5, 7, 9]), (["probability=0"], []),
      (["probability=1"], Array(0..<20)), (["probability=100%"], Array(0..<20)),
      (["lba=2047"], []), (["lba=9-100000", "op=read"], [18]),
    ] as [([String], [Int])])
  func conditions(_ options: [String], _ expected: [Int]) throws {
    #expect(try hits(options) == expected)
    #expect(try hits(options, size: "8M", blockSize: "4096") == expected)
  }

  @Test("with a probability hit the same requests for the same seed, and others for another one")
  func seeds() throws {
    let one = try hits(["probability=0.3", "seed=1"])
    #expect((1...12).contains(one.count))
    #expect(try hits(["probability=30%", "seed=1"]) == one)
    #expect(try (2...5).contains { try hits(["probability=0.3", "seed=\($0)"]) != one })
    let it = try StackFixture()
    let rule = try it.fault("error", "probability=10%", "op=read")
    for _ in 0..<10_000 { _ = it.read(0, 512) }
    let count = try #require(it.counter(rule, "hits"))
    #expect((850...1150).contains(count))
    #expect(it.counter(rule, "matches") == 10_000)
  }

  @Test(
    "fail with the error that is asked for, by name or number",
    arguments: [
      ("EIO", EIO), ("enospc", ENOSPC), ("ENODATA", ENODATA), ("19", ENODEV), ("511", 511),
    ] as [(String, Int32)])
  func errors(_ text: String, _ code: Int32) throws {
    let it = try StackFixture()
    try it.fault("error", "errno=\(text)")
    #expect(it.write(0, sectors(1, 1)).code == code)
    try it.stack.clear()
    #expect(try it.onDisk(0, 512) == sectors(0, 1))
  }

  @Test("delay: for a fixed time or one from a range, only what matches")
  func delay() throws {
    let it = try StackFixture()
    try it.fault("delay", "for=50ms", "lba=1")
    try it.fault("delay", "for=10ms..20ms", "lba=1")
    let (slow, fast) = (it.read(512, 512), it.read(0, 512))
    #expect(fast.code == 0)
    it.time.advance(.milliseconds(59))
    #expect(slow.code == nil)
    it.time.advance(.milliseconds(11))
    #expect(slow.code == 0)
  }

  @Test("hang: until the rule is cleared, or for a time")
  func hang() throws {
    let it = try StackFixture()
    let rule = try it.fault("hang", "op=write")
    let hung = it.write(0, sectors(1, 1))
    #expect(it.read(0, 512).data == sectors(0, 1))
    it.time.advance(.seconds(86_400))
    #expect(hung.code == nil)
    try it.stack.remove(rule)
    it.time.advance(.zero)
    #expect(hung.code == 0)
    #expect(try it.onDisk(0, 512) == sectors(1, 1))
    try it.fault("hang", "for=3s", "count=1")
    let (short, other) = (it.read(0, 512), it.read(0, 512))
    #expect(other.code == 0)
    it.time.advance(.seconds(3))
    #expect(short.code == 0)
  }

  @Test("disconnect: everything stalls, then what waited and what comes fails, then the session is back")
  func disconnect() throws {
    let it = try StackFixture()
    try it.fault("disconnect", "for=10s", "restore-after=5s", "errno=ENODEV")
    // Unconditional: it began when it was armed.
    it.time.advance(.seconds(4))
    let first = it.write(0, sectors(1, 1))
    it.time.advance(.seconds(5))
    let second = it.flush()
    #expect(first.code == nil && second.code == nil)
    it.time.advance(.seconds(1))
    #expect(first.code == ENODEV && second.code == ENODEV)
    #expect(it.read(0, 512).code == ENODEV)
    it.time.advance(.milliseconds(4999))
    #expect(it.read(0, 512).code == ENODEV)
    it.time.advance(.milliseconds(1))
    #expect(it.read(0, 512).data == sectors(0, 1))
    it.time.advance(.seconds(100))
    #expect(it.read(0, 512).code == 0)
  }

  @Test("disconnect: begins with the request that its conditions name; clearing it restores the session")
  func disconnectAfter() throws {
    let it = try StackFixture()
    let rule = try it.fault("disconnect", "op=write", "after=1", "for=1s")
    #expect(it.write(0, sectors(1, 1)).code == 0)
    #expect(it.read(0, 512).code == 0)
    let (write, read) = (it.write(0, sectors(2, 1)), it.read(0, 512))
    #expect(read.code == nil)
    it.time.advance(.seconds(1))
    #expect(write.code == EIO && read.code == EIO)
    it.time.advance(.seconds(1000))
    #expect(it.read(0, 512).code == EIO)
    try it.stack.remove(rule)
    #expect(it.read(0, 512).data == sectors(1, 1))
    // Cleared before the time is over: nobody notices more than the wait.
    let other = try it.fault("disconnect", "for=1h")
    let waiting = it.write(0, sectors(3, 1))
    try it.stack.remove(other)
    it.time.advance(.zero)
    #expect(waiting.code == 0)
  }

  @Test("torn: a part of the write reaches the disk, whole blocks of it, never all")
  func torn() throws {
    var kept: Set<Int> = []
    for seed in 0..<40 {
      for tear in ["prefix", "sectors"] {
        let it = try StackFixture()
        try it.fault("torn", "tear=\(tear)", "seed=\(seed)")
        #expect(it.write(512, sectors(9, 4)).code == EIO)
        let disk = try (0..<6).map { try it.onDisk(Int64($0) * 512, 512) }
        #expect(disk.allSatisfy { $0 == sectors(0, 1) || $0 == sectors(9, 1) })
        let written = disk.indices.filter { disk[$0] == sectors(9, 1) }
        #expect(written.count < 4 && written.allSatisfy { (1...4).contains($0) })
        if tear == "prefix" { #expect(written == Array(1..<1 + written.count)) }
        kept.insert(written.reduce(0) { $0 | 1 << $1 })
      }
    }
    #expect(kept.count > 6)
  }

  @Test("torn, lost, misdirected: acknowledged all the same when asked for")
  func acknowledged() throws {
    let torn = try StackFixture()
    try torn.fault("torn", "acknowledge", "seed=3", "count=1")
    #expect(torn.write(0, sectors(9, 4)).count == 2048)
    #expect(try torn.onDisk(0, 2048) != sectors(9, 4))
    #expect(torn.write(0, sectors(8, 4)).count == 2048)
    #expect(try torn.onDisk(0, 2048) == sectors(8, 4))

    let lost = try StackFixture()
    try lost.fault("lost")
    #expect(lost.write(0, sectors(9, 1)).count == 512 && lost.flush().code == 0)
    #expect(lost.write((1 << 20) - 512, sectors(9, 2)).count == 512)
    #expect(lost.write(1 << 20, sectors(9, 1)).code == ENOSPC)
    #expect(try lost.onDisk(0, 1 << 20) == sectors(0, 2048))

    for seed in 0..<20 {
      let other = try StackFixture()
      try other.fault("misdirected", "seed=\(seed)")
      #expect(other.write(512 * 10, sectors(9, 2)).count == 1024)
      let disk = try other.onDisk(0, 1 << 20)
      let marked = (0..<2048).filter { disk[$0 * 512] == 9 }
      #expect(marked.count == 2 && marked[0] + 1 == marked[1] && marked[0] != 10)
    }
  }

  @Test(
    "flip: so many bits of what is read differ, within the range, and the disk is unharmed",
    arguments: [1, 2, 99])
  func flip(_ bits: Int) throws {
    let it = try StackFixture()
    let rule = try it.fault("flip", "bits=\(bits)", "lba=5", "seed=\(bits)")
    let data = try #require(it.read(4 * 512, 3 * 512).data)
    #expect(data.reduce(0) { $0 + $1.nonzeroBitCount } == bits)
    #expect(data[512..<1024].reduce(0) { $0 + $1.nonzeroBitCount } == bits)
    #expect(it.read(0, 512).data == sectors(0, 1))
    #expect(try it.onDisk(4 * 512, 3 * 512) == sectors(0, 3))
    // More bits than there are turns all of them over.
    try it.stack.remove(rule)
    try it.fault("flip", "bits=1000000", "count=1")
    #expect(it.read(0, 512).data == sectors(255, 1))
    #expect(it.read(0, 512).data == sectors(0, 1))
  }

  @Test(
    "power-cut: what is volatile may be lost, what is under way fails, and so does all until power is back")
  func powerCut() throws {
    let it = try StackFixture()
    try it.add("power")
    #expect(it.write(0, sectors(1, 8)).code == 0 && it.flush().code == 0)
    #expect(it.write(0, sectors(2, 8)).code == 0)
    try it.fault("hang", "lba=100")
    let hung = it.read(51_200, 512)
    let cut = try it.fault("power-cut", "down=2s", "seed=4")
    #expect(hung.code == EIO)
    #expect(it.read(0, 512).code == EIO && it.flush().code == EIO)
    it.time.advance(.seconds(2))
    let after = try #require(it.read(0, 8 * 512).data)
    #expect(try it.onDisk(0, 8 * 512) == after)
    #expect((0..<8).allSatisfy { [1, 2].contains(after[$0 * 512]) })
    #expect(it.counter(cut, "hits") == 1)
    #expect(it.write(0, sectors(3, 8)).code == 0)
    #expect(it.read(0, 8 * 512).data == sectors(3, 8))
  }

  @Test("power-cut: at the write that its conditions name, which itself is not acknowledged")
  func powerCutAfter() throws {
    let it = try StackFixture()
    try it.add("power")
    try it.fault("power-cut", "op=write", "after=2", "seed=1")
    #expect(it.write(0, sectors(1, 1)).code == 0)
    #expect(it.write(512, sectors(2, 1)).code == 0)
    #expect(it.write(1024, sectors(3, 1)).code == EIO)
    let after = try it.onDisk(0, 1536)
    for block in 0..<3 { #expect([0, UInt8(block + 1)].contains(after[block * 512])) }
    #expect(it.read(0, 1536).data == after)
  }

  @Test(
    "say what they cannot do",
    arguments: [
      (["error", "lba=2048"], "past the end"), (["error", "lba=2000-9000"], "goes past the end"),
      (["error", "probability=0"], "probability is 0"), (["flip", "op=write"], "does nothing to write"),
      (["torn", "op=read,flush"], "does nothing to flush, read"), (["delay"], "give a time"),
      (["error", "op=flush", "lba=3"], "no block in particular"),
    ] as [([String], String)])
  func warnings(_ rule: [String], _ expected: String) throws {
    let it = try StackFixture()
    let new = try NewLayer(fault: rule[0], settings(Array(rule.dropFirst())), on: it.lun)
    #expect(new.layer.warnings(on: it.lun).contains { $0.contains(expected) })
  }

  @Test(
    "say everything that is wrong with their options at once",
    arguments: [
      (["error", "errno=EFOO", "count=0", "op=fly"], ["'EFOO'", "'0'", "'fly'"]),
      (["error", "errno=512"], ["'512'"]), (["error", "probability=1.5"], ["'1.5'"]),
      (["error", "probability=-1%"], ["'-1%'"]), (["error", "probability=nan"], ["'nan'"]),
      (["hang", "bits=3"], ["--bits", "means nothing for 'hang'"]), (["torn", "tear=half"], ["'half'"]),
      (["error", "lba=-5"], ["'-5'"]), (["error", "after=-1"], ["'-1'"]), (["explode"], ["no kind of fault"]),
      (["error", "seed=x"], ["'x'"]), (["error", "op="], ["op"]), (["power-cut", "down=5"], ["'5'"]),
    ] as [([String], [String])])
  func wrongOptions(_ rule: [String], _ expected: [String]) throws {
    let it = try StackFixture()
    let problems = thrown(StoreProblems.self) {
      _ = try NewLayer(fault: rule[0], settings(Array(rule.dropFirst())), on: it.lun)
    }
    let text = problems?.description ?? ""
    for part in expected { #expect(text.contains(part), "\(rule): \(text)") }
  }

  @Test(
    "show how they were set up, in words that set them up again",
    arguments: [
      ["error", "errno=ENOSPC", "op=write", "lba=3-9", "after=2", "count=5", "probability=0.25", "seed=7"],
      ["delay", "for=1ms..2ms"], ["hang", "for=3s", "op=read,write"], ["hang", "lba=5"],
      ["disconnect", "for=2m", "errno=EIO", "restore-after=10s", "count=1"],
      ["torn", "tear=sectors", "acknowledge=true"], ["torn", "tear=prefix", "errno=EIO"], ["lost"],
      ["flip", "bits=3", "op=any"], ["power-cut", "down=1h", "torn=true", "count=2"],
    ])
  func settingsAreShown(_ rule: [String]) throws {
    let it = try StackFixture()
    let given = settings(Array(rule.dropFirst()))
    #expect(try NewLayer(fault: rule[0], given, on: it.lun).layer.settings == given)
  }
}
