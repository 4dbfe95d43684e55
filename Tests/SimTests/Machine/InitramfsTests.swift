import LinuxConfig
import Testing

@testable import Sim

/// What is in an initramfs, what it is told, and what it logs in with.
@Suite struct InitramfsTests {
  private static let host = "iqn.2024-01.lab:host"
  private static let disk = "iqn.2024-01.lab:disk"
  private static let chap = Credentials(username: "labuser", password: "labsecret1234")

  // MARK: - The image is as old as its last build

  @Test("an edit reaches the initramfs only when the image is built again") func anEditReachesTheInitramfs()
    throws
  {
    let edit = StoryStep.write(path: "/etc/iscsi/iscsi.initramfs", text: "# nothing\n")
    let build = StoryStep.run("update-initramfs -u")
    let fails = "fails: initramfs-iscsi initiator-not-configured"
    let stories: [([StoryStep], String)] = [
      ([.boot, edit, .reboot], "boots"), ([.boot, build, edit, .reboot], "boots"),
      ([.boot, edit, build, .reboot], fails),
      ([.boot, edit, .run("update-initramfs -u -k all"), .reboot], fails),
      ([.boot, edit, .reboot, build, .shutdown, .boot], fails),
    ]
    for (story, expected) in stories {
      let report = try Rig("debian-12", story).explored()
      #expect(report.summary == expected, "\(story)")
      #expect(report.outcomes.first?.boots.first?.outcome == .boots, "the first boot is of the old image")
    }
  }

  @Test("mkinitrd of Red Hat takes the adapters of modprobe.conf as they are when it runs")
  func mkinitrdOfRedHat() throws {
    let edit = StoryStep.write(path: "/etc/modprobe.conf", text: "alias eth0 e1000\n")
    var stale = try Rig("rhel4-u4", [.boot, edit, .reboot])
    try stale.replace("HALTARGS=\"-i -d\"", "HALTARGS=\"-d\"", in: "/etc/rc.d/init.d/halt")
    #expect(stale.explored().summary == "boots")
    var rebuilt = stale
    rebuilt.scenario.story = [
      .boot, edit, .run("mkinitrd -f /boot/initrd-2.6.9-42.EL.img 2.6.9-42.EL"), .reboot,
    ]
    #expect(rebuilt.explored().summary == "fails: initramfs-iscsi initiator-not-in-initramfs")
  }

  // MARK: - What is in it

  @Test("what the image's maker leaves out is missing when it is needed") func whatTheMakerLeavesOut() throws
  {
    let cases: [(String, String, @Sendable (inout Rig) throws -> Void)] = [
      (
        "NO_ISCSI_IN_INITRAMFS", "fails: initramfs-iscsi initiator-not-in-initramfs",
        { $0.write("/etc/initramfs-tools/conf.d/open-iscsi", "NO_ISCSI_IN_INITRAMFS=yes") }
      ),
      (
        "a list without the adapter", "fails: initramfs-network nic-driver-missing",
        { try $0.replace("MODULES=most", "MODULES=list", in: "/etc/initramfs-tools/initramfs.conf") }
      ),
      (
        "a list with adapter, disk driver and file system", "boots",
        {
          try $0.replace("MODULES=most", "MODULES=list", in: "/etc/initramfs-tools/initramfs.conf")
          $0.write("/etc/initramfs-tools/modules", "e1000", "sd_mod", "ext4")
        }
      ),
      (
        "a list without the disk driver, which nothing pulls in", "fails: root-mount root-disk-missing",
        {
          try $0.replace("MODULES=most", "MODULES=list", in: "/etc/initramfs-tools/initramfs.conf")
          $0.write("/etc/initramfs-tools/modules", "e1000", "ext4")
        }
      ),
      (
        "the adapter's module left out of the image", "fails: initramfs-network nic-driver-missing",
        {
          $0.scenario.initrds["/boot/initrd.img-6.1.0-50-amd64"] = InitrdSpec(
            modules: nil, add: [], omit: ["e1000"], files: [:])
        }
      ),
      (
        "iscsistart left out of the image", "fails: initramfs-iscsi initiator-not-in-initramfs",
        {
          $0.scenario.initrds["/boot/initrd.img-6.1.0-50-amd64"] = InitrdSpec(
            modules: nil, add: [], omit: ["iscsistart"], files: [:])
        }
      ),
      (
        "what it is told on the kernel line, and no file iscsi.initramfs", "boots",
        {
          $0.remove("/etc/iscsi/iscsi.initramfs")
          try $0.append("iscsi_auto")
        }
      ),
    ]
    for (what, expected, edit) in cases {
      var rig = try Rig("debian-12", [.boot])
      try edit(&rig)
      #expect(rig.explored().summary == expected, "\(what)")
    }
  }

