import LinuxConfig
import Testing

@testable import Sim

/// SUSE's mkinitrd, linuxrc, network scripts and YaST's second stage, as they stand in the profiles.
@Suite struct SUSETests {
  private static let image = "/boot/initrd-2.6.5-7.244-default"
  private static let boots = "boots"

  /// Puts lines into a file, so that the first of them has a number.
  private static func insert(_ lines: [String], at number: Int, in path: String, _ rig: inout Rig) throws {
    var text = try #require(rig.scenario.files.text(path)).split(
      separator: "\n", omittingEmptySubsequences: false
    ).map(String.init)
    text.insert(contentsOf: lines, at: number - 1)
    rig.scenario.files.write(text.joined(separator: "\n"), to: path)
  }

  // MARK: - mkinitrd of SLES 9

  @Test(
    "lines put into mkinitrd count where they stand: only what is in the here-document runs in the image",
    arguments: [
      (1900, boots), (1901, boots), (1902, "fails: initramfs-iscsi chap-refused"),
      (1897, "fails: initramfs-iscsi chap-refused"), (1700, "fails: initramfs-iscsi chap-refused"),
    ])
  func linesPutIntoMkinitrd(_ line: Int, _ summary: String) throws {
    var rig = try Rig("sles9-sp3", [.boot])
    let chap = Credentials(username: "u", password: "secret123456")
    rig.scenario.targets[0].chap = chap
    rig.scenario.machine.nics[0].optionROM?.chap = chap
    try Self.insert(
      ["echo Username=u >> /etc/iscsi.conf", "echo Password=secret123456 >> /etc/iscsi.conf"], at: line,
      in: "/sbin/mkinitrd", &rig)
    #expect(rig.explored().summary == summary)
  }

  @Test(
    "what INITRD_MODULES lists is in the image, with what it needs",
    arguments: [
      ("ide-disk reiserfs e1000 iscsi", boots), ("iscsi e1000", boots),
      ("iscsi", "fails: initramfs-network nic-driver-missing"),
      ("iscsi tg3", "fails: initramfs-network nic-driver-missing"),
      ("e1000", "fails: initramfs-iscsi initiator-not-in-initramfs"),
    ])
  func whatINITRDMODULESLists(_ modules: String, _ summary: String) throws {
    var rig = try Rig("sles9-sp3", [.boot])
    rig.write("/etc/sysconfig/kernel", "INITRD_MODULES=\"\(modules)\"")
    #expect(rig.explored().summary.hasPrefix(summary))
  }

  @Test(
    "a module that depmod does not list, or that is not there, is not in the image", arguments: [true, false])
  func aModuleThatIsNotThere(_ isListed: Bool) throws {
    var rig = try Rig("sles9-sp3", [.boot])
    let module = "/lib/modules/2.6.5-7.244-default/kernel/drivers/net/e1000/e1000.ko"
    if isListed {
      rig.remove(module)
    } else {
      try rig.replace(module, "/lib/modules/other.ko", in: "/lib/modules/2.6.5-7.244-default/modules.dep")
    }
    #expect(rig.explored().summary == "fails: initramfs-network nic-driver-missing")
  }

  @Test(
    "the interface that -D names is configured, and no other",
    arguments: [
      ("mkinitrd -D eth0", boots), ("/sbin/mkinitrd -k vmlinuz-2.6.5-7.244-default -D eth0", boots),
      ("mkinitrd", "fails: initramfs-network interface-not-configured"),
      ("mkinitrd -D eth1", "fails: initramfs-network interface-not-configured"),
    ])
  func theInterfaceThatDNames(_ command: String, _ summary: String) throws {
    var rig = try Rig("sles9-sp3", [.boot])
    rig.scenario.initrds[Self.image]?.command = command
    #expect(rig.explored().summary == summary)
  }

  @Test("an image has what its files were when mkinitrd ran") func anImageHasWhatItsFilesWere() throws {
    let forget = "sed -i '/^DiscoveryAddress/d' /etc/iscsi.conf"
    let missing = "fails: initramfs-iscsi initiator-not-configured"
    #expect(try Rig("sles9-sp3", [.boot, .run(forget), .reboot]).explored().summary == Self.boots)
    let built = try Rig("sles9-sp3", [.boot, .run(forget), .run("mkinitrd -D eth0"), .reboot])
    #expect(built.explored().summary == missing)
  }

  @Test("linuxrc waits for the root while iscsid tries, and gives up after some seconds")
  func linuxrcWaitsForTheRoot() throws {
    var rig = try Rig(
      "sles9-sp3",
      [
        .targetDown(iqn: "iqn.2006-01.com.example:boot", microseconds: 5_000_000, at: .initramfsNetwork),
        .boot,
      ])
    #expect(rig.explored().summary == Self.boots)
    rig.scenario.story[0] = .targetDown(
      iqn: "iqn.2006-01.com.example:boot", microseconds: 60_000_000, at: .initramfsNetwork)
    #expect(rig.explored().summary == "fails: initramfs-iscsi target-unreachable")
  }

  // MARK: - The running system

  private static let ifcfg = "/etc/sysconfig/network/ifcfg-eth-id-00:15:17:00:00:02"

  @Test(
    "the network script takes an interface that has a configuration from under the root, unless the loop skips it",
    arguments: [
      (nil, nil, boots), ("onboot", nil, "fails: init network-taken-from-root"),
      ("onboot", (170, "test \"$a\" = eth0 && continue;"), boots),
      ("onboot", (170, "test \"$a\" = eth1 && continue;"), "fails: init network-taken-from-root"),
      ("onboot", (170, "# test \"$a\" = eth0 && continue;"), "fails: init network-taken-from-root"),
      ("onboot", (169, "test \"$a\" = eth0 && continue;"), "fails: init network-taken-from-root"),
      ("onboot", (174, "test \"$a\" = eth0 && continue;"), "fails: init network-taken-from-root"),
      ("onboot", (173, "[ $a = eth0 ] && continue"), "fails: init network-taken-from-root"),
      ("onboot", (172, "[ $a = eth0 ] && continue"), boots),
    ] as [(String?, (Int, String)?, String)])
  func theNetworkScript(_ mode: String?, _ line: (Int, String)?, _ summary: String) throws {
    var rig = try Rig("sles9-sp3")
    if let mode { rig.write(Self.ifcfg, "BOOTPROTO=dhcp", "STARTMODE=\(mode)") }
    if let line { try Self.insert([line.1], at: line.0, in: "/etc/init.d/network", &rig) }
    #expect(rig.explored().summary == summary)
  }

  @Test("without its S link the network script is not run; its K link stops the network under the root")
  func withoutItsSLink() throws {
    var rig = try Rig("sles9-sp3")
    rig.write(Self.ifcfg, "BOOTPROTO=dhcp", "STARTMODE=onboot")
    rig.remove("/etc/init.d/rc5.d/S05network")
    #expect(rig.explored().summary == "fails: shutdown network-down-at-shutdown")
    rig.remove("/etc/init.d/rc5.d/K17network")
    #expect(rig.explored().summary == Self.boots)
  }

  @Test(
    "what is typed at YaST's question decides",
    arguments: [
      ("configure", "fails: init network-taken-from-root"), ("skip", boots), ("", boots),
    ])
  func whatIsTypedAtYaSTsQuestion(_ answer: String, _ summary: String) throws {
    var rig = try Rig("sles9-sp3", [.boot])
    rig.write("/dev/console", answer)
    #expect(
      rig.explored().summary == Self.boots, "the second stage runs only where the installation is not over")
    rig.write("/var/lib/YaST2/runme_at_boot")
    #expect(rig.explored().summary == summary)
  }

  @Test("an answer that nobody gives is named in the report") func anAnswerThatNobodyGives() throws {
    var rig = try Rig("sles9-sp3", [.boot])
    rig.write("/var/lib/YaST2/runme_at_boot")
    let report = rig.explored()
    #expect(report.summary == Self.boots)
    #expect(report.notLookedAt.contains { $0.contains("YaST2.Second-Stage") })
  }

  // MARK: - SLES 10

  private static let record =
    "/etc/iscsi/nodes/iqn.2006-01.com.example:boot/192.168.0.2,3260,1/default"
  private static let interface = "/etc/sysconfig/network/ifcfg-eth-id-00:15:17:00:00:0a"

  @Test(
    "SLES 10's image has the records that are logged in to on boot, and the interface that stays up",
    arguments: [
      (record, "onboot", "automatic", "fails: initramfs-iscsi initiator-not-in-initramfs"),
      (record, "192.168.0.2\n", "192.168.0.9\n", "fails: initramfs-iscsi target-unreachable"),
      (interface, "nfsroot", "auto", "fails: initramfs-network interface-not-configured"),
      (interface, "'static'", "'dhcp'", "fails: initramfs-network no-address"),
      ("/etc/sysconfig/kernel", " e1000", "", "fails: initramfs-network nic-driver-missing"),
    ])
  func sles10sImage(_ path: String, _ old: String, _ new: String, _ summary: String) throws {
    var rig = try Rig("sles10")
    try rig.replace(old, new, in: path)
    #expect(rig.explored().summary == summary)
  }

  @Test("SLES 10's record has CHAP name and secret for the image") func sles10sRecordHasCHAP() throws {
    var rig = try Rig("sles10")
    let chap = Credentials(username: "u", password: "secret123456")
    rig.scenario.targets[0].chap = chap
    rig.scenario.machine.nics[0].optionROM?.chap = chap
    #expect(rig.explored().summary == "fails: initramfs-iscsi chap-refused")
    try rig.replace(
      "node.startup",
      "node.session.auth.username = u\nnode.session.auth.password = secret123456\nnode.startup",
      in: Self.record)
    #expect(rig.explored().summary == Self.boots)
  }
}
