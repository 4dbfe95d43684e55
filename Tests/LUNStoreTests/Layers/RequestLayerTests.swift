import Glibc
import TestSupport
import Testing

@testable import LUNStore

@Suite("Layers that decide about requests", .timeLimit(.minutes(60)))
struct RequestLayerTests {
  @Test("delay makes each kind wait its own time")
  func delay() throws {
    let it = try StackFixture()
    try it.add("delay", "any=1s", "write=2s", "flush=0s")
    let (read, write, flush, discard) = (
      it.read(0, 512), it.write(0, sectors(1, 1)), it.flush(), it.discard(512, 512)
    )
    #expect(flush.code == 0 && read.code == nil)
    it.time.advance(.milliseconds(999))
    #expect(read.code == nil && discard.code == nil)
    it.time.advance(.milliseconds(1))
    #expect(read.data == sectors(0, 1) && discard.code == 0 && write.code == nil)
    it.time.advance(.seconds(1))
    #expect(write.code == 0)
  }

  @Test("delay draws from a range, the same times for the same seed")
  func delayRange() throws {
    func times(_ seed: String) throws -> [Int64] {
      let it = try StackFixture()
      let stats = try it.add("stats")
      try it.add("delay", "read=10ms..20ms", "seed=\(seed)")
      return try (0..<50).map { _ in
        let before = it.stack.layers.first { $0.id == stats }?.statistics?[.read]?.total ?? 0
        let read = it.read(0, 512)
        it.time.advance(.milliseconds(20))
        try #require(read.code == 0)
        return (it.stack.layers.first { $0.id == stats }?.statistics?[.read]?.total ?? 0) - before
      }
    }
    let one = try times("1")
    #expect(one.allSatisfy { (10_000_000...20_000_000).contains($0) })
    #expect(Set(one).count > 40)
    #expect(try times("1") == one)
    #expect(try times("2") != one)
  }

  @Test("rate lets a burst through and then keeps the pace", arguments: ["bytes=64K", "iops=8"])
  func rate(_ limit: String) throws {
    let it = try StackFixture()
    try it.add("rate", limit, "burst=1s")
    // 8 KiB each: eight a second, whichever of the two limits it is; the first is let in on credit.
    let requests = (0..<33).map { _ in it.write(0, sectors(1, 16)) }
    func done() -> Int { requests.count { $0.code == 0 } }
    #expect(done() == 9)
    it.time.advance(.seconds(1))
    #expect(done() == 17)
    it.time.advance(.seconds(2))
    #expect(done() == 33)
    // An idle hour is not saved up.
    it.time.advance(.seconds(3600))
    let more = (0..<33).map { _ in it.write(0, sectors(1, 16)) }
    #expect(more.count { $0.code == 0 } == 9)
  }

  @Test("protect refuses changes, of all blocks or of some, and nothing else")
  func protect() throws {
    let it = try StackFixture()
    let some = try it.add("protect", "lba=8-15")
    #expect(it.write(7 * 512, sectors(1, 1)).code == 0)
    #expect(it.write(7 * 512, sectors(1, 2)).code == EROFS)
    #expect(it.discard(15 * 512, 512).code == EROFS)
    #expect(it.send(.change(.zero, at: 15 * 512, length: 512)).code == EROFS)
    #expect(it.send(.change(.allocate, at: 15 * 512, length: 512)).code == EROFS)
    #expect(it.write(16 * 512, sectors(1, 1)).code == 0)
    #expect(it.read(8 * 512, 512).code == 0 && it.flush().code == 0)
    #expect(it.counter(some, "refused") == 4)
    try it.stack.remove(some)
    try it.add("protect")
    #expect(it.write(0, sectors(1, 1)).code == EROFS && it.read(0, 512).code == 0)
  }

  @Test("stats counts what was asked, what went wrong, and how long it took")
  func stats() throws {
    let it = try StackFixture()
    let id = try it.add("stats")
    try it.add("delay", "read=3us", "write=1ms")
    try it.fault("error", "op=write", "lba=100")
    let under = it.read(0, 512)
    #expect(it.counter(id, "under way") == 1)
    _ = (it.write(0, sectors(1, 2)), it.write(51_200, sectors(1, 1)), it.flush(), it.discard(4096, 4096))
    it.time.advance(.seconds(1))
    #expect(under.code == 0)
    let all = try #require(it.stack.layers.first { $0.id == id }?.statistics)
    #expect(all[.read]?.requests == 1 && all[.read]?.bytes == 512 && all[.read]?.histogram == [0, 0, 1])
    #expect(all[.write]?.requests == 2 && all[.write]?.errors == 1 && all[.write]?.bytes == 1024)
    #expect(all[.write]?.shortest == 1_000_000 && all[.write]?.longest == 1_000_000)
    #expect(all[.write]?.histogram == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2])
    #expect(all[.flush]?.requests == 1 && all[.discard]?.bytes == 4096)
    #expect(it.counter(id, "under way") == 0 && it.counter(id, "requests") == 5)
  }

  @Test(
    "a layer that can do nothing says so",
    arguments: [
      (["delay"], "no delay"), (["delay", "read=0s"], "no delay"), (["rate"], "no limit"),
      (["rate", "burst=1s"], "no limit"), (["protect", "lba=2048"], "past the end"),
    ] as [([String], String)])
  func nothing(_ layer: [String], _ expected: String) throws {
    let it = try StackFixture()
    let new = try NewLayer(layer[0], settings(Array(layer.dropFirst())), on: it.lun)
    #expect(new.layer.warnings(on: it.lun).contains { $0.contains(expected) }, "\(layer)")
  }

  @Test(
    "says everything that is wrong with its options at once",
    arguments: [
      (["delay", "read=5", "write=9ms..5ms", "speed=1"], ["'5'", "'9ms..5ms'", "'speed'"]),
      (["rate", "bytes=fast", "iops=0"], ["'fast'", "'0'"]), (["pause", "for=5s"], ["has no options"]),
      (["power", "cache=0"], ["'0'"]), (["delay", "read=5ms", "read=6ms"], ["given twice"]),
      (["compress"], ["no kind of layer", "stats, delay"]), (["protect", "lba=9-3"], ["'9-3'"]),
      (["protect", "lba=9-"], ["'9-'"]),
      (["delay", "any=99999999999999h"], ["'99999999999999h'"]),
      (["protect", "lba=9999999999999999999"], ["lba"]),
    ] as [([String], [String])])
  func wrongOptions(_ layer: [String], _ expected: [String]) throws {
    let it = try StackFixture()
    let problems = thrown(StoreProblems.self) {
      _ = try NewLayer(layer[0], settings(Array(layer.dropFirst())), on: it.lun)
    }
    let text = problems?.description ?? ""
    for part in expected { #expect(text.contains(part), "\(layer): \(text)") }
    #expect(problems?.all.allSatisfy { $0.kind == .invalidInput } ?? false)
  }

  @Test(
    "shows how it was set up, in words that set it up again",
    arguments: [
      ["delay", "any=1ms..2ms", "flush=1s", "seed=7"], ["rate", "bytes=1000", "iops=3", "burst=250ms"],
      ["rate", "bytes=3M", "burst=1s"], ["protect", "lba=3-9"], ["power", "cache=4K"], ["pause"],
    ])
  func settingsAreShown(_ layer: [String]) throws {
    let it = try StackFixture()
    let given = settings(Array(layer.dropFirst()))
    #expect(try NewLayer(layer[0], given, on: it.lun).layer.settings == given)
  }
}
