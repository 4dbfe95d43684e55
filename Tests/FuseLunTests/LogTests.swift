import FoundationEssentials
import Glibc
import LUNStore
import TestSupport
import Testing

/// Runs `fuse-lun log STORE NAME …`.
@discardableResult
private func log(_ mount: Mount, _ name: String, _ words: String...) -> Outcome {
  run([fuseLun, "log", mount.store, name] + words)
}

/// What `log show --json` writes, as far as the tests look.
private struct Shown: Decodable {
  struct Entry: Decodable {
    var number: Int
    var operation: String
    var offset: Int?
    var length: Int?
    var lba: Int?
    var firstDurable: Int?
    var lastDurable: Int?
    var text: String?
    var data: String?
  }
  struct Summary: Decodable { var entries: Int, writes: Int, bytesWritten: Int }
  var log: Int
  var lun: String
  var base: String
  var entries: [Entry]
  var summary: Summary
  var ending: String?
}

private func show(_ mount: Mount, _ name: String, _ words: String...) throws -> Shown {
  let outcome = run([fuseLun, "log", mount.store, name, "show", "--json"] + words)
  try #require(outcome.status == 0, "\(outcome)")
  return try JSONDecoder().decode(Shown.self, from: Data(outcome.output.utf8))
}

/// The names of the LUNs and snapshots.
private func volumes(_ mount: Mount) throws -> Set<String> {
  let outcome = run(fuseLun, "list", mount.store)
  try #require(outcome.status == 0, "\(outcome)")
  let names = outcome.output.split(separator: "\n").dropFirst().compactMap { line in
    line.split(separator: " ").first.map(String.init)
  }
  return Set(names)
}

@Suite(
  "The log of a LUN", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")),
  .timeLimit(.minutes(60)))
struct LogTests {
  private func recorded(_ size: String = "1M") throws -> Mount {
    let mount = try Mount(("disk", size))
    try mount.mount()
    let outcome = log(mount, "disk", "record")
    try #require(outcome.status == 0, "\(outcome)")
    #expect(outcome.output == "recording log 1 of 'disk' from disk@log-1 on\n")
    return mount
  }

  @Test("has what clients do, and goes on until it is stopped")
  func entries() throws {
    let mount = try recorded()
    let file = try File(mount("disk"))
    #expect(file.write(1024, pattern(1, 100)) == 100)
    #expect(file.flush() == 0)
    #expect(run("fallocate", "-p", "-o", "4096", "-l", "8192", mount("disk")).status == 0)
    #expect(log(mount, "disk", "mark", "so far").status == 0)
    #expect(try File(mount("disk"), O_RDWR | O_DSYNC).write(512, pattern(2, 512)) == 512)
    #expect(try show(mount, "disk").ending == "still being recorded")
    #expect(log(mount, "disk", "record", "--stop").status == 0)
    #expect(file.write(0, [1]) == 1)

    let shown = try show(mount, "disk", "--data")
    #expect(shown.log == 1 && shown.lun == "disk" && shown.base == "disk@log-1")
    let entries = shown.entries.filter { $0.operation != "flush" }
    #expect(entries.map(\.operation) == ["write", "discard", "mark", "write", "end"])
    #expect(entries.map(\.offset) == [1024, 4096, nil, 512, nil])
    #expect(entries.map(\.length) == [100, 8192, nil, 512, nil])
    #expect(entries.map(\.lba) == [2, 8, nil, 1, nil])
    #expect(entries.map(\.text) == [nil, nil, "so far", nil, "stopped"])
    #expect(entries[0].data == Data(pattern(1, 100)).base64EncodedString())
    #expect(shown.summary.writes == 2 && shown.summary.bytesWritten == 612)
    #expect(shown.ending == "ended: stopped")
    // The first flush made the first write durable, and O_DSYNC the second one alone.
    let flushes = shown.entries.filter { $0.operation == "flush" }
    #expect(flushes.contains { $0.firstDurable == 1 && ($0.lastDurable ?? 0) >= entries[0].number })
    #expect(flushes.contains { $0.firstDurable == entries[3].number && $0.lastDurable == entries[3].number })

    let some = try show(mount, "disk", "--from-entry", "2", "--to-entry", "3")
    #expect(some.entries.map(\.number) == [2, 3] && some.ending == nil)
    let text = log(mount, "disk", "show", "--data").output
    #expect(text.contains("mark      \"so far\"") && text.contains("400  "), "\(text)")
  }

