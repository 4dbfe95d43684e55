import LinuxConfig
import Testing

@testable import Sim

/// Red Hat's own: mkinitrd and nash, `rc` with its lock files, kudzu, the firewall's script, and a crash of the kernel.
@Suite struct RedHatTests {
  private static let disk = "/tmp/iscsi/preinstall"
  private static let script = "/tmp/iscsi/postinstall/iscsipostinstall"
  private static let image = "/boot/initrd-2.6.9-42.EL.img"

  private static func rig(_ profile: String = "rhel4-u4", _ story: [StoryStep] = [.boot]) throws -> Rig {
    try Rig(profile, story)
  }

  // MARK: - The initrd

  @Test("insmod refuses what lacks a symbol, and what was built for another kernel or processor")
  func insmodRefuses() throws {
    let built = "vermagic:       2.6.9-42.EL 686 REGPARM 4KSTACKS gcc-3.4"
    let cases: [(file: String, lines: [String], expected: String)] = [
      ("iscsi_sfnet", ["depends:        scsi_transport_iscsi,scsi_mod", built], "boots"),
      // What the file does not say is not looked at.
      ("iscsi_sfnet", [], "boots"),
      ("iscsi_sfnet", ["depends:        libata,scsi_transport_iscsi", built], "boots"),
      ("iscsi_sfnet", ["depends:        ata_piix", built], "fails: initramfs-iscsi module-unresolved"),
      (
        "iscsi_sfnet", ["vermagic:       2.6.9-34.EL 686 REGPARM 4KSTACKS gcc-3.4"],
        "fails: initramfs-iscsi module-refused"
      ),
      ("iscsi_sfnet", ["vermagic:       2.6.9-42.EL gcc-3.4"], "fails: initramfs-iscsi module-refused"),
      // Without CHAP nobody asks for it.
      ("md5", ["vermagic:       2.6.9-34.EL gcc-3.4"], "boots"),
    ]
    for (file, lines, expected) in cases {
      var rig = try Self.rig()
      rig.scenario.files.write(lines.map { $0 + "\n" }.joined(), to: "\(Self.disk)/\(file).ko")
      #expect(rig.explored().summary == expected, "\(file) \(lines)")
    }
  }

  @Test("each module that the document copies is needed, md5 only for CHAP") func eachModuleIsNeeded() throws
  {
    for module in ["scsi_transport_iscsi", "iscsi_sfnet", "crc32c", "libcrc32c", "md5"] {
      for secret in [nil, Credentials(username: "chapuser", password: "chapsecret12")] {
        var rig = try Self.rig()
        rig.remove("\(Self.disk)/\(module).ko")
        rig.scenario.targets[0].chap = secret
        rig.scenario.machine.nics[0].optionROM?.chap = secret
        if secret != nil {
          rig.write(
            "/etc/iscsi.conf", "DiscoveryAddress=192.168.0.2", "\tUsername=chapuser",
            "\tPassword=chapsecret12")
        }
        let finding = module == "iscsi_sfnet" ? "initiator-not-in-initramfs" : "module-unresolved"
        let expected = module == "md5" && secret == nil ? "boots" : "fails: initramfs-iscsi \(finding)"
        #expect(rig.explored().summary == expected, "\(module), CHAP \(secret != nil)")
      }
    }
  }

  @Test("without Intel's script, its utility or its settings there is no initiator")
  func withoutIntelsScript()
    throws
  {
    let cases = [
      (Self.script, "initiator-not-in-initramfs"),
      ("/tmp/iscsi/iscsi_boot_util", "initiator-not-in-initramfs"),
      ("/etc/iscsi.conf", "initiator-not-configured"),
    ]
    for (path, finding) in cases {
      var rig = try Self.rig()
      rig.remove(path)
      #expect(rig.explored().summary == "fails: initramfs-iscsi \(finding)", "\(path)")
    }
  }

