import Glibc
import LUNStore
import TestSupport
import Testing

extension Mount {
  /// Mounts where the kernel's switch is in a position.
  fileprivate func mount(_ option: String, switched isOn: Bool) -> Outcome {
    RingSwitch.turned(isOn) { run([fuseLun, "mount", store, point, "-o", option]) }
  }

  /// What `info` says of the way that requests come.
  fileprivate var transport: String? {
    run(fuseLun, "info", store, "a").output.split(separator: "\n").first { $0.hasPrefix("requests by") }
      .flatMap { $0.split(separator: " ").last.map(String.init) }
  }
}

@Suite(
  "Requests by rings", .enabled(if: RingSwitch.obstacle == nil, Comment(rawValue: RingSwitch.obstacle ?? "")),
  .timeLimit(.minutes(60)))
struct RingTests {
  @Test(
    "are there where the kernel has them, and where it has not the device is used, unless that is not wanted")
  func choice() throws {
    let mount = try Mount(("a", "1M"))
    for (option, isOn, expected) in [
      ("transport=auto", true, "io_uring"), ("transport=auto", false, "/dev/fuse"),
      ("transport=uring", true, "io_uring"), ("transport=device", true, "/dev/fuse"),
    ] {
      let outcome = mount.mount(option, switched: isOn)
      try #require(outcome.description == "status 0\n\n")
      #expect(mount.transport == expected, "\(option), switched \(isOn ? "on" : "off")")
      #expect(try File(mount("a")).write(0, pattern(1, 4096)) == 4096)
      try mount.unmount()
    }
    let refused = mount.mount("transport=uring", switched: false)
    #expect(refused.status != 0 && refused.errors.contains("enable_uring"), "\(refused)")
    #expect(!mount.isMounted)
    #expect(
      run(fuseLun, "mount", mount.store, mount.point, "-o", "transport=pigeon").errors.contains("pigeon"))
  }

  @Test(
    "leave a mount to the device where io_uring is forbidden",
    .enabled(if: hasTools("python3"), "needs python3"))
  func forbidden() throws {
    let mount = try Mount(("a", "1M"))
    // seccomp: io_uring_setup fails with EPERM, as it does in containers.
    let filter = """
      import ctypes, os, struct, sys
      code = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (6, 0, 0, 0x00050001), (6, 0, 0, 0x7fff0000)]
      program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
      call = ctypes.CDLL(None, use_errno=True).prctl
      call.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
      header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(program)))
      if call(38, 1, 0, 0, 0) or call(22, 2, ctypes.addressof(header), 0, 0): sys.exit("no seccomp")
      os.execv(sys.argv[1], sys.argv[1:])
      """
    let words = ["python3", "-c", filter, fuseLun, "mount", mount.store, mount.point, "-o"]
    let outcome = RingSwitch.turned(true) { run(words + ["transport=auto"]) }
    try #require(outcome.description == "status 0\n\n")
    #expect(mount.transport == "/dev/fuse")
    #expect(try File(mount("a")).write(0, pattern(1, 4096)) == 4096)
    try mount.unmount()
    let refused = RingSwitch.turned(true) { run(words + ["transport=uring"]) }
    #expect(refused.status != 0 && refused.errors.contains("io_uring"), "\(refused)")
  }

  @Test(
    "give each of several clients what it wrote, whatever the sizes and however many at a time",
    .enabled(if: hasTools("fio"), "needs fio"))
  func verify() throws {
    let mount = try Mount(("a", "32M"), ("b", "32M"))
    try #require(mount.mount("transport=uring", switched: true).status == 0)
    let common = [
      "fio", "--ioengine=libaio", "--direct=1", "--bsrange=4k-1m", "--verify=crc32c", "--verify_state_save=0",
      "--verify_fatal=1",
      "--do_verify=1", "--rw=randwrite", "--size=8m", "--iodepth=32",
    ]
    let jobs = (0..<4).flatMap { index in
      [
        "--name=job\(index)", "--filename=\(mount(index % 2 == 0 ? "a" : "b"))",
        "--offset=\(index / 2 * 16)m",
      ]
    }
    let outcome = run(common + jobs)
    #expect(outcome.status == 0, "\(outcome)")
    try #require(run(fuseLun, "snapshot", mount.store, "a@one").status == 0)
    let layered = run(
      common + ["--name=layered", "--filename=\(mount("a"))", "--ioengine=psync", "--iodepth=1"])
    #expect(layered.status == 0, "\(layered)")
    try mount.unmount()
  }

  @Test(
    "end with ENOTCONN for clients of a daemon that is killed, and the store is sound and has what was flushed"
  )
  func killed() throws {
    let mount = try Mount(("a", "64M"))
    try #require(mount.mount("transport=uring", switched: true).status == 0)
    do {
      let file = try File(mount("a"))
      for index in 0..<16 { #expect(file.write(index << 22, pattern(index, 65536)) == 65536) }
      #expect(file.flush() == 0)
      // One that waits in the daemon, and one that has yet to come.
      try mount.arm("fault", "a", "hang", "--op", "read")
      let waiting = try #require(
        start(["dd", "if=\(mount("a"))", "of=/dev/null", "bs=4096", "count=1", "iflag=direct"]))
      #expect(eventually { mount.hits("a") == 1 })
      kill(try #require(try mount.server()), SIGKILL)
      #expect(waiting.wait().status == 1)
      #expect(eventually { file.write(0, [1]) == -Int(ENOTCONN) })
    }
    #expect(eventually { (try? mount.server()) == .some(nil) })
    #expect(mount.command("check").status == 0)
    try mount.detach()
    try #require(mount.mount("transport=uring", switched: true).status == 0)
    let again = try File(mount("a"))
    for index in 0..<16 { #expect(try again.read(index << 22, 65536) == pattern(index, 65536)) }
  }

  @Test("are as many as hang: other LUNs go on however many of one LUN wait, and clients that are killed go")
  func hanging() throws {
    let mount = try Mount(("a", "4M"), ("b", "1M"))
    try #require(mount.mount("transport=uring", switched: true).status == 0)
    try mount.arm("fault", "a", "hang", "--op", "write")
    // More than a queue has entries for in the beginning, all by one processor, at once.
    let clients = (0..<150).map { block in
      start([
        "taskset", "-c", "0", "dd", "if=/dev/zero", "of=\(mount("a"))", "bs=4096", "count=1", "seek=\(block)",
        "conv=notrunc", "oflag=direct",
      ])
    }
    #expect(eventually { mount.hits("a") == clients.count })
    let other = try File(mount("b"))
    for block in 0..<64 { #expect(other.write(block * 4096, pattern(block, 4096)) == 4096) }
    for client in clients { if let client { kill(client.process, SIGKILL) } }
    for client in clients { #expect(try #require(client).wait().status == 128 + SIGKILL) }
    try mount.clear("fault", "a")
    #expect(try File(mount("a")).read(0, 4096) == [UInt8](repeating: 0, count: 4096))
  }

  @Test("that wait when the mount ends fail, and the daemon ends", arguments: [true, false])
  func end(bySignal: Bool) throws {
    let mount = try Mount(("a", "1M"))
    try #require(mount.mount("transport=uring", switched: true).status == 0)
    let server = try #require(try mount.server())
    try mount.arm("fault", "a", "hang", "--op", "read")
    let client = try #require(
      start(["dd", "if=\(mount("a"))", "of=/dev/null", "bs=4096", "count=1", "iflag=direct"]))
    #expect(eventually { mount.hits("a") == 1 })
    if bySignal { kill(server, SIGTERM) } else { run("umount", "-f", mount.point) }
    #expect(client.wait().status == 1)
    #expect(eventually { hasEnded(server) })
    #expect(try mount.server() == nil)
    run("fusermount3", "-u", "-z", "-q", mount.point)
  }
}
