import LinuxConfig
import Testing

@testable import Sim

/// Boots that come up late, and the time-outs that make them wait.
@Suite struct DelayTests {
  private static func away(_ seconds: Int64, at stage: Stage) -> StoryStep {
    .linkDown(nic: "ens3", microseconds: seconds * 1_000_000, at: stage)
  }

  /// The first boot of the nominal run, and how late it is in seconds.
  private static func boot(_ rig: Rig) throws -> (boot: BootReport, late: Int64?) {
    let boot = try #require(rig.nominal()?.boots.first)
    return (boot, boot.lateBy.map { $0 / 1_000_000 })
  }

  @Test("a boot is degraded when it waited longer than ten seconds at a stretch for what did not answer")
  func aBootIsDegraded() throws {
    let cases: [(away: Int64, stage: Stage, late: ClosedRange<Int64>?)] = [
      (5, .`init`, nil), (20, .`init`, 18...32), (5, .initramfsISCSI, nil),
      (20, .initramfsISCSI, 18...30), (60, .initramfsNetwork, 55...70), (20, .rootMount, 18...30),
      // It is up when that happens.
      (60, .running, nil),
    ]
    for (away, stage, late) in cases {
      let rig = try Rig("debian-12", [Self.away(away, at: stage), .boot, .shutdown])
      let (boot, seconds) = try Self.boot(rig)
      #expect(boot.outcome == (late == nil ? .boots : .degraded), "\(away) s at \(stage)")
      #expect((seconds == nil) == (late == nil) && late?.contains(seconds ?? -1) ?? true, "\(seconds ?? -1)")
      #expect(boot.because.isEmpty == (late == nil))
      #expect(rig.explored().verdict == .boots)
    }
  }

  @Test(
    "an outage ends when TCP sends again, 25 or 51 s after the first time, if the SCSI layer does not give up before"
  )
  func anOutageEndsWhenTCPSendsAgain() throws {
    let maybe = "may-fail: init nobody-logs-in-again"
    for (away, late, summary) in [
      (20, 24...27, "boots"), (25, 24...27, "boots"), (30, 50...53, maybe), (45, 50...53, maybe),
    ] as [(Int64, ClosedRange<Int64>, String)] {
      let rig = try Rig("debian-12-sysv", [Self.away(away, at: .`init`), .boot, .shutdown])
      let (_, seconds) = try Self.boot(rig)
      #expect(late.contains(seconds ?? 0), "\(away) s: \(seconds ?? 0)")
      #expect(rig.explored().summary == summary, "\(away) s")
    }
  }

  @Test("the boot loader's reads are waited for, too") func theBootLoadersReads() throws {
    let (boot, late) = try Self.boot(try Rig("debian-12", [Self.away(20, at: .bootLoader), .boot]))
    #expect(boot.outcome == .degraded && boot.stage == .bootLoader)
    #expect((15...40).contains(late ?? 0))
  }

  @Test("what held the boot up has its finding") func whatHeldTheBootUp() throws {
    let (away, _) = try Self.boot(try Rig("debian-12", [Self.away(30, at: .`init`), .boot]))
    #expect(away.finding == "boot-held-up" && away.stage == .`init`)
    var rig = try Rig("debian-12-sysv", [.boot])
    let rule = "iptables -A INPUT -p tcp --sport 3260 -j DROP"
    rig.write("/etc/rcS.d/S12fw", "#!/bin/sh", "sleep 0", rule, "sleep 20", "iptables -F")
    let (firewall, late) = try Self.boot(rig)
    #expect(firewall.finding == "firewall-cuts-root")
    #expect((20...30).contains(late ?? 0), "27 s in the lab (s8a)")
    rig.write("/etc/rcS.d/S12fw", "#!/bin/sh", rule, "sleep 20", "iptables -F")
    let (stays, _) = try Self.boot(rig)
    #expect(stays.outcome == .fails, "sleep has to be read from the disk that the rule has cut off (s8h)")
    #expect(stays.finding == "firewall-cuts-root")
    rig.write("/etc/rcS.d/S12fw", "#!/bin/sh", "sleep 20")
    #expect(try Self.boot(rig).boot.outcome == .boots, "a script that sleeps is no hold-up")
  }

