import LinuxConfig

/// Edits of SUSE's scripts and of how its initrd is made.
extension Cures {
  /// mkinitrd with the interface that has the cable, and the network script leaving it alone.
  func suseEdits() -> [Candidate] {
    guard scenario.files.exists("/etc/SuSE-release"),
      let interface = scenario.machine.nics.first(where: { $0.cable })?.interface
    else { return [] }
    var found: [Candidate] = []
    for (path, spec) in scenario.initrds.sorted(by: { $0.key < $1.key }) {
      let wanted = "mkinitrd -D \(interface)"
      guard let command = spec.command, command != wanted else { continue }
      found.append(
        Candidate(
          title: "make the initrd for \(interface)",
          edits: [Edit(place: "system.initrd['\(path)'].command", line: nil, old: command, new: wanted)],
          apply: { $0.initrds[path]?.command = wanted }))
    }
    let line = "test \"$a\" = \(interface) && continue;"
    if let skip = edit(
      "let the network script skip \(interface)", files: ["/etc/init.d/network"],
      change: { $0.hasPrefix("for a in ") && $0.hasSuffix("; do") ? "\($0)\n\(line)" : nil })
    {
      found.append(skip)
    }
    return found
  }

  /// The document's two lines, where mkinitrd writes what linuxrc does before it starts iscsid.
  func secretInLinuxrc(_ chap: Credentials) -> Candidate? {
    edit("write the CHAP name and secret into the initrd's iscsi.conf", files: ["/sbin/mkinitrd"]) { line in
      guard line == "iscsid" else { return nil }
      return "echo Username=\(chap.username) >> /etc/iscsi.conf\n"
        + "echo Password=\(chap.password) >> /etc/iscsi.conf\niscsid"
    }
  }
}