  @Test("a kernel without an initramfs panics; GRUB legacy does not even start it")
  func aKernelWithoutAnInitramfs() throws {
    var rig = try Rig("debian-12", [.boot])
    rig.remove("/boot/initrd.img-6.1.0-50-amd64")
    #expect(rig.explored().summary == "fails: root-mount kernel-file-missing")
    #expect(rig.nominal()?.prints("Kernel panic") == true)
    rig = try Rig("debian-12", [.boot])
    try rig.replace("\tinitrd\t/initrd.img-6.1.0-50-amd64\n", "", in: rig.menu)
    #expect(rig.explored().summary == "fails: root-mount initiator-not-in-initramfs")
    var legacy = try Rig("ubuntu-9.04", [.boot])
    legacy.remove("/boot/initrd.img-2.6.28-11-generic")
    #expect(legacy.explored().summary == "fails: boot-loader kernel-file-missing")
  }

  @Test("a stick is found before the login only if its driver is in the image")
  func aStickIsFoundBeforeTheLoginOnlyIf() throws {
    var rig = try Rig("debian-12", [.boot])
    rig.stick("u")
    #expect(rig.nominal()?.boots[0].disks == ["sda": "u", "sdb": "LUN 1"])
    rig.scenario.initrds["/boot/initrd.img-6.1.0-50-amd64"] = InitrdSpec(
      modules: nil, add: [], omit: ["usb-storage"], files: [:])
    #expect(rig.nominal()?.boots[0].disks == ["sda": "LUN 1", "sdb": "u"])
  }

  // MARK: - What it is told

  private static let right = "iscsi_initiator=\(host) iscsi_target_name=\(disk) iscsi_target_ip=10.0.2.2"

  @Test("the file gives way to the lower-case words of the kernel line, and overrides the upper-case ones")
  func theFileGivesWayToTheLowerCaseWords() throws {
    let file = ["ISCSI_INITIATOR=\(Self.host)", "ISCSI_TARGET_IP=10.0.2.2"]
    let (good, bad) = ("ISCSI_TARGET_NAME=\(Self.disk)", "ISCSI_TARGET_NAME=\(Self.disk)x")
    let unknown = "fails: initramfs-iscsi target-name-unknown"
    let cases: [(file: [String], line: String, expected: String)] = [
      (file + [good], "quiet", "boots"), (file + [bad], "quiet", unknown),
      (file + [bad], "iscsi_target_name=\(Self.disk)", "boots"),
      (file + [good], "iscsi_target_name=\(Self.disk)x", unknown), (file + [good], bad, "boots"),
      (file + [bad], good, unknown), (file, good, "boots"),
      (file, "quiet", "fails: initramfs-iscsi initiator-not-configured"),
      ([], "iscsi_target_name=\(Self.disk)", "fails: initramfs-iscsi initiator-not-configured"),
      ([], "iscsi_target_ip=10.0.2.2", "fails: initramfs-iscsi initiator-not-configured"),
      ([], Self.right, "boots"),
      (["ISCSI_AUTO=true", bad], "quiet", "boots"), ([], "iscsi_auto", "boots"),
    ]
    for (lines, line, expected) in cases {
      var rig = try Rig("debian-12", [.boot])
      rig.scenario.files.write(lines.map { $0 + "\n" }.joined(), to: "/etc/iscsi/iscsi.initramfs")
      try rig.append(line)
      #expect(rig.explored().summary == expected, "\(lines) \(line)")
    }
  }

