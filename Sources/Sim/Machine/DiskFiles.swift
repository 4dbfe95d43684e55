import LinuxConfig

/// What is on the disks: the system's files as the story has left them so far, and where a shell of the story stands.
///
/// Each state refers to a version by number. The number stands for how the version came about (which steps and commands,
/// from which version), not for when it was first seen, so that a witness replays whatever was explored before.
struct DiskFiles: Sendable, Equatable {
  var tree: MemoryFileTree
  /// Where the story's shell is: `cd` of one step holds for the next.
  var directory: String? = DiskFiles.home
  /// Files on the root's partition below directories that other partitions are mounted over: nobody sees them (S-49).
  var hidden = MemoryFileTree()
  /// Directories whose partitions are not mounted at the moment, and what is on these partitions.
  var unmounted: [String] = []
  var apart = MemoryFileTree()
  /// What is on sticks and floppies, by name.
  var media: [String: MemoryFileTree] = [:]
  /// The installation system's, while it runs.
  var console: InstallerConsole?

  static let home = "/root"
}

extension DiskFiles {
  /// The partition that is mounted over a directory goes, and what lies below it is seen.
  mutating func unmount(_ directory: String) {
    guard !unmounted.contains(directory) else { return }
    unmounted.append(directory)
    Self.exchange(directory, &tree, from: &hidden, to: &apart)
  }

  /// The partition is mounted again, over what was written into the directory meanwhile.
  mutating func mount(_ directory: String) {
    guard let index = unmounted.firstIndex(of: directory) else { return }
    unmounted.remove(at: index)
    Self.exchange(directory, &tree, from: &apart, to: &hidden)
  }

  private static func exchange(
    _ directory: String, _ tree: inout MemoryFileTree, from next: inout MemoryFileTree,
    to previous: inout MemoryFileTree
  ) {
    previous.graft(tree.subtree(at: directory), at: directory)
    tree.remove(directory)
    tree[directory] = .directory([])
    tree.graft(next.subtree(at: directory), at: directory)
    next.remove(directory)
  }
}

/// An initramfs image as its maker was called to build it.
///
/// The image's file holds the build's key as its text, so that a copy, a rename, a link or a directory that something is
/// mounted over do to an image what they do to any file.
struct ImageBuild: Sendable {
  /// The maker's files at the moment it ran.
  var tree: MemoryFileTree
  /// The kernel version it was built for; nil: as installed.
  var version: String?
  /// The maker's own arguments; nil: as installed.
  var arguments: [String]?
  /// What was put into the image when it was opened and closed again.
  var added: MemoryFileTree?
  /// Names the build; "" for an image that was there when the story began.
  var key = ""

  private static let mark = "initramfs image "

  /// The text of an image's file.
  var text: String { Self.mark + key + "\n" }

  /// The key in an image's file; nil: it holds none.
  static func key(in bytes: [UInt8]?) -> String? {
    guard let bytes, bytes.count < 256, bytes.starts(with: mark.utf8) else { return nil }
    return String(decoding: bytes, as: UTF8.self).dropping(mark).map { String($0.prefix { $0 != "\n" }) }
  }
}

extension MachineModel {
  /// The files that the running (or booting) system has.
  func tree(_ s: MachineState) -> MemoryFileTree { library.files(s.tree).tree }

  /// How the image at a path came about, as the files are now.
  func build(ofImage path: String?, _ s: MachineState) -> ImageBuild {
    path.flatMap { library.build(ImageBuild.key(in: tree(s).bytes($0))) }
      ?? ImageBuild(tree: library.files(0).tree)
  }

  /// Says which files are not in the image as they are now (S-42).
  func explainImage(_ selection: BootSelection, _ s: MachineState, _ out: inout Out) {
    guard out.tracing, let path = selection.initrdPath else { return }
    let then = build(ofImage: path, s).tree, now = tree(s)
    let places = ["/etc/", "/usr/share/initramfs-tools/", "/sbin/"]
    let changed = Set(then.paths).union(now.paths).filter { path in
      places.contains { path.hasPrefix($0) } && then.node(path) != now.node(path)
        && !(then.isDirectory(path) || now.isDirectory(path))
    }
    guard !changed.isEmpty else { return }
    let shown = changed.sorted().prefix(3).joined(separator: ", ") + (changed.count > 3 ? ", …" : "")
    explain(
      "kernel", "the image \(path) is older than what was done to \(shown)", because: [.selection],
      sets: .initramfs, to: &out)
  }

  /// A file is edited from elsewhere: the version after it.
  func edited(_ path: String, _ text: String?, step: Int, _ s: MachineState) -> UInt32 {
    library.files("\(s.tree) write \(step)") {
      var files = library.files(s.tree)
      files.tree[path] = text.map { .file(Array($0.utf8)) }
      return files
    }
  }

  /// The story's shells end with the boot they ran in; what they unmounted is mounted again.
  func withoutShell(_ s: MachineState) -> UInt32 {
    let files = library.files(s.tree)
    guard files.directory != DiskFiles.home || files.console != nil || !files.unmounted.isEmpty else {
      return s.tree
    }
    return library.files("\(s.tree) boot") {
      var files = library.files(s.tree)
      for directory in files.unmounted { files.mount(directory) }
      files.directory = DiskFiles.home
      files.console = nil
      return files
    }
  }

  /// A command has changed files: from now on they are what it left, if the disk can be written.
  func executeFiles(_ number: UInt32, part: String, _ s: inout MachineState, _ out: inout Out) -> Flow {
    if s.root.disk > 0, s.root.aborted || s.root.mount != .readWrite || rootIO(s) == .fails {
      say(part, "Read-only file system", &out)
      return .next(Self.instant)
    }
    s.tree = number
    write(&s, &out)
    return .next(Self.instant)
  }
}
