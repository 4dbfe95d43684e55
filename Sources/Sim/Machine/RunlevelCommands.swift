import LinuxConfig

/// The tools that make and remove the links of runlevels.
extension CommandCompiler {
  private var linkDirectories: [(level: String, path: String)] {
    ["0", "1", "2", "3", "4", "5", "6", "S"].compactMap { level in
      ["/etc/rc.d", "/etc/init.d", "/etc"].lazy.map { "\($0)/rc\(level).d" }
        .first { base in tree.isDirectory(base) && tree.linkTarget(base) == nil }.map { (level, $0) }
    }
  }

  /// The links of a service: level, path, whether it starts, number.
  private func links(of service: String) -> [(level: String, path: String, starts: Bool, number: Int)] {
    linkDirectories.flatMap { level, directory in
      tree.list(directory).compactMap { name in
        guard name.count > 3, name.dropFirst(3) == service, let number = Int(name.dropFirst().prefix(2)),
          name.hasPrefix("S") || name.hasPrefix("K")
        else { return nil }
        return (level, "\(directory)/\(name)", name.hasPrefix("S"), number)
      }
    }
  }

  private mutating func make(_ service: String, _ levels: String, starts: Bool, _ number: Int) {
    let two = number < 10 ? "0\(number)" : "\(min(number, 99))"
    for (level, directory) in linkDirectories where levels.contains(level) {
      let target = directory.hasPrefix("/etc/init.d/") ? "../\(service)" : "../init.d/\(service)"
      changeFiles { $0.link("\(directory)/\(starts ? "S" : "K")\(two)\(service)", to: target) }
    }
  }

  private func header(_ service: String) -> LSBHeader {
    let path = ["/etc/init.d/\(service)", "/etc/rc.d/init.d/\(service)"].first { tree.exists($0) }
    return path.flatMap { tree.text($0) }.map { LSBHeader.parse($0, file: service).value } ?? LSBHeader()
  }

  /// update-rc.d(8) of Debian: `remove` needs the script gone or -f; `defaults` makes nothing where a link is already.
  mutating func updateRcD(_ operands: [String], _ options: [String]) {
    guard let service = operands.first, operands.count > 1 else { return }
    let existing = links(of: service)
    switch operands[1] {
    case "remove":
      guard options.contains("-f") || !tree.exists("/etc/init.d/\(service)") else {
        return ops.add(.say("update-rc.d: /etc/init.d/\(service) exists during rc.d purge (use -f to force)"))
      }
      changeFiles { tree in for link in existing { tree.remove(link.path) } }
    case "defaults":
      guard existing.isEmpty else {
        return ops.add(.say(" System startup links for /etc/init.d/\(service) already exist."))
      }
      let header = header(service)
      let numbers = operands.dropFirst(2).compactMap { Int($0) }
      let start = header.defaultStart.joined(), stop = header.defaultStop.joined()
      let plain = header.fields.isEmpty
      make(service, plain ? "2345" : start, starts: true, numbers.first ?? 20)
      make(service, plain ? "016" : stop, starts: false, numbers.last ?? 20)
    case "start", "stop":
      guard existing.isEmpty else {
        return ops.add(.say(" System startup links for /etc/init.d/\(service) already exist."))
      }
      for clause in operands.dropFirst().split(separator: ".") {
        guard let word = clause.first, let number = clause.dropFirst().first.flatMap({ Int($0) }) else {
          continue
        }
        make(service, clause.dropFirst(2).joined(), starts: word == "start", number)
      }
    case "disable", "enable":
      let starts = operands[1] == "enable"
      let levels = operands.count > 2 ? operands.dropFirst(2).joined() : "S2345"
      for link in existing where link.starts != starts && levels.contains(link.level) {
        changeFiles { $0.remove(link.path) }
        make(service, link.level, starts: starts, 100 - link.number)
      }
    default: break
    }
  }

  /// chkconfig(8): by the script's own `chkconfig:` line; on SUSE it is insserv.
  mutating func chkconfig(_ words: [String]) -> ShellOutcome? {
    var levels: String?
    var rest = words[...]
    var action: String?
    var names: [String] = []
    while let word = rest.popFirst() {
      if word == "--level" || word == "--levels" {
        levels = rest.popFirst()
      } else if word.hasPrefix("--") {
        action = word
      } else {
        names.append(word)
      }
    }
    guard let service = names.first else { return nil }
    action = action ?? (names.count > 1 ? names[1] : nil)
    if model.maker(of: tree) == .suse {
      insserv([service], action == "off" || action == "--del" ? ["-r"] : [])
      return ShellOutcome(.zero)
    }
    let header = header(service)
    let usual = header.chkconfigLevels.map { $0 == "-" ? "" : $0 } ?? "345"
    let existing = links(of: service)
    let start = header.startPriority ?? 50, stop = header.stopPriority ?? 50
    switch action {
    case "--del": changeFiles { tree in for link in existing { tree.remove(link.path) } }
    case "--add":
      guard existing.isEmpty else { return ShellOutcome(.zero) }
      make(service, usual, starts: true, start)
      make(service, String("0123456".filter { !usual.contains($0) }), starts: false, stop)
    case "on", "off":
      let chosen = levels ?? "2345"
      changeFiles { tree in
        for link in existing where chosen.contains(link.level) { tree.remove(link.path) }
      }
      make(service, chosen, starts: action == "on", action == "on" ? start : stop)
    default:
      let isOn = existing.contains { $0.starts && "345".contains($0.level) }
      return ShellOutcome(isOn ? .zero : .nonzero)
    }
    return ShellOutcome(.zero)
  }

  /// insserv(8): links by the LSB header's levels; `-r` removes them all. The new ones come after what they require.
  mutating func insserv(_ operands: [String], _ options: [String]) {
    for operand in operands {
      let service = TreePath.name(operand)
      let existing = links(of: service)
      changeFiles { tree in for link in existing { tree.remove(link.path) } }
      guard !options.contains(where: { $0 == "-r" || $0 == "--remove" }) else { continue }
      let header = header(service)
      let levels = header.defaultStart.isEmpty ? "35" : header.defaultStart.joined()
      let before = header.requiredStart.flatMap { links(of: $0.filter { $0 != "$" }) }
      let start = (before.filter(\.starts).map(\.number).max() ?? 0) + 1
      let stop = max(1, (before.filter { !$0.starts }.map(\.number).min() ?? 22) - 1)
      make(service, levels, starts: true, start)
      // SUSE stops a service in the levels' own directories, on leaving them; Debian in the levels it is stopped in.
      let stops = model.maker(of: tree) == .suse ? levels : header.defaultStop.joined()
      make(service, stops, starts: false, stop)
    }
  }
}
