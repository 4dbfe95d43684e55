import LinuxConfig
import Testing

@testable import Sim

/// A machine with a profile's files, to be edited and run.
struct Rig {
  var scenario: Scenario

  /// The kernel and the menu that the profiles have, for edits of the kernel line.
  private static let menus = [
    "debian-12": "/boot/grub/grub.cfg", "debian-12-sysv": "/boot/grub/grub.cfg",
    "ubuntu-9.04": "/boot/grub/menu.lst", "sles9-sp3": "/boot/grub/menu.lst",
    "rhel4-u4": "/boot/grub/grub.conf", "ubuntu-9.10": "/boot/grub/grub.cfg",
    "ubuntu-10.04": "/boot/grub/grub.cfg",
  ]

  init(_ profile: String, _ story: [StoryStep] = [.boot, .shutdown]) throws {
    let text = "{\"version\": 1, \"title\": \"rig\", \"profile\": \"\(profile)\"}"
    scenario = try SuiteFolder.scenario(of: Array(text.utf8), "rig.json")
    scenario.story = story
  }

  // MARK: - Edits

  mutating func write(_ path: String, _ lines: String...) {
    scenario.files.write(lines.map { $0 + "\n" }.joined(), to: path)
  }

  mutating func remove(_ path: String) { scenario.files.remove(path) }

  /// Replaces text that has to be there.
  mutating func replace(
    _ old: String, _ new: String, in path: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let text = try #require(scenario.files.text(path), "\(path)", sourceLocation: sourceLocation)
    try #require(text.contains(old), "\(old) in \(path)", sourceLocation: sourceLocation)
    scenario.files.write(
      text.split(separator: old, omittingEmptySubsequences: false).joined(separator: new), to: path)
  }

  var menu: String { Self.menus[scenario.profile ?? ""] ?? "" }

  /// Replaces `root=…` in the menu's kernel lines by these arguments.
  mutating func boot(_ arguments: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let text = try #require(scenario.files.text(menu), sourceLocation: sourceLocation)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      line.split(separator: " ").map { $0.hasPrefix("root=") ? Substring(arguments) : $0 }
        .joined(separator: " ")
    }
    try #require(text.contains("root="), sourceLocation: sourceLocation)
    scenario.files.write(lines.joined(separator: "\n"), to: menu)
  }

  /// Debian's kernel is another one: its files, and what the menu loads.
  mutating func renameKernel(to version: String) throws {
    let old = "6.1.0-50-amd64"
    for name in ["vmlinuz", "initrd.img"] {
      remove("/boot/\(name)-\(old)")
      write("/boot/\(name)-\(version)")
      try replace("\(name)-\(old)", "\(name)-\(version)", in: menu)
    }
  }

  /// Adds arguments to the kernel line of Debian's menu.
  mutating func append(_ arguments: String) throws { try replace(" ro ", " ro \(arguments) ", in: menu) }

  mutating func stick(
    _ name: String, attached: Bool = true, bootCode: DiskContent.BootCode = .none,
    settles: ClosedRange<Int64> = 1_000_000...2_000_000, partitions: [PartitionSpec] = [Rig.plainPartition]
  ) {
    scenario.machine.disks.append(
      DiskSpec(
        name: name, bus: .usb, model: "Flash", size: 1 << 26, attached: attached,
        settles: Delay(earliest: settles.lowerBound, latest: settles.upperBound),
        content: DiskContent(bootCode: bootCode, grub: nil, partitions: partitions)))
  }

  mutating func disk(_ name: String, _ bus: DiskSpec.Bus, attached: Bool = true) {
    scenario.machine.disks.append(
      DiskSpec(
        name: name, bus: bus, model: "disk", size: 1 << 30, attached: attached,
        settles: Delay(earliest: 0, latest: 0),
        content: DiskContent(bootCode: .none, grub: nil, partitions: [])))
  }

  /// A partition without a file system.
  static let plainPartition = PartitionSpec(
    number: 1, fileSystem: nil, uuid: nil, label: nil, holds: nil, size: 1 << 25)

  static func partition(_ number: Int, _ fileSystem: String, uuid: String? = nil, label: String? = nil)
    -> PartitionSpec
  {
    PartitionSpec(
      number: number, fileSystem: fileSystem, uuid: uuid, label: label, holds: nil, size: 1 << 28)
  }

  /// A node record of open-iscsi in Debian's place.
  mutating func record(
    of target: String = "iqn.2024-01.lab:disk", at address: String = "10.0.2.2", _ settings: String...
  ) {
    let lines =
      ["# BEGIN RECORD 2.1.8", "node.name = \(target)", "node.tpgt = 1"] + settings
      + ["node.conn[0].address = \(address)", "node.conn[0].port = 3260", "# END RECORD"]
    scenario.files.write(
      lines.map { $0 + "\n" }.joined(), to: "/etc/iscsi/nodes/\(target)/\(address),3260,1/default")
  }

  // MARK: - Runs

  /// Every order.
  func explored() -> Report { Bootsim.simulate(scenario, options: .bare) }

  /// The one run in which every delay has its usual value.
  func nominal() -> Outcome? {
    var options = Bootsim.Options.bare
    options.mode = .nominal
    return Bootsim.simulate(scenario, options: options).outcomes.first
  }

  /// The state in which the nominal run ends, with the model that knows what its numbers mean.
  func end() -> (model: MachineModel, state: MachineState) {
    let model = MachineModel(scenario)
    return (model, Simulation.run(model, choosing: .nominal).end)
  }
}

extension Report {
  /// In one line: the verdict, then what fails first in each outcome that fails.
  var summary: String {
    let failures = outcomes.compactMap(\.failure).map { failure in
      [failure.stage?.rawValue, failure.finding].compactMap { $0 }.joined(separator: " ")
    }
    return ([verdict.rawValue] + Set(failures).sorted()).joined(separator: ": ")
  }
}

extension Outcome {
  /// Seconds that the last shutdown took, or was watched.
  var offAfter: Double { Double(shutdowns.last?.at ?? 0) / 1_000_000 }

  /// Some line of the console has this text.
  func prints(_ text: String) -> Bool { timeline.contains { $0.console && $0.text.contains(text) } }
}
