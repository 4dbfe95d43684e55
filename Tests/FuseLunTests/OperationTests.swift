import Glibc
import LUNStore
import TestSupport
import Testing

@testable import fuse_lun

@Suite(
  "In operation, a mount", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")),
  .timeLimit(.minutes(60)))
struct OperationTests {
  @Test("that is told to end has what clients wrote into mappings and still have open")
  func endsWithMappings() throws {
    let mount = try Mount(("a", "4M"))
    try mount.mount()
    let server = try #require(try mount.server())
    let file = try File(mount("a"))
    let pages = mmap(nil, 4 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor, 0)
    try #require(pages != MAP_FAILED)
    defer { munmap(pages, 4 << 20) }
    UnsafeMutableRawBufferPointer(start: pages, count: 4 << 20).copyBytes(from: pattern(1, 4 << 20))
    kill(server, SIGTERM)
    #expect(eventually { hasEnded(server) })
    #expect(!mount.isMounted)
    #expect(try mount.stored("a", 0, 4 << 20) == pattern(1, 4 << 20))
  }

  @Test("that is told to end while requests are held answers them with EIO, and keeps what was acknowledged")
  func endsWithHeldRequests() throws {
    let mount = try Mount(("a", "4M"), ("b", "4M"))
    try mount.mount()
    let server = try #require(try mount.server())
    let (a, b) = (try File(mount("a")), try File(mount("b")))
    #expect(a.write(0, pattern(1, 4096)) == 4096)
    // Volatile until it is flushed, and nobody does before the end.
    #expect(run(fuseLun, "layer", "add", mount.store, "b", "power").status == 0)
    #expect(b.write(0, pattern(2, 4096)) == 4096)
    #expect(run(fuseLun, "fault", "add", mount.store, "a", "hang").status == 0)
    let clients = (0..<4).compactMap { index in
      start([
        "dd", "if=/dev/zero", "of=\(mount("a"))", "bs=4096", "count=1", "seek=\(8 + index)", "conv=notrunc",
      ])
    }
    #expect(eventually { run(fuseLun, "fault", "list", mount.store).output.contains("4") })
    kill(server, SIGTERM)
    for client in clients {
      let outcome = client.wait()
      #expect(outcome.status == 1 && outcome.errors.contains("Input/output error"), "\(outcome)")
    }
    #expect(eventually { hasEnded(server) })
    #expect(!mount.isMounted)
    #expect(try mount.stored("a", 0, 4096) == pattern(1, 4096))
    #expect(try mount.stored("a", 8 * 4096, 4096).allSatisfy { $0 == 0 })
    #expect(try mount.stored("b", 0, 4096) == pattern(2, 4096))
  }

