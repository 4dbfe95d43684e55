import LinuxConfig

/// Opening an initrd and closing it again, as Intel's post-install script does for RHEL 4:
/// `gzip -dc IMAGE | cpio -i`, files and lines of linuxrc added, `find . | cpio -o | gzip > IMAGE`.
extension CommandCompiler {
  /// An image's text stands for it, packed or not.
  mutating func gzip(_ paths: [String], _ call: ShellCall) -> ShellOutcome {
    guard let path = paths.first else { return ShellOutcome(.zero, output: call.input ?? .unknown) }
    guard let text = tree.text(path) else {
      ops.add(.say("gzip: \(path): No such file or directory"))
      return ShellOutcome(.nonzero)
    }
    return ShellOutcome(.zero, output: ShellValue(text))
  }

  mutating func cpio(_ options: [String], _ call: ShellCall) -> ShellOutcome {
    guard let typed, let directory = call.directory else { return .unknown }
    if options.contains(where: { $0.hasPrefix("-i") }) {
      openedImages[directory] = ImageBuild.key(in: call.input?.known.map { Array($0.utf8) })
      return ShellOutcome(.zero)
    }
    guard options.contains("-o") else { return .unknown }
    var build =
      openedImages[directory].flatMap { model.library.build($0) } ?? ImageBuild(tree: tree, arguments: [])
    build.added = tree.subtree(at: directory)
    build.key = "\(typed.name) change \(typed.changes + 1) closed"
    model.library.add(build)
    ops.add(.tell("an initrd is closed again with what was added in \(directory)", because: [.story]))
    return ShellOutcome(.zero, output: ShellValue(build.text))
  }
}
