import LinuxConfig
import Testing

@testable import Sim

/// Firmware, option ROM and boot loader: what is tried, what is seen, what is loaded.
@Suite struct BootPathTests {
  // MARK: - Firmware and option ROM

  @Test("the boot order goes over what is attached at each power-on")
  func theBootOrderGoesOverWhatIsAttached() throws {
    let steps: [([StoryStep], String)] = [
      ([.boot], "boots"),
      ([.attach("u"), .boot], "fails: firmware booted-other-medium"),
      ([.boot, .attach("u"), .reboot], "fails: firmware booted-other-medium"),
      ([.boot, .attach("u"), .detach("u"), .reboot, .shutdown], "boots"),
      ([.attach("u"), .detach("u"), .boot, .shutdown, .boot], "boots"),
    ]
    for (story, expected) in steps {
      var rig = try Rig("debian-12", story)
      rig.stick("u", attached: false, bootCode: .other)
      rig.scenario.machine.bootOrder = ["u", "nic0"]
      #expect(rig.explored().summary == expected, "\(story)")
    }
  }

  @Test("what has no boot signature is passed over, what has one without a loader is the end")
  func whatHasNoBootSignatureIsPassedOver() throws {
    for (code, expected) in [
      (DiskContent.BootCode.none, "boots"), (.signatureOnly, "fails: firmware boot-sector-hangs"),
      (.other, "fails: firmware booted-other-medium"),
    ] {
      var rig = try Rig("debian-12")
      rig.stick("u", bootCode: code)
      rig.scenario.machine.bootOrder = ["u", "nic0"]
      #expect(rig.explored().summary == expected, "\(code)")
    }
  }

  @Test("after an option ROM that gives up the rest of the boot order has its turn")
  func afterAnOptionROMThatGivesUp() throws {
    var rig = try Rig("debian-12", [.boot])
    rig.scenario.machine.nics[0].optionROM?.portal = "10.0.2.2:3299"
    rig.stick("u", bootCode: .other)
    rig.scenario.machine.bootOrder = ["nic0", "u"]
    #expect(rig.explored().summary == "fails: firmware booted-other-medium")
    rig.scenario.machine.bootOrder = ["nic0"]
    #expect(rig.explored().summary == "fails: option-rom option-rom-target-unreachable")
  }

  @Test("the option ROM says why it exposes nothing") func theOptionROMSaysWhyItExposesNothing() throws {
    let cases: [(String, String, @Sendable (inout Scenario) -> Void)] = [
      ("no target", "option-rom-not-configured", { $0.machine.nics[0].optionROM?.target = nil }),
      ("no initiator", "option-rom-not-configured", { $0.machine.nics[0].optionROM?.initiator = nil }),
      ("no cable", "option-rom-no-address", { $0.machine.nics[0].cable = false }),
      ("no DHCP", "option-rom-no-address", { $0.network.dhcp = false }),
      ("target down", "option-rom-target-unreachable", { $0.targets[0].running = false }),
      ("other name", "option-rom-login-refused", { $0.targets[0].iqn = "iqn.2024-01.lab:Disk" }),
      ("not admitted", "option-rom-login-refused", { $0.targets[0].acl = ["iqn.2024-01.lab:other"] }),
      ("other LUN", "option-rom-no-lu", { $0.machine.nics[0].optionROM?.lun = 10 }),
      (
        "CHAP", "option-rom-login-refused",
        { $0.targets[0].chap = Credentials(username: "labuser", password: "labsecret1234") }
      ),
    ]
    for (what, finding, edit) in cases {
      var rig = try Rig("debian-12", [.boot])
      edit(&rig.scenario)
      #expect(rig.explored().summary == "fails: option-rom \(finding)", "\(what)")
    }
  }

  @Test("no boot device at all is the firmware's own failure") func noBootDeviceAtAll() throws {
    var rig = try Rig("debian-12", [.boot])
    rig.scenario.machine.bootOrder = []
    #expect(rig.explored().summary == "fails: firmware no-bootable-device")
  }

  // MARK: - GRUB legacy

