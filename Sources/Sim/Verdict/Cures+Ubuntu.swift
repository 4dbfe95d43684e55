import LinuxConfig

/// Edits of an Ubuntu of 2009 and 2010 that the howto of etherboot.org has, and what goes with them.
extension Cures {
  func ubuntuEdits() -> [Candidate] {
    let share = "/usr/share/initramfs-tools"
    guard scenario.files.isFile("\(share)/hooks/iscsi") else { return jobEdits() }
    var found: [Candidate] = []
    if !scenario.files.exists("/etc/iscsi/iscsi.initramfs") {
      found.append(
        replace(
          "/etc/iscsi/iscsi.initramfs", with: "",
          "tell the hook that the initiator belongs into the initramfs"))
    }
    if let path = edit(
      "let the hook copy the initiator from where it is", files: ["\(share)/hooks/iscsi"],
      change: { line in
        let words = line.split(separator: " ").map(String.init)
        guard words.count > 1, words[0] == "copy_exec", !scenario.files.exists(words[1]),
          let there = ["/sbin", "/usr/sbin", "/bin", "/usr/bin"].map({ "\($0)/\(TreePath.name(words[1]))" })
            .first(
              where: scenario.files.isFile)
        else { return nil }
        return (["copy_exec", there] + words.dropFirst(2)).joined(separator: " ")
      })
    {
      found.append(path)
    }
    let early = "/etc/initramfs-tools/scripts/local-top/early_udev"
    if let script = scenario.files.text("\(share)/scripts/nfs-top/udev"), !scenario.files.exists(early) {
      found.append(replace(early, with: script, "let the initramfs wait for udev before the initiator runs"))
    }
    return found + interfaceNames() + jobEdits()
  }

  private func interfaceNames() -> [Candidate] {
    scenario.machine.nics.filter(\.cable).compactMap { nic in
      edit(
        "name the interface as it is called in the initramfs", files: ["/etc/initramfs-tools/initramfs.conf"]
      ) { line in
        line.hasPrefix("DEVICE=") && line != "DEVICE=\(nic.interface)" ? "DEVICE=\(nic.interface)" : nil
      }
    }
  }

  /// Nothing starts iscsid: a job that does, and that never stops it.
  private func jobEdits() -> [Candidate] {
    let path = "/etc/init/open-iscsi.conf", script = "/etc/init.d/open-iscsi"
    guard scenario.files.isDirectory("/etc/init"), scenario.files.isFile(script), !scenario.files.exists(path)
    else { return [] }
    return [
      replace(
        path, with: "start on filesystem\nexec \(script) start\n",
        "start iscsid when the file systems are mounted")
    ]
  }
}
