import LinuxConfig

/// systemd: units with their order, started and stopped in parallel.
extension MachineModel {
  struct UnitCommand {
    var text: String
    var place: String
  }

  /// A unit as far as it matters here.
  private struct Unit {
    var name: String
    var after: Set<String>
    var start: [Op]
    var stop: [Op]
  }

  private func unit(_ name: String, _ tree: MemoryFileTree) -> SystemdUnit? {
    SystemdUnit.load(name, from: tree).map(read)
  }

  /// Units that start with the machine: wanted, directly or not, by default.target's usual targets.
  private func wantedUnits(_ tree: MemoryFileTree) -> [String] {
    var wanted: [String] = []
    var queue = [
      "sysinit.target", "sockets.target", "basic.target", "network-online.target", "remote-fs.target",
      "multi-user.target",
    ]
    while let target = queue.popLast() {
      var names: [String] = []
      for directory in SystemdUnit.directories { names += tree.list("\(directory)/\(target).wants") }
      if let unit = unit(target, tree) { names += unit.wants + unit.requires }
      for name in names where !wanted.contains(name) && unit(name, tree)?.isMasked == false {
        wanted.append(name)
        queue.append(name)
      }
    }
    return wanted.sorted()
  }

  /// ExecStart and ExecStop lines of a unit, prefixes such as "-" taken off.
  func unitCommands(_ name: String, _ tree: MemoryFileTree) -> (start: [UnitCommand], stop: [UnitCommand]) {
    guard let unit = unit(name, tree), !unit.isMasked else { return ([], []) }
    func commands(_ key: String) -> [UnitCommand] {
      // An empty value, as a drop-in gives it, takes back those before it.
      let given = unit.settings.filter { $0.section == "Service" && $0.key == key }
      let last = given.lastIndex { $0.value.isEmpty }
      return given[(last.map { $0 + 1 } ?? 0)...].map {
        UnitCommand(text: Self.withoutPrefix($0.value), place: "\($0.file):\($0.line)")
      }
    }
    return (commands("ExecStart"), commands("ExecStop"))
  }

  private static func withoutPrefix(_ command: String) -> String {
    String(command.drop { "-@:+!".contains($0) })
  }

  /// The name of the program that a command line starts.
  private static func program(_ command: String) -> String {
    TreePath.name(command.split(separator: " ").first.map(String.init) ?? "")
  }

  /// Whether there is a unit of a name that is not masked.
  func unitExists(_ name: String, _ tree: MemoryFileTree) -> Bool { unit(name, tree)?.isMasked == false }

  /// Services that nothing starts but a word to their socket, which is there from the beginning (systemd.socket(5)).
  private func socketServices(_ tree: MemoryFileTree) -> [String] {
    let wanted = wantedUnits(tree)
    return wanted.filter { $0.hasSuffix(".socket") }.map { $0.dropLast(".socket".count) + ".service" }
      .filter { !wanted.contains($0) && unitExists($0, tree) }
  }

  /// What is run when somebody speaks to a service's socket; nothing where the service needs no socket for that.
  func commandsBehindSocket(_ service: String, _ tree: MemoryFileTree) -> [UnitCommand] {
    socketServices(tree).contains(service) ? unitCommands(service, tree).start : []
  }

  private func units(_ tree: MemoryFileTree) -> [Unit] {
    let bySocket = socketServices(tree)
    let names = wantedUnits(tree) + bySocket
    var units: [Unit] = []
    for name in names where name.hasSuffix(".service") {
      guard let unit = unit(name, tree) else { continue }
      var after = Set(unit.after)
      if unit.hasDefaultDependencies { after.formUnion(["sysinit.target", "basic.target"]) }
      let (start, stop) = unitCommands(name, tree)
      units.append(
        Unit(
          name: name, after: after, start: bySocket.contains(name) ? [] : compiled(start, name, tree),
          stop: compiled(stop, name, tree, stopping: true)))
    }
    // Before= of one is After= of the other.
    for name in names {
      for other in unit(name, tree)?.before ?? [] {
        if let index = units.firstIndex(where: { $0.name == other }) { units[index].after.insert(name) }
      }
    }
    return units
  }

  private func compiled(
    _ commands: [UnitCommand], _ unit: String, _ tree: MemoryFileTree, stopping: Bool = false
  ) -> [Op] {
    var compiler = CommandCompiler(model: self, tree: tree)
    for command in commands { compiler.line(command.text, from: command.place) }
    // systemd kills what is left of a service that was started as a daemon.
    let programs = stopping ? unitCommands(unit, tree).start.map { Self.program($0.text) } : []
    if programs.contains("iscsid") {
      compiler.ops.add(.stopDaemon(says: "\(unit) is stopped: systemd kills iscsid"))
    }
    if programs.contains("systemd-networkd") { compiler.networkdEnds("\(unit) is stopped") }
    return compiler.take()
  }

