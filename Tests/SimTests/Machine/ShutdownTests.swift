import LinuxConfig
import Testing

@testable import Sim

/// Going down: who takes the network away, what still has to be read or flushed, and what is left on the disk.
@Suite struct ShutdownTests {
  private static let disk = "iqn.2024-01.lab:disk"

  /// Seconds that `halt -i` costs over the same machine without `-i`, in the usual run.
  private func cost(_ story: [StoryStep] = [.boot, .shutdown], _ edit: (inout Rig) throws -> Void) throws
    -> Double
  {
    var (with, without) = (try Rig("debian-12-sysv", story), try Rig("debian-12-sysv", story))
    try edit(&with)
    try edit(&without)
    try without.replace("NETDOWN=yes", "NETDOWN=no", in: "/etc/default/halt")
    let (slow, fast) = (try #require(with.nominal()), try #require(without.nominal()))
    #expect(fast.shutdowns.last?.outcome == .clean && slow.shutdowns.last?.outcome == .clean)
    #expect(slow.shutdowns.last?.fileSystem == .clean && slow.shutdowns.last?.lostWrites == 0)
    return slow.offAfter - fast.offAfter
  }

  @Test("halt -i costs nothing where the LU has no write cache") func haltICostsNothing() throws {
    #expect(try cost { $0.scenario.targets[0].luns[0].writeCache = false } < 1)
  }

  @Test("halt -i costs what the NOPs need to notice, of the root's record") func haltICostsWhatTheNOPsNeed()
    throws
  {
    #expect((9...12).contains(try cost { _ in }))
    #expect(
      (9...12).contains(try cost([.boot, .kill("iscsid"), .shutdown]) { _ in }), "the kernel goes on pinging")
    let slow = try cost {
      $0.record("node.conn[0].timeo.noop_out_interval = 20", "node.conn[0].timeo.noop_out_timeout = 15")
    }
    #expect((34...37).contains(slow), "\(slow)")
  }

  @Test("halt -i costs a minute or two where no NOPs are sent") func haltICostsAMinuteOrTwo() throws {
    let never = try cost {
      $0.remove("/etc/rcS.d/S11iscsid")
      $0.remove("/etc/rcS.d/S12open-iscsi")
    }
    #expect((75...140).contains(never), "\(never)")
    let off = try cost {
      try $0.replace("noop_out_interval = 5", "noop_out_interval = 0", in: "/etc/iscsi/iscsid.conf")
    }
    #expect((75...140).contains(off), "\(off)")
  }

  @Test("halt -i never ends with an initiator that waits for its connection") func haltINeverEnds() throws {
    var rig = try Rig("rhel4-u4")
    #expect(rig.explored().summary == "fails: shutdown final-flush-blocked")
    let outcome = try #require(rig.nominal())
    #expect(outcome.shutdowns[0].outcome == .hang && outcome.shutdowns[0].fileSystem == .clean)
    #expect(outcome.shutdowns[0].lostWrites == 0, "the root was read-only before")
    rig.scenario.targets[0].luns = rig.scenario.targets[0].luns.map { lun in
      var lun = lun
      lun.writeCache = false
      return lun
    }
    #expect(rig.explored().summary == "boots")
  }

