import LinuxConfig
import Testing

@testable import Sim

/// Upstart: what runs follows from events, and what waits for an event that never comes does not run.
@Suite struct UpstartTests {
  private static let interfaces = "/etc/network/interfaces"

  private func rig(_ story: [StoryStep] = [.boot]) throws -> Rig { try Rig("ubuntu-10.04", story) }

  private func tasks(_ rig: Rig) -> [String: Program.Task] {
    let program = MachineModel(rig.scenario).upstartStart(rig.scenario.files)
    return Dictionary(program.tasks.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The tasks that have to be done before one, by name.
  private func before(_ name: String, _ rig: Rig) -> Set<String> {
    let program = MachineModel(rig.scenario).upstartStart(rig.scenario.files)
    var found: Set<String> = []
    var queue = program.tasks.indices.filter { program.tasks[$0].name == name }
    while let next = queue.popLast() {
      for index in program.tasks.indices where program.tasks[next].after >> UInt32(index) & 1 == 1 {
        if found.insert(program.tasks[index].name).inserted { queue.append(index) }
      }
    }
    return found
  }

  @Test("a job runs after what its events come from") func aJobRunsAfter() throws {
    var rig = try rig()
    rig.write("/etc/init.d/x", "#!/bin/sh", "ip link set eth0 up")
    rig.scenario.files.link("/etc/rc2.d/S50x", to: "../init.d/x")
    #expect(before("open-iscsi", rig) == ["mountall"])
    #expect(before("udevtrigger", rig) == [], "udev needs no file system of fstab")
    #expect(before("rc", rig) == ["mountall", "udevtrigger"])
    #expect(before("tty1", rig) == Set(tasks(rig).keys).subtracting(["tty1"]))
  }

  @Test("a boot comes up where its events come, and not otherwise") func aBootComesUp() throws {
    let hangs = "fails: init boot-hangs"
    let cases: [(String, String, @Sendable (inout Rig) throws -> Void)] = [
      ("as it is", "boots", { _ in }),
      (
        "no lo: rc-sysinit waits for it", hangs,
        { $0.write(Self.interfaces, "auto eth0", "iface eth0 inet manual") }
      ),
      ("no mountall", hangs, { $0.remove("/etc/init/mountall.conf") }),
      ("no getty", hangs, { $0.remove("/etc/init/tty1.conf") }),
      (
        "a getty for another runlevel", hangs,
        {
          $0.write("/etc/inittab", "id:1:initdefault:");
          try $0.replace(
            "        level=$(sed -n 's/^[^:]*:\\([0-9]\\):initdefault:.*/\\1/p' /etc/inittab)",
            "        level=1", in: "/etc/init/rc-sysinit.conf")
        }
      ),
      (
        "a disk of fstab that is not there", "fails: init fstab-device-missing",
        { $0.write("/etc/fstab", "UUID=0 /home ext4 defaults 0 2") }
      ),
      (
        "the same behind a network that comes", "fails: init fstab-device-missing",
        { $0.write("/etc/fstab", "UUID=0 /home ext4 _netdev 0 0") }
      ),
      ("the same, and nobody needs it", "boots", { $0.write("/etc/fstab", "UUID=0 /home ext4 nofail 0 2") }),
      (
        "an event of one's own", "fails: init network-taken-from-root",
        {
          $0.write("/etc/init/one.conf", "start on filesystem", "task", "exec initctl emit mine A=1 B=2")
          $0.write("/etc/init/two.conf", "start on mine B=2 and started one", "exec ifconfig eth0 down")
        }
      ),
      (
        "an event of one's own that does not fit", "boots",
        {
          $0.write("/etc/init/one.conf", "start on filesystem", "task", "exec initctl emit mine A=1 B=2")
          $0.write("/etc/init/two.conf", "start on mine B=3", "exec ifconfig eth0 down")
        }
      ),
      (
        "an instance for each interface", "fails: init network-taken-from-root",
        {
          $0.write(
            "/etc/init/down.conf", "start on net-device-added INTERFACE=eth*", "instance $INTERFACE",
            "pre-start script", "    ifconfig $INTERFACE down", "end script")
        }
      ),
      (
        "a job that Upstart refuses is not there", "boots",
        { $0.write("/etc/init/down.conf", "start on startup and", "exec ifconfig eth0 down") }
      ),
    ]
    for (name, expected, edit) in cases {
      var rig = try rig()
      try edit(&rig)
      #expect(rig.explored().summary == expected, "\(name)")
    }
  }

  @Test("`starting` waits for the tasks that it starts") func startingWaits() throws {
    var rig = try rig()
    rig.write("/etc/init/first.conf", "start on starting open-iscsi", "task", "exec ip link set eth0 up")
    #expect(before("open-iscsi", rig) == ["mountall", "first"])
  }

  @Test("a running job stops on its event, before rc has halted the machine") func aRunningJobStops() throws {
    var rig = try rig([.boot, .shutdown])
    rig.write("/etc/init/x.conf", "start on filesystem", "exec sleep 1")
    #expect(rig.explored().summary == "boots")
    rig.write(
      "/etc/init/x.conf", "start on filesystem", "stop on runlevel [06]", "exec sleep 1",
      "post-stop exec ifconfig eth0 down")
    #expect(rig.explored().summary.contains("shutdown network-down-at-shutdown"))
    rig.write(
      "/etc/init/x.conf", "start on filesystem", "stop on runlevel 1", "exec sleep 1",
      "post-stop exec ifconfig eth0 down")
    #expect(rig.explored().summary == "boots")
  }

  @Test("what happened before the shutdown counts, and is not waited for again") func whatHappenedBefore()
    throws
  {
    var rig = try rig([.boot, .shutdown])
    rig.write(
      "/etc/init/x.conf", "start on filesystem", "stop on stopped mountall and runlevel [06]",
      "post-stop exec ip link set eth0 up")
    let program = MachineModel(rig.scenario).upstartStop(rig.scenario.files, reboot: false)
    #expect(program.tasks.first { $0.name == "x" }?.after == 0)
    #expect(rig.explored().summary == "boots")
  }

  @Test("jobs that start one another without end are cut short, and the report says so") func jobsWithoutEnd()
    throws
  {
    var rig = try rig()
    rig.write("/etc/init/a.conf", "start on filesystem or stopped b", "task", "exec true")
    rig.write("/etc/init/b.conf", "start on stopped a", "task", "exec true")
    let report = rig.explored()
    #expect(report.summary == "boots")
    #expect(report.notLookedAt.contains { $0.contains("more than 500 events") })
  }

  // MARK: - NetworkManager

  @Test("NetworkManager takes what is not listed, or everything where managed=true") func networkManager()
    throws
  {
    let path = "/etc/NetworkManager/nm-system-settings.conf"
    let taken = "fails: init network-taken-from-root"
    let listed = ["auto lo", "iface lo inet loopback", "auto eth0", "iface eth0 inet manual"]
    let cases: [(Int, [String]?, String)] = [
      (4, ["[main]", "plugins=ifupdown,keyfile", "[ifupdown]", "managed=false"], "boots"),
      (2, ["[main]", "plugins=ifupdown,keyfile", "[ifupdown]", "managed=false"], taken),
      (4, ["[main]", "plugins = ifupdown", "[ifupdown]", "managed = true"], taken),
      (4, ["[main]", "plugins=keyfile", "[ifupdown]", "managed=false"], taken), (4, nil, taken),
    ]
    for profile in ["ubuntu-9.04", "ubuntu-9.10", "ubuntu-10.04"] {
      for (lines, settings, expected) in cases {
        var rig = try Rig(profile, [.boot])
        rig.scenario.files.write(listed.prefix(lines).map { $0 + "\n" }.joined(), to: Self.interfaces)
        if let settings {
          rig.scenario.files.write(settings.map { $0 + "\n" }.joined(), to: path)
        } else {
          rig.remove(path)
        }
        #expect(rig.explored().summary == expected, "\(profile) \(lines) \(settings ?? [])")
      }
    }
  }

  // MARK: - Sessions without a record

  @Test("only iscsid of 2.0.871 takes down a session that it has no record of") func withoutARecord() throws {
    for (version, expected) in [
      ("2.0.870.1-0ubuntu12", "boots"), ("2.0.871-0ubuntu4", "fails: running session-without-record"),
      ("2.0.872-1", "boots"), ("2.0.873-3ubuntu9", "boots"),
    ] {
      var rig = try rig()
      rig.scenario.files.remove("/etc/iscsi/nodes")
      try rig.replace("2.0.871-0ubuntu4", version, in: "/var/lib/dpkg/status")
      #expect(rig.explored().summary == expected, "\(version)")
    }
  }
}
