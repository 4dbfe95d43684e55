import LinuxConfig

/// Installation systems and packages.
extension ScenarioFormat {
  private static let fileMap = fileEntry.map(pattern: "^/", name: wrongPath)

  private static func node(_ entry: SystemDraft.Entry) -> FileNode? {
    switch entry {
    case .text(let text): .file(Array(text.utf8))
    case .link(let target): .link(target)
    case .absent: nil
    }
  }

  private static func tree(_ files: [(name: String, value: Located<SystemDraft.Entry>)]) -> MemoryFileTree {
    var tree = MemoryFileTree()
    for file in files { tree[TreePath.normalized(file.name)] = node(file.value.value) }
    return tree
  }

  private static let medium = Format<InstallerSpec.Medium>(.anyOf([fileMap.shape(), absolutePath.shape()])) {
    value, path, problems in
    guard case .string = value.kind else {
      return fileMap.read(value, path, problems).map { .files(tree($0)) }
    }
    return absolutePath.read(value, path, problems).map { .folder($0) }
  }

  static let installer = Format<InstallerSpec>.object(
    "installer", "The installation system or live CD that the step \"installer\" starts."
  ) { object in
    var spec = InstallerSpec()
    spec.kernel = object.optional(
      "kernel", nonEmpty, "The version of its kernel; modules of another are refused.",
      fallback: "not looked at")
    spec.architecture = object.optional(
      "architecture", nonEmpty, "The architecture of its kernel, as \"i386\".", fallback: "not looked at")
    spec.drivers = object.optional(
      "drivers", name.list(), "The drivers that its medium has.", fallback: "all that there are")
    spec.shell = object.value(
      "shell", choice(InstallerSpec.Shell.self), "\"busybox\" installs no packages.", default: .full,
      "\"full\"")
    spec.files = tree(object.value("files", fileMap, "Its own files, in memory.", default: [], "{}"))
    let media = object.value(
      "media", medium.map(pattern: ".", name: { _ in nil }),
      "What is on sticks and floppies, by device: files, or the directory of the system that has them.",
      default: [], "{}")
    for medium in media { spec.media[medium.name] = medium.value.value }
    spec.source = object.optional(
      "source", absolutePath, "The directory that it reads its packages from.",
      fallback: "nothing can be mounted over it")
    spec.target = object.value(
      "target", absolutePath, "Where it mounts the system that it installs.", default: "/mnt", "\"/mnt\"")
    spec.firstDisk = object.optional(
      "firstDisk", nonEmpty, "The disk on top of its disk order: GRUB's boot code goes there.",
      fallback: "the one with /boot")
    spec.makesNodes = object.value(
      "makesNodes", boolean, "It makes a node in /dev for each disk; if not, mknod does.", default: true,
      "true")
    spec.logsIn = object.value(
      "logsIn", boolean, "It logs in to every target by itself.", default: false, "false")
    return spec
  }

  static let package = Format<PackageSpec>.object("package", "What a package brings.") { object in
    var spec = PackageSpec()
    let files = object.value("files", fileMap, "Its files; null: a path that it removes.", default: [], "{}")
    for file in files {
      spec.files.updateValue(node(file.value.value), forKey: TreePath.normalized(file.name))
    }
    spec.ships = object.value(
      "ships", absolutePath.list(), "Files that it brings as the system had them when the story began.",
      default: [], "[]")
    spec.postinst = object.value(
      "postinst", fileText, "Its maintainer's script, run by root after the files are in place.", default: "",
      "\"\"")
    spec.version = object.optional("version", nonEmpty, "Its version.", fallback: "as before")
    spec.noReplace = Set(
      object.value(
        "noreplace", absolutePath.list(), "Configuration files that rpm leaves when they were edited.",
        default: [], "[]"))
    return spec
  }
}
