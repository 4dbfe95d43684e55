import Glibc
import TestSupport
import Testing

/// Why nothing can be opened in passthrough here, or `nil`.
let whyNoPassthrough: String? = {
  if let whyNoMount { return whyNoMount }
  guard isRoot else { return "passthrough needs root" }
  guard let mount = try? Mount(("a", "1M")), (try? mount.mount("-o", "passthrough")) != nil,
    let file = try? File(mount("a"))
  else { return "nothing can be mounted" }
  defer { withExtendedLifetime(file) {} }
  return mount.command("info", "a").output.contains("passthrough")
    ? nil : "the kernel has no passthrough (Linux 6.9)"
}()

@Suite(
  "Passthrough", .enabled(if: whyNoPassthrough == nil, Comment(rawValue: whyNoPassthrough ?? "")),
  .timeLimit(.minutes(60)))
struct PassthroughTests {
  private func mode(_ mount: Mount) -> String {
    let line = mount.command("info", "a").output.split(separator: "\n").first { $0.hasPrefix("open") }
    return line.map { String($0.dropFirst(4).drop { $0 == " " }) } ?? ""
  }

  @Test("serves a flat LUN from its file, and fsync reaches it")
  func flat() throws {
    let mount = try Mount(("a", "8M"))
    try mount.mount("-o", "passthrough")
    do {
      let file = try File(mount("a"))
      #expect(mode(mount) == "once, in passthrough")
      #expect(file.write(12_345, pattern(1, 1 << 20)) == 1 << 20)
      #expect(try file.read(12_345, 1 << 20) == pattern(1, 1 << 20))
      let stored = try File(layerFile("data.0", ofLUN: "a", inStore: mount.store), O_RDONLY)
      #expect(try stored.read(12_345, 1 << 20) == pattern(1, 1 << 20))
      #expect(file.flush() == 0)
      // The second one goes the way of the first.
      let second = try File(mount("a"), O_RDONLY)
      #expect(mode(mount) == "2 times, in passthrough")
      #expect(try second.read(12_345, 4096) == pattern(1, 4096))
      let pages = mmap(nil, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor, 0)
      try #require(pages != MAP_FAILED)
      pages!.storeBytes(of: 0x55, as: UInt8.self)
      #expect(msync(pages, 8192, MS_SYNC) == 0 && munmap(pages, 8192) == 0)
      #expect(try second.read(0, 1) == [0x55])
      #expect(run("fallocate", "--punch-hole", "-o", "0", "-l", "4096", mount("a")).status == 0)
      #expect(try second.read(0, 1) == [0])
    }
    #expect(eventually { mode(mount) == "no" })
  }

  @Test("is refused a snapshot while a client has the file open, and gets one right after")
  func snapshot() throws {
    let mount = try Mount(("a", "8M"))
    try mount.mount("-o", "passthrough")
    do {
      let file = try File(mount("a"))
      #expect(file.write(0, pattern(1, 4096)) == 4096)
      for command in [["snapshot", "a@1"], ["clone", "a", "b"], ["resize", "a", "9M"]] {
        let refused = run([fuseLun, command[0], mount.store] + command.dropFirst())
        #expect(refused.status == 2 && refused.errors.contains("passthrough"), "\(refused)")
        #expect(refused.errors.contains(" \(getpid())"), "names who has it open: \(refused)")
      }
    }
    let outcome = mount.command("snapshot", "a@1")
    #expect(outcome.status == 0, "\(outcome)")
    let file = try File(mount("a"))
    #expect(mode(mount) == "once")
    #expect(file.write(0, pattern(2, 4096)) == 4096)
    #expect(try File(mount("a@1"), O_RDONLY).read(0, 4096) == pattern(1, 4096))
  }

  @Test("does not make a LUN larger for good, nor empty it")
  func size() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount("-o", "passthrough")
    #expect(try File(mount("a")).write(0, pattern(3, 4096)) == 4096)
    do {
      let file = try File(mount("a"), O_RDWR | O_TRUNC)
      #expect(mode(mount) == "once, in passthrough")
      #expect(try file.read(0, 4096) == pattern(3, 4096))
      #expect(file.status.st_size == 1 << 20)
      // Nobody is asked. What is behind the end is cut off when the file is closed.
      #expect(file.write(1 << 20, pattern(4, 4096)) == 4096)
      #expect(file.status.st_size == 1 << 20)
    }
    #expect(mount.command("resize", "a", "2M").status == 0)
    #expect(try File(mount("a")).read(1 << 20, 4096).allSatisfy { $0 == 0 })
  }

  @Test("is for the first to open a file to begin")
  func agreement() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount("-o", "passthrough")
    for round in 0..<50 {
      let files = try (0..<4).map { _ in try File(mount("a")) }
      #expect(files[round % 4].write(0, [UInt8(round)]) == 1)
      for file in files { #expect(try file.read(0, 1) == [UInt8(round)]) }
    }
  }

  @Test(
    "is done without, silently, by a user who may not have it",
    .enabled(if: whyNoUser == nil, Comment(rawValue: whyNoUser ?? "")))
  func ordinaryUser() throws {
    let mount = try NobodysMount("1M", "-o", "passthrough")
    try mount.whileOpen {
      #expect(run(asNobody(fuseLun, "snapshot", mount.store, "a@1")).status == 0)
    }
  }
}