  @Test("a device that never comes delays what has _netdev, by systemd's 90 s; nofail delays nothing")
  func aDeviceThatNeverComes() throws {
    for (options, late) in [("_netdev", 89...91), ("nofail", nil), ("_netdev,nofail", nil)]
      as [(String, ClosedRange<Int64>?)]
    {
      var rig = try Rig("debian-12", [.boot])
      let text = try #require(rig.scenario.files.text("/etc/fstab"))
      rig.scenario.files.write(text + "UUID=0000-gone /srv ext4 \(options) 0 2\n", to: "/etc/fstab")
      let (boot, seconds) = try Self.boot(rig)
      #expect(boot.outcome == (late == nil ? .boots : .degraded), "\(options)")
      if let late { #expect(late.contains(seconds ?? 0) && boot.finding == "fstab-device-missing") }
    }
  }

  @Test("dhclient without an answer costs its minute") func dhclientWithoutAnAnswer() throws {
    var rig = try Rig("debian-12-sysv", [.boot])
    rig.scenario.machine.nics[0].optionROM?.address = "10.0.2.15/24"
    rig.scenario.network.dhcp = false
    rig.write(
      "/etc/network/interfaces", "auto lo", "iface lo inet loopback", "auto ens3", "iface ens3 inet dhcp")
    let (boot, late) = try Self.boot(rig)
    #expect(boot.outcome == .degraded && boot.finding == "boot-held-up")
    #expect((40...100).contains(late ?? 0))
  }

  // MARK: - Real figures

  /// Seconds from one line of the nominal timeline to another.
  private static func seconds(_ rig: Rig, from: String, to: String) throws -> Int64 {
    let timeline = try #require(rig.nominal()).timeline
    let begins = try #require(timeline.first { $0.text.contains(from) }, "\(from)").time
    let ends = try #require(timeline.first { $0.time >= begins && $0.text.contains(to) }, "\(to)").time
    return (ends - begins) / 1_000_000
  }

  @Test("time-outs have their real figures: from which line to which, and who says so")
  func timeoutsHaveTheirRealFigures() throws {
    let drivers = "Loading essential drivers ... done."
    let cases:
      [(
        what: String, edit: (inout Rig) throws -> Void, from: String, to: String, seconds: ClosedRange<Int64>
      )] = [
        // initramfs-tools, scripts/local: max(30, rootdelay) from the drivers on; seen 30.7 to 32.3 s (lab c, f2).
        ("root wait", { $0.remove("/etc/iscsi/iscsi.initramfs") }, drivers, "ALERT!", 30...33),
        (
          "rootdelay=60",
          {
            $0.remove("/etc/iscsi/iscsi.initramfs")
            try $0.append("rootdelay=60")
          }, drivers, "ALERT!", 60...63
        ),
        // /init sleeps first, whatever there is to wait for (read in the script, lab).
        (
          "rootdelay=20 sleeps", { try $0.append("rootdelay=20") }, drivers, "Running /scripts/local-top",
          20...21
        ),
        // scripts/functions, configure_networking: 180 s for an interface; then one look at the root (lab n).
        (
          "no interface",
          {
            $0.scenario.initrds["/boot/initrd.img-6.1.0-50-amd64"] = InitrdSpec(
              modules: nil, add: [], omit: ["e1000"], files: [:])
          },
          "Waiting up to 180 secs", "Network device did not appear", 178...184
        ),
        // ipconfig's rounds of 2, 3, 4, 6, 9, 16, 25, 36, 64 and 100 s (FACTS 2.6).
        (
          "no DHCP in the initramfs",
          {
            $0.scenario.network.dhcp = false
            $0.scenario.machine.nics[0].optionROM?.address = "10.0.2.15/24"
            $0.remove("/etc/iscsi/iscsi.initramfs")
            try $0.append("iscsi_target_name=iqn.2024-01.lab:disk iscsi_target_ip=10.0.2.2 ip=dhcp")
          }, "Running /scripts/local-top", "giving up", 240...300
        ),
        // node.conn[0].timeo.noop_out_interval and noop_out_timeout, 5 and 5 s; seen 9 to 11 s (lab i2).
        (
          "ping", { $0.scenario.story = [.boot, Self.down(150)] }, "is pulled", "ping timeout of 5 secs",
          9...11
        ),
        // node.session.timeo.replacement_timeout, 120 s from then on (lab i3).
        (
          "replacement_timeout", { $0.scenario.story = [.boot, Self.down(150)] }, "conn error (1022)",
          "session recovery timed out after 120 secs", 120...120
        ),
        // iscsid logs in again 2 s after the link is up (lab i2, m).
        ("relogin", { $0.scenario.story = [.boot, Self.down(30)] }, "is back", "logs in again", 1...3),
        // systemd's DefaultTimeoutStartSec of a device, 90 s (lab f4).
        (
          "device of fstab",
          {
            try $0.replace(
              "UUID=18311587-8c6e-4a3c-b4ca-9fead0c9fe7b /boot auto defaults,_netdev",
              "/dev/sdz1 /boot ext4 defaults", in: "/etc/fstab")
          },
          "mounted as the root", "emergency mode", 90...115
        ),
        // usr/iscsi_err.h, 03/02 is tried again every 2 s until the ROM's session is gone: 0 to 10 s (lab j2).
        (
          "one session", { $0.scenario.targets[0].maxSessions = 1 }, "login rejected", "is operational now",
          0...9
        ),
      ]
    for (what, edit, from, to, expected) in cases {
      var rig = try Rig("debian-12", [.boot])
      try edit(&rig)
      let seconds = try Self.seconds(rig, from: from, to: to)
      #expect(expected.contains(seconds), "\(what): \(seconds) s")
    }
  }

  private static func down(_ seconds: Int64) -> StoryStep {
    .linkDown(nic: "ens3", microseconds: seconds * 1_000_000, at: nil)
  }

  @Test("the first login of iscsid is given up after 120 s, that of iscsistart after 900 s (FACTS 2.4)")
  func theFirstLoginIsGivenUp() {
    #expect(ISCSITimers.shippedFile.initialLoginSeconds == 120)
    #expect(ISCSITimers.iscsistart.initialLoginSeconds == 900)
    #expect(ISCSITimers().replacementTimeout == 120)
  }
}
