import LinuxConfig
import Testing

@testable import Sim

private let disk = "iqn.2024-01.lab:disk"
private let upgrade = StoryStep.run("apt-get -y full-upgrade")

private func after(_ seconds: Int64, _ step: StoryStep) -> StoryStep {
  .after(Delay(earliest: seconds * 1_000_000, latest: seconds * 1_000_000), step)
}

private func crash(_ outage: Int64?) -> StoryStep {
  .targetCrash(iqn: disk, microseconds: outage.map { $0 * 1_000_000 }, at: nil)
}

private func down(_ outage: Int64) -> StoryStep {
  .targetDown(iqn: disk, microseconds: outage * 1_000_000, at: nil)
}

/// What is acknowledged, what is on the medium, and what the next mount finds.
@Suite struct MediumTests {
  /// A machine whose sessions wait as long as `timeout` says.
  private static func rig(_ timeout: Int, _ story: [StoryStep]) throws -> Rig {
    var rig = try Rig("debian-12", story)
    try rig.replace(
      "replacement_timeout = 120", "replacement_timeout = \(timeout)", in: "/etc/iscsi/iscsid.conf")
    return rig
  }

  // MARK: - Crashes of the target

  @Test(
    "a crash of the target's host damages the file system of a client that goes on, if writes were in a cache"
  )
  func aCrashOfTheTargetsHost() throws {
    let damaged = "fails: running medium-rolled-back"
    let cases: [(what: String, timeout: Int, story: [StoryStep], cache: Bool, expected: String)] = [
      ("while writing", -1, [.boot, after(20, crash(60)), upgrade], true, damaged),
      ("the usual time-out is longer", 120, [.boot, after(20, crash(60)), upgrade], true, damaged),
      ("no write cache", -1, [.boot, after(20, crash(60)), upgrade], false, "boots"),
      ("only the daemon stops", -1, [.boot, after(20, down(60)), upgrade], true, "boots"),
      ("before anything is written", -1, [.boot, crash(60)], true, "boots"),
      ("nothing is being written", -1, [.boot, after(20, crash(60)), .run("dpkg -l")], true, "boots"),
      ("long after the last write", -1, [.boot, upgrade, .run("sleep 200"), crash(60)], true, "boots"),
      ("before the first commit", -1, [.boot, after(2, crash(60)), upgrade], true, "boots"),
      (
        "the session fails first", 20, [.boot, after(20, crash(60)), upgrade], true,
        "fails: running outage-too-long"
      ),
      ("after a sync", -1, [.boot, .run("apt-get -y full-upgrade; sync"), crash(60)], true, "boots"),
    ]
    for (what, timeout, story, cache, expected) in cases {
      var rig = try Self.rig(timeout, story)
      rig.scenario.targets[0].luns[0].writeCache = cache
      #expect(rig.explored().summary == expected, "\(what)")
    }
  }

  @Test("what is written back in its own time is exposed until it is: some orders lose it, some do not")
  func whatIsWrittenBackInItsOwnTime() throws {
    let delay = Delay(earliest: 0, latest: 120_000_000)
    var rig = try Self.rig(-1, [.boot, .after(delay, crash(60)), .run("dpkg -i package.deb")])
    #expect(rig.explored().summary == "may-fail: running medium-rolled-back")
    rig.scenario.targets[0].luns[0].writeCache = false
    #expect(rig.explored().summary == "boots")
  }

  @Test("a damaged file system is found by the next check, unless fstab says not to check")
  func aDamagedFileSystemIsFound() throws {
    let story = [StoryStep.boot, after(20, crash(60)), upgrade, .reboot, .shutdown]
    var rig = try Self.rig(-1, story)
    let checked = try #require(rig.nominal())
    #expect(checked.boots.map(\.finding) == ["medium-rolled-back", "file-system-damaged"])
    #expect(checked.boots.last?.stage == .`init`)
    #expect(checked.shutdowns.first?.fileSystem == .damaged)
    try rig.replace("errors=remount-ro 0 1", "errors=remount-ro 0 0", in: "/etc/fstab")
    let unchecked = try #require(rig.nominal())
    #expect(unchecked.boots.map(\.finding) == ["medium-rolled-back", "medium-rolled-back"])
    #expect(unchecked.shutdowns.last?.fileSystem == .damaged)
  }

  @Test(
    "a reset before the target is back replays the journal, a reset after it comes too late",
    arguments: [30, 200])
  func aResetBeforeTheTargetIsBack(_ reset: Int64) throws {
    let story = [
      StoryStep.boot, after(20, crash(100)), after(reset, .powerCut), upgrade, .boot,
      .shutdown,
    ]
    let report = try Self.rig(-1, story).explored()
    #expect(report.summary == (reset < 100 ? "boots" : "fails: running medium-rolled-back"))
    let state = report.outcomes.first?.shutdowns.last?.fileSystem
    #expect(reset > 100 || state == .clean)
  }

  @Test("a target that is not started stays away until the story starts it") func aTargetThatIsNotStarted()
    throws
  {
    let story = [StoryStep.boot, .shutdown, crash(nil), .boot]
    #expect(try Self.rig(120, story).explored().summary == "fails: option-rom option-rom-target-unreachable")
    let started = [StoryStep.boot, .shutdown, crash(nil), .targetStart(disk), .boot]
    #expect(try Self.rig(120, started).explored().summary == "boots")
  }

