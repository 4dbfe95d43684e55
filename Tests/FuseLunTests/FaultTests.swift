import Glibc
import LUNStore
import TestSupport
import Testing

extension Mount {
  /// Arms a fault rule or a layer.
  ///
  /// - Returns: its number, and what was said about it.
  @discardableResult
  func arm(_ what: String, _ lun: String, _ words: String...) throws -> (id: String, remarks: String) {
    let outcome = run([fuseLun, what, "add", store, lun] + words)
    try #require(outcome.status == 0, "\(outcome)")
    return (outcome.output.trimmingSuffix("\n"), outcome.errors)
  }

  func clear(_ what: String, _ lun: String, _ ids: String...) throws {
    let outcome = run([fuseLun, what, "clear", store, lun] + ids)
    try #require(outcome.status == 0, "\(outcome)")
  }

  /// How many requests the rules of a LUN have hit.
  func hits(_ lun: String) -> Int {
    let rows = run(fuseLun, "fault", "list", store, lun).output.split(separator: "\n").dropFirst()
    return rows.reduce(0) { sum, row in
      let cells = row.split(separator: " ")
      return sum + (cells.count > 4 ? Int(cells[4]) ?? 0 : 0)
    }
  }
}

extension String {
  fileprivate func trimmingSuffix(_ suffix: Character) -> String {
    last == suffix ? String(dropLast()) : self
  }
}

/// 0, or the number of the error that a read ends with.
private func readError(_ file: File, _ offset: Int, _ count: Int = 4096) -> Int32 {
  var buffer = [UInt8](repeating: 0, count: count)
  return pread(file.descriptor, &buffer, count, off_t(offset)) < 0 ? errno : 0
}

@Suite(
  "Faults of a mounted LUN", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")),
  .timeLimit(.minutes(60)))
struct FaultTests {
  @Test("error: fails what the rule names, on files that are open already, until it is cleared")
  func error() throws {
    let mount = try Mount(("a", "1M"), ("b", "1M"))
    try mount.mount()
    let (file, other) = (try File(mount("a")), try File(mount("b")))
    #expect(file.write(0, pattern(1, 8192)) == 8192)
    let rule = try mount.arm("fault", "a", "error", "--op", "read", "--lba", "8-15")
    #expect(rule.remarks == "")
    #expect(readError(file, 4096) == EIO && readError(file, 0) == 0 && readError(other, 4096) == 0)
    #expect(file.write(4096, pattern(2, 4096)) == 4096 && file.flush() == 0)
    let list = run(fuseLun, "fault", "list", mount.store, "a").output
    #expect(
      list
        == "LUN  ID  KIND   MATCHES  HITS  RULE\na    1   error  1        1     errno=EIO op=read lba=8-15\n")
    try mount.clear("fault", "a", rule.id)
    #expect(try file.read(0, 8192) == pattern(1, 8192)[..<4096] + pattern(2, 4096))
    #expect(run(fuseLun, "fault", "list", mount.store).output == "")

