import DiskImage
import Glibc
import TestSupport
import Testing

@Suite(
  "A file system on a mounted LUN",
  .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")),
  .enabled(if: hasTools("mkfs.ext4", "e2fsck", "debugfs"), "needs e2fsprogs"), .timeLimit(.minutes(60)))
struct FileSystemTests {
  private func check(_ path: String) {
    let outcome = run("e2fsck", "-f", "-n", path)
    #expect(outcome.status == 0, "\(outcome)")
  }

  @Test("made and filled by e2fsprogs is whole after a remount")
  func withoutLoop() throws {
    let mount = try Mount(("disk", "256M"))
    let tree = mount.folder.folder("tree")
    for index in 0..<50 { write(pattern(index, 1 + index * 4001), to: "\(tree)/file\(index)") }
    try mount.mount()
    let made = run("mkfs.ext4", "-q", "-L", "fromfuse", "-d", tree, mount("disk"))
    try #require(made.status == 0, "\(made)")
    let late = mount.folder("late")
    write(pattern(77, 123_456), to: late)
    #expect(run("debugfs", "-w", "-R", "write \(late) late", mount("disk")).status == 0)
    try mount.unmount()
    try mount.mount()
    check(mount("disk"))
    let out = mount.folder("out")
    for index in 0..<50 {
      run("debugfs", "-R", "dump file\(index) \(out)", mount("disk"))
      #expect(contents(of: out) == pattern(index, 1 + index * 4001), "file\(index)")
    }
    run("debugfs", "-R", "dump late \(out)", mount("disk"))
    #expect(contents(of: out) == pattern(77, 123_456))
    let image = try DiskImage.open(path: "\(mount.store):disk")
    #expect(image.wholeDisk?.type == "ext4" && image.wholeDisk?.label == "fromfuse")
    #expect(try DiskImage.open(path: mount("disk")).wholeDisk == image.wholeDisk)
  }

  @Test(
    "mounted through a loop device is whole after a remount, and discards give space back",
    .enabled(if: whyNoLoop == nil, Comment(rawValue: whyNoLoop ?? "")))
  func withLoop() throws {
    let mount = try Mount(("disk", "256M"))
    let inside = mount.folder.folder("inside")
    try mount.mount()
    try #require(run("mkfs.ext4", "-q", mount("disk")).status == 0)
    let disk = try LoopMount(mount("disk"), at: inside)
    for index in 0..<40 { write(pattern(index, 1 << 20), to: "\(inside)/file\(index)") }
    run("sync", "-f", inside)
    let full = try File(mount("disk")).status.st_blocks
    #expect(full > 40 * 2048)
    for index in 0..<30 { unlink("\(inside)/file\(index)") }
    run("sync", "-f", inside)
    #expect(run("fstrim", inside).status == 0)
    #expect(try File(mount("disk")).status.st_blocks < full - 25 * 2048)
    try disk.unmount()
    try mount.unmount()
    try mount.mount()
    check(mount("disk"))
    let again = try LoopMount(mount("disk"), at: inside, options: "ro")
    for index in 30..<40 { #expect(contents(of: "\(inside)/file\(index)") == pattern(index, 1 << 20)) }
    try again.unmount()
  }

  @Test(
    "survives a power cut at any flush, and not all of them on a disk that drops flushes",
    .enabled(if: whyNoLoop == nil, Comment(rawValue: whyNoLoop ?? "")))
  func powerCuts() throws {
    let mount = try Mount()
    // ext4 writes its superblock of 1024 bytes in place and relies on it not being torn, as it can be on a disk
    // with sectors of 512 bytes.
    try mount.create("disk", "32M", "--block-size", "4096")
    let inside = mount.folder.folder("inside")
    try mount.mount()
    func log(_ words: String...) -> Outcome { run([fuseLun, "log", mount.store, "disk"] + words) }
    try #require(run("mkfs.ext4", "-q", "-b", "4096", mount("disk")).status == 0)
    try #require(log("record").status == 0)
    let disk = try LoopMount(mount("disk"), at: inside)
    for index in 0..<3 {
      write(pattern(index, 100_000), to: "\(inside)/file\(index)")
      run("sync", "-f", inside)
      if index % 2 == 1 { unlink("\(inside)/file\(index - 1)") }
    }
    try disk.unmount()
    try #require(log("record", "--stop").status == 0)
    // The journal is replayed first, as a mount does it: then nothing may be wrong.
    let check = ["--", "sh", "-c", "e2fsck -y -E journal_only {} >/dev/null; e2fsck -fn {}"]
    let replay = [fuseLun, "log", mount.store, "disk", "replay", "--each-flush"]
    let sound = run(replay + ["--power-cut", "2"] + check)
    #expect(sound.status == 0 && sound.output.contains("none failed"), "\(sound)")
    #expect(!sound.output.hasPrefix("0 points"), "\(sound)")
    // What the file system writes is not the same twice, and a cut may be lucky: many of them are not.
    let lying = run(replay + ["--power-cut", "30", "--drop-flushes", "--stop-at-first"] + check)
    #expect(lying.status == 1 && lying.output.contains("power cut"), "\(lying)")
  }
}
