import Foundation
import LinuxConfig
import Sim
import Testing

@testable import Lab
@testable import Reports

/// The project's folder.
let project = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent()

@Suite struct AgreementTests {
  /// The scenario that describes a recorded boot; the others name what their transcripts cannot show.
  private static let scenarios: [(scenario: String, recorded: String)] = [
    ("lab-a-base", "a-base.solo"), ("lab-b-sda2", "b-sda2"), ("lab-c-usb-takes-sda", "c-sda2-usb"),
    ("lab-c4-usb-uuid", "c4-uuid-usb"), ("lab-c5-usb-ehci", "c5-sda2-usb-ehci"),
    ("lab-d-usb-not-in-initramfs", "d-sda2-usb-list"), ("lab-d1-dracut-firmware", "d1-firmware"),
    ("lab-d1m-dracut-no-startup-checks", "d1m-firmware-no-startup-checks"),
    ("lab-d1n-dracut-networkd", "d1n-firmware-debian-default"), ("lab-d2-dracut-no-params", "d2-no-params"),
    ("lab-d3b-dracut-netroot", "d3b-netroot"), ("lab-d4-dracut-sda2-usb", "d4-sda2-usb"),
    ("lab-e-boot-on-second-lun-uuid", "e-boot-lun2-uuid"),
    ("lab-e2-boot-on-second-lun-prefix", "e2-boot-lun2-prefix"), ("lab-f-params", "f-params"),
    ("lab-f1-fstab-sda1-stick", "f1-sda1-stick"), ("lab-f2-no-params", "f2-no-params"),
    ("lab-g-no-hook", "g-no-hook"), ("lab-g1-grub-legacy", "g1-base"), ("lab-g2-sdb2-gone", "g2-sdb2-gone"),
    ("lab-g3-hda2", "g3-hda2"), ("lab-g4-root-hd1", "g4-root-hd1"),
    ("lab-g5-kernel-missing", "g5-kernel-missing"), ("lab-g8a-boot-on-second-lun", "g8a-boot-lun2-embed"),
    ("lab-g8b-boot-partition-empty", "g8b-boot-lun2-stage1"), ("lab-h-auto-dhcp", "h-auto-dhcp"),
    ("lab-h2-manual", "h2-manual"), ("lab-h3-restart-networking", "h3-restart-networking"),
    ("lab-i-iscsid", "i-iscsid"), ("lab-i2-link-20s", "i2-link-20s"), ("lab-i3-link-150s", "i3-link-150s"),
    ("lab-k-chap-none", "k-chap-none"),
    ("lab-k2-chap-ibft", "k2-chap-ibft"), ("lab-k3-chap-os-missing", "k3-chap-os-missing"),
    ("lab-l-usb-first", "l-usb-first"), ("lab-l3-usb-unbootable-first", "l3-usb-unbootable-first"),
    ("lab-m-target-20s", "m-tgt-20s"), ("lab-n-no-nic-driver", "n-no-nic"), ("lab-o-hotplug", "o-hotplug"),
    ("lab-q-target-down", "q-target-down"), ("lab-r-target-dies-at-kernel", "r-target-dies-at-kernel"),
    ("lab-s1-sysv-base", "s1-base"), ("lab-s2-sysv-auto-dhcp", "s2-auto-dhcp"),
    ("lab-s2b-sysv-auto-dhcp-no-marker", "s2b-auto-dhcp-noguard"),
    ("lab-s3-sysv-no-k-links", "s3-auto-dhcp-noguard-noK"), ("lab-s4-sysv-netdown-no", "s4-netdown-no"),
    ("lab-s5a-sysv-link-down-before-umountroot", "s5a-linkdown-before-umountroot"),
    ("lab-s6d-sysv-logoutall", "s6d-logoutall"), ("lab-s6e-sysv-session-logout", "s6e-session-u"),
    ("lab-s7a-outage-at-shutdown", "s7a-outage-at-sendsigs"), ("lab-s8a-sysv-firewall-20s", "s8a-fw-20s"),
    ("lab-s8c-sysv-iptables-restore", "s8c-fw-restore"),
    ("lab-s8e-sysv-policy-drop", "s8e-fw-policy-drop-only"),
    ("lab-s9c-node-automatic", "s9c-node-automatic"),
    ("lab-a-base", "lab-a-base"), ("lab-i2-link-20s", "lab-i2-link-20s"),
    ("lab-s1-sysv-base", "lab-s1-sysv-base"),
    ("lab-g1-grub-legacy", "lab-g1-grub-legacy"), ("lab-c-usb-takes-sda", "lab-c-usb-takes-sda"),
    ("lab-e-boot-on-second-lun-uuid", "lab-e-boot-on-second-lun-uuid"),
    ("lab-f2-no-params", "lab-f2-no-params"),
  ]

  static func scenario(_ name: String) throws -> Scenario {
    let file = project.appendingPathComponent("Scenarios/modern/\(name).json")
    let loaded = ScenarioDecoder().load([UInt8](try Data(contentsOf: file)), file: name)
    return try #require(loaded.value, "\(loaded.problems.map(\.description))").scenario
  }

  /// Every order explored, no cures sought.
  static func prediction(_ scenario: Scenario) -> Prediction {
    var options = Bootsim.Options()
    options.samples = 0
    options.fixes = false
    return Prediction(Bootsim.simulate(scenario, options: options))
  }

  static func recorded(_ name: String, _ scenario: Scenario) throws -> Observation {
    Observation(judging: try RecordedBoot(name: name).transcript(), devices: DeviceTable(scenario))
  }

