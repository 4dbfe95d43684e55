import LinuxConfig

/// Edits of a system whose initramfs dracut makes.
extension Cures {
  func dracutEdits() -> [Candidate] {
    guard scenario.files.isDirectory("/etc/dracut.conf.d"), !scenario.files.exists("/etc/initramfs-tools")
    else { return [] }
    let path = "/etc/dracut.conf.d/90-iscsi.conf"
    var found: [Candidate] = []
    let modules = "add_dracutmodules+=\" iscsi network-legacy \""
    found.append(
      replace(path, with: modules + "\n", "have a network module that knows the iBFT in the image"))
    // Programs that iscsid's unit runs first.
    let unit = scenario.files.text("/lib/systemd/system/iscsid.service") ?? ""
    let programs = unit.split(separator: "\n").compactMap { String($0).dropping("ExecStartPre=") }
    if !programs.isEmpty {
      let items = "install_items+=\" \(programs.joined(separator: " ")) \""
      found.append(replace(path, with: items + "\n", "have what iscsid's unit runs first in the image"))
      found.append(
        replace(
          path, with: "\(modules)\n\(items)\n",
          "have a network module that knows the iBFT, and what iscsid's unit runs first, in the image"))
    }
    if let firmware = edit(
      "let the initramfs take the target from the iBFT", files: Self.menus,
      change: { line in
        let word = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).first
        guard word == "linux", !line.contains("rd.iscsi.firmware"), !line.contains("netroot=") else {
          return nil
        }
        return line + " rd.iscsi.firmware=1"
      })
    {
      found.append(firmware)
    }
    return found
  }
}
