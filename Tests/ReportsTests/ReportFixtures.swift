@testable import Sim

/// Reports made by hand, as the simulator would make them.
enum Fixture {
  static let line = TimelineEntry(time: 400_000, part: "iPXE", text: "SAN device 0x80", console: true)

  static func boot(_ outcome: BootOutcome, _ finding: String? = nil, because: [String] = []) -> BootReport {
    BootReport(
      outcome: outcome, stage: outcome == .boots ? nil : .rootMount, finding: finding, at: 12_400_400,
      because: because, console: ["ALERT!  /dev/sda2 does not exist."],
      rootDevice: outcome == .boots ? "/dev/sdb2" : nil,
      disks: ["sdb": "lun1", "sda": "usb0", "sdaa": "x"])
  }

  static func shutdown(_ outcome: ShutdownOutcome = .clean, _ finding: String? = nil) -> ShutdownReport {
    ShutdownReport(
      outcome: outcome, finding: finding, at: 4_000_000, lostWrites: outcome == .clean ? 0 : 3,
      fileSystem: outcome == .clean ? .clean : .needsRecovery,
      because: outcome == .clean ? [] : ["networking.service takes ens3 down."], console: [])
  }

  static let good = Outcome(
    witness: "w-good", share: 0.69, boots: [boot(.boots)], shutdowns: [shutdown()],
    timeline: [
      line, TimelineEntry(time: 9_100_000, part: "kernel", text: "sd 2:0:0:1: [sda]", console: true),
    ])

  static let bad = Outcome(
    witness: "w-bad", share: 0.31,
    boots: [
      boot(
        .fails, "root-device-renamed", because: ["The stick was found first.", "The kernel opens /dev/sda2."])
    ],
    shutdowns: [],
    timeline: [
      line, TimelineEntry(time: 9_100_000, part: "kernel", text: "sd 0:0:0:0: [sda]", console: true),
      TimelineEntry(
        time: 12_400_400, part: "initramfs", text: "there is no file system on it", console: false),
    ])

  static let fix = Fix(
    title: "Name the root by its UUID",
    edits: [
      Edit(
        place: "/boot/grub/grub.cfg", line: 12, old: "linux /vmlinuz root=/dev/sda2",
        new: "linux /vmlinuz root=UUID=1"),
      Edit(place: "machine.firmware.bootOrder", line: nil, old: nil, new: "[\"eth0\"]"),
    ], verified: true)

  static func report(_ verdict: Verdict, _ outcomes: [Outcome], complete: Bool = true, fixes: [Fix] = [])
    -> Report
  {
    Report(
      title: "A stick takes the letter", sources: ["S-13", "S-29"], verdict: verdict, states: 214,
      complete: complete,
      outcomes: outcomes, fixes: fixes, notLookedAt: ["/etc/rc.local:3: eval"])
  }
}
