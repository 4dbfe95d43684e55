import LinuxConfig
import Testing

@testable import Sim

/// systemd-networkd and NetworkManager on a machine whose root is behind the interface.
@Suite("Network services of today")
struct NetworkServicesTests {
  private static let network = "/etc/systemd/network/20-wired.network"

  private func networkd(_ lines: [String], _ story: [StoryStep] = [.boot, .shutdown]) throws -> Report {
    var rig = try Rig("debian-12-networkd", story)
    rig.scenario.files.write(lines.map { $0 + "\n" }.joined(), to: Self.network)
    return rig.explored()
  }

  @Test(
    "its start takes away what it does not keep, its end what it got by DHCP",
    arguments: [
      ("no", "fails: init network-taken-from-root"), ("dhcp-on-stop", "fails: init network-taken-from-root"),
      ("dhcp", "fails: init network-taken-from-root"),
      ("static", "fails: shutdown network-down-at-shutdown"), ("yes", "boots"),
    ])
  func keeps(_ keep: String, _ expected: String) throws {
    let report = try networkd(["[Match]", "Name=en*", "[Network]", "DHCP=yes", "KeepConfiguration=\(keep)"])
    #expect(report.summary == expected)
  }

  @Test("an interface that no file matches, or that is unmanaged, is left alone") func leavesAlone() throws {
    #expect(try networkd(["[Match]", "Name=eth*", "[Network]", "DHCP=yes"]).summary == "boots")
    #expect(try networkd(["[Match]", "Name=!ens3", "[Network]", "DHCP=yes"]).summary == "boots")
    #expect(
      try networkd(["[Match]", "Name=en*", "[Link]", "Unmanaged=yes", "[Network]", "DHCP=yes"]).summary
        == "boots")
  }

  @Test("the first file by name decides, wherever it is, and its drop-ins after it") func firstFile() throws {
    var rig = try Rig("debian-12-networkd")
    rig.write("/lib/systemd/network/10-first.network", "[Match]", "Name=ens3", "[Network]", "DHCP=yes")
    #expect(rig.explored().summary == "fails: init network-taken-from-root")
    rig.write("/etc/systemd/network/10-first.network.d/keep.conf", "[Network]", "KeepConfiguration=yes")
    #expect(rig.explored().summary == "boots")
  }

  @Test("where nothing is kept and no server answers, its start is the end of the root") func nobodyAnswers()
    throws
  {
    var rig = try Rig("debian-12-networkd", [.boot])
    rig.scenario.network.dhcp = false
    rig.scenario.machine.nics[0].optionROM?.address = "10.0.2.15/24"
    #expect(rig.explored().summary.hasPrefix("fails: init network-taken-from-root"))
    rig.write(Self.network, "[Match]", "Name=en*", "[Network]", "DHCP=yes", "KeepConfiguration=yes")
    #expect(!rig.explored().summary.contains("network-taken-from-root"))
  }

  @Test("its socket starts it again after a stop; without the socket the address is gone") func stopped()
    throws
  {
    let story: [StoryStep] = [.boot, .service(action: "stop", name: "systemd-networkd")]
    var rig = try Rig("debian-12-networkd", story)
    rig.write(
      Self.network, "[Match]", "Name=en*", "[Network]", "DHCP=yes", "KeepConfiguration=static")
    #expect(rig.explored().summary == "boots")
    rig.remove("/lib/systemd/system/systemd-networkd.socket")
    #expect(rig.explored().summary == "fails: running network-taken-from-root")
  }

  @Test("NetworkManager from 1.0 on leaves an interface alone that is up, also when it is started again")
  func networkManager() throws {
    let story: [StoryStep] = [.boot, .service(action: "restart", name: "NetworkManager"), .shutdown]
    var rig = try Rig("debian-12-networkmanager", story)
    #expect(rig.explored().summary == "boots")
    try rig.replace("1.42.4-1+deb12u1", "0.8-0ubuntu3", in: "/var/lib/dpkg/status")
    #expect(rig.explored().summary.contains("network-taken-from-root"))
  }
}
