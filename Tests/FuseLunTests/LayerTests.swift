import Glibc
import LUNStore
import Synchronization
import TestSupport
import Testing

@Suite(
  "Layers of a mounted LUN", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")),
  .timeLimit(.minutes(60)))
struct LayerTests {
  @Test("pause holds one LUN still while another one works, and lets it go on")
  func pause() throws {
    let mount = try Mount(("a", "1M"), ("b", "1M"))
    try mount.mount()
    let pause = try mount.arm("layer", "a", "pause")
    let client = try #require(start(["dd", "if=\(mount("a"))", "of=/dev/null", "bs=4096", "count=4"]))
    #expect(eventually { run(fuseLun, "layer", "show", mount.store, "a").output.contains("held: 1") })
    let other = try File(mount("b"))
    #expect(other.write(0, pattern(1, 4096)) == 4096 && other.flush() == 0)
    try mount.clear("layer", "a", pause.id)
    #expect(client.wait().status == 0)
  }

  @Test("SIGTERM ends the mount while requests are held: they fail, and what is volatile is written")
  func signal() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    try mount.arm("layer", "a", "power")
    #expect(try File(mount("a")).write(0, pattern(1, 4096)) == 4096)
    try mount.arm("fault", "a", "hang", "--op", "read")
    let client = try #require(start(["dd", "if=\(mount("a"))", "of=/dev/null", "bs=4096", "count=1"]))
    #expect(eventually { mount.hits("a") == 1 })
    let server = try #require(try mount.server())
    kill(server, SIGTERM)
    #expect(client.wait().status == 1)
    #expect(eventually { hasEnded(server) && !mount.isMounted })
    try mount.mount()
    #expect(try File(mount("a")).read(0, 4096) == pattern(1, 4096))
  }

  @Test("protect refuses changes of its blocks; delay and rate take their time; stats counts")
  func kinds() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    let file = try File(mount("a"))
    try mount.arm("layer", "a", "protect", "lba=0-7")
    #expect(file.write(0, [1]) == -Int(EROFS) && file.write(4096, [1]) == 1)
    #expect(run("fallocate", "--punch-hole", "-o", "0", "-l", "512", mount("a")).status != 0)
    try mount.clear("layer", "a")

    try mount.arm("layer", "a", "stats")
    try mount.arm("layer", "a", "delay", "write=20ms")
    try mount.arm("layer", "a", "rate", "iops=100", "burst=0s")
    let start = ContinuousClock.now
    for index in 0..<10 { #expect(file.write(8192 + index * 512, pattern(index, 512)) == 512) }
    #expect(ContinuousClock.now - start >= .milliseconds(200))
    #expect(file.flush() == 0)
    let shown = run(fuseLun, "layer", "show", mount.store, "a").output
    #expect(shown.contains("write  10        0       5120"), "\(shown)")
    #expect(shown.contains("flush  1         0       0"), "\(shown)")
    #expect(run(fuseLun, "layer", "list", mount.store, "a").output.contains("3   delay  write=20ms"))
    let json = run(fuseLun, "layer", "show", mount.store, "a", "--json").output
    #expect(json.contains("\"statistics\"") && json.contains("\"requests\" : 10"), "\(json)")
    #expect(run(fuseLun, "info", mount.store, "a").output.contains("delay"))
  }

  @Test("can be armed and disarmed while clients read back what they write")
  func underLoad() throws {
    let mount = try Mount(("a", "4M"))
    try mount.mount()
    let stop = Atomic(false)
    let rounds = Atomic(0)
    let writers = (0..<4).map { writer in
      TestThread {
        guard let file = try? File(mount("a")) else {
          Issue.record("cannot open")
          return
        }
        var round = 0
        while !stop.load(ordering: .relaxed) {
          let offset = writer << 20 + round % 64 * 4096
          let data = pattern(writer << 20 + round, 4096)
          if file.write(offset, data) != 4096 { Issue.record("cannot write") }
          if round % 10 == 0, file.flush() != 0 { Issue.record("cannot flush") }
          if (try? file.read(offset, 4096)) != data { Issue.record("reads something else than it wrote") }
          round += 1
          rounds.add(1, ordering: .relaxed)
        }
      }
    }
    for _ in 0..<8 {
      let before = rounds.load(ordering: .relaxed)
      try mount.arm("layer", "a", "power", "cache=64K")
      try mount.arm("layer", "a", "delay", "any=0ms..2ms")
      try mount.arm("layer", "a", "stats")
      try mount.arm("layer", "a", "pause")
      try mount.clear("layer", "a")
      #expect(eventually { rounds.load(ordering: .relaxed) > before })
    }
    stop.store(true, ordering: .relaxed)
    writers.forEach { $0.join() }
  }

  @Test("a snapshot has what the write cache holds, and so has the data's map")
  func snapshot() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    try mount.arm("layer", "a", "power")
    let file = try File(mount("a"))
    #expect(file.write(65_536, pattern(1, 4096)) == 4096)
    #expect(lseek(file.descriptor, 0, 3) == 65_536)
    #expect(file.write(0, pattern(2, 4096)) == 4096)
    let taken = run(fuseLun, "snapshot", mount.store, "a@now")
    try #require(taken.status == 0, "\(taken)")
    #expect(try File(mount("a@now"), O_RDONLY).read(0, 4096) == pattern(2, 4096))
  }

  @Test("a rollback is not undone by what the write cache holds")
  func rollback() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    #expect(try File(mount("a")).write(0, pattern(1, 8192)) == 8192)
    try #require(run(fuseLun, "snapshot", mount.store, "a@then").status == 0)
    try mount.arm("layer", "a", "power")
    #expect(try File(mount("a")).write(0, pattern(2, 8192)) == 8192)
    let rolled = run(fuseLun, "rollback", mount.store, "a@then")
    try #require(rolled.status == 0, "\(rolled)")
    #expect(try File(mount("a")).read(0, 8192) == pattern(1, 8192))
    try mount.clear("layer", "a")
    #expect(try File(mount("a")).read(0, 8192) == pattern(1, 8192))
  }

  @Test(
    "is refused where the kernel goes to the LUN by itself, and keeps it from doing so",
    .enabled(if: whyNoPassthrough == nil, Comment(rawValue: whyNoPassthrough ?? "")))
  func passthrough() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount("-o", "passthrough")
    do {
      let file = try File(mount("a"))
      let refused = run(fuseLun, "fault", "add", mount.store, "a", "error")
      #expect(refused.status == 2 && refused.errors.contains("passthrough"), "\(refused)")
      #expect(file.write(0, [1]) == 1)
    }
    // The kernel tells of a file's closing a moment after the close has returned.
    #expect(
      eventually { run(fuseLun, "fault", "add", mount.store, "a", "error", "--op", "write").status == 0 })
    #expect(try File(mount("a")).write(0, [2]) == -Int(EIO))
    try mount.clear("fault", "a")
    #expect(try File(mount("a")).write(0, [2]) == 1)
  }

  @Test(
    "a power cut leaves a journalled file system that recovers, with every file that was synchronised",
    .enabled(if: whyNoLoop == nil, Comment(rawValue: whyNoLoop ?? "")),
    .enabled(if: hasTools("mkfs.ext4", "e2fsck"), "needs e2fsprogs"), arguments: 1...3)
  func ext4(_ seed: Int) throws {
    let mount = try Mount(("disk", "64M"))
    let inside = mount.folder.folder("inside")
    try mount.mount()
    try #require(run("mkfs.ext4", "-q", mount("disk")).status == 0)
    try mount.arm("layer", "disk", "power")
    let disk = try LoopMount(mount("disk"), at: inside, options: "errors=remount-ro")
    for index in 0..<10 { write(pattern(index, 100_000), to: "\(inside)/kept\(index)") }
    run("sync", "-f", inside)
    for index in 0..<10 {
      write(pattern(index, 100_000), to: "\(inside)/lost\(index)")
      unlink("\(inside)/kept\(index * 2 + 1)")
    }
    // Down for good: nothing that is still in memory reaches the disk afterwards.
    try mount.arm("fault", "disk", "power-cut", "--seed", "\(seed)", "--down", "1h")
    try disk.unmount()
    try mount.clear("fault", "disk")
    let recovered = run("e2fsck", "-f", "-y", mount("disk"))
    #expect(recovered.status <= 1, "\(recovered)")
    let checked = run("e2fsck", "-f", "-n", mount("disk"))
    #expect(checked.status == 0, "\(checked)")
    let again = try LoopMount(mount("disk"), at: inside, options: "ro")
    for index in stride(from: 0, to: 10, by: 2) {
      #expect(contents(of: "\(inside)/kept\(index)") == pattern(index, 100_000), "kept\(index)")
    }
    try again.unmount()
  }
}
