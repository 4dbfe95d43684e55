import LinuxConfig

/// What is Red Hat's own among the things that services do.
extension MachineModel {
  /// Red Hat's init scripts begin with rc.sysinit.
  func hasRedHatInit(_ tree: MemoryFileTree) -> Bool { tree.exists("/etc/rc.d/rc.sysinit") }

  /// /etc/mtab as `mount -f /` writes it: with fstab's own options, `_netdev` among them.
  func mtab(_ tree: MemoryFileTree) -> String {
    guard let root = read(Fstab.self, "/etc/fstab", tree)?.root else { return "/dev/root / ext3 rw 0 0\n" }
    return "\(root.specification) / \(root.type) rw,\(root.options.joined(separator: ",")) 0 0\n"
  }

  /// Services that have a lock file in /var/lock/subsys now: Red Hat's `rc` stops only those.
  func locks(_ s: MachineState) -> Set<String> { library.services(s.services) }

  /// The answers that the story has given so far to programs that will ask.
  func answers(_ step: Int) -> [String: String] {
    var answers: [String: String] = [:]
    for case .answer(let program, let text) in steps.prefix(step) { answers[program] = text }
    return answers
  }
}

extension CommandCompiler {
  /// `touch` and `rm -f` of lock files: scripts say so themselves.
  mutating func lockFiles(_ call: ShellCall) {
    guard locks != nil, let name = call.name, name == "touch" || name == "rm" else { return }
    for word in call.arguments {
      guard let service = word.known?.dropping("/var/lock/subsys/"), !service.isEmpty else { continue }
      if name == "touch" { locks?.insert(service) } else { locks?.remove(service) }
      ops.add(.lockFile(service, held: name == "touch"))
    }
  }

  /// Compares the adapters with /etc/sysconfig/hwconf and asks about new ones: Configure, Ignore, or nothing within 30
  /// seconds (kudzu(8), `-t`). Configure asks for the settings and writes alias and ifcfg file; the network script finds them.
  mutating func kudzu(_ place: String) {
    let known = (tree.text("/etc/sysconfig/hwconf") ?? "").lowercased()
    for nic in model.scenario.machine.nics where !known.contains(nic.mac.lowercased()) {
      ops.add(.say("Hardware Added: \(nic.interface) (\(nic.driver)), network.hwaddr \(nic.mac)"))
      guard let answer = answers["kudzu"] else {
        ops.add(.pause(Window(.seconds(30))))
        ops.add(
          .tell(
            "\(place): kudzu asks about the new adapter, and nobody answers within 30 seconds",
            because: [.story]))
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
      ops.add(
        .tell("\(place): kudzu is told to configure \(nic.interface) and writes \(file)", because: [.story]))
    }
  }
}
