import Glibc
import LUNStore
import TestSupport
import Testing

@Suite(
  "umount", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")), .timeLimit(.minutes(60)))
struct UnmountTests {
  @Test("of the store or of the place returns when the store is given back", arguments: [true, false])
  func gives(_ byStore: Bool) throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    do { #expect(try File(mount("a")).write(0, pattern(1, 4096)) == 4096) }
    let outcome = run(fuseLun, "umount", byStore ? mount.store : mount.point + "/")
    #expect(outcome.description == "status 0\n\n", "\(outcome)")
    #expect(try mount.server() == nil && !mount.isMounted)
    #expect(try mount.stored("a", 0, 4096) == pattern(1, 4096))
    let again = run(fuseLun, "umount", mount.store)
    #expect(again.status == 2 && again.errors.contains("is not mounted"), "\(again)")
    let nothing = run(fuseLun, "umount", mount.point)
    #expect(nothing.status == 2 && nothing.errors.contains("neither a store nor"), "\(nothing)")
  }

  @Test("names who has files open, and leaves the mount alone; with --lazy it goes on for them")
  func busy() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    do {
      let file = try File(mount("a"))
      let refused = run(fuseLun, "umount", mount.store)
      #expect(refused.status == 2 && refused.errors.contains(" \(getpid())"), "\(refused)")
      #expect(mount.isMounted)
      let lazy = run(fuseLun, "umount", mount.store, "--lazy")
      #expect(lazy.status == 0 && !mount.isMounted, "\(lazy)")
      #expect(file.write(0, pattern(1, 4096)) == 4096)
      #expect(try mount.server() != nil)
    }
    #expect(eventually { (try? mount.server()) == .some(nil) })
    #expect(try mount.stored("a", 0, 4096) == pattern(1, 4096))
  }

  @Test("with --force cuts clients off", .enabled(if: isRoot, "needs root"))
  func force() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    let file = try File(mount("a"))
    #expect(file.write(0, pattern(1, 4096)) == 4096 && file.flush() == 0)
    let outcome = run(fuseLun, "umount", "-f", mount.point)
    #expect(outcome.status == 0 && !mount.isMounted, "\(outcome)")
    #expect(try mount.server() == nil)
    #expect(file.write(0, [1]) < 0)
    #expect(try mount.stored("a", 0, 4096) == pattern(1, 4096))
  }

  @Test("removes a mount whose daemon was killed")
  func stale() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    kill(try #require(try mount.server()), SIGKILL)
    #expect(eventually { (try? mount.server()) == .some(nil) })
    let outcome = run(fuseLun, "umount", mount.store, "--json")
    #expect(outcome.status == 0 && outcome.output.contains(mount.point), "\(outcome)")
    #expect(!mount.isMounted)
  }

  @Test(
    "and mount name the process in whose mount namespace the mount lives on",
    .enabled(if: isRoot && hasTools("unshare", "nsenter"), "needs root and util-linux"))
  func namespace() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    let other = try #require(
      start(["unshare", "-m", "--propagation", "private", "sh", "-c", "echo ready; exec sleep 1000"]))
    defer {
      kill(other.process, SIGKILL)
      _ = other.wait()
    }
    let own = try #require(link("/proc/self/ns/mnt"))
    #expect(eventually { link("/proc/\(other.process)/ns/mnt").map { $0 != own } ?? false })
    #expect(eventually { contents(of: "/proc/\(other.process)/comm") == Array("sleep\n".utf8) })
    let outcome = run(fuseLun, "umount", mount.store)
    #expect(outcome.status == 2, "\(outcome)")
    #expect(outcome.errors.contains("mount namespace of its own at '\(mount.point)'"), "\(outcome)")
    #expect(outcome.errors.contains("process \(other.process) (sleep)"), "\(outcome)")
    let again = run("env", "FUSE_LUN_TIMEOUT=1", fuseLun, "mount", mount.store, mount.point)
    #expect(again.errors.contains("process \(other.process) (sleep)"), "\(again)")
  }

  private func link(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: 256)
    return readlink(path, &buffer, 255) > 0 ? String(cString: buffer) : nil
  }
}

@Suite(
  "A daemon that is stopped", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")),
  .timeLimit(.minutes(60)))
struct StoppedTests {
  private func command(_ words: String...) -> Outcome { run(["env", "FUSE_LUN_TIMEOUT=2", fuseLun] + words) }

  @Test("is named by every command, with what lets it go on, and what was asked is not done later")
  func stopped() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    let server = try #require(try mount.server())
    kill(server, SIGSTOP)
    defer { kill(server, SIGCONT) }
    for words in [
      ["snapshot", mount.store, "a@x"], ["info", mount.store, "a"], ["check", mount.store],
      ["fault", "list", mount.store],
    ] {
      let outcome = run(["env", "FUSE_LUN_TIMEOUT=2", fuseLun] + words)
      #expect(outcome.status == 1, "\(words): \(outcome)")
      #expect(outcome.errors.contains("process \(server) (fuse-lun)"), "\(outcome)")
      #expect(
        outcome.errors.contains("has not answered for 2 seconds: it is stopped (state T)"), "\(outcome)")
      #expect(outcome.errors.contains("kill -CONT \(server)"), "\(outcome)")
    }
    // What needs no answer gets by without.
    #expect(command("list", mount.store).status == 0)
    #expect(command("info", mount.store).output.contains("\(mount.point) by process \(server)"))
    let second = command("mount", mount.store, mount.folder.folder("other"))
    #expect(second.status == 2 && second.errors.contains("already mounted by process \(server)"), "\(second)")
    let same = command("mount", mount.store, mount.point)
    #expect(same.status != 0, "\(same)")
    let end = command("umount", mount.store)
    #expect(end.status == 1 && end.errors.contains("kill -CONT \(server)"), "\(end)")
    kill(server, SIGCONT)
    #expect(eventually { (try? mount.server()) == .some(nil) })
    #expect(run(fuseLun, "list", mount.store).output.contains("a@x") == false)
    let wrong = run("env", "FUSE_LUN_TIMEOUT=soon", fuseLun, "snapshot", mount.store, "a@y")
    #expect(wrong.status == 2 && wrong.errors.contains("'soon'"), "\(wrong)")
  }

  @Test("is not what a long command is taken for: it says that it lives")
  func long() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    let file = try File(mount("a"))
    #expect(file.write(0, pattern(1, 4096)) == 4096)
    try mount.arm("fault", "a", "delay", "--op", "flush", "--for", "5s", "--count", "1")
    let outcome = command("snapshot", mount.store, "a@x")
    #expect(outcome.status == 0, "\(outcome)")
    #expect(run(fuseLun, "list", mount.store).output.contains("a@x"))
    #expect(mount.hits("a") == 1)
  }
}
