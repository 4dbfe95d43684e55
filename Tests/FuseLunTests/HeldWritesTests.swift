import Glibc
import TestSupport
import Testing

@Suite(
  "A snapshot has what clients wrote", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")),
  .timeLimit(.minutes(60)))
struct HeldWritesTests {
  /// What the Glibc overlay hides (`_GNU_SOURCE`).
  private static let direct: Int32 = 0o40000

  @Test("through the page cache, and past it", arguments: [0, direct])
  func written(_ flag: Int32) throws {
    let mount = try Mount(("a", "4M"))
    try mount.mount()
    let file = try File(mount("a"), O_RDWR | flag)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    for round in 0..<4 {
      buffer.copyBytes(from: pattern(round, 1 << 20))
      #expect(pwrite(file.descriptor, buffer.baseAddress, 1 << 20, off_t(round << 20)) == 1 << 20)
      #expect(mount.command("snapshot", "a@\(round)").status == 0)
    }
    for round in 0..<4 {
      let snapshot = try File(mount("a@\(round)"), O_RDONLY)
      for part in 0...round { #expect(try snapshot.read(part << 20, 1 << 20) == pattern(part, 1 << 20)) }
      if round < 3 { #expect(try snapshot.read((round + 1) << 20, 4096).allSatisfy { $0 == 0 }) }
    }
  }

  @Test("into a shared mapping, without msync")
  func mapped() throws {
    let mount = try Mount(("a", "4M"))
    try mount.mount()
    let file = try File(mount("a"))
    let pages = mmap(nil, 4 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor, 0)
    try #require(pages != MAP_FAILED, "\(errno)")
    defer { munmap(pages, 4 << 20) }
    let bytes = UnsafeMutableRawBufferPointer(start: pages, count: 4 << 20)
    for round in 0..<4 {
      bytes.copyBytes(from: pattern(round, 4 << 20))
      #expect(mount.command("snapshot", "a@\(round)").status == 0)
    }
    for round in 0..<4 {
      #expect(try File(mount("a@\(round)"), O_RDONLY).read(0, 4 << 20) == pattern(round, 4 << 20))
    }
    // What is read past the mapping is what is in it.
    #expect(try file.read(0, 4 << 20) == pattern(3, 4 << 20))
  }

  @Test(
    "to a loop device, in its cache",
    .enabled(if: whyNoLoop == nil, Comment(rawValue: whyNoLoop ?? "")), arguments: ["on", "off"])
  func loop(_ direct: String) throws {
    let mount = try Mount(("a", "16M"))
    try mount.mount()
    let device = try LoopDevice(mount("a"), direct: direct)
    let file = try File(device.path)
    #expect(file.write(1 << 20, pattern(1, 1 << 20)) == 1 << 20)
    let outcome = mount.command("snapshot", "a@1")
    #expect(outcome.status == 0, "\(outcome)")
    #expect(try File(mount("a@1"), O_RDONLY).read(1 << 20, 1 << 20) == pattern(1, 1 << 20))
    let refused = mount.command("rollback", "a@1")
    #expect(refused.errors.contains(device.path), "\(refused)")
  }

  @Test(
    "to a file system on a loop device, which is a clean one",
    .enabled(if: whyNoLoop == nil, Comment(rawValue: whyNoLoop ?? "")),
    .enabled(if: hasTools("mkfs.ext4", "e2fsck", "debugfs"), "needs e2fsprogs"), arguments: ["on", "off"])
  func fileSystem(_ direct: String) throws {
    let mount = try Mount(("a", "64M"))
    let inside = mount.folder.folder("inside")
    try mount.mount()
    try #require(run("mkfs.ext4", "-q", mount("a")).status == 0)
    let device = try LoopDevice(mount("a"), direct: direct)
    try #require(run("mount", device.path, inside).status == 0)
    defer { run("umount", inside) }
    for round in 0..<3 {
      for index in 0..<20 { write(pattern(round << 8 | index, 100_000), to: "\(inside)/\(round)-\(index)") }
      let outcome = mount.command("snapshot", "a@\(round)")
      #expect(outcome.status == 0, "\(outcome)")
    }
    // It was thawed: this would wait for ever.
    write([1], to: "\(inside)/after")
    for round in 0..<3 {
      let path = mount("a@\(round)")
      let check = run("e2fsck", "-f", "-n", path)
      #expect(check.status == 0, "\(check)")
      #expect(!run("dumpe2fs", "-h", path).output.contains("needs_recovery"))
      let out = mount.folder("out")
      for index in 0..<20 {
        run("debugfs", "-R", "dump \(round)-\(index) \(out)", path)
        #expect(contents(of: out) == pattern(round << 8 | index, 100_000))
      }
      #expect(run("debugfs", "-R", "stat \(round + 1)-0", path).errors.contains("not found"))
    }
  }

  @Test("that a volatile cache above the LUN holds, and a rollback does not bring back what is gone")
  func cached() throws {
    let mount = try Mount(("a", "4M"))
    try mount.mount()
    #expect(run(fuseLun, "layer", "add", mount.store, "a", "power").status == 0)
    let file = try File(mount("a"))
    #expect(file.write(0, pattern(1, 65536)) == 65536)
    let stored = try File(layerFile("data.0", ofLUN: "a", inStore: mount.store), O_RDONLY)
    #expect(try stored.read(0, 65536) != pattern(1, 65536))
    #expect(mount.command("snapshot", "a@1").status == 0)
    #expect(file.write(0, pattern(2, 65536)) == 65536)
    #expect(mount.command("rollback", "a@1", "--force").status == 0)
    #expect(try file.read(0, 65536) == pattern(1, 65536))
    #expect(file.flush() == 0)
    #expect(try file.read(0, 65536) == pattern(1, 65536))
  }

  @Test("or is refused when the LUN cannot be flushed")
  func flushFails() throws {
    let mount = try Mount(("a", "4M"))
    try mount.mount()
    let file = try File(mount("a"))
    #expect(file.write(0, [1]) == 1)
    #expect(run(fuseLun, "fault", "add", mount.store, "a", "error", "--op", "flush").status == 0)
    let outcome = mount.command("snapshot", "a@1")
    #expect(outcome.status == 1, "\(outcome)")
    #expect(outcome.errors.contains("\(mount("a")): cannot flush") && outcome.errors.contains("--no-sync"))
    #expect(access(mount("a@1"), F_OK) == -1)
    #expect(mount.command("snapshot", "a@1", "--no-sync").status == 0)
    #expect(try File(mount("a@1"), O_RDONLY).read(0, 1) == [1])
  }

  @Test(
    "or is refused, naming what could not be written, unless one does without",
    .enabled(if: whyNoUser == nil, Comment(rawValue: whyNoUser ?? "")))
  func refused() throws {
    let mount = try NobodysMount("16M")
    try mount.whileOpen {
      // From here on the mount itself cannot open the file to flush it.
      #expect(run(asNobody("chmod", "200", "\(mount.point)/a")).status == 0)
      let outcome = run(asNobody(fuseLun, "snapshot", mount.store, "a@1"))
      #expect(outcome.status == 2, "\(outcome)")
      #expect(outcome.errors.contains("\(mount.point)/a: cannot open"), "\(outcome)")
      #expect(outcome.errors.contains("--no-sync"), "\(outcome)")
      #expect(!run(asNobody(fuseLun, "list", mount.store)).output.contains("a@1"))
      #expect(run(asNobody(fuseLun, "snapshot", mount.store, "a@1", "--no-sync")).status == 0)
      #expect(run(asNobody(fuseLun, "list", mount.store)).output.contains("a@1"))
    }
  }
}
