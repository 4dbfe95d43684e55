import LinuxConfig
import Testing

@testable import Sim

/// Cures are found by trying: what is shown was simulated, and says which line becomes what.
@Suite struct CuresTests {
  private func report(_ rig: Rig) -> Report { Bootsim.simulate(rig.scenario) }

  @Test("a renamed root is cured by its UUID in the menu, with the line and its old and new text")
  func aRenamedRoot() throws {
    var rig = try Rig("debian-12", [.boot])
    rig.stick("usb0")
    try rig.boot("root=/dev/sda2")
    let fixes = report(rig).fixes
    #expect(fixes.allSatisfy { $0.verified })
    let edit = try #require(fixes.first?.edits.first)
    #expect(edit.place == "/boot/grub/grub.cfg")
    let line = try #require(edit.line)
    let text = try #require(rig.scenario.files.text(edit.place))
    #expect(String(text.split(separator: "\n", omittingEmptySubsequences: false)[line - 1]) == edit.old)
    #expect(edit.new?.contains("root=UUID=79d5e8b3-a1a3-4f27-a1aa-1333e6bbcf8c") == true)
    // The edit, made by hand, is the cure.
    try rig.replace(try #require(edit.old), try #require(edit.new), in: edit.place)
    #expect(report(rig).verdict == .boots)
  }

  @Test("two faults are cured by two edits together") func twoFaults() throws {
    var rig = try Rig("debian-12")
    try rig.boot("root=/dev/sdb2")
    rig.write("/etc/network/interfaces", "auto ens3", "iface ens3 inet dhcp")
    let fix = try #require(report(rig).fixes.first)
    #expect(Set(fix.edits.map(\.place)) == ["/boot/grub/grub.cfg", "/etc/network/interfaces"])
  }

  @Test("what no edit can cure has no cure, and what comes up needs none") func noCure() throws {
    var gone = try Rig("debian-12", [.boot])
    gone.scenario.targets[0].running = false
    #expect(report(gone).verdict == .fails)
    #expect(report(gone).fixes.isEmpty)
    let fine = try Rig("debian-12")
    #expect(report(fine).fixes.isEmpty)
  }
}
