import Foundation
import Glibc
import TestSupport
import Testing

@Suite(
  "A new size", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")), .timeLimit(.minutes(60))
)
struct ResizeTests {
  private struct Report: Decodable {
    struct Client: Decodable {
      var client: String
      var process: Int32?
      var command: String?
    }
    var name: String
    var size: Int
    var clients: [Client]
  }

  private func resize(_ mount: Mount, _ words: String...) throws -> Report {
    let outcome = run([fuseLun, "resize", mount.store, "a"] + words + ["--json"])
    try #require(outcome.status == 0, "\(outcome)")
    return try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
  }

  @Test("may be said as a difference and with a fraction")
  func differences() throws {
    let mount = try Mount(("a", "1.5M"))
    #expect(try resize(mount, "+1.5M").size == 3 << 20)
    #expect(try resize(mount, "--shrink", "-1M").size == 2 << 20)
    #expect(try resize(mount, "-512K", "--shrink").size == 3 << 19)
    #expect(try resize(mount, "2M").size == 2 << 20)
    for (words, part) in [
      (["-1M"], "--shrink"), (["-2M", "--shrink"], "leaves nothing"), (["+0.3K"], "whole number of bytes"),
      (["+9E"], "2^63"), (["+1"], "512"),
    ] {
      let outcome = run([fuseLun, "resize", mount.store, "a"] + words)
      #expect(outcome.status == 2 && outcome.errors.contains(part), "\(outcome)")
    }
    #expect(run(fuseLun, "resize", mount.store, "a", "4M").description == "status 0\n\n")
  }

  @Test("is seen by a client that has the file open, which is named")
  func open() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    let file = try File(mount("a"))
    #expect(file.status.st_size == 1 << 20)
    let report = try resize(mount, "2M")
    #expect(report.clients.map(\.process) == [getpid()])
    #expect(file.status.st_size == 2 << 20 && lseek(file.descriptor, 0, SEEK_END) == 2 << 20)
    #expect(file.write((2 << 20) - 512, pattern(1, 512)) == 512)
    let text = run(fuseLun, "resize", mount.store, "a", "+1M").output
    #expect(text.hasPrefix("'a' has 3 MiB now (3145728 bytes)") && text.contains(" \(getpid()): "), "\(text)")
  }

  @Test(
    "is seen by a loop device after what is advised",
    .enabled(if: whyNoLoop == nil, Comment(rawValue: whyNoLoop ?? "")))
  func loop() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    let device = try LoopDevice(mount("a"))
    let report = try resize(mount, "2M")
    let client = try #require(report.clients.first { $0.client == device.path })
    #expect(run("blockdev", "--getsize64", device.path).output == "1048576\n")
    #expect(run("sh", "-c", try #require(client.command)).status == 0)
    #expect(run("blockdev", "--getsize64", device.path).output == "2097152\n")
  }

  @Test(
    "is seen by tgtd's initiators after what is advised",
    .enabled(if: whyNoTarget == nil, Comment(rawValue: whyNoTarget ?? "")))
  func tgt() throws {
    let mount = try Mount(("a", "64M"))
    try mount.mount()
    let target = try Target()
    try target.serve(mount("a"), as: "iqn.2004-10.org.example:grown")
    let url = "\(target.portal)/iqn.2004-10.org.example:grown/1"
    #expect(run("iscsi-readcapacity16", url).output.contains("ADDRESS:131071\n"))
    let report = try resize(mount, "128M")
    let client = try #require(report.clients.first { $0.client == "tgtd" })
    #expect(run("iscsi-readcapacity16", url).output.contains("ADDRESS:131071\n"))
    let done = target.follow(try #require(client.command), lun: 1)
    #expect(done.status == 0, "\(done)")
    #expect(run("iscsi-readcapacity16", url).output.contains("ADDRESS:262143\n"))
  }

  @Test(
    "is seen by QEMU after what is advised",
    .enabled(if: hasTools("qemu-system-x86_64", "python3"), "needs qemu-system-x86 and python3"))
  func qemu() throws {
    let mount = try Mount(("a", "64M"))
    try mount.mount()
    let socket = mount.folder("qmp")
    let machine = try #require(
      Server([
        "qemu-system-x86_64", "-display", "none", "-nodefaults", "-machine", "q35,accel=tcg", "-S",
        "-blockdev",
        "driver=file,node-name=NODE,filename=\(mount("a"))", "-device", "virtio-blk,drive=NODE", "-qmp",
        "unix:\(socket),server=on,wait=off",
      ]) { access(socket, F_OK) == 0 && run(fuseLun, "info", mount.store, "a").output.contains("once") })
    defer { machine.stop() }
    func ask(_ command: String) -> Outcome {
      let script = """
        import json, socket, sys
        s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); f = s.makefile('rw'); f.readline()
        for c in ['{"execute": "qmp_capabilities"}', sys.argv[2]]:
          f.write(c + chr(10)); f.flush()
          while True:
            r = json.loads(f.readline())
            if 'event' not in r: break
        print(json.dumps(r))
        """
      return run("python3", "-c", script, socket, command)
    }
    let query = #"{"execute": "query-block"}"#
    #expect(ask(query).output.contains("\"virtual-size\": 67108864"))
    let report = try resize(mount, "128M")
    let client = try #require(report.clients.first { $0.process == machine.running.process })
    #expect(ask(query).output.contains("\"virtual-size\": 67108864"))
    #expect(ask(try #require(client.command)).output == "{\"return\": {}}\n")
    #expect(ask(query).output.contains("\"virtual-size\": 134217728"))
  }
}
