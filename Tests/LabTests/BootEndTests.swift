import Sim
import Testing

@testable import Lab

@Suite struct BootEndTests {
  /// What the console of a recorded boot ends with; nil: nothing tells, it has to be given up.
  private static let ends: [String: BootEnd.Kind?] = [
    "e-boot-lun2-uuid": .grubRescue, "e2-boot-lun2-prefix": .grubRescue,
    "lab-e-boot-on-second-lun-uuid": .grubRescue, "lab-w4-rom-lun-wrong": .noBootableDevice,
    "lab-w6-no-cable": .noBootableDevice, "lab-t1-dhcp-silent": .noBootableDevice,
    "lab-v2-boot-lun-4k": .noBootableDevice, "lab-nd1-base": nil,
    "lab-d8-dracut-no-iscsi-module": .dracutShell, "lab-i8-timeout-30-outage-60": .up,
    "k-chap-none": .noBootableDevice,
    "q-target-down": .noBootableDevice,
    "d2-no-params": .dracutShell, "d4-sda2-usb": .dracutShell, "f1-sda1-stick": .emergency,
    "g4-root-hd1": .grubLegacyError, "g5-kernel-missing": .grubLegacyError,
    "g8a-boot-lun2-embed": .grubLegacyError, "g8b-boot-lun2-stage1": .grubLegacyError,
    "s8b-fw-150s": .initHasNothing, "s8e-fw-policy-drop-only": .initHasNothing,
    "h3-restart-networking": .up, "i3-link-150s": .up,
    "r-target-dies-at-kernel": nil, "l3-usb-unbootable-first": nil, "g6b-setup-wrong-map": nil,
    "d1m-firmware-no-startup-checks": nil, "d1n-firmware-debian-default": nil, "d3-netroot": nil,
  ]

  @Test("the end of a boot is seen wherever the console's text is cut", arguments: RecordedBoot.all)
  func theEndIsSeenHoweverTheTextIsCut(recorded: RecordedBoot) throws {
    let lines = try recorded.transcript().lines.prefix { $0.event != .shutdownAsked(shutdown: 1) }
    let text = lines.filter { $0.source == .console }.map { $0.text + "\r\n" }.joined()
    let wanted = Self.ends[recorded.name] ?? (recorded.outcome == .boots ? .up : .initramfsShell)
    for length in [29, 4096] {
      var end = BootEnd()
      var found: BootEnd.Kind?
      var rest = text.unicodeScalars[...]
      while found == nil, !rest.isEmpty {
        found = end.see(String(rest.prefix(length)))
        rest = rest.dropFirst(length)
      }
      #expect(found == wanted, "cut every \(length) characters")
    }
  }

  @Test(
    "what a machine says at its end",
    arguments: [
      ("grub> ", BootEnd.Kind.grubPrompt), ("Error 21", .grubLegacyError), ("Error 2", .grubLegacyError),
      ("Error 15: File not found", .grubLegacyError), ("Press any key to continue...", .grubWaits),
      ("(initramfs) ", .initramfsShell),
      ("Cannot open access to console, the root account is locked.", .emergency),
      (
        "[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
        .kernelPanic
      ),
      ("systemd[1]: Freezing execution.", .frozen), ("[  100.5] reboot: Power down", .poweredDown),
      ("[   60.1] reboot: Restarting system", .restarting),
    ]) func whatAMachineSaysAtItsEnd(line: String, kind: BootEnd.Kind)
  {
    var end = BootEnd()
    #expect(end.see("Welcome to GRUB!\n" + line) == kind)
  }

  @Test(
    "what only sounds like an end is none",
    arguments: [
      "I/O Error 21 on device sda2\n", "EXT4-fs warning: Error 17\n",
      "Welcome to dracut-059-4 (Initramfs)!\n",
      "[  OK  ] Reached target emergency.target\n", "GRUB loading, please wait...\n",
    ]) func whatOnlySoundsLikeAnEndIsNone(text: String)
  {
    var end = BootEnd()
    #expect(end.see(text) == nil)
  }
}
