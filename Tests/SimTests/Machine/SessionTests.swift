import LinuxConfig
import Testing

@testable import Sim

/// Sessions of the running system: their timers, their daemon, and outages.
@Suite struct SessionTests {
  private static let timeout = "node.session.timeo.replacement_timeout"

  private static func down(_ seconds: Int64?, at stage: Stage? = nil) -> StoryStep {
    .linkDown(nic: "ens3", microseconds: seconds.map { $0 * 1_000_000 }, at: stage)
  }

  @Test("an outage is survived when it is shorter than the root's replacement_timeout, which its record says")
  func anOutageIsSurvivedWhenItIsShorter() throws {
    let lost = "fails: running outage-too-long"
    let cases: [(conf: String?, record: String?, outage: Int64, expected: String)] = [
      (nil, nil, 100, "boots"), (nil, nil, 150, lost), (nil, "300", 150, "boots"), (nil, "300", 330, lost),
      (nil, "-1", 100_000, "boots"), ("-1", nil, 100_000, "boots"), ("86400", nil, 3_600, "boots"),
      ("86400", "60", 100, lost), ("5", "86400", 100, "boots"), (nil, "0", 30, lost), (nil, "0", 4, "boots"),
      (nil, "0", 8, "may-fail: running outage-too-long"),
    ]
    for (conf, record, outage, expected) in cases {
      var rig = try Rig("debian-12", [.boot, Self.down(outage), .shutdown])
      if let conf {
        try rig.replace("\(Self.timeout) = 120", "\(Self.timeout) = \(conf)", in: "/etc/iscsi/iscsid.conf")
      }
      if let record { rig.record("\(Self.timeout) = \(record)") }
      #expect(rig.explored().summary == expected, "\(conf ?? "-") \(record ?? "-") \(outage) s")
    }
  }

  @Test("the record of another target plays no part for the root") func theRecordOfAnotherTarget() throws {
    var rig = try Rig("debian-12", [.boot, Self.down(60), .shutdown])
    rig.record(of: "iqn.2024-01.lab:aaa", at: "10.0.2.9", "\(Self.timeout) = 5")
    #expect(rig.explored().summary == "boots")
    rig.record("\(Self.timeout) = 20")
    #expect(rig.explored().summary == "fails: running outage-too-long")
    rig.record("\(Self.timeout) = 120")
    #expect(rig.explored().summary == "boots")
  }

  @Test("a silent peer is noticed after interval and time-out of the NOPs, a closed connection at once")
  func aSilentPeerIsNoticedAfterTheNOPs() throws {
    // T = 0: the disk is given up in the moment the loss is noticed.
    let record = "\(Self.timeout) = 0"
    for (nops, outage, expected) in [
      (["30", "15"], Int64(14), "boots"), (["30", "15"], 60, "fails: running outage-too-long"),
      (["30", "15"], 30, "may-fail: running outage-too-long"),
      (["5", "5"], 30, "fails: running outage-too-long"),
    ] {
      var rig = try Rig("debian-12", [.boot, Self.down(outage), .shutdown])
      rig.record(
        record, "node.conn[0].timeo.noop_out_interval = \(nops[0])",
        "node.conn[0].timeo.noop_out_timeout = \(nops[1])")
      #expect(rig.explored().summary == expected, "\(nops) \(outage) s")
    }
    var closed = try Rig(
      "debian-12",
      [.boot, .targetDown(iqn: "iqn.2024-01.lab:disk", microseconds: 1_000_000, at: nil), .shutdown])
    closed.record(record)
    #expect(closed.explored().summary == "fails: running outage-too-long")
  }