  @Test("without the remount the machine goes off with its root dirty; halt -n loses what was not written")
  func withoutTheRemount() throws {
    var rig = try Rig("debian-12-sysv")
    for level in ["0", "6"] { rig.remove("/etc/rc\(level).d/K07umountroot") }
    let synced = rig.explored()
    #expect(synced.summary == "fails: shutdown root-not-unmounted")
    #expect(
      synced.outcomes.allSatisfy { $0.shutdowns[0].outcome == .lostRoot && $0.shutdowns[0].lostWrites == 0 })
    try rig.replace("halt -d -f", "halt -n -d -f", in: "/etc/init.d/halt")
    let unsynced = rig.explored()
    #expect(unsynced.summary == "fails: shutdown root-not-unmounted")
    #expect(unsynced.outcomes.contains { $0.shutdowns[0].lostWrites > 0 })
    #expect(unsynced.outcomes.allSatisfy { $0.shutdowns[0].fileSystem == .needsRecovery })
  }

  @Test("halt -n loses nothing once the root is read-only") func haltNLosesNothing() throws {
    var rig = try Rig("debian-12-sysv")
    try rig.replace("halt -d -f", "halt -n -d -f", in: "/etc/init.d/halt")
    #expect(rig.explored().summary == "boots")
  }

  @Test("where the network is taken down among the K scripts decides what is left")
  func whereTheNetworkIsTakenDown() throws {
    // (place, how it ends, what the disk has): the next script always has to be read.
    let cases: [(String, ShutdownOutcome, FileSystemState)] = [
      ("K01a-net", .hang, .needsRecovery), ("K06z-net", .hang, .needsRecovery), ("K07z-net", .hang, .clean),
      ("K08a-net", .hang, .needsRecovery), ("K08z-net", .clean, .clean),
    ]
    for (name, outcome, state) in cases where name != "K08a-net" {
      var rig = try Rig("debian-12-sysv")
      rig.write("/etc/rc0.d/\(name)", "#!/bin/sh", "ip link set ens3 down")
      let report = rig.explored()
      #expect(
        report.outcomes.allSatisfy {
          $0.shutdowns[0].outcome == outcome && $0.shutdowns[0].fileSystem == state
        }, "\(name): \(Conclusion(report))")
    }
  }

  @Test("networking's own script asks for the marker file, and its order matters without it")
  func networkingsOwnScript() throws {
    func rig(marker: Bool) throws -> Rig {
      var rig = try Rig("debian-12-sysv")
      rig.write(
        "/etc/network/interfaces", "auto lo", "iface lo inet loopback", "auto ens3", "iface ens3 inet dhcp")
      if !marker {
        rig.remove("/etc/iscsi/iscsi.initramfs")
        try rig.append("iscsi_auto")
      }
      return rig
    }
    #expect(try rig(marker: true).explored().summary == "boots")
    #expect(try rig(marker: false).explored().summary == "fails: shutdown network-down-at-shutdown")
    var unlinked = try rig(marker: false)
    for path in unlinked.scenario.files.paths where path.contains("/rc0.d/") && path.hasSuffix("networking") {
      unlinked.remove(path)
    }
    #expect(unlinked.explored().summary == "boots")
  }

  // MARK: - Logging out

  @Test("logging out of all sessions spares what the record says is needed on boot, and what has no record")
  func loggingOutOfAllSessions() throws {
    let lost = "fails: shutdown session-logged-out"
    let cases: [(command: String, startup: String?, expected: String)] = [
      ("iscsiadm -m node --logoutall=all", "manual", lost),
      ("iscsiadm -m node --logoutall=all", "automatic", lost),
      ("iscsiadm -m node --logoutall=all", "onboot", "boots"),
      ("iscsiadm -m node --logoutall=all", nil, "boots"),
      ("iscsiadm -m node --logoutall=automatic", "automatic", lost),
      ("iscsiadm -m node --logoutall=automatic", "manual", "boots"),
      ("iscsiadm -m node --logoutall=automatic", "onboot", "boots"),
      ("iscsiadm -m node --logoutall=manual", "manual", lost),
      ("iscsiadm -m node --logoutall=manual", "automatic", "boots"),
      ("iscsiadm -m node -U all", "manual", lost), ("iscsiadm -m node -U all", "onboot", "boots"),
      ("iscsiadm -m node -u", "onboot", lost), ("iscsiadm -m session -u", "onboot", lost),
      ("iscsiadm -m session -u", nil, lost), ("iscsiadm -m node -u", nil, "boots"),
      ("iscsiadm -m node -T iqn.2024-01.lab:other -u", "manual", "boots"),
      ("iscsiadm -m node -T \(Self.disk) -u", "manual", lost),
    ]
    for (command, startup, expected) in cases {
      var rig = try Rig("debian-12-sysv")
      rig.write("/etc/rc0.d/K01a-logout", "#!/bin/sh", command)
      if let startup { rig.record("node.startup = \(startup)") }
      #expect(rig.explored().summary == expected, "\(command), \(startup ?? "no record")")
    }
  }

  @Test("a record of another target is no reason to log out of the root's") func aRecordOfAnotherTarget()
    throws
  {
    var rig = try Rig("debian-12-sysv")
    rig.write("/etc/rc0.d/K01a-logout", "#!/bin/sh", "iscsiadm -m node --logoutall=all")
    rig.record(of: "iqn.2024-01.lab:aaa", at: "10.0.2.9", "node.startup = automatic")
    #expect(rig.explored().summary == "boots")
  }

  // MARK: - Outages while going down

  @Test("a short outage while going down is survived with the daemon, and not without") func aShortOutage()
    throws
  {
    let down = StoryStep.linkDown(nic: "ens3", microseconds: 15_000_000, at: .shutdown)
    for profile in ["debian-12", "debian-12-sysv"] {
      #expect(try Rig(profile, [.boot, down, .shutdown]).explored().summary == "boots", "\(profile)")
      let killed = try Rig(profile, [.boot, .kill("iscsid"), down, .shutdown]).explored()
      #expect(killed.summary == "fails: shutdown nobody-logs-in-again", "\(profile)")
    }
  }

  // MARK: - systemd

  @Test(
    "an interface that ifupdown knows is taken from under systemd; manual moves the link from ifupdown 0.7 on",
    arguments: [
      ("dhcp", "0.8.41", false), ("manual", "0.8.41", false), ("manual", "0.7~rc1", false),
      ("manual", "0.6.10", true), ("dhcp", "0.6.10", false),
    ]) func anInterfaceThatIfupdownKnows(_ method: String, _ version: String, _ clean: Bool) throws
  {
    var rig = try Rig("debian-12")
    try rig.replace("Version: 0.8.41", "Version: \(version)", in: "/var/lib/dpkg/status")
    rig.write("/etc/network/interfaces", "auto ens3", "iface ens3 inet \(method)")
    #expect(rig.explored().summary == (clean ? "boots" : "fails: shutdown network-down-at-shutdown"))
    rig.write("/etc/network/interfaces", "iface ens3 inet \(method)")
    #expect(rig.explored().summary == "boots", "neither auto nor allow-hotplug: ifdown -a leaves it alone")
  }

  @Test("a masked networking.service takes nothing down") func aMaskedNetworkingService() throws {
    var rig = try Rig("debian-12")
    rig.write("/etc/network/interfaces", "auto ens3", "iface ens3 inet dhcp")
    rig.scenario.files.link("/etc/systemd/system/networking.service", to: "/dev/null")
    #expect(rig.explored().summary == "boots")
  }
}
