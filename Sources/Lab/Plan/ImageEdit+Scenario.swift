import LinuxConfig
import Sim

extension ImageEdit {
  /// What a scenario changes against its profile.
  ///
  /// The profile's files stand for the image's, which are longer: what both have alike is left as the image has it.
  init(
    _ scenario: Scenario, _ profile: Scenario, release: KernelRelease, kernel: String,
    _ reasons: inout [String]
  ) {
    var files: [(path: String, file: File)] = []
    var removed: [String] = []
    func translated(_ text: String) -> String {
      guard let old = release.text, old != kernel else { return text }
      return text.replacing(old, with: kernel)
    }
    for path in Self.paths(scenario.files) where scenario.files.node(path) != profile.files.node(path) {
      switch scenario.files.node(path) {
      case .file([]): files.append((translated(path), .presence))
      case .file(let bytes):
        var text = translated(String(decoding: bytes, as: UTF8.self))
        // A scenario's list of lines has no line end after the last; a file has.
        if text.last?.isNewline == false { text += "\n" }
        files.append((translated(path), .text(Self.isMenu(path) ? Self.seen(text) : text)))
      case .link(let target): files.append((translated(path), .link(translated(target))))
      case .directory, nil: break
      }
    }
    for path in Self.paths(profile.files) where scenario.files.node(path) == nil {
      removed.append(translated(path))
    }
    // Which packages are installed is a matter of the image.
    files.removeAll { $0.path.hasPrefix("/var/lib/dpkg/") }
    var added: [String] = []
    var omitted: [String] = []
    for (path, initrd) in scenario.initrds.sorted(by: { $0.key < $1.key }) {
      if initrd.modules != nil || !initrd.files.isEmpty || initrd.command != nil {
        reasons.append(
          "\(path): an initramfs is made by its maker here; only modules can be added and left out")
      }
      added += initrd.add
      omitted += initrd.omit
    }
    let shown = LabPlan.bootROM(scenario).flatMap { rom in
      scenario.targets.first { $0.iqn == rom.target }?.luns.first { $0.lun == rom.lun }?.content
    }
    let own = profile.targets.first?.luns.first?.content
    self.init(
      files: files, removed: removed,
      rebuilds: (files.map(\.path) + removed).contains(where: Self.isRead) || !added.isEmpty
        || !omitted.isEmpty,
      addedModules: added, omittedModules: omitted, grub: shown?.grub == own?.grub ? nil : shown?.grub,
      bootCode: shown?.bootCode ?? .grub)
  }

  /// What the makers of an initramfs read (mkinitramfs(8), dracut(8)).
  private static func isRead(_ path: String) -> Bool {
    let folders = [
      "/etc/initramfs-tools/", "/usr/share/initramfs-tools/", "/etc/iscsi/", "/etc/dracut.conf",
      "/usr/lib/dracut/",
      "/lib/dracut/", "/etc/udev/", "/etc/modprobe.d/", "/etc/modules", "/etc/systemd/network/",
      "/etc/multipath",
      "/lib/open-iscsi/",
    ]
    return folders.contains { path.hasPrefix($0) }
  }

  private static func isMenu(_ path: String) -> Bool {
    ["/boot/grub/grub.cfg", "/boot/grub/menu.lst", "/boot/grub/grub.conf"].contains(path)
  }

  /// A boot menu whose kernels write to the console that the laboratory reads.
  private static func seen(_ menu: String) -> String {
    menu.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      let words = line.split(whereSeparator: \.isWhitespace)
      guard let first = words.first, ["linux", "linux16", "kernel"].contains(first),
        !line.contains("console=ttyS0")
      else { return String(line) }
      return "\(line) console=tty0 console=ttyS0,115200n8"
    }.joined(separator: "\n")
  }

  /// The paths of all files and links, sorted.
  private static func paths(_ tree: some FileTree, below folder: String = "/") -> [String] {
    guard case .directory(let names) = tree.node(folder) else { return [] }
    return names.flatMap { name -> [String] in
      let path = TreePath.join(folder, name)
      if case .directory = tree.node(path) { return paths(tree, below: path) }
      return [path]
    }
  }
}
