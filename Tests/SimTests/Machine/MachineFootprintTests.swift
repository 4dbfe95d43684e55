import Testing

@testable import Sim

/// What the machine model declares of its events' independence, tested by running both orders.
@Suite struct MachineFootprintTests {
  /// Scenarios in which much is pending at one time: races, hot-plugging, outages, sessions that are counted, services in parallel.
  private static let names = [
    "modern/lab-a-base.json", "modern/lab-c-slow-usb-race.json", "modern/lab-c4-usb-uuid.json",
    "modern/lab-d-usb-not-in-initramfs.json", "modern/lab-h-auto-dhcp.json",
    "modern/lab-h3-restart-networking.json", "modern/lab-i-iscsid.json", "modern/lab-i2-link-20s.json",
    "modern/lab-i3-link-150s.json", "modern/lab-j2-one-session.json", "modern/lab-m-target-20s.json",
    "modern/lab-o-hotplug.json", "modern/lab-p-three-luns.json", "modern/lab-s7a-outage-at-shutdown.json",
    "modern/lab-s8a-sysv-firewall-20s.json", "modern/lab-s1r-sysv-reboot.json",
    "intel-iscsi-remote-boot/s-29-appendix-a-installation.boots.json",
    "intel-iscsi-remote-boot/s-26-haltargs.fails.json", "ubuntu-sanboot/s-61-max-sessions.fails.json",
    "ubuntu-sanboot/s-38-one-name-for-two.fails.json", "ubuntu-sanboot/s-57-data-journal.fails.json",
    "ubuntu-sanboot/s-59-session-resumes.fails.json", "ubuntu-sanboot/s-59-session-resumes.cured.json",
    "ubuntu-sanboot/s-62-two-machines-one-lun.fails.json", "modern/link-away-at-boot.json",
    "modern/one-session-reboot.json",
  ]

  @Test(
    "events that are declared independent are so in every state, and nothing reaches more than it declares",
    arguments: names)
  func eventsThatAreDeclaredIndependentAreSo(_ name: String) throws {
    let entry = try #require(SuiteFolder.entries.first { $0.name == name })
    let violations = FootprintCheck.check(MachineModel(try entry.scenario()), budget: 5_000)
    #expect(violations.map(\.description) == [])
  }

  @Test("two local disks of one driver, and one pulled while it settles, are declared rightly")
  func twoLocalDisksOfOneDriver() throws {
    let scenario = try SuiteFolder.scenario(
      of: Array(
        """
        {"version": 1, "title": "two disks, two sticks", "profile": "debian-12",
         "machine": {
           "disks": [{"name": "a"}, {"name": "b"}],
           "usb": [{"name": "u", "settles": ["1s", "9s"]}, {"name": "v", "settles": ["1s", "9s"]}]},
         "story": ["boot", {"detach": "u"}, {"attach": "u"}, {"link-down": "ens3", "for": "15s"}, "shutdown"]}
        """.utf8), "footprints.json")
    let violations = FootprintCheck.check(MachineModel(scenario), budget: 5_000)
    #expect(violations.map(\.description) == [])
  }
}