  @Test("CHAP comes from where the initramfs takes its settings") func chapComesFromWhereTheInitramfs() throws
  {
    let user = "iscsi_username=labuser iscsi_password=labsecret1234"
    let cases: [(rom: Credentials?, auto: Bool, line: String, expected: String)] = [
      (Self.chap, true, "quiet", "boots"), (nil, true, "quiet", "fails: option-rom option-rom-login-refused"),
      (
        Credentials(username: "labuser", password: "another-secret"), true, "quiet",
        "fails: option-rom option-rom-login-refused"
      ),
      (Self.chap, false, Self.right, "fails: initramfs-iscsi chap-refused"),
      (Self.chap, false, "\(Self.right) \(user)", "boots"),
      (Self.chap, false, "\(Self.right) \(user)x", "fails: initramfs-iscsi chap-refused"),
      (Self.chap, false, "\(Self.right) iscsi_username=labuser", "fails: initramfs-iscsi chap-refused"),
    ]
    for (rom, auto, line, expected) in cases {
      var rig = try Rig("debian-12", [.boot])
      rig.scenario.targets[0].chap = Self.chap
      rig.scenario.machine.nics[0].optionROM?.chap = rom
      rig.write("/etc/iscsi/iscsi.initramfs", auto ? "ISCSI_AUTO=true" : "# by the kernel line")
      try rig.append(line)
      #expect(rig.explored().summary == expected, "\(line)")
    }
  }

  @Test("a target refuses in three ways: 02/02 and 02/03 are the end, 03/02 is tried again")
  func aTargetRefusesInThreeWays() throws {
    func rig(_ line: String) throws -> Rig {
      var rig = try Rig("debian-12", [.boot])
      rig.write("/etc/iscsi/iscsi.initramfs", "# by the kernel line")
      try rig.append(line)
      return rig
    }
    var refused = try rig("\(Self.right) iscsi_initiator=iqn.2024-01.lab:other")
    refused.scenario.targets[0].acl = [Self.host]
    #expect(refused.explored().summary == "fails: initramfs-iscsi initiator-not-admitted")
    #expect(refused.nominal()?.prints("(02/02)") == true)
    let unknown = try rig(
      "\(Self.right) iscsi_target_name=\(Self.disk.uppercased().replacing("IQN", with: "iqn"))")
    #expect(unknown.explored().summary == "fails: initramfs-iscsi target-name-unknown")
    #expect(unknown.nominal()?.prints("(02/03)") == true)
    var counted = try rig(Self.right)
    counted.scenario.targets[0].maxSessions = 1
    counted.scenario.targets[0].dropsDeadSessionsAfter = nil
    #expect(counted.explored().summary == "fails: initramfs-iscsi session-limit")
    #expect(counted.nominal()?.prints("(03/02)") == true)
    counted.scenario.targets[0].dropsDeadSessionsAfter = Delay(earliest: 30_000_000, latest: 40_000_000)
    #expect(counted.explored().summary == "boots")
    #expect(counted.nominal()?.prints("(03/02)") == true)
    counted.scenario.targets[0].maxSessions = 2
    counted.scenario.targets[0].dropsDeadSessionsAfter = nil
    #expect(counted.explored().summary == "boots")
  }

  @Test("without an iBFT there is nothing to take the settings from") func withoutAnIBFT() throws {
    var rig = try Rig("debian-12", [.boot])
    rig.scenario.machine.nics[0].optionROM?.ibft = false
    #expect(rig.explored().summary == "fails: initramfs-iscsi no-ibft")
    try rig.append(Self.right)
    rig.write("/etc/iscsi/iscsi.initramfs", "# by the kernel line")
    #expect(rig.explored().summary == "boots")
  }

  @Test("the root is found by each kind of name") func theRootIsFoundByEachKindOfName() throws {
    let cases = [
      ("root=/dev/sda2", "boots"), ("root=LABEL=labroot", "boots"),
      ("root=UUID=79D5E8B3-A1A3-4F27-A1AA-1333E6BBCF8C", "boots"),
      ("root=/dev/disk/by-uuid/79d5e8b3-a1a3-4f27-a1aa-1333e6bbcf8c", "boots"),
      ("root=/dev/disk/by-label/labroot", "boots"),
      ("root=/dev/disk/by-path/ip-10.0.2.2:3260-iscsi-iqn.2024-01.lab:disk-lun-1-part2", "boots"),
      ("root=LABEL=labroot2", "fails: root-mount root-not-found-by-name"),
      ("root=UUID=00000000-0000-0000-0000-000000000000", "fails: root-mount root-not-found-by-name"),
      ("root=/dev/sda3", "fails: root-mount root-device-renamed"),
      ("root=/dev/sdb2", "fails: root-mount root-device-renamed"),
      ("root=/dev/hda2", "fails: root-mount root-device-renamed"),
      ("root=/dev/sda1", "fails: root-mount root-device-renamed"),
    ]
    for (root, expected) in cases {
      var rig = try Rig("debian-12", [.boot])
      try rig.boot(root)
      #expect(rig.explored().summary == expected, "\(root)")
    }
  }
}
