import Glibc
import LUNStore
import TestSupport
import Testing

@Suite(
  "A mount", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")), .timeLimit(.minutes(60)))
struct MountTests {
  @Test("shows each LUN as a file of its size, for its owner alone, as soon as the command returns")
  func shows() throws {
    let mount = try Mount(("a", "1M"), ("b", "3G"))
    try mount.mount()
    #expect(run("ls", "-A", mount.point).output == "a\nb\n")
    let status = try File(mount("b")).status
    #expect(status.st_size == 3 << 30 && status.st_blocks == 0)
    #expect(status.st_mode == S_IFREG | 0o600 && status.st_uid == getuid() && status.st_nlink == 1)
    let inodes = run("ls", "-i", mount.point).output
    #expect(inodes.contains("\(status.st_ino) b"))
    #expect(run("stat", "-c", "%a", mount.point).output == "700\n")
    #expect(run("stat", "-f", "-c", "%l", mount.point).output == "255\n")
    #expect(run(fuseLun, "info", mount.store, "b").output.contains(mount("b")))
  }

  @Test("ends at the end of a LUN as a block device does")
  func boundaries() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    let file = try File(mount("a"))
    let end = 1 << 20
    #expect(file.write(end - 512, pattern(1, 512)) == 512)
    #expect(try file.read(end - 512, 1024) == pattern(1, 512))
    #expect(file.write(end - 3, [1, 2, 3, 4, 5]) == 3)
    #expect(file.write(end, [1]) == -Int(ENOSPC))
    #expect(file.write(1 << 40, [1]) == -Int(ENOSPC))
    #expect(try file.read(end, 1).isEmpty)
    #expect(try file.read(1 << 40, 1).isEmpty)
    #expect(file.write(12_345, pattern(2, 54_321)) == 54_321)
    #expect(try file.read(12_344, 54_323) == [0] + pattern(2, 54_321) + [0])
    #expect(file.write(1, pattern(3, end)) == end - 1)
    #expect(try file.read(0, end) == [0] + pattern(3, end).dropLast())
    let appending = try File(mount("a"), O_WRONLY | O_APPEND)
    #expect(appending.write(0, [1]) == -Int(ENOSPC))
    #expect(file.status.st_size == end)
  }

  @Test("keeps the size and the list of LUNs from everything but commands")
  func refusals() throws {
    let mount = try Mount(("a", "1M"), ("b", "1M"))
    try mount.mount()
    let file = try File(mount("a"))
    #expect(file.write(0, [1, 2, 3]) == 3)
    for size in [0, 1, 1 << 19, 1 << 21] {
      #expect(ftruncate(file.descriptor, off_t(size)) == -1 && errno == EPERM, "\(size)")
    }
    #expect(ftruncate(file.descriptor, 1 << 20) == 0)
    #expect(unlink(mount("a")) == -1 && errno == EPERM)
    #expect(rename(mount("a"), mount("c")) == -1 && errno == EPERM)
    #expect(link(mount("a"), mount("c")) == -1 && errno == EPERM)
    #expect(symlink("x", mount("c")) == -1 && errno == EPERM)
    #expect(mkdir(mount("c"), 0o700) == -1 && errno == EPERM)
    #expect(open(mount("c"), O_RDWR | O_CREAT, 0o600) == -1 && errno == EPERM)
    #expect(open(mount("c"), O_RDWR) == -1 && errno == ENOENT)
    #expect(chmod(mount("a"), 0o644) == -1 && errno == EPERM)
    #expect(chmod(mount("a"), 0o400) == 0)
    #expect(run("touch", "-d", "2001-02-03", mount("a")).status == 0)
    #expect(run("stat", "-c", "%y", mount("a")).output.hasPrefix("2001-02-03"))
    // As on a block device: nothing is cut off, and the size stays.
    let truncating = try File(mount("a"), O_RDWR | O_TRUNC)
    #expect(truncating.status.st_size == 1 << 20 && lseek(truncating.descriptor, 0, SEEK_END) == 1 << 20)
    #expect(try truncating.read(0, 3) == [1, 2, 3])
    #expect(run("ls", "-A", mount.point).output == "a\nb\n")
  }

  @Test("is thin: takes space where it is written to, and gives it back where holes are punched")
  func thinness() throws {
    let mount = try Mount(("a", "10G"))
    try mount.mount()
    do {
      let file = try File(mount("a"))
      #expect(file.status.st_blocks == 0)
      #expect(file.write(5 << 30, pattern(1, 1 << 20)) == 1 << 20)
      #expect(file.flush() == 0)
      let full = file.status.st_blocks
      #expect(full >= 2048 && full < 2048 + 256)
      #expect(lseek(file.descriptor, 0, 3) == 5 << 30)
      #expect(lseek(file.descriptor, 5 << 30, 4) == 5 << 30 + 1 << 20)
      #expect(lseek(file.descriptor, 6 << 30, 3) == -1 && errno == ENXIO)
      #expect(run("fallocate", "--punch-hole", "-o", "5G", "-l", "512K", mount("a")).status == 0)
      #expect(file.status.st_blocks <= full - 1024)
      #expect(try file.read(5 << 30, 8) == [0, 0, 0, 0, 0, 0, 0, 0])
      #expect(
        try file.read(5 << 30 + 512 << 10, 8) == Array(pattern(1, 1 << 20)[(512 << 10)..<(512 << 10 + 8)]))
      #expect(run("fallocate", "--zero-range", "-o", "5632M", "-l", "1M", mount("a")).status == 0)
      #expect(run("fallocate", "-o", "7G", "-l", "1M", mount("a")).status == 0)
      #expect(run("fallocate", "-o", "10G", "-l", "1M", mount("a")).status != 0)
      // Room behind the end: with --keep-size that is cut off, without it is a larger file.
      #expect(run("fallocate", "-o", "10239M", "-l", "2M", mount("a")).status != 0)
      #expect(run("fallocate", "--keep-size", "-o", "10239M", "-l", "2M", mount("a")).status == 0)
      #expect(run("fallocate", "--collapse-range", "-o", "0", "-l", "4096", mount("a")).status != 0)
      #expect(file.status.st_size == 10 << 30)
    }
    try mount.unmount()
    try mount.mount()
    #expect(
      try File(mount("a")).read(5 << 30, 1 << 20).dropFirst(512 << 10)
        == pattern(1, 1 << 20).dropFirst(512 << 10))
  }

  @Test("serves many clients of many LUNs at once, and each block is what was last written to it")
  func concurrency() async throws {
    let names = (0..<4).map { "lun\($0)" }
    let mount = try Mount()
    for name in names { try mount.create(name, "8M") }
    try mount.mount()
    let blocks = 2048
    try await withThrowingTaskGroup(of: Void.self) { group in
      // Two writers for each LUN, one for the even blocks and one for the odd ones; each reads back as it
      // goes.
      for (lun, name) in names.enumerated() {
        for parity in 0..<2 {
          group.addTask {
            let file = try File(mount(name))
            for block in stride(from: parity, to: blocks, by: 2) {
              let place = block * 2_654_435_761 % blocks & ~1 | parity
              let bytes = pattern(lun << 32 | place, 4096)
              #expect(file.write(place * 4096, bytes) == 4096)
              if block % 64 == parity { #expect(file.flush() == 0) }
              if block % 16 == parity { #expect(try file.read(place * 4096, 4096) == bytes) }
            }
          }
        }
      }
      try await group.waitForAll()
    }
    try mount.unmount()
    try mount.mount()
    for (lun, name) in names.enumerated() {
      let file = try File(mount(name))
      var wrong = 0
      for block in 0..<blocks where try file.read(block * 4096, 4096) != pattern(lun << 32 | block, 4096) {
        wrong += 1
      }
      #expect(wrong == 0, "\(name)")
    }
  }

  @Test("shows a LUN that is created meanwhile, and lists thousands")
  func growing() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    #expect(access(mount("b"), F_OK) == -1)
    try mount.create("b", "2M")
    #expect(try File(mount("b")).status.st_size == 2 << 20)
    let store = try Store.open(mount.store)
    let long = String(repeating: "n", count: 250)
    for index in 1000..<1500 { try store.createLUN(LUNRequest(name: "\(long)\(index)", size: "512")) }
    let listed = run("ls", "-f", mount.point).output.split(separator: "\n")
    #expect(listed.count == 504 && Set(listed).count == 504)
  }

  @Test("of a store that is mounted already is refused, with the process that has it")
  func second() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    let server = try #require(try mount.server())
    let outcome = run(fuseLun, "mount", mount.store, mount.folder.folder("other"))
    #expect(outcome.status == 2)
    #expect(
      outcome.errors.contains("process \(server)") && outcome.errors.contains(mount.point), "\(outcome)")
    #expect(try File(mount("a")).write(0, [1]) == 1)
  }

  @Test("can be made again the moment it was unmounted, any number of times")
  func again() throws {
    let mount = try Mount(("a", "64M"))
    for round in 0..<10 {
      try mount.mount()
      #expect(try File(mount("a")).write(round << 20, pattern(round, 1 << 20)) == 1 << 20)
      try mount.detach()
    }
    try mount.mount()
    let file = try File(mount("a"))
    for round in 0..<10 { #expect(try file.read(round << 20, 1 << 20) == pattern(round, 1 << 20)) }
  }

  @Test(
    "in the foreground ends with status 0 on SIGTERM and SIGINT, unmounted", arguments: [SIGTERM, SIGINT])
  func signals(_ signal: Int32) throws {
    let mount = try Mount(("a", "1M"))
    let running = try #require(start([fuseLun, "mount", mount.store, mount.point, "-f"]))
    #expect(eventually { access(mount("a"), F_OK) == 0 })
    #expect(try File(mount("a")).write(0, pattern(9, 4096)) == 4096)
    #expect(try mount.server() == running.process)
    kill(running.process, signal)
    let outcome = running.wait()
    #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome)")
    #expect(!mount.isMounted)
    #expect(try mount.server() == nil)
    #expect(try mount.stored("a", 0, 4096) == pattern(9, 4096))
  }

  @Test("as a daemon ends on SIGTERM, and does not keep its parent's output open")
  func daemon() throws {
    let mount = try Mount(("a", "1M"))
    // The shell's pipe ends only when everyone who has it is gone.
    let outcome = run(
      "timeout", "300", "sh", "-c", "\(fuseLun) mount \(mount.store) \(mount.point) 2>&1 | cat")
    #expect(outcome.status == 0, "\(outcome)")
    let server = try #require(try mount.server())
    kill(server, SIGTERM)
    #expect(eventually { hasEnded(server) })
    #expect(!mount.isMounted)
  }

  @Test("whose daemon was killed keeps what was flushed, and can be made again once it is removed")
  func killed() throws {
    let mount = try Mount(("a", "64M"))
    try mount.mount()
    do {
      let file = try File(mount("a"))
      for index in 0..<16 { #expect(file.write(index << 22, pattern(index, 65536)) == 65536) }
      #expect(file.flush() == 0)
    }
    let server = try #require(try mount.server())
    kill(server, SIGKILL)
    #expect(eventually { (try? mount.server()) == .some(nil) })
    let refused = run(fuseLun, "mount", mount.store, mount.point)
    #expect(refused.status != 0 && refused.errors.contains("fusermount3 -u"), "\(refused)")
    try mount.unmount()
    try mount.mount()
    let file = try File(mount("a"))
    for index in 0..<16 { #expect(try file.read(index << 22, 65536) == pattern(index, 65536)) }
  }

  @Test(
    "flushes the data file when a client flushes, and after each write that has to be durable",
    .enabled(if: hasTools("strace"), "needs strace"))
  func flushing() throws {
    let mount = try Mount(("a", "1M"))
    let trace = mount.folder("trace")
    let words = ["strace", "-f", "-qq", "-e", "trace=fdatasync,fsync,pwrite64", "-o", trace]
    let running = try #require(start(words + [fuseLun, "mount", mount.store, mount.point, "-f"]))
    try #require(eventually { access(mount("a"), F_OK) == 0 }, "strace cannot trace here")
    func calls() -> [String] {
      String(decoding: contents(of: trace) ?? [], as: UTF8.self).split(separator: "\n").compactMap { line in
        ["pwrite64", "fdatasync", "fsync"].first { line.contains("\($0)(") }
      }
    }
    let before = calls().count
    let file = try File(mount("a"))
    #expect(file.write(0, [1]) == 1)
    #expect(calls().dropFirst(before) == ["pwrite64"])
    #expect(file.flush() == 0)
    #expect(calls().dropFirst(before) == ["pwrite64", "fdatasync"])
    for flag in [O_DSYNC, O_SYNC] {
      let before = calls().count
      #expect(try File(mount("a"), O_RDWR | flag).write(0, [2]) == 1)
      #expect(calls().dropFirst(before) == ["pwrite64", "fdatasync"])
    }
    if let server = try mount.server() { kill(server, SIGTERM) }
    #expect(running.wait().status == 0)
  }

  @Test(
    "passes on that the host is full, and goes on once it is not",
    .enabled(if: isRoot, "mounting a tmpfs needs root"))
  func hostFull() throws {
    let mount = try Mount()
    mkdir(mount.store, 0o700)
    try #require(run("mount", "-t", "tmpfs", "-o", "size=4M,mode=700", "none", mount.store).status == 0)
    defer { run("umount", "-l", mount.store) }
    try mount.create("a", "64M")
    try mount.mount()
    do {
      let file = try File(mount("a"))
      var written = 0
      var result = 0
      for block in 0..<64 {
        result = file.write(block << 20, pattern(block, 1 << 20))
        if result < 0 { break }
        written += result
      }
      #expect(result == -Int(ENOSPC))
      #expect(written > 2 << 20 && written <= 4 << 20)
      #expect(try file.read(1 << 20, 1 << 20) == pattern(1, 1 << 20))
      #expect(run("fallocate", "--punch-hole", "-o", "0", "-l", "1M", mount("a")).status == 0)
      #expect(file.write(60 << 20, pattern(60, 512 << 10)) == 512 << 10)
      // tmpfs has no FALLOC_FL_ZERO_RANGE.
      #expect(run("fallocate", "--zero-range", "-o", "1M", "-l", "1M", mount("a")).status == 0)
      #expect(try file.read(1 << 20, 1 << 20).allSatisfy { $0 == 0 })
      #expect(file.flush() == 0)
    }
    try mount.unmount()
  }

  @Test("at a place where it cannot be is refused with the place and the reason")
  func places() throws {
    let mount = try Mount(("a", "1M"))
    for (place, reason) in [
      (mount.folder("absent"), "No such file"), ("\(mount.store)/store", "folder"), (mount.store, "hidden"),
      ("\(mount.store)/luns", "hidden"), (mount.folder.path, "hidden"), ("/", "hidden"),
    ] {
      let outcome = run(fuseLun, "mount", mount.store, place)
      #expect(outcome.status == 2 && outcome.errors.contains(reason), "\(place): \(outcome)")
    }
    #expect(try mount.server() == nil)
  }

  @Test(
    "shows where it comes from, whatever the store is called", arguments: ["a,b", "a b", "a\\b,c\\,d", "é:ü"])
  func storeNames(_ name: String) throws {
    let folder = TemporaryFolder()
    let point = folder.folder("m,n o")
    defer { run("fusermount3", "-u", "-z", "-q", point) }
    #expect(run(fuseLun, "create", folder(name), "a", "--size", "1M").status == 0)
    let outcome = run(fuseLun, "mount", folder(name), point)
    #expect(outcome.status == 0, "\(outcome)")
    #expect(run("findmnt", "-n", "-o", "SOURCE,FSTYPE", point).output.hasPrefix(folder(name)))
    #expect(try File("\(point)/a").status.st_size == 1 << 20)
    #expect(run(fuseLun, "mount", folder(name), folder.folder("other")).errors.contains(point))
    #expect(run("fusermount3", "-u", point).status == 0)
  }

  @Test("that is read-only lets nobody write")
  func readOnly() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount("-o", "ro,noatime")
    #expect(open(mount("a"), O_RDWR) == -1 && errno == EROFS)
    #expect(try File(mount("a"), O_RDONLY).read(0, 2) == [0, 0])
  }
}
