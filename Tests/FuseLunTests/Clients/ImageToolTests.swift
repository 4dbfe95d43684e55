import Glibc
import TestSupport
import Testing

@Suite(
  "Programs that know disk images", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")),
  .timeLimit(.minutes(60)))
struct ImageToolTests {
  @Test(
    "qemu-io writes patterns, zeros and discards, and reads them back",
    .enabled(if: hasTools("qemu-io", "qemu-img"), "needs qemu-utils"),
    arguments: [["-t", "writeback"], ["-t", "none"], ["-t", "none", "-i", "native"]])
  func patterns(_ cache: [String]) throws {
    let mount = try Mount(("disk", "64M"))
    try mount.mount()
    let writes = [
      "write -P 0x11 0 64M", "write -P 0x22 4k 4k", "write -P 0x33 1023k 2k", "write -P 0x44 67107840 1024",
      "write -z 8M 1M", "write -z -u 16M 1M", "discard 24M 1M", "aio_write -P 0x55 32M 1M", "aio_flush",
      "flush",
    ]
    let reads = [
      "read -P 0x11 0 4k", "read -P 0x22 4k 4k", "read -P 0x11 8k 1015k", "read -P 0x33 1023k 2k",
      "read -P 0 8M 1M", "read -P 0x11 9M 7M", "read -P 0 16M 1M",
      "read -P 0 24M 1M", "read -P 0x55 32M 1M", "read -P 0x44 67107840 1024",
    ]
    func perform(_ commands: [String]) {
      let words = ["qemu-io", "-f", "raw", "-d", "unmap"] + cache + commands.flatMap { ["-c", $0] }
      let outcome = run(words + [mount("disk")])
      let said = outcome.output + outcome.errors
      #expect(outcome.status == 0, "\(outcome)")
      #expect(!said.contains("failed") && !said.contains("error"), "\(outcome)")
    }
    perform(writes)
    perform(reads)
    try mount.unmount()
    try mount.mount()
    perform(reads)
  }

  @Test(
    "qemu-img converts into a LUN and finds it the same as the original",
    .enabled(if: hasTools("qemu-img"), "needs qemu-utils"))
  func convert() throws {
    let mount = try Mount(("disk", "32M"))
    try mount.mount()
    let raw = mount.folder("raw")
    makeSparse(raw, 32 << 20)
    for index in 0..<6 { patch(raw, at: index * 5 << 20 | 4096, pattern(index, 300_000)) }
    let qcow2 = mount.folder("image.qcow2")
    #expect(run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow2).status == 0)
    let converted = run("qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", qcow2, mount("disk"))
    try #require(converted.status == 0, "\(converted)")
    let same = run("qemu-img", "compare", "-f", "qcow2", "-F", "raw", qcow2, mount("disk"))
    #expect(same.status == 0 && same.output.contains("identical"), "\(same)")
    #expect(try File(mount("disk")).write(20 << 20, [1]) == 1)
    let different = run("qemu-img", "compare", "-f", "qcow2", "-F", "raw", qcow2, mount("disk"))
    #expect(different.status == 1 && different.output.contains("20971520"), "\(different)")
    // What qemu-img maps as data is what the LUN has, and no more.
    let map = run("qemu-img", "map", "-f", "raw", "--output", "json", mount("disk")).output
    #expect(map.contains("\"data\": false") && map.contains("\"data\": true"))
  }

  @Test(
    "fio writes from several jobs and verifies every block, then and after a remount",
    .enabled(if: hasTools("fio"), "needs fio"),
    arguments: ["psync", "libaio"])
  func verify(_ engine: String) throws {
    let mount = try Mount(("disk", "64M"))
    try mount.mount()
    func fio(_ more: [String]) {
      let words = [
        "fio", "--name=jobs", "--filename=\(mount("disk"))", "--ioengine=\(engine)", "--numjobs=4",
        "--size=16M", "--offset_increment=16M", "--bsrange=512-128k", "--bs_unaligned=0", "--rw=randwrite",
        "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--randrepeat=1", "--group_reporting",
        "--minimal",
        "--direct=\(engine == "libaio" ? 1 : 0)", "--iodepth=\(engine == "libaio" ? 16 : 1)",
      ]
      let outcome = run(words + more)
      #expect(outcome.status == 0, "\(outcome)")
      #expect(!outcome.errors.contains("verify"), "\(outcome)")
    }
    fio(["--do_verify=1", "--end_fsync=1"])
    try mount.unmount()
    try mount.mount()
    fio(["--verify_only"])
  }

  @Test(
    "several writers on LUNs of their own do not touch each other's",
    .enabled(if: hasTools("fio"), "needs fio"))
  func neighbours() throws {
    let mount = try Mount(("a", "32M"), ("b", "32M"), ("c", "32M"))
    try mount.mount()
    // A third LUN that nobody writes to, between the others in the store.
    #expect(try File(mount("b")).write(0, pattern(1, 1 << 20)) == 1 << 20)
    let words = [
      "--ioengine=psync", "--rw=randwrite", "--bs=4k", "--verify=crc32c", "--verify_fatal=1",
      "--verify_state_save=0", "--do_verify=1",
      "--end_fsync=1", "--size=32M", "--minimal",
    ]
    let jobs = ["a", "c"].map { start(["fio", "--name=\($0)", "--filename=\(mount($0))"] + words) }
    for job in jobs {
      let outcome = try #require(job).wait()
      #expect(outcome.status == 0, "\(outcome)")
    }
    #expect(try File(mount("b")).read(0, 1 << 20) == pattern(1, 1 << 20))
    #expect(try File(mount("b")).read(1 << 20, 1 << 20).allSatisfy { $0 == 0 })
    for name in ["a", "c"] {
      let outcome = run(["fio", "--name=\(name)", "--filename=\(mount(name))", "--verify_only"] + words)
      #expect(outcome.status == 0, "\(outcome)")
    }
  }
}
