import LinuxConfig
import Testing

@testable import Sim

/// What dracut puts into an image, and what its initqueue makes of the kernel line.
@Suite struct DracutTests {
  private static let uuid = "root=UUID=79d5e8b3-a1a3-4f27-a1aa-1333e6bbcf8c"
  private static let netroot = "ip=dhcp netroot=iscsi:10.0.2.2::3260:1:iqn.2024-01.lab:disk"

  /// A Debian 12 with dracut, and the modules and files that its packages leave to the administrator.
  private func rig(_ arguments: String, _ story: [StoryStep] = [.boot]) throws -> Rig {
    var rig = try Rig("debian-12", story)
    rig.remove("/etc/initramfs-tools")
    rig.remove("/etc/iscsi/iscsi.initramfs")
    try rig.replace("Package: initramfs-tools", "Package: dracut-network", in: "/var/lib/dpkg/status")
    rig.write("/lib/open-iscsi/startup-checks.sh")
    rig.write(
      "/etc/dracut.conf.d/10-iscsi.conf", "hostonly=no", "add_dracutmodules+=\" iscsi network-legacy \"",
      "install_items+=\" /lib/open-iscsi/startup-checks.sh \"")
    try rig.boot("\(Self.uuid) \(arguments)")
    return rig
  }

  @Test("what the image and the kernel line say decides")
  func decides() throws {
    let missing = "fails: initramfs-iscsi initiator-not-in-initramfs"
    let refused = "fails: initramfs-iscsi initiator-not-admitted"
    let cases: [(String, String, String, @Sendable (inout Rig) throws -> Void)] = [
      ("the iBFT", "rd.iscsi.firmware=1", "boots", { _ in }),
      ("the same without a value", "rd.iscsi.firmware", "boots", { _ in }),
      (
        "rd.iscsi.firmware=0", "rd.iscsi.firmware=0", "fails: initramfs-iscsi initiator-not-configured",
        { _ in }
      ),
      ("the iBFT, and none there", "rd.iscsi.firmware=1", "fails: initramfs-iscsi no-ibft", Self.withoutIBFT),
      ("netroot=", "\(Self.netroot) rd.iscsi.initiator=iqn.2024-01.lab:host", "boots", { _ in }),
      (
        "netroot= at another port", "ip=dhcp netroot=iscsi:10.0.2.2::3261:1:iqn.2024-01.lab:disk",
        "fails: initramfs-iscsi target-unreachable", { _ in }
      ),
      (
        "a generic image has no name of this machine", Self.netroot, refused,
        { $0.scenario.targets[0].acl = ["iqn.2024-01.lab:host"] }
      ),
      (
        "an image for this machine has", Self.netroot, "boots",
        {
          $0.scenario.targets[0].acl = ["iqn.2024-01.lab:host"]
          try $0.replace("hostonly=no", "hostonly=yes", in: "/etc/dracut.conf.d/10-iscsi.conf")
        }
      ),
      (
        "the module left out", "rd.iscsi.firmware=1", missing,
        { $0.write("/etc/dracut.conf.d/20.conf", "omit_dracutmodules+=\" iscsi \"") }
      ),
      (
        "without the package dracut-network", "rd.iscsi.firmware=1", missing,
        { try $0.replace("Package: dracut-network", "Package: dracut", in: "/var/lib/dpkg/status") }
      ),
      (
        "without the adapter's driver", "rd.iscsi.firmware=1",
        "fails: initramfs-network nic-driver-missing",
        { $0.write("/etc/dracut.conf.d/20.conf", "omit_drivers+=\" e1000 \"") }
      ),
    ]
    for (what, arguments, expected, edit) in cases {
      var rig = try rig(arguments)
      try edit(&rig)
      #expect(rig.explored().summary == expected, "\(what)")
    }
  }

  private static let withoutIBFT: @Sendable (inout Rig) throws -> Void = {
    $0.scenario.machine.nics[0].optionROM?.ibft = false
  }

  @Test("an image is what dracut's words made it")
  func words() throws {
    let image = "/boot/initrd.img-6.1.0-50-amd64"
    let kept = try rig("rd.iscsi.firmware=1", [.boot, .run("dracut -o iscsi \(image)"), .reboot])
    #expect(kept.explored().summary == "boots", "it does not override without --force")
    let built = try rig("rd.iscsi.firmware=1", [.boot, .run("dracut -f -o iscsi \(image)"), .reboot])
    #expect(built.explored().summary == "fails: initramfs-iscsi initiator-not-in-initramfs")
  }

  @Test("cures that are shown are dracut's own")
  func cures() throws {
    func titles(_ rig: Rig) -> [String] { Bootsim.simulate(rig.scenario).fixes.map(\.title) }
    #expect(try titles(rig("")).contains("let the initramfs take the target from the iBFT"))
    var plain = try rig("rd.iscsi.firmware=1")
    plain.write("/etc/dracut.conf.d/10-iscsi.conf", "hostonly=no")
    #expect(titles(plain).contains { $0.hasPrefix("have a network module that knows the iBFT, and") })
  }

  @Test("dracut.conf is shell: += adds, /etc goes over /usr/lib, and the command line counts more")
  func configuration() {
    let tree = MemoryFileTree([
      "/usr/lib/dracut/dracut.conf.d/01.conf": "hostonly=\"yes\"\nadd_dracutmodules+=\" a \"\n",
      "/usr/lib/dracut/dracut.conf.d/02.conf": "omit_dracutmodules+=\" gone \"\n",
      "/etc/dracut.conf.d/02.conf": "add_dracutmodules+=\" b c \"\ninstall_items+=\" /bin/x \"\n",
      "/etc/dracut.conf.d/03.txt": "add_dracutmodules+=\" no \"\n",
    ])
    let conf = DracutConf.load(from: tree, arguments: ["-f", "--add", "d e", "-N", "/boot/x"]).conf
    #expect(conf.added == ["a", "b", "c", "d", "e"])
    #expect(conf.omitted.isEmpty && conf.items == ["/bin/x"] && !conf.isHostOnly)
  }
}
