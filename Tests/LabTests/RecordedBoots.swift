import Foundation
import Sim
import Testing

@testable import Lab

/// A boot that was recorded on real software, and what a person who watched it says of it.
struct RecordedBoot: CustomTestStringConvertible, Sendable {
  /// The file in Transcripts.
  var name: String
  var outcome: BootOutcome = .boots
  var stage: Stage?
  /// Of the boot, or of the shutdown where the boot went well.
  var findings: [Finding.Code] = []
  var root: String?
  var disks: [String: String]? = ["sda": "LUN 1"]
  var shutdown: ShutdownOutcome?
  var fileSystem: FileSystemState?
  /// Which LU has the root.
  var lun = 1

  var testDescription: String { name }

  func transcript() throws -> Transcript {
    let file = Bundle.module.url(forResource: "Transcripts/\(name)", withExtension: "log")
    guard let file else { throw CocoaError(.fileNoSuchFile, userInfo: [NSFilePathErrorKey: name]) }
    return Transcript(parsing: try String(contentsOf: file, encoding: .utf8))
  }

  /// The disks that any of the recorded machines had.
  static let devices = devices(rootOn: 1)

  private static func devices(rootOn lun: Int) -> DeviceTable {
    DeviceTable(
      [
        .init(name: "LUN 1", place: .lu(target: "iqn.2024-01.lab:disk", lun: 1), bytes: 1600 << 20),
        .init(name: "LUN 2", place: .lu(target: "iqn.2024-01.lab:disk", lun: 2), bytes: 300 << 20),
        .init(name: "LUN 3", place: .lu(target: "iqn.2024-01.lab:disk", lun: 3), bytes: 400 << 20),
        .init(name: "usb0", place: .usb, bytes: 64 << 20),
      ], root: .init(lun: lun, partition: 2))
  }

  var devices: DeviceTable { Self.devices(rootOn: lun) }

  /// It came up with this root, and went down clean.
  static func boots(_ name: String, root: String = "/dev/sda2", disks: [String: String] = ["sda": "LUN 1"])
    -> Self
  {
    Self(name: name, root: root, disks: disks, shutdown: .clean, fileSystem: .clean)
  }

  static func fails(_ name: String, _ stage: Stage, _ findings: Finding.Code..., disks: [String: String]?)
    -> Self
  {
    Self(name: name, outcome: .fails, stage: stage, findings: findings, disks: disks)
  }

  static func hangs(_ name: String, _ finding: Finding.Code) -> Self {
    Self(name: name, findings: [finding], root: "/dev/sda2", shutdown: .hang, fileSystem: .needsRecovery)
  }

  static let both = ["sda": "usb0", "sdb": "LUN 1"]
  static let late = ["sda": "LUN 1", "sdb": "usb0"]