  /// Order through targets: what comes after a target comes after everything that is before it.
  private func order(_ tree: MemoryFileTree, _ units: [Unit]) -> [String: Set<String>] {
    var edges: [String: Set<String>] = [
      "sysinit.target": ["local-fs.target", "systemd-udev-trigger.service"],
      "basic.target": ["sysinit.target"],
      "local-fs.target": ["systemd-remount-fs.service"], "network-online.target": ["network.target"],
      "remote-fs.target": ["remote-fs-pre.target"],
      "multi-user.target": ["basic.target", "remote-fs.target"],
      "systemd-remount-fs.service": [], "systemd-udev-trigger.service": [],
    ]
    for unit in units {
      edges[unit.name, default: []].formUnion(unit.after)
      for other in self.unit(unit.name, tree)?.before ?? [] where other != "shutdown.target" {
        edges[other, default: []].insert(unit.name)
      }
      edges["multi-user.target", default: []].insert(unit.name)
    }
    edges["local mounts"] = ["systemd-remount-fs.service"]
    edges["remote mounts"] = ["remote-fs-pre.target", "network-online.target"]
    edges["local-fs.target", default: []].insert("local mounts")
    edges["remote-fs.target", default: []].insert("remote mounts")
    var closure: [String: Set<String>] = [:]
    func reach(_ name: String, _ path: Set<String>) -> Set<String> {
      if let known = closure[name] { return known }
      var all: Set<String> = []
      for next in (edges[name] ?? []).sorted() where !path.contains(next) {
        all.insert(next)
        all.formUnion(reach(next, path.union([name])))
      }
      closure[name] = all
      return all
    }
    for name in edges.keys.sorted() { _ = reach(name, []) }
    return closure
  }

  /// Mount units in two groups, each mounted as its devices come; within a group no order matters.
  private func mountGroups(_ tree: MemoryFileTree) -> [(name: String, mounts: [FstabMount])] {
    let lines = fstabMounts(tree, systemd: true).filter { $0.mount.mountPoint != "/" }
    return [
      ("local mounts", lines.filter { !$0.network }.map(\.mount)),
      ("remote mounts", lines.filter(\.network).map(\.mount)),
    ]
  }

  /// Does a unit's program do anything but be there?
  func hasEffect(_ ops: [Op]) -> Bool {
    ops.contains { op in
      switch op {
      case .read, .say, .tell, .pause, .jump: false
      default: true
      }
    }
  }

  private func tasks(_ nodes: [(name: String, ops: [Op])], _ before: (String, String) -> Bool) -> [Program
    .Task]
  {
    // Units that touch nothing we model run beside the rest without being followed; the last node is the end of all.
    let acting = nodes.dropLast().filter { hasEffect($0.ops) }
    for node in acting.dropFirst(Program.taskLimit - 1) {
      library.notLooked(
        "\(node.name): more than \(Program.taskLimit) units act on what is modelled; this one is left out")
    }
    let kept = Array(acting.prefix(Program.taskLimit - 1)) + nodes.suffix(1)
    return kept.map { node in
      var after: UInt32 = 0
      for (index, other) in kept.enumerated() where other.name != node.name && before(other.name, node.name) {
        after |= 1 << UInt32(index)
      }
      return Program.Task(name: node.name, after: after, ops: Array(node.ops.prefix(Program.opLimit)))
    }
  }

  func systemdStart(_ tree: MemoryFileTree) -> Program {
    let units = units(tree)
    let closure = order(tree, units)
    var nodes: [(name: String, ops: [Op])] = [
      ("systemd-remount-fs.service", [.pause(Pace.about(5500)), .remountRoot(readWrite: true, failTo: 2)]),
      (
        "systemd-udev-trigger.service",
        [
          .pause(Pace.about(5600)),
          .read("systemd-udevd", says: "Failed to start systemd-udevd.service", failTo: 4),
          .pause(Pace.about(9000)), .modules(hardwareDrivers),
        ]
      ),
    ]
    for (name, group) in mountGroups(tree) where !group.isEmpty {
      // The devices have to come through the real root's udev first.
      nodes.append((name, [.pause(Pace.about(9000)), .mountEntries(group)]))
    }
    // The two that are modelled as a whole may be there as files, too.
    for unit in units where !nodes.contains(where: { $0.name == unit.name }) {
      nodes.append((unit.name, unit.start))
    }
    nodes.append(
      (
        "multi-user.target",
        [
          .pause(Pace.about(6_000)), .read("agetty", says: "Failed to start getty@tty1.service", failTo: 3),
          .up,
        ]
      ))
    return Program(
      part: "systemd",
      tasks: tasks(nodes) { earlier, later in
        // udev's own work goes on beside the rest; only the jobs of sysinit wait for the trigger, not for drivers.
        earlier != "systemd-udev-trigger.service" && closure[later]?.contains(earlier) == true
      })
  }

  func systemdStop(_ tree: MemoryFileTree, reboot: Bool) -> Program {
    let units = units(tree)
    let closure = order(tree, units)
    var nodes: [(name: String, ops: [Op])] = units.map { ($0.name, $0.stop) }
    let end: [Op] = [
      .pause(Pace.about(2000)),
      .read("/lib/systemd/systemd-shutdown", says: "[!!!!!!] Failed to execute shutdown binary.", failTo: 7),
      .killAll, .sync, .remountRoot(readWrite: false, failTo: 5),
      .halt(HaltRequest(reboot: reboot, commandLine: reboot ? "reboot" : "poweroff")),
      .jump(8),
      .noProcessesLeft(says: "systemd[1]: Freezing execution."),
    ]
    nodes.append(("systemd-shutdown", end))
    return Program(
      part: "systemd",
      tasks: tasks(nodes) { earlier, later in
        later == "systemd-shutdown" || closure[earlier]?.contains(later) == true
      })
  }
}