  @Test("whose daemon was killed is named by list, info and mount, with what to do")
  func stale() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    let server = try #require(try mount.server())
    kill(server, SIGKILL)
    #expect(eventually { (try? mount.server()) == .some(nil) })
    for outcome in [mount.command("list"), mount.command("info", "a")] {
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.errors.contains("fusermount3 -u \(mount.point)"), "\(outcome)")
    }
    #expect(mount.command("list", "--json").output.contains("\"stale\" : [\n    \"\(mount.point)\""))
    let again = mount.command("mount", mount.point)
    #expect(again.status == 2 && again.errors.contains("fusermount3 -u \(mount.point)"), "\(again)")
    // Commands do without it.
    #expect(mount.command("snapshot", "a@1").status == 0)
    try mount.unmount()
    #expect(mount.command("list").errors.isEmpty)
    try mount.mount()
    #expect(run("ls", mount.point).output == "a\na@1\n")
  }

  @Test("hides no files, and no other mount, unless told to")
  func nonempty() throws {
    let mount = try Mount(("a", "1M"))
    write([1], to: "\(mount.point)/precious")
    let refused = mount.command("mount", mount.point)
    #expect(refused.status == 2 && refused.errors.contains("'precious'"), "\(refused)")
    #expect(refused.errors.contains("-o nonempty"))
    try mount.mount("-o", "nonempty")
    #expect(run("ls", mount.point).output == "a\n")
    let other = try Mount(("b", "1M"))
    let taken = run(fuseLun, "mount", other.store, mount.point)
    #expect(taken.status == 2 && taken.errors.contains(mount.store), "\(taken)")
    #expect(taken.errors.contains("fusermount3 -u"))
    try mount.unmount()
    #expect(run("ls", mount.point).output == "precious\n")
  }

  @Test("at a place of its own is there for as long as it is needed")
  func privateMount() throws {
    let mount = try Mount(("a", "1M"))
    let seen = try withPrivateMount(mount.store)
    #expect(seen.names == ["a"] && seen.mode == 0o700)
    #expect(access(seen.point, F_OK) == -1)
    #expect(try mount.server() == nil)
    #expect(try mount.stored("a", 0, 3) == [1, 2, 3])
    try mount.mount()
    let own = try withMountedStore(mount.store) { $0 }
    #expect(own == mount.point && mount.isMounted)
  }

  private func withPrivateMount(_ store: String) throws -> (point: String, names: [String], mode: mode_t) {
    try withMountedStore(store, program: fuseLun) { point in
      let file = try File("\(point)/a")
      #expect(file.write(0, [1, 2, 3]) == 3)
      var status = stat()
      stat(point, &status)
      return (point, entries(of: point), status.st_mode & 0o777)
    }
  }

  /// Mounted, and what clients write is recorded.
  private func recorded() throws -> Mount {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    try #require(mount.command("log", "a", "record").status == 0)
    return mount
  }

  @Test("at a place of its own ends with the command that made it, also if that is killed")
  func privateMountEnds() throws {
    let mount = try recorded()
    #expect(try File(mount("a")).write(0, [1, 2, 3]) == 3)
    try mount.unmount()
    let (server, place) = (mount.folder("server"), mount.folder("place"))
    let check = "dirname $0 | tr -d '\\n' >\(place); cat \(mount.store)/lock >\(server); kill -9 $PPID"
    let replay = run(
      fuseLun, "log", mount.store, "a", "replay", "--each-write", "--", "sh", "-c", check, "{}")
    #expect(replay.status == 128 + SIGKILL, "\(replay)")
    let text = String(decoding: try #require(contents(of: server)), as: UTF8.self)
    let process = try #require(pid_t(text.prefix { $0 != "\n" }))
    #expect(eventually { hasEnded(process) })
    #expect(try mount.server() == nil)
    let point = String(decoding: try #require(contents(of: place)), as: UTF8.self)
    #expect(point.contains("/fuse-lun-") && access(point, F_OK) == -1, "\(point)")
  }

  @Test("is found by commands that need its files also when the store has another name by now")
  func renamed() throws {
    let mount = try recorded()
    #expect(try File(mount("a")).write(0, [1, 2, 3]) == 3)
    let now = mount.folder("renamed")
    try #require(rename(mount.store, now) == 0)
    defer { rename(now, mount.store) }
    let place = mount.folder("place")
    let replay = run(
      fuseLun, "log", now, "a", "replay", "--at", "1", "--", "sh", "-c", "dirname $0 >\(place)", "{}")
    #expect(replay.status == 0, "\(replay)")
    #expect(contents(of: place) == Array("\(mount.point)\n".utf8))
    #expect(run(fuseLun, "target", now, "a").output.contains(mount("a")))
  }

  @Test("that was taken away while a client has a file open is waited for: its folder is not the store")
  func privateMountWaits() throws {
    let mount = try recorded()
    var file: File? = try File(mount("a"))
    #expect(file?.write(0, [1, 2, 3]) == 3)
    #expect(run("fusermount3", "-u", "-z", mount.point).status == 0)
    #expect(!mount.isMounted)
    let replay = try #require(
      start([fuseLun, "log", mount.store, "a", "replay", "--at", "1", "--", "test", "-s", "{}"]))
    // It mounts the store itself now: that is its first child. Only then the old mount's daemon may end.
    #expect(eventually { !children(of: replay.process).isEmpty || hasEnded(replay.process) })
    withExtendedLifetime(file) {}
    file = nil
    let outcome = replay.wait()
    #expect(outcome.status == 0 && outcome.output == "1 point: none failed\n", "\(outcome)")
  }

  @Test("of nothing is an error of the mount itself")
  func privateMountFails() throws {
    let folder = TemporaryFolder()
    #expect(thrown(StoreError.self) { try withMountedStore(folder("none"), program: fuseLun) { $0 } } != nil)
  }

  @Test(
    "that has no room any more keeps store, snapshots and what was written whole",
    .enabled(if: whyNoLoop == nil, Comment(rawValue: whyNoLoop ?? "")),
    .enabled(if: hasTools("mkfs.ext4"), "needs e2fsprogs"))
  func noSpace() throws {
    let mount = try Mount()
    makeSparse(mount.folder("host"), 64 << 20)
    mkdir(mount.store, 0o700)
    #expect(run("mkfs.ext4", "-q", mount.folder("host")).status == 0)
    let host = try LoopMount(mount.folder("host"), at: mount.store)
    defer { withExtendedLifetime(host) {} }
    rmdir("\(mount.store)/lost+found")
    try mount.create("a", "256M")
    try mount.mount()
    var written = 0
    do {
      let file = try File(mount("a"))
      for block in 0..<8 { #expect(file.write(block << 20, pattern(block, 1 << 20)) == 1 << 20) }
      #expect(mount.command("snapshot", "a@1").status == 0)
      var result = 0
      while written < 128 {
        result = file.write(written << 20, pattern(1000 + written, 1 << 20))
        if result < 1 << 20 { break }
        written += 1
      }
      if result >= 0 { result = file.write((written << 20) + result, pattern(0, 1 << 20)) }
      #expect(result == -Int(ENOSPC) && written > 16)
      #expect(try File(mount("a@1"), O_RDONLY).read(0, 8 << 20) == (0..<8).flatMap { pattern($0, 1 << 20) })
      // Flushing needs a little room itself, and may say so; what it acknowledges is there.
      if file.flush() != 0 { written = 0 }
      let snapshot = mount.command("snapshot", "a@2")
      #expect(snapshot.status == 0 || snapshot.status == 1, "\(snapshot)")
      #expect(run("fallocate", "--punch-hole", "-o", "16M", "-l", "64M", mount("a")).status == 0)
      written = min(written, 16)
      #expect(file.write(200 << 20, pattern(9, 1 << 20)) == 1 << 20)
      #expect(file.flush() == 0)
    }
    try mount.unmount()
    try mount.mount()
    let file = try File(mount("a"))
    for block in 0..<written {
      #expect(try file.read(block << 20, 1 << 20) == pattern(1000 + block, 1 << 20))
    }
    #expect(try file.read(200 << 20, 1 << 20) == pattern(9, 1 << 20))
    #expect(try File(mount("a@1"), O_RDONLY).read(0, 8 << 20) == (0..<8).flatMap { pattern($0, 1 << 20) })
  }
}