  @Test(
    "a host that loses power is silent, and its sessions are gone when it is back: a session without NOPs finds out then"
  )
  func aHostThatLosesPowerIsSilent() throws {
    let run = try #require(try Self.rig(120, [.boot, crash(60)]).nominal())
    #expect(run.prints("ping timeout of 5 secs expired"))
    #expect(run.boots.map(\.outcome) == [.boots])
    var unwatched = try Rig("debian-12-sysv", [.boot, crash(60)])
    unwatched.remove("/etc/rcS.d/S11iscsid")
    unwatched.remove("/etc/rcS.d/S12open-iscsi")
    let lost = unwatched.explored()
    #expect(lost.summary == "fails: running nobody-logs-in-again")
    #expect(lost.outcomes.first?.prints("detected conn error (1020)") == true)
  }

  // MARK: - Journalling modes

  @Test("a power cut in the middle of writing loses files where the journal runs ahead of the data")
  func aPowerCutInTheMiddleOfWriting() throws {
    let lost = "fails: running data-lost-behind-journal"
    let cases: [(profile: String, type: String?, arguments: String, cut: Int64, expected: String)] = [
      ("ubuntu-9.04", nil, "", 20, lost), ("ubuntu-9.04", nil, "", 2, "boots"),
      ("ubuntu-9.04", nil, "rootflags=data=journal", 20, "boots"),
      ("ubuntu-9.04", nil, "rootflags=data=ordered", 20, lost),
      ("ubuntu-9.04", nil, "rootflags=data=writeback", 20, lost),
      ("ubuntu-9.04", nil, "rootflags=nodelalloc", 20, "boots"),
      ("ubuntu-9.04", nil, "rootflags=nodelalloc,data=writeback", 20, lost),
      ("ubuntu-9.04", "ext3", "", 20, "boots"), ("ubuntu-9.04", "ext3", "rootflags=data=writeback", 20, lost),
      ("debian-12", nil, "", 20, "boots"), ("debian-12", nil, "rootflags=noauto_da_alloc", 20, lost),
      ("debian-12", nil, "rootflags=data=writeback", 20, lost),
      ("debian-12", nil, "rootflags=noauto_da_alloc,data=journal", 20, "boots"),
    ]
    for (profile, type, arguments, cut, expected) in cases {
      var rig = try Rig(profile, [.boot, after(cut, .powerCut), upgrade, .boot])
      let root = try #require(rig.scenario.files.text("/etc/fstab")).split(separator: "\n").lazy
        .compactMap { $0.split(separator: " ") }.first { $0.count > 1 && $0[1] == "/" }
      try rig.boot("root=\(try #require(root)[0]) \(arguments)")
      if let type {
        let index = try #require(
          rig.scenario.targets[0].luns[0].content.partitions.firstIndex { $0.holds == "/" })
        rig.scenario.targets[0].luns[0].content.partitions[index].fileSystem = type
      }
      #expect(rig.explored().summary == expected, "\(profile) \(type ?? "") \(arguments) \(cut) s")
    }
  }

  @Test("data=journal takes twice the time, and says so") func dataJournalTakesTwiceTheTime() throws {
    var times: [Int64] = []
    for flags in ["", " rootflags=data=journal"] {
      var rig = try Rig("debian-12", [.boot, upgrade, .run("/bin/true")])
      try rig.replace(" ro ", " ro\(flags) ", in: rig.menu)
      let run = try #require(rig.nominal())
      let begins = try #require(run.timeline.first { $0.text.contains("writes files") })
      let next = try #require(run.timeline.first { $0.text.contains("/bin/true") })
      times.append((next.time - begins.time) / 1_000_000)
      #expect(begins.text.contains("twice the time") == !flags.isEmpty)
    }
    // 30 s of each are the page cache's own.
    #expect(times == [150, 270])
  }

  @Test("fstab's data= must be what the root is mounted with, or the root stays read-only")
  func fstabsDataMode() throws {
    for (flags, options, expected) in [
      ("", "data=journal", "fails: running root-stays-read-only"),
      ("rootflags=data=journal", "data=journal", "boots"), ("", "data=ordered", "boots"),
      ("rootflags=data=journal", "relatime", "boots"),
    ] {
      var rig = try Rig("debian-12", [.boot])
      try rig.replace(" ro ", " ro \(flags) ", in: rig.menu)
      try rig.replace("errors=remount-ro", "errors=remount-ro,\(options)", in: "/etc/fstab")
      #expect(rig.explored().summary == expected, "\(flags) \(options)")
    }
  }

  @Test("what an outage left is replayed by the next mount, and clean after it") func whatAnOutageLeft()
    throws
  {
    let story = [
      StoryStep.boot, .linkDown(nic: "ens3", microseconds: 150_000_000, at: nil), .reboot, .shutdown,
    ]
    let run = try #require(try Rig("debian-12", story).nominal())
    #expect(run.boots.map(\.outcome) == [.fails, .boots])
    #expect(run.shutdowns.map(\.fileSystem) == [.needsRecovery, .clean])
    #expect(run.prints("recovery complete"))
  }
}