  @Test("rebuilds the LUN of several clients at each mark and at the end")
  func rebuild() async throws {
    let mount = try recorded()
    let copies = mount.folder.folder("copies")
    for round in 0..<5 {
      await withTaskGroup(of: Void.self) { group in
        for client in 0..<4 {
          group.addTask {
            guard let file = try? File(mount("disk")) else {
              Issue.record("cannot open")
              return
            }
            for index in 0..<20 {
              let seed = round * 1000 + client * 100 + index
              let bytes = pattern(seed, 1 + seed * 37 % 9000)
              #expect(file.write(seed * 7919 % 900_000, bytes) == bytes.count)
              if index % 7 == 0 { #expect(file.flush() == 0) }
            }
          }
        }
      }
      #expect(log(mount, "disk", "mark", "round \(round)").status == 0)
      let mark = try #require(try show(mount, "disk").entries.last { $0.operation == "mark" })
      write(try #require(contents(of: mount("disk"))), to: "\(copies)/\(mark.number)")
    }
    try mount.unmount()
    let shown = try show(mount, "disk")
    #expect(shown.ending == "ended: by the end of the mount, or by 'layer clear'")
    // The store is not mounted any more: the replay does that by itself.
    let compared = log(
      mount, "disk", "replay", "--each-mark", "--", "sh", "-c", "cmp {} \(copies)/$FUSE_LUN_ENTRY")
    #expect(compared.status == 0 && compared.output == "5 points: none failed\n", "\(compared)")
    let made = log(mount, "disk", "replay", "--at", "\(shown.summary.entries)", "--to", "again")
    #expect(made.output == "again\n", "\(made)")
    #expect(log(mount, "disk", "replay", "--at", "0").output == "disk-at-0\n")
    try mount.mount()
    #expect(contents(of: mount("again")) == contents(of: mount("disk")))
    #expect(contents(of: mount("disk-at-0")) == [UInt8](repeating: 0, count: 1 << 20))
    #expect(try volumes(mount) == ["again", "disk", "disk-at-0", "disk@log-1"])
  }

  @Test("has all that was acknowledged when the mount is killed")
  func killed() throws {
    let mount = try recorded()
    let file = try File(mount("disk"))
    var expected: [UInt8] = []
    for index in 0..<50 {
      expected += pattern(index, 9000)
      #expect(file.write(index * 9000, pattern(index, 9000)) == 9000)
      if index == 39 { #expect(file.flush() == 0) }
    }
    kill(try #require(try mount.server()), SIGKILL)
    #expect(eventually { (try? mount.server()) == .some(nil) })
    run("fusermount3", "-u", "-z", mount.point)
    let shown = try show(mount, "disk")
    #expect(shown.summary.writes == 50)
    #expect(shown.ending == "cut off: whoever recorded it was killed, or had no room")
    try mount.mount()
    // The LUN itself may have lost what was not flushed.
    let model = mount.folder("expected")
    write(expected, to: model)
    #expect(run("cmp", "-n", "\(40 * 9000)", model, mount("disk")).status == 0)
    let last = "\(shown.summary.entries)"
    let check = log(mount, "disk", "replay", "--at", last, "--", "cmp", "-n", "\(expected.count)", model)
    #expect(check.status == 0, "\(check)")
    // A new recording is another log.
    #expect(log(mount, "disk", "record").output.contains("log 2 "))
    #expect(try show(mount, "disk").log == 2)
    #expect(try show(mount, "disk", "--log", "1").log == 1)
  }

  @Test("says at which states a command failed, with what it wrote, and leaves nothing behind")
  func failures() throws {
    let mount = try recorded()
    let file = try File(mount("disk"))
    for index in 1...4 as ClosedRange<UInt8> {
      #expect(file.write(0, [UInt8](repeating: index, count: 4096)) == 4096)
      #expect(file.flush() == 0)
    }
    #expect(log(mount, "disk", "record", "--stop").status == 0)
    let script = "echo saw it; echo 9 | dd of={} conv=notrunc status=none; test $FUSE_LUN_ENTRY -lt $0"
    let third = try show(mount, "disk").entries.filter { $0.operation == "write" }[2].number
    let outcome = log(mount, "disk", "replay", "--each-write", "--", "sh", "-c", script, "\(third)")
    #expect(outcome.status == 1)
    #expect(
      outcome.output.hasPrefix("entry \(third) (write): exit status 1\n    saw it\nentry "), "\(outcome)")
    #expect(outcome.output.hasSuffix("4 points: 2 failed\n"), "\(outcome)")
    let first = log(mount, "disk", "replay", "--each-write", "--stop-at-first", "--", "false")
    #expect(first.status == 1 && first.output.hasSuffix("1 point: 1 failed\n"), "\(first)")
    let path = log(mount, "disk", "replay", "--at", "1", "--", "test", "-f")
    #expect(path.status == 0, "\(path)")
    let json = log(mount, "disk", "replay", "--each-write", "--json", "--", "sh", "-c", "kill -9 $$")
    #expect(json.status == 1 && json.output.contains("\"status\" : 137"), "\(json)")
    let absent = log(mount, "disk", "replay", "--each-write", "--", "no-such-program")
    #expect(absent.status == 2 && absent.errors.contains("'no-such-program'"), "\(absent)")
    #expect(try volumes(mount) == ["disk", "disk@log-1"])
  }

  @Test("loses in a power cut nothing that was flushed, and everything may be lost on a disk that lies")
  func cuts() throws {
    let mount = try recorded()
    let file = try File(mount("disk"))
    #expect(file.write(0, [UInt8](repeating: 1, count: 65536)) == 65536)
    #expect(file.flush() == 0)
    #expect(file.write(65536, [UInt8](repeating: 2, count: 65536)) == 65536)
    let shown = try show(mount, "disk")
    let last = "\(shown.summary.entries)"
    let flushed = mount.folder("flushed")
    write([UInt8](repeating: 1, count: 65536), to: flushed)
    let check = ["--", "cmp", "-n", "65536", flushed]
    let replay = [fuseLun, "log", mount.store, "disk", "replay", "--at", last, "--power-cut", "12"]
    let honest = run(replay + check)
    #expect(honest.status == 0 && honest.output == "1 point, 13 states: none failed\n", "\(honest)")
    let lying = run(replay + ["--drop-flushes", "--seed", "5"] + check)
    #expect(lying.status == 1, "\(lying)")
    // Each that failed can be made again.
    let line = try #require(lying.output.split(separator: "\n").first { $0.contains("power cut") })
    let cut = try #require(line.split(separator: "power cut ").last?.split(separator: ":").first)
    let made = log(
      mount, "disk", "replay", "--at", last, "--cut", String(cut), "--seed", "5", "--drop-flushes", "--to",
      "bad")
    #expect(made.output == "bad\n", "\(made)")
    #expect(run("cmp", "-n", "65536", flushed, mount("bad")).status == 1)
    // What was not flushed is lost in some cut, and there in another one.
    let second = [
      "--", "sh", "-c", "cmp -s -i 65536:0 -n 65536 {} \(mount.folder("second"))",
    ]
    write([UInt8](repeating: 2, count: 65536), to: mount.folder("second"))
    let unflushed = run(replay + second)
    #expect(unflushed.status == 1 && !unflushed.output.contains("12 failed"), "\(unflushed)")
  }

  @Test("is refused where it makes no sense, and refuses what it could not have")
  func refusals() throws {
    let mount = try Mount(("disk", "1M"))
    func refused(_ words: String..., saying text: String) {
      let outcome = run([fuseLun] + words)
      #expect(outcome.status == 2 && outcome.errors.contains(text), "\(words): \(outcome)")
    }
    refused("log", mount.store, "disk", "record", saying: "not mounted")
    refused("log", mount.store, "disk", "show", saying: "has no write log")
    refused("log", mount.store, "none", "show", saying: "has no LUN 'none'")
    try mount.mount()
    refused("log", mount.store, "disk", "record", "--stop", saying: "is not being recorded")
    refused("log", mount.store, "disk", "mark", "x", saying: "is not being recorded")
    refused("log", mount.store, "none", "record", saying: "has no LUN 'none'")
    try #require(log(mount, "disk", "record").status == 0)
    refused("log", mount.store, "disk", "record", saying: "is being recorded already, as disk@log-1")
    refused("log", mount.store, "disk", "remove", saying: "is being recorded")
    refused("log", mount.store, "disk", "show", "--log", "7", saying: "has no write log 7; it has 1")
    refused("log", mount.store, "disk", "mark", String(repeating: "x", count: 4097), saying: "4097 bytes")
    refused("rollback", mount.store, "disk@log-1", "--force", saying: "is being recorded")
    refused("delete", mount.store, "disk@log-1", saying: "log 1 of 'disk' begins with")
    refused("resize", mount.store, "disk", "2M", saying: "is being recorded")
    refused("resize", mount.store, "disk", "512K", "--shrink", "--force", saying: "is being recorded")
    let replay = ["log", mount.store, "disk", "replay"]
    for (words, text) in [
      ([], "one of --at, --each-flush"), (["--each-flush"], "Say what to run"),
      (["--at", "1", "--each-mark"], "one of --at"), (["--at", "9"], "ends with entry"),
      (["--at", "1", "--to", "x", "--", "true"], "--to is for --at without"),
      (["--at", "1", "--cut", "0"], "count from 1"), (["--at", "1", "--power-cut", "3"], "needs a command"),
      (["--each-flush", "--drop-flushes", "--", "true"], "only shows in a power cut"),
      (["--each-flush", "--cut", "1", "--", "true"], "--cut is for --at"),
    ] as [([String], String)] {
      let outcome = run([fuseLun] + replay + words)
      #expect(outcome.status == 2 && outcome.errors.contains(text), "\(words): \(outcome)")
    }
    try #require(log(mount, "disk", "record", "--stop").status == 0)
    refused(
      "log", mount.store, "disk", "replay", "--at", "0", "--to", "disk", saying: "already has a LUN 'disk'")
    #expect(log(mount, "disk", "remove").status == 0)
    #expect(try volumes(mount) == ["disk"])
    #expect(log(mount, "disk", "list").output == "")
  }

  @Test(
    "that is damaged is refused by all that read it",
    arguments: [["show"], ["replay", "--each-write", "--", "true"]])
  func damaged(words: [String]) throws {
    let mount = try recorded()
    let file = try File(mount("disk"))
    for index in 0..<4 {
      #expect(file.write(index * 4096, pattern(index, 4096)) == 4096)
      #expect(file.flush() == 0)
    }
    #expect(log(mount, "disk", "record", "--stop").status == 0)
    patch("\(mount.store)/luns/disk/log-1", at: 4096 + 200, [0xFF, 0, 0xFF])
    let outcome = run([fuseLun, "log", mount.store, "disk"] + words)
    #expect(outcome.status == 2 && outcome.errors.contains("proves that it was durable"), "\(outcome)")
    let check = run(fuseLun, "check", mount.store)
    #expect(check.status == 2 && check.output.contains("luns/disk/log-1: entry 1 at byte 4096"), "\(check)")
    #expect(try volumes(mount) == ["disk", "disk@log-1"])
    // It can go all the same, also if not even its beginning can be read.
    truncate("\(mount.store)/luns/disk/log-1", 10)
    #expect(log(mount, "disk", "remove").status == 0)
    #expect(try volumes(mount) == ["disk"])
  }

  @Test("leaves nothing behind either when the replay is ended by a signal")
  func interrupted() throws {
    let mount = try recorded()
    #expect(try File(mount("disk")).write(0, [1]) == 1)
    let begun = mount.folder("begun")
    let words = ["--at", "1", "--", "sh", "-c", "touch \(begun); exec sleep 1000"]
    let replay = try #require(start([fuseLun, "log", mount.store, "disk", "replay"] + words))
    try #require(eventually { access(begun, F_OK) == 0 })
    // As the terminal does it: to the replay and to the command.
    kill(replay.process, SIGINT)
    for child in children(of: replay.process) { kill(child, SIGINT) }
    #expect(replay.wait().status == 128 + SIGINT)
    #expect(try volumes(mount) == ["disk", "disk@log-1"])
  }
}
