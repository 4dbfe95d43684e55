import Foundation
import Glibc
import Testing

@testable import Sim

/// From a scenario's text to what the built program says of it.
@Suite struct SimulationCommandTests {
  /// A machine whose menu names the root by its letter, with a stick that may take it.
  private static func scenario(stick: Bool, expecting verdict: String, more: String = "") -> String {
    """
    {
      "version": 1, "title": "the stick", "profile": "debian-12",
      "machine": { "usb": [{ "name": "usb0", "attached": \(stick) }] },
      "system": { "files": { "/boot/grub/grub.cfg": [
        "search --no-floppy --fs-uuid --set=root 18311587-8c6e-4a3c-b4ca-9fead0c9fe7b",
        "menuentry 'Debian' {",
        "  linux /vmlinuz-6.1.0-50-amd64 root=/dev/sda2 ro",
        "  initrd /initrd.img-6.1.0-50-amd64",
        "}"] } },
      \(more)
      "expect": { "verdict": "\(verdict)" }
    }
    """
  }

  private func json(_ result: Program.Result) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
  }

  @Test("the exit status is the verdict, and the same run gives the same bytes")
  func theExitStatusIsTheVerdictAnd() throws {
    let folder = try Program.Folder()
    try folder.write(Self.scenario(stick: false, expecting: "boots"), "good.json")
    try folder.write(Self.scenario(stick: true, expecting: "fails"), "bad.json")
    for (file, status, verdict) in [("good.json", Int32(0), "\nBOOTS: "), ("bad.json", 1, "\nFAILS: ")] {
      let text = try Program.run(["run", file], in: folder)
      #expect(text.status == status && text.errors == "")
      #expect(text.output.contains(verdict))
      #expect(!text.output.contains("\u{1B}"), "no colour where there is no terminal")
      #expect(try Program.run(["run", file], in: folder).output == text.output)
      let json = try Program.run(["run", "--json", file], in: folder)
      #expect(json.status == status)
      #expect(try Program.run(["run", "--json", file], in: folder).output == json.output)
    }
    let both = try Program.run(["run", "--json", "good.json", "bad.json"], in: folder)
    #expect(both.status == 1)
    let list = try JSONSerialization.jsonObject(with: Data(both.output.utf8)) as? [[String: Any]]
    #expect(list?.map { $0["verdict"] as? String } == ["boots", "fails"])
  }

  @Test("standard input is a scenario, too") func standardInputIsAScenarioToo() throws {
    let text = Self.scenario(stick: false, expecting: "boots")
    let result = try Program.run(["run", "-"], input: text, in: try Program.Folder())
    #expect(result.status == 0)
  }

  @Test("every witness replays to the end it stands for") func everyWitnessReplaysToTheEndIt() throws {
    let folder = try Program.Folder()
    try folder.write(Self.scenario(stick: true, expecting: "fails"), "s.json")
    let outcomes = try #require(
      try json(Program.run(["run", "--json", "s.json"], in: folder))["outcomes"] as? [[String: Any]])
    #expect(!outcomes.isEmpty)
    for outcome in outcomes {
      try folder.write(try #require(outcome["witness"] as? String) + "\n", "witness")
      let replay = try json(Program.run(["run", "--json", "--schedule", "witness", "s.json"], in: folder))
      let again = try #require((replay["outcomes"] as? [[String: Any]])?.first)
      let boots = [outcome, again].map { ($0["boots"] as? [[String: Any]])?.map { $0["finding"] as? String } }
      #expect(boots[0] == boots[1])
    }
    try folder.write("no schedule", "witness")
    let bad = try Program.run(["run", "--schedule", "witness", "s.json"], in: folder)
    #expect(bad.status == 2 && bad.output == "")
    #expect(bad.errors.hasPrefix("witness:1:1: error: "), "\(bad.errors)")
  }

  @Test("a schedule of another scenario is refused") func aScheduleOfAnotherScenarioIsRefused() throws {
    let folder = try Program.Folder()
    try folder.write(Self.scenario(stick: true, expecting: "fails"), "s.json")
    try folder.write("{\"version\": 1, \"title\": \"no disk\"}", "other.json")
    let outcomes =
      try json(Program.run(["run", "--json", "s.json"], in: folder))["outcomes"] as? [[String: Any]]
    try folder.write(try #require(outcomes?.first?["witness"] as? String), "witness")
    let result = try Program.run(["run", "--schedule", "witness", "other.json"], in: folder)
    #expect(result.status == 2 && result.output == "")
    #expect(
      result.errors.hasPrefix("witness: error: this schedule is not of other.json: "), "\(result.errors)")
  }

  @Test("test compares with what is expected, walks folders, skips profiles, and writes JUnit")
  func testComparesWithWhatIsExpectedWalks() throws {
    let folder = try Program.Folder()
    try folder.write(Self.scenario(stick: false, expecting: "boots"), "suite/b/good.json")
    try folder.write(Self.scenario(stick: true, expecting: "fails"), "suite/a.json")
    try folder.write("{\"version\": 1}", "suite/profiles/p.json")
    try folder.write("no scenario", "suite/README.md")
    let holding = try Program.run(["test", "suite", "suite/a.json", "--junit", "j.xml"], in: folder)
    #expect(holding.status == 0 && holding.errors == "")
    #expect(
      holding.output == """
        ok   suite/a.json: the stick
        ok   suite/b/good.json: the stick
        2 scenarios: every expectation holds

        """)
    let xml = try String(contentsOf: folder.url.appendingPathComponent("j.xml"), encoding: .utf8)
    #expect(xml.contains("<testsuites tests=\"2\" failures=\"0\""))
    try folder.write(Self.scenario(stick: true, expecting: "boots"), "suite/c.json")
    let failing = try Program.run(["test", "suite"], in: folder)
    #expect(failing.status == 1)
    #expect(
      failing.output.contains("FAIL suite/c.json: the stick\n       verdict\n         - boots  expected"))
    try folder.write("{}", "suite/d.json")
    let broken = try Program.run(["test", "suite"], in: folder)
    #expect(broken.status == 2 && broken.output == "", "one bad scenario: nothing is simulated")
    #expect(broken.errors.contains("suite/d.json:1:1: error: \"version\" is missing"))
  }

  @Test("sweep says which choices are enough to fail") func sweepSaysWhichChoicesAreEnoughTo() throws {
    let folder = try Program.Folder()
    let vary =
      "\"story\": [\"boot\", \"reboot\"], \"vary\": { \"usb\": \"usb0\", \"machine.memory\": [\"512MiB\", \"1GiB\"] },"
    try folder.write(Self.scenario(stick: false, expecting: "boots", more: vary), "s.json")
    let result = try Program.run(["sweep", "--json", "--out", "out.json", "s.json"], in: folder)
    #expect(result.status == 1 && result.errors == "")
    #expect(
      try String(contentsOf: folder.url.appendingPathComponent("out.json"), encoding: .utf8) == result.output)
    let report = try json(result)
    #expect(report["configurations"] as? Int == 8)
    #expect(report["boots"] as? Int == 2)
    #expect(report["share"] as? Double == 0.25)
    let group = try #require((report["groups"] as? [[String: Any]])?.first)
    #expect(group["finding"] as? String == "root-device-renamed")
    #expect(
      group["smallest"] as? [[String: String]] == [
        ["usb0 at boot 1": "present"], ["usb0 at boot 2": "present"],
      ])
    #expect(folder.names == ["out.json", "s.json"])
  }

  /// What a fresh Debian 12 has, as files of this machine.
  private static func writeSystem(to root: URL) throws {
    let text = "{\"version\": 1, \"title\": \"t\", \"profile\": \"debian-12\"}"
    let loaded = try #require(ScenarioDecoder().load(Array(text.utf8), file: "t.json").value)
    let files = loaded.scenario.files
    for path in files.paths {
      let url = root.appendingPathComponent(path)
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      switch files[path] {
      case .file(let bytes): try Data(bytes).write(to: url)
      case .link(let target):
        try FileManager.default.createSymbolicLink(atPath: url.path, withDestinationPath: target)
      default: break
      }
    }
  }

  @Test("a system's files can be a root folder on this machine; the profile's do not count then")
  func aSystemSFilesCanBeARootFolder() throws {
    let folder = try Program.Folder()
    try Self.writeSystem(to: folder.url.appendingPathComponent("machine/root"))
    func run(_ files: String = "{}") throws -> Program.Result {
      try folder.write(
        """
        {"version": 1, "title": "t", "profile": "debian-12", "system": {"root": "root", "files": \(files)}}
        """, "machine/s.json")
      return try Program.run(["run", "machine/s.json"], in: folder)
    }
    let fresh = try run()
    #expect(fresh.status == 0, "\(fresh.output)")

    // Since /lib is a link to usr/lib, what is in it has to be looked for there.
    let units = "machine/root/etc/systemd/system"
    let unit = "[Service]\nExecStart=/usr/lib/init/cut.sh\n"
    for place in ["", "/multi-user.target.wants"] { try folder.write(unit, "\(units)\(place)/cut.service") }
    try folder.write("#!/bin/sh\nip link set ens3 down\n", "machine/root/usr/lib/init/cut.sh")
    let cut = try run()
    #expect(cut.status == 1 && cut.output.contains("/usr/lib/init/cut.sh:2"), "\(cut.output)")
    let masked = try run("{\"/etc/systemd/system/cut.service\": {\"link\": \"/dev/null\"}}")
    #expect(masked.status == 0, "\(masked.output)")

    // The profile has this file too, and the machine comes up with it.
    try folder.write("auto ens3\niface ens3 inet dhcp\n", "machine/root/etc/network/interfaces")
    let configured = try run("{\"/etc/systemd/system/cut.service\": null}")
    #expect(configured.output.contains("network-down-at-shutdown"), "\(configured.output)")

    // What the machine has not, the profile does not add.
    try FileManager.default.removeItem(
      at: folder.url.appendingPathComponent("machine/root/boot/grub/grub.cfg"))
    let menuless = try run()
    #expect(menuless.status == 1 && menuless.output.contains("ends in boot-loader"), "\(menuless.output)")
  }

  private static let mke2fs = ["/sbin/mke2fs", "/usr/sbin/mke2fs"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  /// The partition says what it holds and not what file system it has: only the image can know that.
  @Test("a disk's partitions and file systems are read from its image", .enabled(if: mke2fs != nil))
  func aDiskSPartitionsAndFileSystems()
    throws
  {
    let folder = try Program.Folder()
    var sector = [UInt8](repeating: 0, count: 512)
    // One partition of type 0x83, from sector 2048, 16384 sectors long.
    sector.replaceSubrange(446..<462, with: [0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0x40, 0, 0])
    sector.replaceSubrange(510..<512, with: [0x55, 0xAA])
    let image = folder.url.appendingPathComponent("disk.img")
    try Data(sector).write(to: image)
    #expect(truncate(image.path, 9 << 20) == 0)
    try folder.write(
      """
      {"version": 1, "title": "t", "story": ["boot"], "expect": {"verdict": "fails", "finding": "boot-sector-hangs"},
       "machine": {"disks": [{"name": "d", "image": "disk.img", "partitions": [{"number": 1, "holds": "/data"}]}]}}
      """, "s.json")
    let empty = try Program.run(["test", "s.json"], in: folder)
    #expect(empty.status == 2)
    #expect(
      empty.errors.contains("a partition without a file system cannot hold \"/data\""), "\(empty.errors)")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(Self.mke2fs))
    process.arguments = ["-q", "-t", "ext4", "-E", "offset=1048576", image.path, "8192k"]
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
    let made = try Program.run(["test", "s.json"], in: folder)
    #expect(made.status == 0, "\(made.output)\(made.errors)")
    try Data(count: 100).write(to: image)
    let small = try Program.run(["test", "s.json"], in: folder)
    #expect(small.status == 2)
    #expect(
      small.errors.hasPrefix("s.json:2:47: error: machine.disks[0].image: \"disk.img\": has 100 bytes"),
      "\(small.errors)")
  }
}
