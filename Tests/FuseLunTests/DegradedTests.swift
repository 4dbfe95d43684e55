import Glibc
import LUNStore
import TestSupport
import Testing

@Suite(
  "A store that is not whole or cannot be written",
  .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")))
struct DegradedTests {
  /// LUNs `a` and `b`, and a snapshot `b@1`, with something in them.
  private func makeStore() throws -> Mount {
    let mount = try Mount(("a", "1M"), ("b", "1M"))
    try mount.mount()
    for (name, seed) in [("a", 1), ("b", 2)] {
      let file = try File(mount(name))
      #expect(file.write(0, pattern(seed, 65536)) == 65536)
      if name == "b" {
        try #require(mount.command("snapshot", "b@1").status == 0)
        #expect(file.write(0, pattern(3, 4096)) == 4096)
      }
      #expect(file.flush() == 0)
    }
    try mount.unmount()
    return mount
  }

  @Test(
    "is mounted degraded with what is whole, refuses the rest, and is whole again after what the message says"
  )
  func snapshotsRecord() throws {
    let mount = try makeStore()
    let record = "\(mount.store)/luns/b/@1"
    truncate(record, 20)
    let refused = run(fuseLun, "mount", mount.store, mount.point)
    #expect(
      refused.status == 2 && "\(refused)".contains("-o degraded") && "\(refused)".contains("delete STORE b@1")
    )
    try mount.mount("-o", "degraded")
    #expect(contents(of: mount("a"))?.prefix(65536).elementsEqual(pattern(1, 65536)) == true)
    #expect(contents(of: mount("b"))?.prefix(4096).elementsEqual(pattern(3, 4096)) == true)
    #expect(open(mount("b@1"), O_RDONLY) == -1 && errno == EIO)
    // It is managed as any other, and can be mended as it is.
    #expect(mount.command("snapshot", "a@now").status == 0)
    #expect(mount.command("delete", "b@1").status == 0)
    #expect(mount.command("check").status == 0)
    try mount.unmount()
    try mount.mount()
    #expect(run("ls", mount.point).output == "a\na@now\nb\n")
    try mount.unmount()
  }

  @Test("gives out of a damaged LUN what is whole, and says what is lost")
  func salvage() throws {
    let mount = try makeStore()
    let map = layerFile("map.0", ofLUN: "b", inStore: mount.store)
    patch(map, at: 100, [0xEE])
    let image = mount.folder("image")
    let outcome = mount.command("export", "--salvage", "b", image)
    #expect(outcome.status == 2 && "\(outcome)".contains(map.dropFirst(mount.store.count)))
    // The one flush of the map is lost: what the snapshot has is there.
    #expect(contents(of: image)?.prefix(65536).elementsEqual(pattern(2, 65536)) == true)
    #expect(mount.command("export", "--salvage", "--force", "a", image).status == 0)
    #expect(contents(of: image)?.prefix(65536).elementsEqual(pattern(1, 65536)) == true)
    #expect(mount.command("export", "b", image, "--force").status == 2)
  }

  @Test(
    "in a file system that is read-only is listed, checked, exported and mounted for reading, and nothing else",
    .enabled(if: isRoot, "bind mounts need root"))
  func readOnly() throws {
    let mount = try makeStore()
    let view = mount.folder.folder("view")
    try #require(run("mount", "--bind", mount.store, view).status == 0)
    defer { run("umount", "-l", view) }
    try #require(run("mount", "-o", "remount,ro,bind", view).status == 0)
    let image = mount.folder("image")
    for words in [
      ["list", view], ["info", view, "b"], ["check", view], ["export", view, "b", image],
      ["export", view, "b@1", image, "--force"],
      ["export", view, "b", image, "--force", "--format", "qcow2"],
    ] {
      let outcome = run([fuseLun] + words)
      #expect(outcome.status == 0, "\(words): \(outcome)")
    }
    for words in [
      ["snapshot", view, "a@x"], ["delete", view, "a"], ["check", "--repair", view],
      ["mount", view, mount.point],
    ] {
      let outcome = run([fuseLun] + words)
      #expect(outcome.status == 2 && "\(outcome)".contains("read-only"), "\(words): \(outcome)")
    }
    try #require(run(fuseLun, "mount", view, mount.point, "-o", "ro").status == 0)
    #expect(contents(of: mount("b"))?.prefix(4096).elementsEqual(pattern(3, 4096)) == true)
    #expect(open(mount("a"), O_RDWR) == -1 && errno == EROFS)
    #expect(run(fuseLun, "check", view).status == 0)
    // Where it can be written it is not served meanwhile.
    #expect("\(run(fuseLun, "snapshot", mount.store, "a@x"))".contains("being read"))
    try mount.detach()
    #expect(eventually { run(fuseLun, "snapshot", mount.store, "a@x").status == 0 })
  }

  @Test(
    "whose file system became read-only under the mount is listed, checked and exported by way of the mount",
    .enabled(if: whyNoLoop == nil, Comment(rawValue: whyNoLoop ?? "")),
    .enabled(if: hasTools("mkfs.ext4"), "needs e2fsprogs"))
  func becameReadOnly() throws {
    let mount = try Mount()
    let disk = mount.folder("disk")
    try #require(run("truncate", "-s", "64M", disk).status == 0)
    try #require(run("mkfs.ext4", "-q", "-e", "remount-ro", disk).status == 0)
    mkdir(mount.store, 0o700)
    let host = try LoopMount(disk, at: mount.store)
    try mount.create("a", "1M")
    try mount.mount()
    let file = try File(mount("a"))
    #expect(file.write(0, pattern(1, 4096)) == 4096 && file.flush() == 0)
    let trigger = "/sys/fs/ext4/\((host.device?.path ?? "").dropFirst("/dev/".count))/trigger_fs_error"
    try #require(run("sh", "-c", "echo a test of fuse-lun > \(trigger)").status == 0)
    #expect(eventually { run("sh", "-c", "! touch \(mount.store)/x").status == 0 })
    let image = mount.folder("image")
    for words in [["list"], ["info", "a"], ["check"], ["export", "a", image]] {
      let outcome = run([fuseLun, words[0], mount.store] + words.dropFirst())
      #expect(outcome.status == 0, "\(words): \(outcome)")
    }
    #expect(contents(of: image)?.prefix(4096).elementsEqual(pattern(1, 4096)) == true)
    // What needs to write says so, and the mount lives on.
    #expect("\(mount.command("snapshot", "a@x"))".contains("ead-only file system"))
    #expect(try file.read(0, 4096) == pattern(1, 4096))
  }
}