  @Test("what bootsim says of a recorded boot is what was seen", arguments: scenarios)
  func whatBootsimSaysIsWhatWasSeen(pair: (scenario: String, recorded: String)) throws {
    let scenario = try Self.scenario(pair.scenario)
    let observation = try Self.recorded(pair.recorded, scenario)
    let agreement = Agreement(Self.prediction(scenario), observation)
    let text = agreement.text(title: pair.recorded, observation: observation, style: .plain)
    #expect(agreement.holds, "\(text)")
    let judged = agreement.comparisons.filter { $0.field.isMain }
    #expect(judged.allSatisfy { $0.judgement == .agrees })
  }

  @Test("each of the ways that were predicted will do")
  func eachOfThePredictedWaysWillDo() throws {
    let scenario = try Self.scenario("lab-c-slow-usb-race")
    let prediction = Self.prediction(scenario)
    let lost = Agreement(prediction, try Self.recorded("c-sda2-usb", scenario))
    let won = Agreement(prediction, try Self.recorded("d-sda2-usb-list", scenario))
    #expect(lost.holds && won.holds)
    #expect(lost.course != won.course)
  }

  @Test("what comes otherwise is named") func whatComesOtherwiseIsNamed() throws {
    let scenario = try Self.scenario("lab-b-sda2")
    let prediction = Self.prediction(scenario)
    func differences(_ recorded: String) throws -> [String] {
      Agreement(prediction, try Self.recorded(recorded, try Self.scenario("lab-c-usb-takes-sda"))).differences
        .map {
          "\($0.place) \($0.field.rawValue): \($0.predicted) / \($0.seen)"
        }
    }
    #expect(
      try differences("c-sda2-usb") == [
        "boot 1 outcome: boots / fails", "boot 1 stage: none / root-mount", "boot 1 root: /dev/sda2 / none",
        "boot 1 disks: sda = LUN 1 / sda = usb0, sdb = LUN 1",
        "shutdown 1 happened: there is one / there is none",
      ])
    #expect(
      try differences("c4-uuid-usb") == [
        "boot 1 root: /dev/sda2 / /dev/sdb2", "boot 1 disks: sda = LUN 1 / sda = usb0, sdb = LUN 1",
      ])
    #expect(
      try differences("h-auto-dhcp") == [
        "shutdown 1 outcome: clean / hang", "shutdown 1 file system: clean / needs-recovery",
      ])
  }

  @Test("another finding than the predicted is a difference, one that nobody can see is not judged")
  func aFindingThatNobodyCanSeeIsNotJudged() throws {
    let scenario = try Self.scenario("lab-c-usb-takes-sda")
    let observation = try Self.recorded("c-sda2-usb", scenario)
    var prediction = Self.prediction(scenario)
    prediction.courses[0].boots[0].finding = Finding.Code.chapRefused.rawValue
    #expect(Agreement(prediction, observation).differences.map(\.field) == [.finding])
    prediction.courses[0].boots[0].finding = Finding.Code.sessionWithoutRecord.rawValue
    let agreement = Agreement(prediction, observation)
    #expect(agreement.holds)
    #expect(agreement.comparisons.filter { $0.judgement == .notJudged }.map(\.field) == [.finding])
  }

  @Test("any of the sd names that were predicted will do, and of LUs that are alike any one")
  func anyOfThePredictedNamesWillDo() {
    func agrees(_ seen: [String: String]) -> Bool {
      let boot = Prediction.Boot(
        outcome: .boots, at: 1, rootDevice: "/dev/sda2",
        disks: ["sda": "LUN 1", "sdb": "LUN 2", "sdc": "LUN 4"],
        otherDisks: [["sda": "LUN 1", "sdb": "LUN 4", "sdc": "LUN 2"]])
      let prediction = Prediction(
        verdict: .boots, courses: [.init(share: 1, boots: [boot], shutdowns: [])],
        alike: [["LUN 2", "LUN 3"]])
      let observation = Observation(
        boots: [
          .init(outcome: .boots, at: 1, rootDevice: "/dev/sda2", disks: seen, findings: [], evidence: [])
        ], shutdowns: [])
      return Agreement(prediction, observation).holds
    }
    #expect(agrees(["sda": "LUN 1", "sdb": "LUN 2", "sdc": "LUN 4"]))
    #expect(agrees(["sda": "LUN 1", "sdb": "LUN 4", "sdc": "LUN 2"]))
    #expect(agrees(["sda": "LUN 1", "sdb": "LUN 4", "sdc": "LUN 3"]))
    #expect(!agrees(["sda": "LUN 4", "sdb": "LUN 1", "sdc": "LUN 2"]))
    #expect(!agrees(["sda": "LUN 1", "sdb": "LUN 2", "sdc": "LUN 3"]))
    #expect(!agrees(["sda": "LUN 1", "sdb": "LUN 2"]))
  }

  @Test("side by side: what was predicted, what was seen, and the lines that decide")
  func sideBySide() throws {
    let scenario = try Self.scenario("lab-l3-usb-unbootable-first")
    let observation = try Self.recorded("l3-usb-unbootable-first", scenario)
    let agreement = Agreement(Self.prediction(scenario), observation)
    #expect(
      agreement.text(title: "A stick without a loader", observation: observation, style: .plain) == """
        A stick without a loader

          boot 1         predicted             seen
            outcome      fails                 fails
            stage        firmware              firmware
            finding      boot-sector-hangs     boot-sector-hangs
            root         none                  none
            disks        none                  not seen
                0.4 s  Booting from Hard Disk...

        AGREES

        """)
  }
}
