import LinuxConfig
import Testing

@testable import Sim

/// From the root's init to the prompt: fstab, ifupdown, dhclient, and what the story does between boots.
@Suite struct InitTests {
  private static let root = "UUID=79d5e8b3-a1a3-4f27-a1aa-1333e6bbcf8c / ext4 errors=remount-ro 0 1"
  private static let gone = "UUID=00000000-dead-4000-8000-000000000000"
  private static let missing = "fails: init fstab-device-missing"
  private static let renamed = "fails: init fstab-device-renamed"

  @Test(
    "systemd stops at a line of fstab that it needs and cannot mount, and only at that",
    arguments: [
      ("\(gone) /data ext4 defaults 0 2", missing), ("\(gone) /data ext4 defaults 0 0", missing),
      ("\(gone) /data ext4 nofail 0 2", "boots"), ("\(gone) /data ext4 noauto 0 2", "boots"),
      ("\(gone) /data ext4 _netdev,nofail 0 0", "boots"), ("\(gone) /data ext4 _netdev 0 0", "boots"),
      ("LABEL=none-such /data ext4 defaults 0 0", missing), ("/dev/sdq1 /data ext4 defaults 0 0", renamed),
      ("/dev/sdq1 /data ext4 nofail 0 0", "boots"), ("\(gone) none swap sw 0 0", "boots"),
      ("tmpfs /tmp tmpfs defaults 0 0", "boots"),
      ("UUID=18311587-8c6e-4a3c-b4ca-9fead0c9fe7b /boot ext4 defaults 0 2", "boots"),
      ("UUID=18311587-8c6e-4a3c-b4ca-9fead0c9fe7b /boot xfs defaults 0 2", renamed),
    ]) func systemdStopsAtALineOfFstab(_ line: String, _ expected: String) throws
  {
    var rig = try Rig("debian-12", [.boot])
    rig.write("/etc/fstab", Self.root, line)
    let report = rig.explored()
    #expect(report.summary == expected)
    // systemd waits 90 s for a device that is not there; nothing waits for one that is wrong.
    let waits = line.hasPrefix(Self.gone) && expected == Self.missing
    if waits { #expect(report.outcomes.allSatisfy { $0.boots[0].at > 110_000_000 }) }
  }

  /// Debian's own files have six such modprobe units and a second udev trigger: 5040 orders of nothing.
  @Test(
    "units of a real system that load nothing this machine has, or that are modelled as a whole, add no orders"
  )
  func unitsThatLoadNothingAddNoOrders() throws {
    var rig = try Rig("debian-12", [.boot, .shutdown])
    let before = rig.explored()
    let modules = ["configfs", "dm_mod", "drm", "efi_pstore", "fuse", "loop"]
    rig.write(
      "/lib/systemd/system/modprobe@.service", "[Unit]", "DefaultDependencies=no", "Before=sysinit.target",
      "[Service]", "Type=oneshot", "ExecStart=-/sbin/modprobe -abq %i")
    rig.write(
      "/lib/systemd/system/sys.service", "[Unit]", "DefaultDependencies=no",
      "Wants=\(modules.map { "modprobe@\($0).service" }.joined(separator: " "))", "[Service]",
      "ExecStart=/bin/true")
    rig.scenario.files.link(
      "/etc/systemd/system/sysinit.target.wants/sys.service", to: "/lib/systemd/system/sys.service")
    for unit in ["systemd-udev-trigger", "systemd-remount-fs"] {
      rig.write(
        "/lib/systemd/system/\(unit).service", "[Unit]", "DefaultDependencies=no", "[Service]",
        "ExecStart=udevadm trigger --type=all --action=add")
      rig.scenario.files.link(
        "/etc/systemd/system/sysinit.target.wants/\(unit).service", to: "/lib/systemd/system/\(unit).service")
    }
    let after = rig.explored()
    #expect(after.summary == before.summary)
    #expect(after.states == before.states)
  }

  @Test("a unit's modprobe of the instance that it is called by loads a driver of this machine")
  func aUnitsModprobeLoadsTheInstance() throws {
    var rig = try Rig("debian-12", [.boot])
    let before = rig.explored().states
    rig.write(
      "/lib/systemd/system/modprobe@.service", "[Unit]", "DefaultDependencies=no", "[Service]",
      "ExecStart=-/sbin/modprobe -abq %i")
    rig.scenario.files.link(
      "/etc/systemd/system/sysinit.target.wants/modprobe@usb_storage.service",
      to: "/lib/systemd/system/modprobe@.service")
    #expect(rig.explored().states > before)
  }

  @Test(
    "a stick with the name of /boot stops systemd at once, but not where the line is nofail or of the network",
    arguments: [("defaults", renamed), ("nofail", "boots"), ("_netdev", "boots")])
  func aStickWithTheNameOfBoot(_ options: String, _ expected: String) throws {
    var rig = try Rig("debian-12", [.boot])
    rig.stick("u")
    rig.write("/etc/fstab", Self.root, "/dev/sda1 /boot ext4 \(options) 0 2")
    let report = rig.explored()
    #expect(report.summary == expected)
    #expect(report.outcomes.allSatisfy { $0.boots[0].at < 90_000_000 })
  }

  @Test(
    "sysvinit stops where fsck stops, and goes on where only mount complains",
    arguments: [
      ("debian-12-sysv", "\(gone) /data ext4 defaults 0 2", missing),
      ("debian-12-sysv", "\(gone) /data ext4 defaults 0 0", "boots"),
      ("debian-12-sysv", "\(gone) /data ext4 nofail 0 2", "boots"),
      ("debian-12-sysv", "\(gone) /data ext4 _netdev 0 0", "boots"),
      ("debian-12-sysv", "/dev/sdq1 /data ext4 defaults 0 2", renamed),
      ("rhel4-u4", "LABEL=/elsewhere /data ext3 defaults 1 2", missing),
      ("rhel4-u4", "LABEL=/elsewhere /data ext3 defaults 0 0", "boots"),
      ("rhel4-u4", "LABEL=/data /data ext3 defaults 1 2", "boots"),
      ("sles9-sp3", "/dev/sdc1 /data ext3 defaults 1 2", renamed),
      ("sles9-sp3", "/dev/sdc1 /data ext3 noauto 1 2", "boots"),
    ]) func sysvinitStopsWhereFsckStops(_ profile: String, _ line: String, _ expected: String) throws
  {
    var rig = try Rig(profile, [.boot])
    let table = try #require(rig.scenario.files.text("/etc/fstab"))
    rig.scenario.files.write(table + line + "\n", to: "/etc/fstab")
    #expect(rig.explored().summary == expected)
  }

  // MARK: - Network

  private static let interfaces = ["auto lo", "iface lo inet loopback", "auto ens3", "iface ens3 inet dhcp"]

  @Test("whether a new lease kills the root is decided by what dhclient's script does before it asks")
  func whetherANewLeaseKillsTheRoot() throws {
    let taken = "fails: init network-taken-from-root"
    let cases: [(preinit: String, bound: String, expected: String)] = [
      ("ip link set dev ${interface} up", "ip -4 addr add ${new_ip_address}/24 dev ${interface}", "boots"),
      (":", "ip -4 addr add ${new_ip_address}/24 dev ${interface}", "boots"),
      // ifconfig is in the page cache when it has to put the address back; another program is not.
      ("ifconfig $interface 0 up", "ifconfig $interface inet $new_ip_address", "boots"),
      ("ifconfig $interface 0 up", "ip -4 addr add ${new_ip_address}/24 dev ${interface}", taken),
      ("ip -4 addr flush dev ${interface}", "ip -4 addr add ${new_ip_address}/24 dev ${interface}", "boots"),
      ("ip link set dev ${interface} down", "ifconfig $interface $new_ip_address", taken),
    ]
    for (preinit, bound, expected) in cases {
      var rig = try Rig("debian-12", [.boot])
      rig.scenario.files.write(Self.interfaces.map { $0 + "\n" }.joined(), to: "/etc/network/interfaces")
      rig.write(
        "/sbin/dhclient-script", "#!/bin/bash", "case \"$reason\" in", "PREINIT)", preinit, ";;", "BOUND)",
        bound,
        ";;", "esac")
      #expect(rig.explored().summary == expected, "\(preinit) | \(bound)")
    }
  }

  @Test("nobody answers dhclient: the old lease's address stays, and the boot goes on")
  func nobodyAnswersDhclient() throws {
    var rig = try Rig("debian-12", [.boot])
    rig.scenario.network.dhcp = false
    rig.scenario.machine.nics[0].optionROM?.address = "10.0.2.15/24"
    rig.write("/etc/network/interfaces", "auto ens3", "iface ens3 inet dhcp")
    #expect(rig.explored().summary == "boots")
    // An older script takes the address away before it asks: then nothing gives it back.
    rig.write(
      "/sbin/dhclient-script", "#!/bin/bash", "case \"$reason\" in", "PREINIT) ifconfig $interface 0 up ;;",
      "BOUND) ifconfig $interface $new_ip_address ;;", "esac")
    #expect(rig.explored().summary == "fails: init network-taken-from-root")
  }

  @Test("a firewall that drops what comes from the target cuts the root off; one that lets it in does not")
  func aFirewallThatDropsWhatComesFromTheTarget() throws {
    let cut = "fails: init firewall-cuts-root"
    let cases: [([String], String)] = [
      (["iptables -P INPUT DROP"], cut), (["iptables -P INPUT ACCEPT"], "boots"),
      (["iptables -A INPUT -p tcp --sport 3260 -j ACCEPT", "iptables -P INPUT DROP"], "boots"),
      (
        ["iptables -A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT", "iptables -P INPUT DROP"],
        "boots"
      ),
      (["iptables -A INPUT -s 10.0.2.2 -j DROP"], cut), (["iptables -A INPUT -s 10.0.2.77 -j DROP"], "boots"),
      (["iptables -A INPUT -p udp -j DROP"], "boots"),
      (["iptables -A INPUT -i lo -j ACCEPT", "iptables -P INPUT DROP"], cut),
      (["iptables -A OUTPUT -p tcp --dport 3260 -j DROP"], cut), (["iptables -P OUTPUT DROP"], cut),
      (["iptables -A INPUT -s 198.51.100.7 -j ACCEPT", "iptables -P INPUT DROP"], cut),
    ]
    for (commands, expected) in cases {
      var rig = try Rig("debian-12-sysv", [.boot])
      rig.scenario.files.write(
        "#!/bin/sh\n" + commands.map { $0 + "\n" }.joined(), to: "/etc/rcS.d/S11a-firewall")
      #expect(rig.explored().summary == expected, "\(commands)")
      // Another target, which the rules may name, plays no part.
      rig.scenario.targets.append(
        TargetSpec(
          iqn: "iqn.2030-12.org.example:not-ours", portal: "198.51.100.7:3260", maxSessions: nil,
          dropsDeadSessionsAfter: nil, chap: nil, acl: nil, running: true, luns: []))
      #expect(rig.explored().summary == expected, "\(commands) beside another target")
    }
  }

  // MARK: - The next boot

  @Test("each boot finds what is plugged in then") func eachBootFindsWhatIsPluggedInThen() throws {
    let cases: [(root: String, plugged: Bool, [StoryStep], [BootOutcome])] = [
      ("root=/dev/sda2", false, [.boot, .attach("u"), .reboot], [.boots, .fails]),
      ("root=/dev/sda2", false, [.boot, .attach("u"), .detach("u"), .reboot], [.boots, .boots]),
      ("root=/dev/sda2", false, [.boot, .shutdown, .attach("u"), .boot], [.boots, .fails]),
      ("root=/dev/sdb2", true, [.boot, .detach("u"), .reboot], [.boots, .fails]),
      (
        "root=/dev/sdb2", true, [.boot, .shutdown, .detach("u"), .boot, .attach("u"), .boot],
        [.boots, .fails, .boots]
      ),
      (
        "root=LABEL=labroot", false, [.boot, .attach("u"), .reboot, .detach("u"), .reboot],
        [.boots, .boots, .boots]
      ),
    ]
    for (root, plugged, story, expected) in cases {
      var rig = try Rig("debian-12", story)
      rig.stick("u", attached: plugged)
      try rig.boot(root)
      for outcome in rig.explored().outcomes {
        #expect(outcome.boots.map(\.outcome) == expected, "\(root) \(story)")
        for boot in outcome.boots where boot.outcome == .fails {
          #expect(boot.finding == "root-device-renamed")
        }
      }
    }
  }

  @Test("after a shutdown that never ended the next power-on recovers the journal and boots")
  func afterAShutdownThatNeverEnded() throws {
    var rig = try Rig("debian-12", [.boot, .shutdown, .boot])
    rig.write("/etc/network/interfaces", "auto ens3", "iface ens3 inet dhcp")
    let report = rig.explored()
    #expect(report.verdict == .fails)
    for outcome in report.outcomes {
      #expect(outcome.boots.map(\.outcome) == [.boots, .boots])
      #expect(outcome.shutdowns.map(\.outcome) == [.hang])
      #expect(outcome.prints("recovery complete"))
    }
  }

  @Test("a menu edited while the machine runs is what the next boot reads")
  func aMenuEditedWhileTheMachineRuns() throws {
    var rig = try Rig("debian-12", [.boot])
    let text = try #require(rig.scenario.files.text(rig.menu))
    let bad = text.replacing("root=UUID=79d5e8b3-a1a3-4f27-a1aa-1333e6bbcf8c", with: "root=/dev/sdx2")
    rig.scenario.story = [.boot, .write(path: rig.menu, text: bad), .reboot]
    #expect(rig.explored().outcomes.allSatisfy { $0.boots.map(\.outcome) == [.boots, .fails] })
    rig.scenario.story = [
      .boot, .write(path: rig.menu, text: bad), .write(path: rig.menu, text: text), .reboot,
    ]
    #expect(rig.explored().summary == "boots")
  }

  @Test("witnesses of orders that part early replay on a machine that has run nothing else")
  func witnessesOfOrdersThatPartEarly() throws {
    // Where the first boot fails, the later commands and the shutdown never run, and the next boot is of another menu.
    var rig = try Rig("debian-12")
    rig.stick("u", settles: 1_000_000...12_000_000)
    try rig.boot("root=/dev/sda2")
    let text = try #require(rig.scenario.files.text(rig.menu))
    let cured = text.replacing("root=/dev/sda2", with: "root=LABEL=labroot quiet")
    rig.scenario.story = [
      .boot, .run("logger hello"), .write(path: rig.menu, text: cured),
      .service(action: "restart", name: "iscsid"),
      .shutdown, .boot, .shutdown,
    ]
    let report = rig.explored()
    #expect(report.complete && report.outcomes.count >= 2)
    for outcome in report.outcomes {
      let witness = try Witness(parsing: outcome.witness)
      #expect(Bootsim.mismatch(witness, rig.scenario) == nil)
      var options = Bootsim.Options.bare
      options.mode = .schedule(witness)
      let replayed = Bootsim.simulate(rig.scenario, options: options)
      #expect(replayed.outcomes.map(Conclusion.parts) == [Conclusion.parts(outcome)])
    }
  }

  @Test("iscsid is started by its socket, when iscsiadm speaks to it; without the socket nobody starts it")
  func iscsidIsStartedByItsSocket() throws {
    var rig = try Rig("debian-12")
    let says = { (rig: Rig) in rig.nominal()?.timeline.contains { $0.text == "iscsid starts" } }
    #expect(says(rig) == true)
    rig.remove("/etc/systemd/system/sockets.target.wants/iscsid.socket")
    #expect(says(rig) == false)
    rig.scenario.files.link(
      "/etc/systemd/system/sysinit.target.wants/iscsid.service", to: "/lib/systemd/system/iscsid.service")
    #expect(says(rig) == true)
  }
}
