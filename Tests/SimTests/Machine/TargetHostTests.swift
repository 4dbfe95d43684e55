import LinuxConfig
import Testing

@testable import Sim

private let iqn = "iqn.2009-04.arbeitsgruppe:general.ubuntu"
private let ours = "iqn.2009-04.arbeitsgruppe:general"

/// Other machines at the target, and sessions that nobody ended.
@Suite struct TargetHostTests {
  private static func other(
    _ initiator: String = "iqn.2009-04.arbeitsgruppe:spare", lun: Int = 0, mounts: Bool = true,
    chap: Credentials? = nil
  ) -> StoryStep {
    .otherMachine(OtherMachine(initiator: initiator, target: iqn, lun: lun, mounts: mounts, chap: chap))
  }

  private static func rig(_ story: [StoryStep]) throws -> Rig {
    var rig = try Rig("ubuntu-9.04", story)
    let empty = DiskContent(bootCode: .none, grub: nil, partitions: [])
    rig.scenario.targets[0].luns.append(LUNSpec(lun: 1, size: 1 << 30, writeCache: true, content: empty))
    return rig
  }

  // MARK: - Two machines, one LU

  @Test("a second machine destroys the root's file system when it may log in and mounts that LU for writing")
  func aSecondMachine() throws {
    let destroyed = "fails: running mounted-twice"
    let secret = Credentials(username: "box", password: "twelve-bytes")
    let cases: [(step: StoryStep, edit: (inout TargetSpec) -> Void, expected: String)] = [
      (Self.other(), { _ in }, destroyed), (Self.other(lun: 1), { _ in }, "boots"),
      (Self.other(mounts: false), { _ in }, "boots"), (Self.other(), { $0.acl = [ours] }, "boots"),
      (Self.other(), { $0.acl = [ours, "iqn.2009-04.arbeitsgruppe:spare"] }, destroyed),
      (
        Self.other(),
        {
          $0.maxSessions = 2; $0.dropsDeadSessionsAfter = nil
        }, "boots"
      ),
      (Self.other(), { $0.maxSessions = 2 }, destroyed), (Self.other(chap: secret), { _ in }, destroyed),
    ]
    for (index, (step, edit, expected)) in cases.enumerated() {
      var rig = try Self.rig([.boot, step])
      edit(&rig.scenario.targets[0])
      #expect(rig.explored().summary == expected, "case \(index)")
    }
  }

  @Test("a machine that has the LU mounted before ours starts does the same harm") func aMachineThatWasThere()
    throws
  {
    #expect(try Self.rig([Self.other(), .boot]).explored().summary == "fails: running mounted-twice")
    #expect(try Self.rig([Self.other(lun: 1), .boot]).explored().summary == "boots")
  }

  @Test("a reservation keeps others from writing, as long as the target has power") func aReservation() throws
  {
    let node = "/dev/sda"
    let register = "sg_persist --out --register --param-sark=0x1 \(node)"
    let reserve = "sg_persist --out --reserve --param-rk=0x1 --prout-type=1 \(node)"
    let destroyed = "fails: running mounted-twice"
    let blip = StoryStep.linkDown(nic: "eth0", microseconds: 30_000_000, at: nil)
    let crash = StoryStep.targetCrash(iqn: iqn, microseconds: 20_000_000, at: nil)
    let cases: [(story: [StoryStep], expected: String)] = [
      ([.run(register), .run(reserve)], "boots"), ([.run("\(register); \(reserve)"), blip], "boots"),
      ([.run(reserve)], destroyed), ([.run(register)], destroyed),
      ([.run("sg_persist --in --read-reservation \(node)")], destroyed),
      (
        [.run(register), .run(reserve), .run("sg_persist --out --release --param-rk=0x1 \(node)")], destroyed
      ),
      ([.run(register), .run(reserve), crash], destroyed),
      ([.run("sg_persist --out --register --param-sark=0x1 /dev/sdz"), .run(reserve)], destroyed),
    ]
    for (story, expected) in cases {
      #expect(try Self.rig([.boot] + story + [Self.other()]).explored().summary == expected, "\(story)")
    }
  }

  // MARK: - One name for two

  @Test("a second machine with our initiator name and the same target takes our session away again and again")
  func aSecondMachineWithOurName() throws {
    let report = try Self.rig([.boot, Self.other(ours, lun: 1)]).explored()
    #expect(report.summary == "fails: running initiator-name-twice")
    let run = try #require(report.outcomes.first)
    #expect(run.timeline.count { $0.text.contains("detected conn error (1020)") } == 3)
    #expect(try Self.rig([.boot, Self.other(ours + "2", lun: 1)]).explored().summary == "boots")
    // An access list cannot tell them apart.
    var listed = try Self.rig([.boot, Self.other(ours, lun: 1)])
    listed.scenario.targets[0].acl = [ours]
    #expect(listed.explored().summary == "fails: running initiator-name-twice")
    // A login that takes the session over is no further session.
    listed.scenario.targets[0].maxSessions = 2
    #expect(listed.explored().summary == "fails: running initiator-name-twice")
  }

  @Test("without iscsid nobody takes the session back") func withoutISCSIDNobodyTakesItBack() throws {
    let report = try Self.rig([.boot, .kill("iscsid"), Self.other(ours, lun: 1)]).explored()
    #expect(report.summary == "fails: running initiator-name-twice")
    #expect(report.outcomes.allSatisfy { $0.prints("session recovery timed out") })
  }

  // MARK: - Sessions that nobody ended

  @Test("a session that is cut off by a restart counts at the target until that notices")
  func aSessionThatIsCutOff() throws {
    let refused = "fails: option-rom option-rom-login-refused"
    let maybe = "may-fail: option-rom option-rom-login-refused"
    let never: Delay? = nil
    let soon = Delay(earliest: 0, latest: 0)
    let lab = Delay(earliest: 0, latest: 10_000_000)
    let cases:
      [(limit: Int?, drops: Delay?, kind: OptionROMSpec.Kind, story: [StoryStep], expected: String)] = [
        (nil, never, .ipxe, [.boot, .reboot], "boots"), (2, never, .ipxe, [.boot], "boots"),
        (2, never, .ipxe, [.boot, .reboot], refused), (3, never, .ipxe, [.boot, .reboot], "boots"),
        (3, never, .ipxe, [.boot, .reboot, .reboot], refused), (2, never, .gpxe, [.boot, .reboot], "boots"),
        (1, lab, .ipxe, [.boot], "boots"), (1, lab, .ipxe, [.boot, .reboot], maybe),
        (1, soon, .ipxe, [.boot, .reboot], "boots"), (2, lab, .ipxe, [.boot, .reboot], "boots"),
        (2, never, .ipxe, [.boot, .powerCut, .boot], refused),
        (
          2, never, .ipxe,
          [
            .boot, .shutdown, .targetDown(iqn: "iqn.2024-01.lab:disk", microseconds: 1_000_000, at: nil),
            .boot,
          ], "boots"
        ),
      ]
    for (index, (limit, drops, kind, story, expected)) in cases.enumerated() {
      var rig = try Rig("debian-12", story)
      rig.scenario.targets[0].maxSessions = limit
      rig.scenario.targets[0].dropsDeadSessionsAfter = drops
      rig.scenario.machine.nics[0].optionROM?.kind = kind
      #expect(rig.explored().summary == expected, "case \(index): \(limit ?? 0) \(kind)")
    }
  }
}