    try mount.arm("fault", "a", "error", "--op", "write", "--errno", "ENOSPC", "--after", "1", "--count", "1")
    let copied = run(
      "dd", "if=/dev/zero", "of=\(mount("a"))", "bs=4096", "count=3", "conv=notrunc", "oflag=direct")
    #expect(copied.status == 1 && copied.errors.contains("No space left"), "\(copied)")
    #expect(try file.read(0, 8192) == [UInt8](repeating: 0, count: 4096) + pattern(2, 4096))
    try mount.clear("fault", "a")
    try mount.arm("fault", "a", "error", "--op", "flush", "--errno", "5")
    #expect(file.flush() == EIO && file.write(0, [1]) == 1)
    try mount.clear("fault", "a")
    try mount.arm("fault", "a", "error", "--op", "discard", "--lba", "0", "--errno", "EPERM")
    let refused = run("fallocate", "--punch-hole", "-o", "0", "-l", "4096", mount("a"))
    #expect(refused.status == 1 && refused.errors.contains("not permitted"), "\(refused)")
    #expect(run("fallocate", "--punch-hole", "-o", "4096", "-l", "4096", mount("a")).status == 0)
  }

  @Test("delay: makes a request wait, and no other")
  func delay() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    let file = try File(mount("a"))
    try mount.arm("fault", "a", "delay", "--for", "300ms", "--op", "read", "--count", "1")
    let start = ContinuousClock.now
    #expect(readError(file, 0) == 0)
    #expect(ContinuousClock.now - start >= .milliseconds(300))
    #expect(mount.hits("a") == 1)
    #expect(readError(file, 0) == 0)
  }

  @Test(
    "hang: more requests than there are threads wait without others noticing, and go on when it is cleared")
  func hang() throws {
    let mount = try Mount(("a", "4M"), ("b", "4M"))
    try mount.mount()
    try mount.arm("fault", "a", "hang", "--op", "write")
    let writers = (0..<40).map { block in
      start([
        "dd", "if=/dev/zero", "of=\(mount("a"))", "bs=4096", "count=1", "seek=\(block)", "conv=notrunc",
        "oflag=direct",
      ])
    }
    #expect(eventually { mount.hits("a") == 40 })
    let other = try File(mount("b"))
    for block in 0..<64 { #expect(other.write(block * 4096, pattern(block, 4096)) == 4096) }
    #expect(other.flush() == 0)
    let file = try File(mount("a"))
    #expect(readError(file, 0) == 0)
    #expect(file.status.st_blocks == 0)
    try mount.clear("fault", "a")
    for writer in writers { #expect(try #require(writer).wait().status == 0) }
    #expect(file.status.st_blocks > 0)
  }

  @Test("hang: a client that is killed goes, and what it asked for is not done")
  func hangAndKill() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    try mount.arm("fault", "a", "hang")
    let input = mount.folder("input")
    write(pattern(1, 4096), to: input)
    let client = try #require(
      start(["dd", "if=\(input)", "of=\(mount("a"))", "conv=notrunc", "oflag=direct", "bs=4096"]))
    #expect(eventually { mount.hits("a") == 1 })
    kill(client.process, SIGKILL)
    #expect(client.wait().status == 128 + SIGKILL)
    try mount.clear("fault", "a")
    #expect(try File(mount("a")).read(0, 4096) == [UInt8](repeating: 0, count: 4096))
    // Nobody has it open any more.
    try mount.unmount()
  }

  @Test("disconnect: everything stalls, then fails, then is well again")
  func disconnect() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    let file = try File(mount("a"))
    #expect(file.write(0, pattern(1, 4096)) == 4096)
    // Begins some time before the command that asks for it ends.
    let start = ContinuousClock.now
    try mount.arm("fault", "a", "disconnect", "--for", "400ms", "--errno", "ENODEV")
    #expect(readError(file, 0) == ENODEV)
    #expect(ContinuousClock.now - start >= .milliseconds(400))
    #expect(file.write(0, [1]) == -Int(ENODEV) && file.flush() == ENODEV)
    try mount.clear("fault", "a")
    #expect(try file.read(0, 4096) == pattern(1, 4096))
    try mount.arm(
      "fault", "a", "disconnect", "--for", "50ms", "--restore-after", "300ms", "--op", "write", "--after", "1"
    )
    #expect(file.write(0, pattern(2, 4096)) == 4096)
    #expect(file.write(0, pattern(3, 4096)) == -Int(EIO))
    #expect(eventually { readError(file, 0) == 0 })
    #expect(try file.read(0, 4096) == pattern(2, 4096))
  }

  @Test("torn, lost, misdirected, flip: data goes wrong as they say")
  func data() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    let file = try File(mount("a"))
    let (old, new) = (pattern(1, 16_384), pattern(2, 16_384))
    func blocks(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
      stride(from: 0, to: bytes.count, by: 512).map { bytes[$0..<$0 + 512] }
    }
    func newBlocks() throws -> [Int] {
      let now = blocks(try file.read(0, 16_384))
      #expect(zip(now, zip(blocks(old), blocks(new))).allSatisfy { $0 == $1.0 || $0 == $1.1 })
      return now.indices.filter { now[$0] == blocks(new)[$0] }
    }
    #expect(file.write(0, old) == 16_384)
    try mount.arm("fault", "a", "torn", "--seed", "5")
    #expect(file.write(0, new) == -Int(EIO))
    let prefix = try newBlocks()
    #expect(prefix == Array(0..<prefix.count) && prefix.count < 32)
    try mount.clear("fault", "a")

    #expect(file.write(0, old) == 16_384)
    try mount.arm("fault", "a", "torn", "--tear", "sectors", "--acknowledge")
    #expect(file.write(0, new) == 16_384 && file.flush() == 0)
    let some = try newBlocks()
    #expect((1..<32).contains(some.count) && some != Array(0..<some.count))
    try mount.clear("fault", "a")

    try mount.arm("fault", "a", "flip", "--count", "1", "--bits", "3")
    let (first, second) = (try file.read(0, 4096), try file.read(0, 4096))
    #expect(zip(first, second).reduce(0) { $0 + ($1.0 ^ $1.1).nonzeroBitCount } == 3)
    try mount.clear("fault", "a")

    try mount.arm("fault", "a", "lost")
    #expect(file.write(65_536, new) == 16_384 && file.flush() == 0)
    #expect(try file.read(65_536, 16_384) == [UInt8](repeating: 0, count: 16_384))
    try mount.clear("fault", "a")
    try mount.arm("fault", "a", "misdirected")
    #expect(file.write(65_536, Array(new[..<512])) == 512)
    try mount.clear("fault", "a")
    #expect(try file.read(65_536, 512) == [UInt8](repeating: 0, count: 512))
    #expect(blocks(try file.read(0, 1 << 20)).contains { $0 == new[..<512] })
  }

  @Test(
    "power-cut: loses no more than what was not flushed, and what is left stays through a remount",
    arguments: 1...4)
  func powerCut(_ seed: Int) throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    try mount.arm("layer", "a", "power", "cache=256K")
    let after: [UInt8]
    do {
      let file = try File(mount("a"))
      #expect(file.write(0, pattern(1, 65_536)) == 65_536 && file.flush() == 0)
      #expect(file.write(0, pattern(2, 32_768)) == 32_768)
      #expect(try file.read(0, 32_768) == pattern(2, 32_768))
      let cut = try mount.arm("fault", "a", "power-cut", "--seed", "\(seed)")
      #expect(cut.remarks == "")
      after = try file.read(0, 65_536)
      let isNew = (0..<64).map { block in
        let part = after[block * 512..<(block + 1) * 512]
        #expect(
          part == pattern(1, 65_536)[block * 512..<(block + 1) * 512]
            || part == pattern(2, 32_768)[block * 512..<(block + 1) * 512])
        return part == pattern(2, 32_768)[block * 512..<(block + 1) * 512]
      }
      #expect(isNew.contains(true) && isNew.contains(false), "seed \(seed) keeps some and loses some")
      #expect(after[32_768...] == pattern(1, 65_536)[32_768...])
    }
    try mount.unmount()
    try mount.mount()
    #expect(try File(mount("a")).read(0, 65_536) == after)
  }

  @Test("power-cut: with the write that it names, and everything fails until power is back")
  func powerCutAfter() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    let file = try File(mount("a"))
    let cut = try mount.arm(
      "fault", "a", "power-cut", "--op", "write", "--after", "2", "--down", "300ms", "--seed", "3")
    #expect(cut.remarks.contains("'power', is armed as well"))
    #expect(file.write(0, pattern(1, 4096)) == 4096 && file.flush() == 0)
    #expect(file.write(4096, pattern(2, 4096)) == 4096)
    #expect(file.write(8192, pattern(3, 4096)) == -Int(EIO))
    #expect(eventually { readError(file, 0) == 0 })
    #expect(try file.read(0, 4096) == pattern(1, 4096))
    #expect(file.write(8192, pattern(4, 4096)) == 4096 && file.flush() == 0)
    #expect(try file.read(8192, 4096) == pattern(4, 4096))
    try mount.clear("layer", "a")
    let late = try mount.arm("fault", "a", "power-cut")
    #expect(late.remarks.contains("nothing was lost"))
  }

  @Test("say what is wrong with a command, and then arm nothing")
  func refusals() throws {
    let mount = try Mount(("a", "1M"))
    func refused(_ words: String..., says expected: String) {
      let outcome = run([fuseLun] + words)
      #expect(outcome.status == 2 && outcome.errors.contains(expected), "\(words): \(outcome)")
    }
    refused("fault", "add", mount.store, "a", "error", says: "is not mounted")
    refused("layer", "list", mount.store, says: "is not mounted")
    refused("fault", "clear", mount.store, "a", says: "is not mounted")
    try mount.mount()
    refused("fault", "add", mount.store, "nobody", "error", says: "nobody")
    refused("fault", "add", mount.store, "a", "explode", says: "there are error, delay")
    refused("fault", "add", mount.store, "a", "error", "--bits", "3", says: "--bits")
    refused("fault", "add", mount.store, "a", "error", "--lba", "x", "--errno", "EHUH", says: "EHUH")
    refused("fault", "add", mount.store, "a", "error", "--lba", "x", "--errno", "EHUH", says: "'x'")
    refused("fault", "add", mount.store, "a", "error", "--probability", "-1", says: "'--probability' '-1'")
    refused("fault", "add", mount.store, "a", "delay", "--for", "-5ms", says: "'-5ms'")
    refused("layer", "add", mount.store, "a", "delay", "read", says: "read=5ms")
    refused("layer", "add", mount.store, "a", "delay", "read=soon", says: "'soon'")
    refused("layer", "add", mount.store, "a", "stats", "--before", "7", says: "layer 7")
    refused("fault", "clear", mount.store, "a", "3", says: "'fuse-lun fault list' shows")
    refused("layer", "show", mount.store, "a", "3", says: "layer 3")
    #expect(run(fuseLun, "layer", "list", mount.store).output == "")
    #expect(
      try mount.arm("fault", "a", "error", "--lba", "5000").remarks.contains("warning: it does nothing"))
    #expect(try mount.arm("fault", "a", "flip", "--op", "write").remarks.contains("warning: it does nothing"))
  }
}