  private func legacy(_ lines: String...) throws -> Rig {
    var rig = try Rig("ubuntu-9.04", [.boot])
    let text = try #require(rig.scenario.files.text("/boot/grub/menu.lst"))
    let kernel = try #require(text.split(separator: "\n").first { $0.hasPrefix("kernel") })
    let good = "uuid f859db1e-39f8-4539-9f0e-8292f8f93cca\n\(kernel)\ninitrd /initrd.img-2.6.28-11-generic"
    let bad = "root (hd0,0)\nkernel /vmlinuz-2.6.99 root=/dev/sda3\ninitrd /initrd.img-2.6.28-11-generic"
    let menu = lines.joined(separator: "\n").split(separator: "GOOD", omittingEmptySubsequences: false)
      .joined(separator: good).split(separator: "BAD", omittingEmptySubsequences: false).joined(
        separator: bad)
    rig.scenario.files.write(menu + "\n", to: "/boot/grub/menu.lst")
    return rig
  }

  @Test("GRUB legacy falls back to the entries that it is told to") func grubLegacyFallsBack() throws {
    let missing = "fails: boot-loader kernel-file-missing"
    #expect(
      try legacy("default 0", "title bad", "BAD", "title good", "GOOD").explored().summary == missing)
    #expect(
      try legacy("default 0", "fallback 1", "title bad", "BAD", "title good", "GOOD").explored().summary
        == "boots")
    #expect(
      try legacy("default 0", "fallback 1 2", "title bad", "BAD", "title bad", "BAD", "title good", "GOOD")
        .explored().summary == "boots")
    #expect(
      try legacy("default 0", "fallback 1", "title bad", "BAD", "title bad", "BAD", "title good", "GOOD")
        .explored().summary == missing)
    #expect(
      try legacy("default 1", "fallback 0", "title bad", "BAD", "title good", "GOOD").explored().summary
        == "boots")
  }

  @Test("GRUB legacy's saved default is what is in its file, and entry 0 without one") func savedDefault()
    throws
  {
    var rig = try legacy("default saved", "title bad", "BAD", "title good", "GOOD", "savedefault")
    #expect(rig.explored().summary == "fails: boot-loader kernel-file-missing")
    rig.write(
      "/boot/grub/default", "1", "#", "#",
      "# WARNING: If you want to edit this file directly, do not remove any line")
    #expect(rig.explored().summary == "boots")
    rig.write("/boot/grub/default", "0", "#", "#")
    #expect(rig.explored().summary == "fails: boot-loader kernel-file-missing")
  }

  @Test("GRUB legacy prints the number of its error") func grubLegacyPrintsTheNumber() throws {
    let cases = [
      ("root (hd1,0)", "Error 21: Selected disk does not exist", "boot-menu-drive-missing"),
      ("root (hd0,5)", "Error 22", "boot-menu-drive-missing"),
      ("kernel /no-such-kernel root=/dev/sda3", "Error 15: File not found", "kernel-file-missing"),
      (
        "initrd /initrd.img-2.6.28-11-generic", "Error 8: Kernel must be loaded before booting",
        "kernel-file-missing"
      ),
    ]
    for (line, console, finding) in cases {
      let rig = try legacy("default 0", "title t", line)
      let outcome = try #require(rig.nominal())
      #expect(outcome.prints(console), "\(line): \(outcome.boots[0].console)")
      #expect(outcome.failure?.finding == finding && outcome.failure?.stage == .bootLoader, "\(line)")
    }
  }

  // MARK: - GRUB 2

  private static let search = "search --no-floppy --fs-uuid --set=root 18311587-8c6e-4a3c-b4ca-9fead0c9fe7b"

  @Test(
    "grub.cfg finds its file system by UUID, by label or by a file, and keeps its root where it finds nothing",
    arguments: [
      "search --no-floppy --label --set=root labboot", "search --no-floppy -l labboot --set=root",
      "search --no-floppy --file --set=root /vmlinuz-6.1.0-50-amd64",
      "search --set=root --file /grub/grub.cfg",
      "search --no-floppy --fs-uuid --set root 18311587-8c6e-4a3c-b4ca-9fead0c9fe7b", "set root='hd0,msdos1'",
      "set root=(hd0,1)", "search --no-floppy --label --set=root no-such-label",
      "search.fs_label labboot root",
    ]) func grubCfgFindsItsFileSystem(_ line: String) throws
  {
    var rig = try Rig("debian-12", [.boot])
    try rig.replace(Self.search, line, in: "/boot/grub/grub.cfg")
    #expect(rig.explored().summary == "boots")
  }

  @Test("a search that leads elsewhere loads nothing there") func aSearchThatLeadsElsewhere() throws {
    for line in ["search --no-floppy --label --set=root labroot", "set root='hd0,msdos2'"] {
      var rig = try Rig("debian-12", [.boot])
      try rig.replace(Self.search, line, in: "/boot/grub/grub.cfg")
      #expect(rig.explored().summary == "fails: boot-loader boot-files-not-visible", "\(line)")
    }
    var rig = try Rig("debian-12", [.boot])
    try rig.replace(Self.search, "set root='hd1,msdos1'", in: "/boot/grub/grub.cfg")
    #expect(rig.explored().summary == "fails: boot-loader boot-menu-drive-missing")
  }

  @Test("grub.cfg's default is a number, a title or an identifier, and a saved one is read from grubenv")
  func grubCfgsDefault() throws {
    func rig(_ setting: String) throws -> Rig {
      var rig = try Rig("debian-12", [.boot])
      let text = try #require(rig.scenario.files.text("/boot/grub/grub.cfg"))
      let bad = "menuentry 'Bad' --id bad {\n  linux /vmlinuz-0.0 root=/dev/sda9\n}\n"
      let at = try #require(text.range(of: "menuentry"))
      rig.scenario.files.write(String(text[..<at.lowerBound]) + bad + text[at.lowerBound...], to: rig.menu)
      try rig.replace("set default=\"0\"", setting, in: rig.menu)
      return rig
    }
    let missing = "fails: boot-loader kernel-file-missing"
    #expect(try rig("set default=\"0\"").explored().summary == missing)
    #expect(try rig("set default=\"1\"").explored().summary == "boots")
    #expect(try rig("set default=\"Debian GNU/Linux\"").explored().summary == "boots")
    #expect(try rig("set default=gnulinux-simple").explored().summary == "boots")
    #expect(try rig("set default=bad").explored().summary == missing)
    #expect(try rig("set default=0\nset fallback=1").explored().summary == "boots")
    var saved = try rig("set default=\"${saved_entry}\"")
    #expect(saved.explored().summary == missing)
    saved.write("/boot/grub/grubenv", "# GRUB Environment Block", "saved_entry=gnulinux-simple", "####")
    #expect(saved.explored().summary == "boots")
    saved.write("/boot/grub/grubenv", "# GRUB Environment Block", "saved_entry=bad", "####")
    #expect(saved.explored().summary == missing)
  }

  // MARK: - grub-install

  @Test("grub-install writes where device.map leads, today") func grubInstallWritesWhereDeviceMapLeads()
    throws
  {
    let hangs = "fails: boot-loader boot-sector-hangs"
    let cases: [(map: [String], command: String, expected: String)] = [
      (["(hd0) /dev/sda", "(hd1) /dev/sdb"], "grub-install '(hd0)'", "boots"),
      (["(hd0) /dev/sdb", "(hd1) /dev/sda"], "grub-install '(hd0)'", hangs),
      (["(hd0) /dev/sdb", "(hd1) /dev/sda"], "grub-install '(hd1)'", "boots"),
      (["(hd0) /dev/sdb", "(hd1) /dev/sda"], "grub-install /dev/sda", "boots"),
      (["(hd0) /dev/sda"], "grub-install /dev/sdb", hangs),
      (["(hd1) /dev/sda"], "grub-install '(hd0)'", hangs),
      (["(hd0) /dev/sdz"], "grub-install '(hd0)'", hangs),
    ]
    for (map, command, expected) in cases {
      var rig = try Rig("rhel4-u4", [.installer, .run(command), .shutdown, .boot])
      rig.scenario.targets[0].luns[0].content.bootCode = .signatureOnly
      rig.scenario.targets[0].luns[0].content.grub = nil
      rig.scenario.files.write(map.map { $0 + "\n" }.joined(), to: "/boot/grub/device.map")
      #expect(rig.explored().summary == expected, "\(map) \(command)")
    }
  }
}
