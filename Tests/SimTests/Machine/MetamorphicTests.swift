import LinuxConfig
import Testing

@testable import Sim

/// Edits that play no part must not move a verdict, a stage, a finding, a root device or what is left on the disk.
@Suite struct MetamorphicTests {
  /// An edit of a scenario that plays no part in what happens; false: there is nothing to edit in this one.
  struct Edit: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var apply: @Sendable (inout Scenario) -> Bool

    init(_ what: String, _ apply: @escaping @Sendable (inout Scenario) -> Bool) {
      (testDescription, self.apply) = (what, apply)
    }
  }

  private static func dataTarget(_ portal: String) -> TargetSpec {
    let partition = PartitionSpec(
      number: 1, fileSystem: "ext4", uuid: "0d1e2f30-0000-4000-8000-000000000001", label: "elsewhere",
      holds: nil, size: 1 << 30)
    let content = DiskContent(bootCode: .none, grub: nil, partitions: [partition])
    return TargetSpec(
      iqn: "iqn.2030-12.org.example:not-ours", portal: portal, maxSessions: 1, dropsDeadSessionsAfter: nil,
      chap: Credentials(username: "someone", password: "something-else"),
      acl: ["iqn.2030-12.org.example:else"],
      running: true, luns: [LUNSpec(lun: 0, size: 2 << 30, writeCache: true, content: content)])
  }

  /// linux-iscsi and RHEL 4's initiator log in to whatever a portal shows; the installer to every target there is.
  private static func logsInByName(_ scenario: Scenario) -> Bool {
    !scenario.files.exists("/etc/iscsi.conf") && !scenario.story.contains(.installer)
  }

  /// Something always listens at the portals: otherwise another target there answers where nobody would.
  private static func portalsAnswer(_ scenario: Scenario) -> Bool {
    scenario.targets.allSatisfy(\.running)
      && !scenario.story.contains { if case .targetDown = $0 { true } else { false } }
  }

  private static let edits: [Edit] = [
    Edit("the title is another one") { scenario in
      scenario.title = "something else altogether"
      scenario.sources = []
      return true
    },
    Edit("a target on another host, which nobody logs in to") { scenario in
      guard !scenario.story.contains(.installer) else { return false }
      scenario.targets.append(dataTarget("198.51.100.7:3260"))
      return true
    },
    Edit("a target before the others, on another host, which nobody logs in to") { scenario in
      guard !scenario.story.contains(.installer) else { return false }
      scenario.targets.insert(dataTarget("198.51.100.7:3260"), at: 0)
      return true
    },
    Edit("a target behind the same portal, where logins name their target") { scenario in
      guard logsInByName(scenario), portalsAnswer(scenario), let portal = scenario.targets.first?.portal
      else { return false }
      scenario.targets.append(dataTarget(portal))
      return true
    },
    Edit("an adapter without a cable") { scenario in
      scenario.machine.nics.append(
        NICSpec(
          name: "spare-nic", interface: "spare0", mac: "52:54:00:00:77:01", driver: "tg3", cable: false,
          optionROM: nil))
      return true
    },
    Edit("an adapter of the same driver without a cable, before the others") { scenario in
      let driver = scenario.machine.nics.first?.driver ?? "e1000"
      scenario.machine.nics.insert(
        NICSpec(
          name: "spare-nic", interface: "spare0", mac: "52:54:00:00:77:01", driver: driver, cable: false,
          optionROM: nil), at: 0)
      return true
    },
    Edit("a floppy") { scenario in
      scenario.machine.disks.append(
        DiskSpec(
          name: "spare-floppy", bus: .floppy, model: "Floppy", size: 2880 * 512, attached: true,
          settles: Delay(earliest: 0, latest: 0),
          content: DiskContent(bootCode: .none, grub: nil, partitions: [])))
      return true
    },
    Edit("a stick that is never plugged in") { scenario in
      scenario.machine.disks.append(
        DiskSpec(
          name: "spare-stick", bus: .usb, model: "Flash", size: 1 << 30, attached: false,
          settles: Delay(earliest: 1_000_000, latest: 2_000_000),
          content: DiskContent(bootCode: .other, grub: nil, partitions: [])))
      return true
    },
    Edit("a partition behind the others that nobody mounts") { scenario in
      for target in scenario.targets.indices {
        for unit in scenario.targets[target].luns.indices {
          scenario.targets[target].luns[unit].content.partitions.append(
            PartitionSpec(
              number: 99, fileSystem: "ext4", uuid: "0d1e2f30-0000-4000-8000-0000000000\(10 + unit)",
              label: "spare\(unit)", holds: nil, size: 1 << 20))
        }
      }
      return true
    },
    Edit("more memory") { scenario in
      scenario.machine.memoryMiB *= 2
      return true
    },
    Edit("a comment in every system file") { scenario in
      // Where the story edits a file, the number of a line may count.
      let typed = scenario.story.compactMap { if case .run(let line, _) = $0 { line } else { nil } }
      for path in scenario.files.paths
      where !uncommentable.contains(path) && !typed.contains(where: { $0.contains(path) }) {
        guard case .file(let bytes)? = scenario.files[path], !bytes.isEmpty else { continue }
        var lines = String(decoding: bytes, as: UTF8.self).split(
          separator: "\n", omittingEmptySubsequences: false)
        guard lines[0].last != "\\" else { continue }
        // Where lines are left out the others keep their numbers: a story may name them.
        if let gap = lines.indices.dropLast(2).first(where: { lines[$0].isEmpty && lines[$0 + 1].isEmpty }) {
          lines[gap] = "# nothing of importance"
        } else {
          lines.insert("# nothing of importance", at: 1)
        }
        if lines.last != "" { lines.append("") }
        scenario.files.write(lines.joined(separator: "\n"), to: path)
      }
      return true
    },
    Edit("files that nobody reads") { scenario in
      scenario.files.write("kilroy\n", to: "/root/notes.txt")
      scenario.files.write(
        "#!/bin/sh\nifconfig eth0 down\nifdown -a\nhalt -f\n", to: "/usr/local/sbin/never-run")
      return true
    },
  ]

  /// No comments there: dpkg's list has none, and the others are one word or one line.
  private static let uncommentable: Set<String> = [
    "/var/lib/dpkg/status", "/etc/hostname", "/etc/lsb-release", "/etc/redhat-release", "/etc/SuSE-release",
  ]

  @Test("an edit that plays no part moves nothing", arguments: SuiteFolder.entries)
  func anEditThatPlaysNoPartMovesNothing(_ entry: SuiteFolder.Entry) throws {
    let scenario = try entry.scenario()
    let before = Conclusion(Bootsim.simulate(scenario, options: .bare))
    for edit in Self.edits {
      var edited = scenario
      guard edit.apply(&edited) else { continue }
      let after = Conclusion(Bootsim.simulate(edited, options: .bare))
      #expect(after == before, "\(edit.testDescription)")
    }
  }

  /// The document with the members of every object in the reverse order.
  private static func reversed(_ value: JSONValue) -> JSONValue {
    switch value.kind {
    case .object(let members):
      JSONValue(.object(members.reversed().map { .init($0.name, reversed($0.value)) }))
    case .array(let elements): JSONValue(.array(elements.map(reversed)))
    default: value
    }
  }

  @Test("the order of the members in the document moves nothing", arguments: SuiteFolder.entries)
  func theOrderOfTheMembersMovesNothing(_ entry: SuiteFolder.Entry) throws {
    let reversed = try SuiteFolder.scenario(of: Self.reversed(try entry.document()), entry.name)
    let (a, b) = (
      Bootsim.simulate(try entry.scenario(), options: .bare), Bootsim.simulate(reversed, options: .bare)
    )
    #expect(Conclusion(a) == Conclusion(b))
    #expect(a.states == b.states)
  }
}