  @Test("the words of mkinitrd: what is preloaded, added, left out, and for which kernel")
  func theWordsOfMkinitrd() throws {
    let model = MachineModel(try Self.rig().scenario)
    func lines(_ words: String...) -> [String] {
      var initrd = RedHatInitrd(
        model: model, tree: model.scenario.files, options: MkinitrdOptions(words, image: Self.image))
      initrd.loadDrivers()
      return initrd.script.compactMap { $0.dropping("insmod /lib/") } + [initrd.failure].compactMap { $0 }
    }
    let disk = ["scsi_mod.ko", "sd_mod.ko", "usb-storage.ko"], root = ["jbd.ko", "ext3.ko"]
    #expect(lines() == disk + root)
    #expect(lines("-f", Self.image, "2.6.9-42.EL") == disk + root)
    #expect(lines("--with=e1000", "--with", "tg3") == disk + root + ["e1000.ko", "tg3.ko"])
    #expect(lines("--preload=libata") == ["scsi_mod.ko", "libata.ko"] + disk.dropFirst() + root)
    #expect(lines("--omit-scsi-modules") == root)
    #expect(
      lines("--with=iscsi_sfnet") == disk + root + ["scsi_transport_iscsi.ko", "iscsi_sfnet.ko"],
      "what modules.dep says, and no more: the digests are asked for by name, at run time")
    #expect(
      lines("--with=e1000e") == disk + root + [
        "No module e1000e found for kernel 2.6.9-42.EL, aborting."
      ])
    #expect(lines("--allow-missing", "--with=e1000e") == disk + root)
    #expect(
      MkinitrdOptions(["-f", "/boot/x.img", "2.6.9-34.EL"], image: "/boot/x.img").version == "2.6.9-34.EL")
    #expect(MkinitrdOptions([], image: "/boot/initrd-2.6.9-34.EL.img").version == "2.6.9-34.EL")
  }

  @Test("mkinitrd by itself puts no initiator in; one that ends early leaves the image as it was")
  func mkinitrdByItself() throws {
    func after(_ line: String) throws -> String {
      var rig = try Self.rig("rhel4-u4", [.boot, .run(line), .reboot])
      try rig.replace("HALTARGS=\"-i -d\"", "HALTARGS=\"-d\"", in: "/etc/rc.d/init.d/halt")
      return rig.explored().summary
    }
    let file = "\(Self.image) 2.6.9-42.EL"
    #expect(
      try after("mkinitrd -f --with=iscsi_sfnet \(file)")
        == "fails: initramfs-iscsi initiator-not-in-initramfs")
    #expect(try after("mkinitrd -f --with=e1000e \(file)") == "boots")
    #expect(try after("mkinitrd \(file)") == "boots", "it exists already")
  }

  @Test("the initrd of RHEL 5.1 has the settings of its node record, that of 5.2 asks the iBFT")
  func theInitrdOfRHEL5() throws {
    for (profile, moved) in [("rhel5.1", "fails: initramfs-iscsi target-unreachable"), ("rhel5.2", "boots")] {
      #expect(try Self.rig(profile, [.boot, .shutdown]).explored().summary == "boots")
      var rig = try Self.rig(profile)
      rig.scenario.targets[0].portal = "192.168.0.9:3260"
      rig.scenario.machine.nics[0].optionROM?.portal = "192.168.0.9:3260"
      #expect(rig.explored().summary == moved)
    }
    // Without an iBFT 5.2 falls back to the record.
    var rig = try Self.rig("rhel5.2")
    rig.scenario.machine.nics[0].optionROM?.ibft = false
    #expect(rig.explored().summary == "boots")
    rig.remove("/var/lib/iscsi/nodes/iqn.2006-01.com.example:boot/192.168.0.2,3260")
    #expect(rig.explored().summary == "fails: initramfs-iscsi initiator-not-in-initramfs")
  }

  // MARK: - rc

  @Test("rc stops what has a lock file, whoever made or removed it") func rcStopsWhatHasALockFile() throws {
    let lost = "fails: shutdown network-down-at-shutdown"
    let cases: [(story: [StoryStep], edit: @Sendable (inout Rig) throws -> Void, expected: String)] = [
      ([.boot, .shutdown], { _ in }, lost),
      ([.boot, .shutdown], { $0.remove("/etc/rc.d/rc0.d/K90network") }, "boots"),
      ([.boot, .shutdown], { $0.remove("/etc/rc.d/rc3.d/S10network") }, "boots"),
      (
        [.boot, .shutdown],
        {
          try $0.replace(
            "        touch /var/lock/subsys/network\n", "        :\n", in: "/etc/rc.d/init.d/network")
        }, "boots"
      ),
      ([.boot, .run("rm -f /var/lock/subsys/network"), .shutdown], { _ in }, "boots"),
      (
        [.boot, .run("touch /var/lock/subsys/network"), .shutdown],
        { $0.remove("/etc/rc.d/rc3.d/S10network") }, lost
      ),
      // The lock files are gone with the boot that made them.
      (
        [.boot, .run("rm -f /etc/rc.d/rc3.d/S10network /var/lock/subsys/network"), .reboot, .shutdown],
        { _ in }, "boots"
      ),
    ]
    for (story, edit, expected) in cases {
      var rig = try Self.rig("rhel4-u4", story)
      rig.write(
        "/etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0", "IPADDR=192.168.0.10", "ONBOOT=no")
      try rig.replace("HALTARGS=\"-i -d\"", "HALTARGS=\"-d\"", in: "/etc/rc.d/init.d/halt")
      try edit(&rig)
      #expect(rig.explored().summary == expected, "\(story)")
    }
  }

  @Test("kudzu asks about adapters that hwconf does not have, and only about those") func kudzuAsks() throws {
    let configure = StoryStep.answer(program: "kudzu", text: "configure")
    var rig = try Self.rig("rhel4-u4", [configure, .boot])
    #expect(rig.explored().summary == "boots", "the adapter is in hwconf")
    rig.write("/etc/sysconfig/hwconf", "-", "class: NETWORK", "network.hwaddr: 00:15:17:00:00:99")
    #expect(rig.explored().summary == "fails: init network-taken-from-root")
    rig.scenario.story = [configure, .answer(program: "kudzu", text: "ignore"), .boot]
    #expect(rig.explored().summary == "boots", "the last answer counts")
    rig.scenario.story = [.boot]
    #expect(rig.nominal()?.prints("Hardware Added: eth0") == true)
    #expect(rig.explored().summary == "boots", "nobody answers")
  }

  // MARK: - Firewall

  @Test("chains of the system's own are followed, and what is not a beginning is let in by ! --syn")
  func chainsOfTheSystemsOwn() throws {
    let scenario = try Self.rig().scenario
    let cases: [(rules: [String], drops: Bool, cuts: Bool)] = [
      ([], false, false),
      (["-A INPUT -j MINE", "-A MINE -j DROP"], true, false),
      (["-A INPUT -j MINE", "-A MINE -j RETURN", "-A MINE -j DROP"], false, false),
      (["-A INPUT -j MINE", "-A INPUT -j DROP", "-A MINE -p tcp --sport 3260 -j ACCEPT"], false, false),
      (["-A INPUT -j MINE", "-A MINE -j MINE", "-A INPUT -j DROP"], true, false),
      (["-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT", "-A INPUT -j REJECT"], false, true),
      (["-A INPUT -m state --state INVALID -j DROP"], false, true),
      (["-A INPUT -p tcp ! --syn -j ACCEPT", "-P INPUT DROP"], false, false),
      (["-A INPUT -p tcp --syn -j ACCEPT", "-P INPUT DROP"], true, false),
      (["-A INPUT -j DROP", "-F"], false, false),
      (["-A INPUT -j DROP", "-F INPUT"], false, false),
    ]
    for (rules, drops, cuts) in cases {
      var firewall = FirewallRules()
      for rule in rules { firewall.apply(rule.split(separator: " ").map(String.init)) }
      #expect(firewall.drops(scenario).has(0) == drops, "\(rules)")
      #expect(firewall.cuts(scenario).has(0) == cuts, "\(rules)")
    }
  }

  @Test("rules that track connections cut an older one on a kernel before 2.6.20 only, and only once")
  func rulesThatTrackConnections() throws {
    func boot(_ story: [StoryStep] = [.boot]) throws -> Outcome? {
      var rig = try Self.rig("rhel4-u4", story)
      rig.write(
        "/etc/sysconfig/iptables", "*filter", ":INPUT DROP [0:0]", ":OUTPUT ACCEPT [0:0]",
        "-A INPUT -m state --state ESTABLISHED -j ACCEPT", "COMMIT")
      return rig.nominal()
    }
    #expect(try boot()?.boots.first?.outcome == .degraded)
    let restarted = try boot([.boot, .service(action: "restart", name: "iptables")])
    #expect(restarted?.boots.first?.outcome == .degraded, "the new connection is known to the tracking")
    var later = try Rig("rhel5.1", [.boot])
    later.write(
      "/etc/sysconfig/iptables", "*filter", ":INPUT DROP [0:0]", ":OUTPUT ACCEPT [0:0]",
      "-A INPUT -m state --state ESTABLISHED -j ACCEPT", "COMMIT")
    #expect(
      later.nominal()?.boots.first?.outcome == .boots,
      "iscsid, just started, takes the session over with a connection of its own")
    var today = try Rig("debian-12-sysv", [.boot])
    today.write("/etc/rcS.d/S12fw", "#!/bin/sh", "iptables-restore /etc/rules")
    today.write(
      "/etc/rules", "*filter", ":INPUT DROP [0:0]", ":OUTPUT ACCEPT [0:0]",
      "-A INPUT -m state --state ESTABLISHED -j ACCEPT", "COMMIT")
    #expect(today.nominal()?.boots.first?.outcome == .boots, "lab s8c")
  }

  // MARK: - Crash

  @Test("a dump is written where the driver works without interrupts, or over the network")
  func aDumpIsWritten() throws {
    struct Case {
      var diskdump: String?
      var netdump: String?
      var expected: String
    }
    let none = "fails: running dump-not-written"
    let cases = [
      Case(expected: none),
      Case(diskdump: "/dev/sdb1", expected: none),
      Case(diskdump: "/dev/sda1", expected: "boots"),
      Case(diskdump: "/dev/sdz1", expected: none),
      Case(diskdump: "", expected: none),
      Case(netdump: "192.168.0.3", expected: "boots"),
      Case(netdump: "", expected: none),
      Case(diskdump: "/dev/sdb1", netdump: "192.168.0.3", expected: "boots"),
    ]
    for test in cases {
      var rig = try Self.rig("rhel4-u4", [.boot, .panic])
      rig.disk("local", .scsi)
      rig.scenario.machine.disks[0].content.partitions = [Rig.plainPartition]
      rig.write("/etc/modprobe.conf", "alias eth0 e1000", "alias scsi_hostadapter aic7xxx")
      let links: [(String?, String, String, String)] = [
        (test.diskdump, "diskdump", "DEVICE", "S20diskdump"),
        (test.netdump, "netdump", "NETDUMPADDR", "S50netdump"),
      ]
      for (value, name, key, link) in links {
        guard let value else { continue }
        rig.write("/etc/sysconfig/\(name)", "\(key)=\(value)")
        rig.scenario.files["/etc/rc.d/rc3.d/\(link)"] = .link("../init.d/\(name)")
      }
      #expect(rig.explored().summary == test.expected, "\(test)")
    }
    var unplugged = try Self.rig(
      "rhel4-u4", [.boot, .linkDown(nic: "nic0", microseconds: nil, at: nil), .panic])
    unplugged.write("/etc/sysconfig/netdump", "NETDUMPADDR=192.168.0.3")
    unplugged.scenario.files["/etc/rc.d/rc3.d/S50netdump"] = .link("../init.d/netdump")
    #expect(unplugged.explored().summary.hasPrefix("fails: running"))
  }

  @Test("after a crash the next boot finds a file system that was not unmounted") func afterACrash() throws {
    var rig = try Self.rig("rhel4-u4", [.boot, .panic, .boot])
    rig.write("/etc/sysconfig/netdump", "NETDUMPADDR=192.168.0.3")
    rig.scenario.files["/etc/rc.d/rc3.d/S50netdump"] = .link("../init.d/netdump")
    #expect(rig.explored().summary == "boots")
    #expect(rig.nominal()?.prints("recovery complete") == true)
  }

  // MARK: - The format

  @Test("what kudzu can be told, and who can be answered at all") func whatKudzuCanBeTold() {
    func problems(_ step: String) -> [String] {
      let text =
        "{\"version\": 1, \"title\": \"t\", \"profile\": \"rhel4-u4\", \"story\": [\(step), \"boot\"]}"
      return ScenarioDecoder().load(Array(text.utf8), file: "t.json").problems.map(\.description)
    }
    #expect(problems("{\"answers\": {\"kudzu\": \"configure static\"}}") == [])
    #expect(problems("{\"answers\": {\"kudzu\": \"yes\"}}").count == 1)
    #expect(problems("{\"answers\": {\"emacs\": \"configure\"}}").count == 1)
    #expect(problems("{\"crash\": \"panic\"}").count == 1, "the machine is off")
    #expect(problems("{\"crash\": \"oops\"}").count == 1)
  }
}
