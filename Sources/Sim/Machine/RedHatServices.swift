import LinuxConfig

/// Lock files below /var/lock/subsys, as scripts make and remove them: Red Hat's `rc` stops only what has one.
struct SubsystemLocks: Hashable, Sendable {
  private(set) var held: Set<String> = []
  private(set) var released: Set<String> = []

  mutating func make(_ name: String) {
    held.insert(name)
    released.remove(name)
  }

  mutating func remove(_ name: String) {
    held.remove(name)
    released.insert(name)
  }

  /// Nil: no script has said.
  func isHeld(_ name: String) -> Bool? {
    held.contains(name) ? true : released.contains(name) ? false : nil
  }
}

/// What is Red Hat's own among the things that services do.
extension MachineModel {
  /// Red Hat's init scripts begin with rc.sysinit.
  func hasRedHatInit(_ tree: MemoryFileTree) -> Bool { tree.exists("/etc/rc.d/rc.sysinit") }

  /// /etc/mtab as `mount -f /` writes it: with fstab's own options, `_netdev` among them.
  func mtab(_ tree: MemoryFileTree) -> String {
    guard let root = read(Fstab.self, "/etc/fstab", tree)?.root else { return "/dev/root / ext3 rw 0 0\n" }
    return "\(root.specification) / \(root.type) rw,\(root.options.joined(separator: ",")) 0 0\n"
  }

  /// The lock files that the boot and the story's commands since then have left, before a step of the story.
  func locks(before index: Int) -> SubsystemLocks {
    library.parsed("locks \(index)") {
      var first = index
      while first > 0, steps[first - 1] != .boot { first -= 1 }
      let booted = trees[max(first - 1, 0)]
      var compiler = CommandCompiler(model: self, tree: booted)
      _ = startPieces(&compiler, booted)
      for step in first..<max(first, index) {
        switch steps[step] {
        case .run(let line): compiler.line(line, from: "story")
        case .service(let action, let name): compiler.line("service \(name) \(action)", from: "story")
        default: continue
        }
      }
      return compiler.locks
    }
  }

  /// The answer that the story gives to a program that asks during the boot of this tree.
  func answer(to program: String, _ index: Int) -> String? {
    for step in steps[..<min(index, steps.count)].reversed() {
      if case .answer(program, let text) = step { return text }
    }
    return nil
  }
}

extension CommandCompiler {
  mutating func lockFiles(_ command: String, _ words: [String]) {
    for word in words {
      guard let name = word.dropping("/var/lock/subsys/"), !name.isEmpty else { continue }
      if command == "touch" { locks.make(name) } else { locks.remove(name) }
    }
  }

  /// Compares the adapters with /etc/sysconfig/hwconf and asks about new ones: Configure, Ignore, or nothing within 30
  /// seconds (kudzu(8), `-t`). Configure asks for the settings and writes alias and ifcfg file; the network script finds them.
  mutating func kudzu(_ place: String) {
    let known = (tree.text("/etc/sysconfig/hwconf") ?? "").lowercased()
    for nic in model.scenario.machine.nics where !known.contains(nic.mac.lowercased()) {
      ops.add(.say("Hardware Added: \(nic.interface) (\(nic.driver)), network.hwaddr \(nic.mac)"))
      guard let answer = model.answer(to: "kudzu", before) else {
        ops.add(.pause(Window(.seconds(30))))
        ops.add(.tell("\(place): kudzu asks about the new adapter, and nobody answers within 30 seconds", because: [.story]))
        continue
      }
      ops.add(.pause(Pace.between(2000, 30_000, seen: 5000)))
      guard answer.hasPrefix("configure") else {
        ops.add(.tell("\(place): kudzu is told to ignore the adapter \(nic.interface)", because: [.story]))
        continue
      }
      let isStatic = answer == "configure static"
      let address = nic.optionROM?.address?.split(separator: "/").first.map(String.init) ?? "192.168.0.10"
      let file = "/etc/sysconfig/network-scripts/ifcfg-\(nic.interface)"
      let lines =
        ["DEVICE=\(nic.interface)", "ONBOOT=yes", "BOOTPROTO=\(isStatic ? "none" : "dhcp")"]
        + (isStatic ? ["IPADDR=\(address)"] : [])
      tree.write(lines.map { $0 + "\n" }.joined(), to: file)
      ops.add(.write)
      ops.add(.tell("\(place): kudzu is told to configure \(nic.interface) and writes \(file)", because: [.story]))
    }
  }
}
