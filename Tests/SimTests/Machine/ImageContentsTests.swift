import LinuxConfig
import Testing

@testable import Sim

/// What an initramfs must hold to reach and read its root, beyond the initiator's program.
@Suite struct ImageContentsTests {
  @Test(
    "a module that is missing in the initramfs stops the boot where it is needed",
    arguments: [
      ("iscsi_tcp", "fails: initramfs-iscsi initiator-not-in-initramfs"),
      ("libiscsi", "fails: initramfs-iscsi initiator-not-in-initramfs"),
      ("sd_mod", "fails: root-mount root-disk-missing"),
      ("ext4", "fails: root-mount file-system-driver-missing"),
      ("e1000", "fails: initramfs-network nic-driver-missing"),
      ("usb_storage", "boots"),
    ])
  func aMissingModule(_ module: String, _ expected: String) throws {
    var rig = try Rig("debian-12", [.boot])
    rig.scenario.initrds["/boot/initrd.img-6.1.0-50-amd64"] = InitrdSpec(
      modules: nil, add: [], omit: [module], files: [:])
    #expect(rig.explored().summary == expected)
  }

  @Test("an iBFT with a static address needs no DHCP server, one with DHCP does") func ibftAddress() throws {
    var rig = try Rig("debian-12", [.boot])
    rig.scenario.network.dhcp = false
    #expect(rig.explored().summary == "fails: option-rom option-rom-no-address")
    rig.scenario.machine.nics[0].optionROM?.address = "10.0.2.15/24"
    #expect(rig.explored().summary == "boots")
  }

  @Test("no-auto-down and an empty ExecStop in a drop-in keep the interface up at shutdown")
  func interfacesKeptUp() throws {
    var rig = try Rig("debian-12")
    rig.write("/etc/network/interfaces", "auto ens3", "iface ens3 inet dhcp")
    #expect(rig.explored().summary.hasPrefix("fails: shutdown"))
    var kept = rig
    kept.write("/etc/network/interfaces", "auto ens3", "no-auto-down ens3", "iface ens3 inet dhcp")
    #expect(kept.explored().summary == "boots")
    rig.write("/etc/systemd/system/networking.service.d/keep.conf", "[Service]", "ExecStop=")
    #expect(rig.explored().summary == "boots")
  }
}
