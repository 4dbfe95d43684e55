import Glibc
import LUNStore
import TestSupport
import Testing

/// Why there can be no LUN of 4 EiB in memory here, or `nil`.
private let whyNotHuge: String? = {
  if let whyNoMount { return whyNoMount }
  let folder = TemporaryFolder(inMemory: true)
  let file = open(folder("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
  defer { close(file) }
  return ftruncate(file, off_t(LUN.maximumSize)) == 0
    ? nil : "no file system in memory here holds files of 4 EiB: \(errorText(errno))"
}()

@Suite(
  "LUNs as large as can be", .enabled(if: whyNotHuge == nil, Comment(rawValue: whyNotHuge ?? "")),
  .timeLimit(.minutes(60)))
struct HugeLUNTests {
  /// The most memory that a process has had at once, in bytes.
  private func peakMemory(of process: pid_t) throws -> Int {
    let status = String(decoding: try #require(contents(of: "/proc/\(process)/status")), as: UTF8.self)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
    return try #require(Int(line.split(whereSeparator: { $0 == " " || $0 == "\t" })[1])) << 10
  }

  @Test("take no more memory for their snapshots, clones, discards and merges than small ones")
  func memory() throws {
    let mount = try Mount(inMemory: true, ("other", "1M"))
    try mount.mount()
    let server = try #require(try mount.server())
    let other = try File(mount("other"))
    let before = try peakMemory(of: server)
    for size in ["1G", "1P", "8P", "100P", "1E", "4E"] {
      let name = "h\(size)"
      try mount.create(name, size)
      let bytes = Int(try Store.open(mount.store).describe(.lun(LUNName(name))).size.bytes)
      do {
        let file = try File(mount(name))
        for (index, place) in [0, bytes / 2, bytes - 4096].enumerated() {
          #expect(file.write(place, pattern(index, 4096)) == 4096)
        }
        for label in 1...3 {
          #expect(mount.command("snapshot", "\(name)@\(label)").status == 0)
          #expect(file.write(bytes - 8192, pattern(label, 4096)) == 4096 && file.flush() == 0)
        }
        #expect(run("fallocate", "--punch-hole", "-o", "0", "-l", "\(bytes)", mount(name)).status == 0)
        #expect(try file.read(bytes / 2, 4096) == [UInt8](repeating: 0, count: 4096))
        #expect(lseek(file.descriptor, 0, 3) == -1 && errno == ENXIO)
      }
      #expect(try File(mount("\(name)@3"), O_RDONLY).read(bytes / 2, 4096) == pattern(1, 4096))
      for command in [
        ["clone", "\(name)@3", "c\(size)"], ["delete", "\(name)@2"], ["rollback", "\(name)@3"],
        ["delete", "\(name)@1"], ["resize", "c\(size)", "1M", "--shrink"], ["resize", "c\(size)", size],
        ["check"],
      ] {
        let outcome = run([fuseLun, command[0], mount.store] + command.dropFirst())
        #expect(outcome.status == 0, "\(command): \(outcome)")
      }
      let rolledBack = try File(mount(name))
      #expect(try rolledBack.read(bytes / 2, 4096) == pattern(1, 4096))
      #expect(try rolledBack.read(bytes - 8192, 8192) == pattern(2, 4096) + pattern(2, 4096))
      #expect(try other.read(0, 512).count == 512 && mount.server() == server)
    }
    // Ten times of what it is, and a tenth of the map of a LUN of 1 PiB if it were one of all there could be.
    let growth = try peakMemory(of: server) - before
    #expect(growth < 64 << 20, "\(growth) bytes")
  }

  @Test("are refused from 4 EiB on by every command that has a size, with what would be right; nothing ends")
  func limits() throws {
    let mount = try Mount(inMemory: true, ("a", "1M"))
    try mount.mount()
    let server = try mount.server()
    #expect(mount.command("snapshot", "a@s").status == 0)
    let sizes = [
      ("5E", "the most is 4 EiB, 4611686018427387904 bytes"), ("4611686018427388416", "the most is 4 EiB"),
      ("9223372036854775296", "the most is 4 EiB"), ("9223372036854775807", "not a whole number of blocks"),
      ("9223372036854775808", "more than a file can hold"), ("8E", "more than a file can hold"),
      ("16E", "more than a file can hold"), ("18446744073709551616", "more than a file can hold"),
      ("-1", "is not a size"),
    ]
    for (size, problem) in sizes {
      for command in [
        ["create", mount.store, "b", "--size", size],
        ["create", mount.store, "b", "--from", "a@s", "--size", size],
        ["create", mount.store, "b", "--from", "a", "--size", size],
        ["resize", mount.store, "a", "--", size],
      ] where command[0] == "create" || size != "-1" {
        let outcome = run([fuseLun] + command)
        #expect(outcome.status == 2 && outcome.errors.contains(problem), "\(command): \(outcome)")
      }
    }
    #expect(try mount.server() == server && File(mount("a")).read(0, 512).count == 512)
    // The largest.
    #expect(mount.command("resize", "a", "4E").status == 0)
    #expect(run(fuseLun, "create", mount.store, "b", "--from", "a@s", "--size", "4E").status == 0)
    #expect(try File(mount("b")).status.st_size == off_t(LUN.maximumSize))
    try mount.unmount()
    try mount.mount()
    #expect(try File(mount("a")).read(Int(LUN.maximumSize) - 512, 1024).count == 512)
  }

  @Test("count what is discarded again and again, and cut the power, without an end")
  func layers() throws {
    let mount = try Mount(inMemory: true, ("a", "4E"))
    try mount.mount()
    let server = try mount.server()
    try mount.arm("layer", "a", "stats")
    try mount.arm("layer", "a", "power", "cache=7E")
    try mount.arm("layer", "a", "rate", "bytes=7E", "iops=9223372036854775807", "burst=876000h")
    try mount.arm(
      "fault", "a", "error", "--op", "read", "--after", "9223372036854775807", "--lba", "0-18014398509481982")
    try mount.arm("fault", "a", "misdirected", "--count", "9223372036854775807", "--probability", "0")
    for _ in 0..<4 {
      #expect(run("fallocate", "--punch-hole", "-o", "0", "-l", "\(LUN.maximumSize)", mount("a")).status == 0)
      let length = "\(Int64.max - 511)"
      _ = run("fallocate", "--punch-hole", "--keep-size", "-o", "512", "-l", length, mount("a"))
    }
    let file = try File(mount("a"))
    #expect(file.write(Int(LUN.maximumSize) - 512, pattern(1, 512)) == 512 && file.flush() == 0)
    #expect(try file.read(Int(LUN.maximumSize) - 512, 512) == pattern(1, 512))
    let shown = run(fuseLun, "layer", "show", mount.store, "a").output
    #expect(shown.contains("9223372036854775807"), "\(shown)")
    #expect(try mount.server() == server)
  }

  @Test("record logs that begin again after the last number there is with a message, and not with an end")
  func lastLog() throws {
    let mount = try Mount(inMemory: true, ("a", "1M"))
    try mount.mount()
    #expect(mount.command("snapshot", "a@log-999999999").status == 0)
    let outcome = run(fuseLun, "log", mount.store, "a", "record")
    #expect(outcome.status == 2 && outcome.errors.contains("log-999999999"), "\(outcome)")
    #expect(mount.command("delete", "a@log-999999999").status == 0)
    #expect(run(fuseLun, "log", mount.store, "a", "record").status == 0)
  }
}