  static let all: [RecordedBoot] = [
    boots("a-base.solo"), boots("b-sda2"),
    fails("c-sda2-usb", .rootMount, .rootDeviceRenamed, disks: both),
    boots("c4-uuid-usb", root: "/dev/sdb2", disks: both),
    fails("c5-sda2-usb-ehci", .rootMount, .rootDeviceRenamed, disks: both),
    boots("d-sda2-usb-list", disks: late),
    fails("e-boot-lun2-uuid", .bootLoader, .bootFilesNotVisible, disks: nil),
    fails("e2-boot-lun2-prefix", .bootLoader, .bootFilesNotVisible, disks: nil),
    boots("f-params"),
    // Nobody asked whether iscsistart is in the image.
    fails("f2-no-params", .initramfsISCSI, .initiatorNotInInitramfs, .initiatorNotConfigured, disks: [:]),
    fails("g-no-hook", .initramfsISCSI, .initiatorNotInInitramfs, disks: [:]),
    hangs("h-auto-dhcp", .networkDownAtShutdown), hangs("h2-manual", .networkDownAtShutdown),
    Self(
      name: "h3-restart-networking", outcome: .fails, stage: .running, findings: [.networkTakenFromRoot],
      root: "/dev/sda2", shutdown: .hang, fileSystem: .needsRecovery),
    boots("i-iscsid"), boots("i2-link-20s"),
    Self(
      name: "i3-link-150s", outcome: .fails, stage: .running, findings: [.outageTooLong], root: "/dev/sda2",
      shutdown: .lostRoot, fileSystem: .needsRecovery),
    boots("j2-one-session-0302"),
    fails("k-chap-none", .optionROM, .optionROMLoginRefused, disks: nil),
    boots("k2-chap-ibft"),
    fails("k3-chap-os-missing", .initramfsISCSI, .chapRefused, disks: [:]),
    fails("l-usb-first", .initramfsISCSI, .bootedOtherMedium, .noIBFT, disks: ["sda": "usb0"]),
    fails("l3-usb-unbootable-first", .firmware, .bootSectorHangs, disks: nil),
    boots("m-tgt-20s"),
    fails("n-no-nic", .initramfsNetwork, .nicDriverMissing, disks: [:]),
    boots("o-hotplug", disks: late),
    Self(name: "p-two-luns.4", root: "/dev/sda2", disks: ["sda": "LUN 1", "sdb": "LUN 2", "sdc": "LUN 3"]),
    Self(name: "p-two-luns.5", root: "/dev/sda2", disks: ["sda": "LUN 1", "sdb": "LUN 2", "sdc": "LUN 3"]),
    fails("q-target-down", .optionROM, .optionROMTargetUnreachable, disks: nil),
    fails("r-target-dies-at-kernel", .initramfsISCSI, .targetUnreachable, disks: [:]),
    boots("d1-firmware"), boots("d3b-netroot"),
    fails("d1m-firmware-no-startup-checks", .initramfsISCSI, .initiatorDoesNotStart, disks: [:]),
    fails("d1n-firmware-debian-default", .initramfsNetwork, .interfaceNotConfigured, disks: [:]),
    fails("d2-no-params", .initramfsISCSI, .initiatorNotConfigured, disks: [:]),
    fails("d3-netroot", .initramfsISCSI, disks: [:]),
    fails("d4-sda2-usb", .rootMount, .rootDeviceRenamed, disks: both),
    Self(
      name: "f1-sda1-stick", outcome: .fails, stage: .`init`, findings: [.fstabDeviceRenamed],
      root: "/dev/sdb2",
      disks: both),
    boots("g1-base"),
    fails("g2-sdb2-gone", .rootMount, .rootDeviceRenamed, disks: ["sda": "LUN 1"]),
    fails("g3-hda2", .rootMount, .rootDeviceRenamed, disks: ["sda": "LUN 1"]),
    fails("g4-root-hd1", .bootLoader, .menuDriveMissing, disks: nil),
    fails("g5-kernel-missing", .bootLoader, .kernelFileMissing, disks: nil),
    fails("g6b-setup-wrong-map", .bootLoader, .bootSectorHangs, disks: nil),
    fails("g8a-boot-lun2-embed", .bootLoader, .bootFilesNotVisible, disks: nil),
    fails("g8b-boot-lun2-stage1", .bootLoader, .bootFilesNotVisible, disks: nil),
    boots("s1-base"), boots("s1r-reboot"), boots("s2-auto-dhcp"), boots("s3-auto-dhcp-noguard-noK"),
    boots("s4-netdown-no"), boots("s7a-outage-at-sendsigs"), boots("s8a-fw-20s"), boots("s8c-fw-restore"),
    boots("s9c-node-automatic"),
    hangs("s2b-auto-dhcp-noguard", .networkDownAtShutdown),
    hangs("s5a-linkdown-before-umountroot", .networkDownAtShutdown),
    hangs("s6d-logoutall", .sessionLoggedOut), hangs("s6e-session-u", .sessionLoggedOut),
    // As the laboratory of this project writes them.
    boots("lab-a-base"), boots("lab-i2-link-20s"), boots("lab-s1-sysv-base"), boots("lab-g1-grub-legacy"),
    fails("lab-c-usb-takes-sda", .rootMount, .rootDeviceRenamed, disks: both),
    fails("lab-e-boot-on-second-lun-uuid", .bootLoader, .bootFilesNotVisible, disks: nil),
    fails(
      "lab-f2-no-params", .initramfsISCSI, .initiatorNotInInitramfs, .initiatorNotConfigured, disks: [:]),
    // dracut's emergency shell was asked.
    fails("lab-d8-dracut-no-iscsi-module", .initramfsISCSI, .initiatorNotInInitramfs, disks: [:]),
    fails("lab-w4-rom-lun-wrong", .optionROM, .optionROMNoLU, disks: nil),
    fails("lab-t1-dhcp-silent", .optionROM, .optionROMNoAddress, disks: nil),
    fails("lab-v2-boot-lun-4k", .optionROM, .optionROMBlockSize, disks: nil),
    // The root's LU has blocks of 4096 bytes, and the partition table counts in 512.
    Self(
      name: "lab-v3-root-lun-4k", outcome: .fails, stage: .rootMount, findings: [.partitionTableMisread],
      disks: ["sda": "LUN 1", "sdb": "LUN 2"], lun: 2),
    // systemd-networkd configures the interface anew while the system comes up.
    Self(
      name: "lab-nd1-base", outcome: .fails, stage: .`init`, findings: [.networkTakenFromRoot],
      root: "/dev/sda2"),
    Self(
      name: "lab-i8-timeout-30-outage-60", outcome: .fails, stage: .running, findings: [.outageTooLong],
      root: "/dev/sda2", shutdown: .lostRoot, fileSystem: .needsRecovery),
    fails("lab-w6-no-cable", .optionROM, .optionROMNoAddress, disks: nil),
    Self(
      name: "s8b-fw-150s", outcome: .fails, stage: .`init`, findings: [.firewallCutsRoot], root: "/dev/sda2"),
    Self(
      name: "s8e-fw-policy-drop-only", outcome: .fails, stage: .`init`, findings: [.firewallCutsRoot],
      root: "/dev/sda2"),
  ]
}
