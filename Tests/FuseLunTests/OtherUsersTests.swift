import Glibc
import TestSupport
import Testing

@Suite(
  "Users", .enabled(if: whyNoUser == nil, Comment(rawValue: whyNoUser ?? "")), .timeLimit(.minutes(60)))
struct OtherUsersTests {
  @Test("other than the owner see nothing of a mount")
  func hidden() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    #expect(run(asNobody("ls", mount.point)).errors.contains("Permission denied"))
    #expect(run(asNobody("cat", mount("a"))).status != 0)
    #expect(run(asNobody("ls", mount.store)).errors.contains("Permission denied"))
    let list = run(asNobody(fuseLun, "list", mount.store))
    #expect(list.status == 2 && list.errors.contains("Permission denied"), "\(list)")
  }

  @Test("see the files of a shared mount, and use those they are allowed to")
  func shared() throws {
    let mount = try Mount(("a", "1M"), ("b", "1M"))
    try mount.mount("-o", "allow_other")
    #expect(run(asNobody("ls", mount.point)).output == "a\nb\n")
    #expect(run(asNobody("head", "-c", "1", mount("a"))).errors.contains("Permission denied"))
    #expect(chmod(mount("a"), 0o646) == 0)
    #expect(chown(mount("b"), 65534, 65534) == 0)
    for name in ["a", "b"] {
      let wrote = run(
        asNobody("dd", "if=/dev/zero", "of=\(mount(name))", "bs=4096", "count=1", "conv=notrunc,fsync"))
      #expect(wrote.status == 0, "\(wrote)")
    }
    #expect(run(asNobody("chmod", "666", mount("a"))).status != 0)
    #expect(run("stat", "-c", "%a %u", mount("b")).output == "600 65534\n")
  }

  @Test("who are not root create, mount, use and unmount a store of their own")
  func ordinary() throws {
    let mount = try Mount()
    let home = mount.folder.folder("home")
    chown(home, 65534, 65534)
    let store = "\(home)/store"
    let point = "\(home)/mnt"
    defer { run("fusermount3", "-u", "-z", "-q", point) }
    #expect(run(asNobody("mkdir", point)).status == 0)
    #expect(run(asNobody(fuseLun, "create", store, "mine", "--size", "64M")).status == 0)
    let mounted = run(asNobody(fuseLun, "mount", store, point))
    try #require(mounted.status == 0, "\(mounted)")
    // Not even root, whose every other file is.
    #expect(open("\(point)/mine", O_RDONLY) == -1 && errno == EACCES)
    let image = mount.folder("image")
    write(pattern(5, 1 << 20), to: image)
    let copied = run(asNobody("dd", "if=\(image)", "of=\(point)/mine", "bs=64K", "conv=notrunc,fsync"))
    #expect(copied.status == 0, "\(copied)")
    #expect(run(asNobody("cmp", "-n", "1048576", image, "\(point)/mine")).status == 0)
    #expect(run(asNobody("fusermount3", "-u", point)).status == 0)
    #expect(run(asNobody(fuseLun, "mount", store, point)).status == 0)
    #expect(run(asNobody("cmp", "-n", "1048576", image, "\(point)/mine")).status == 0)
    #expect(run(asNobody("fusermount3", "-u", point)).status == 0)
  }

  @Test("may not mount where they may not write, and are told so")
  func elsewhere() throws {
    let mount = try Mount()
    let home = mount.folder.folder("home")
    chown(home, 65534, 65534)
    #expect(run(asNobody(fuseLun, "create", "\(home)/store", "mine", "--size", "1M")).status == 0)
    let outcome = run(asNobody(fuseLun, "mount", "\(home)/store", mount.point))
    #expect(outcome.status == 1 && outcome.errors.contains(mount.point), "\(outcome)")
  }
}