  @Test("open-iscsi needs its daemon after an outage, linux-iscsi and RHEL 4's initiator do not")
  func openISCSINeedsItsDaemonAfterAnOutage() throws {
    let cases: [(String, [StoryStep], String)] = [
      ("debian-12", [.boot, Self.down(20), .shutdown], "boots"),
      ("debian-12", [.boot, .kill("iscsid"), .shutdown], "boots"),
      ("debian-12", [.boot, .kill("iscsid"), Self.down(20)], "fails: running nobody-logs-in-again"),
      (
        "debian-12", [.boot, .service(action: "stop", name: "iscsid"), Self.down(20)],
        "fails: running nobody-logs-in-again"
      ),
      (
        "debian-12", [.boot, .kill("iscsid"), .service(action: "start", name: "iscsid"), Self.down(20)],
        "boots"
      ),
      ("debian-12", [.boot, .kill("iscsid"), Self.down(3)], "boots"),
      ("debian-12-sysv", [.boot, .kill("iscsid"), Self.down(20)], "fails: running nobody-logs-in-again"),
    ]
    for (profile, story, expected) in cases {
      #expect(try Rig(profile, story).explored().summary == expected, "\(profile) \(story)")
    }
    for profile in ["rhel4-u4", "sles9-sp3"] {
      let outage = StoryStep.linkDown(nic: "eth0", microseconds: 60_000_000, at: nil)
      #expect(try Rig(profile, [.boot, .kill("iscsid"), outage]).explored().summary == "boots", "\(profile)")
    }
  }

  @Test("a session without NOPs does not notice an outage at all") func aSessionWithoutNOPs() throws {
    // iscsid never runs: the session is iscsistart's, which watches nothing (FACTS 2.5.3).
    var rig = try Rig("debian-12-sysv", [.boot, Self.down(60), .shutdown])
    rig.remove("/etc/rcS.d/S11iscsid")
    rig.remove("/etc/rcS.d/S12open-iscsi")
    #expect(rig.explored().summary == "boots")
  }

  // MARK: - Outages at a stage

  @Test("an outage that begins at a stage of the boot is survived if it ends", arguments: Stage.allCases)
  func anOutageThatBeginsAtAStage(_ stage: Stage) throws {
    let early: Set<Stage> = [.firmware, .optionROM]
    let short = try Rig("debian-12", [Self.down(15, at: stage), .boot, .shutdown]).explored()
    // The ROM gives up without a link; everything later waits.
    #expect(short.summary == (early.contains(stage) ? "fails: option-rom option-rom-no-address" : "boots"))
    #expect(short.complete)
  }

  @Test("an outage for good ends the boot where it is needed next") func anOutageForGood() throws {
    let cases: [(Stage, String)] = [
      (.firmware, "fails: option-rom option-rom-no-address"),
      (.optionROM, "fails: option-rom option-rom-no-address"),
      (.kernel, "fails: initramfs-network no-address"),
      (.initramfsNetwork, "fails: initramfs-network no-address"),
      (.initramfsISCSI, "fails: initramfs-iscsi target-unreachable"),
      (.rootMount, "fails: init nobody-logs-in-again"),
      (.`init`, "fails: init nobody-logs-in-again"), (.running, "fails: running outage-too-long"),
    ]
    for (stage, expected) in cases {
      let summary = try Rig("debian-12", [Self.down(nil, at: stage), .boot]).explored().summary
      #expect(summary == expected, "\(stage)")
    }
  }

  @Test("a boot loader cannot read from a LU that is gone") func aBootLoaderCannotReadFromALUThatIsGone()
    throws
  {
    for step in [
      Self.down(nil, at: .bootLoader),
      .targetDown(iqn: "iqn.2024-01.lab:disk", microseconds: nil, at: .bootLoader),
    ] {
      let report = try Rig("debian-12", [step, .boot]).explored()
      #expect(report.verdict == .fails)
      #expect(report.outcomes.allSatisfy { $0.failure?.stage == .bootLoader })
    }
  }

  @Test("an armed outage happens in the boot it was written before, not in the next one")
  func anArmedOutageHappensInTheBootItWasWrittenBefore() throws {
    let down = Self.down(nil, at: .kernel)
    let first = try Rig("debian-12", [down, .boot, .shutdown]).explored()
    #expect(first.outcomes.allSatisfy { $0.boots.map(\.outcome) == [.fails] })
    let second = try Rig("debian-12", [.boot, .shutdown, down, .boot]).explored()
    #expect(second.outcomes.allSatisfy { $0.boots.map(\.outcome) == [.boots, .fails] })
    let never = try Rig("debian-12", [.boot, .shutdown, down]).explored()
    #expect(never.summary == "boots")
  }
}
