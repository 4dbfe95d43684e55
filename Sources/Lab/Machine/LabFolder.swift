import Glibc

/// Where the laboratory works: images and the root trees they are made of, a fuse-lun store with its mount, a folder for
/// each run.
public struct LabFolder: Sendable {
  /// The folder.
  public let path: String
  /// The folder of the recipes (`Lab/images` of the project).
  public let recipes: String
  /// The program fuse-lun.
  public let fuseLun: String

  /// The laboratory in a folder.
  public init(path: String, recipes: String, fuseLun: String) {
    self.path = path
    self.recipes = recipes
    self.fuseLun = fuseLun
  }

  var store: String { "\(path)/store" }
  var mountpoint: String { "\(path)/lun" }

  /// Where a run keeps what only it needs.
  func run(_ variant: String) -> String { "\(path)/run/\(variant)" }

  /// The file of a LUN in the mount.
  func file(_ lun: String) -> String { "\(mountpoint)/\(lun)" }

  /// Does a command of fuse-lun's on the store.
  @discardableResult
  func lun(_ words: String..., allowing fine: Set<Int32> = [0]) throws(LabError) -> String {
    try Tool.run([fuseLun] + words, allowing: fine)
  }

  /// Of several that come at once, one goes on, and the others when it has closed this: they find what it has made.
  func turn() -> Int32 {
    let lock = open("\(path)/.turn.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    flock(lock, LOCK_EX)
    return lock
  }

  /// What this machine lacks for real boots, a sentence each; empty: nothing.
  public func missing() -> [String] {
    var lacks: [String] = []
    if geteuid() != 0 {
      lacks.append("real boots need root: for mounts, loop devices and a network of their own")
    }
    for device in ["/dev/fuse", "/dev/loop-control", "/dev/net/tun"] where access(device, F_OK) != 0 {
      lacks.append("this kernel has no \(device)")
    }
    let programs = [
      "qemu-system-x86_64", "tgtd", "tgtadm", "istgt", "dnsmasq", "debootstrap", "ip", "nsenter", "setpriv",
      "losetup",
      "sfdisk", "e2fsck",
    ]
    let absent = programs.filter { !Tool.exists($0) }
    if !absent.isEmpty {
      lacks.append(
        "not installed: \(absent.joined(separator: ", ")) (Scripts/setup lab installs what is missing)")
    }
    if access("/usr/lib/ipxe/qemu", F_OK) != 0, access("/usr/share/qemu/pxe-e1000.rom", F_OK) != 0 {
      lacks.append("iPXE's ROMs for QEMU are not installed (the package ipxe-qemu)")
    }
    return lacks
  }

  /// The names of the images that there are recipes for.
  public func images() throws(LabError) -> [String] {
    try Tool.run(["\(recipes)/build", "--list"]).split(separator: "\n").map(String.init)
  }

  /// What is known of an image that was built: its kernel and its packages' versions, in the order in which it says them.
  public func info(_ image: String) throws(LabError) -> [(name: String, version: String)] {
    var facts: [(name: String, version: String)] = []
    for line in try Files.text("\(path)/images/\(image).info").split(separator: "\n") {
      guard let equals = line.firstIndex(of: "=") else { continue }
      facts.append((String(line[..<equals]), String(line[line.index(after: equals)...])))
    }
    return facts
  }

  /// Builds an image that is not there or that is older than its recipe.
  public func build(_ image: String) throws(LabError) { try Tool.run(["\(recipes)/build", image, path]) }

  /// Builds an image that is not there or that is older than its recipe, and puts it into the store.
  ///
  /// - Returns: the name of the snapshot to clone.
  public func prepare(_ image: String) throws(LabError) -> String {
    let turn = turn()
    defer { close(turn) }
    try build(image)
    let recipe = try info(image).first { $0.name == "recipe" }?.version ?? "unknown"
    // An image of another recipe is another LUN: clones of the older one may still be in use.
    let lun = "\(image)-\(recipe.prefix(12))"
    if access(file(lun), F_OK) != 0 {
      try self.lun("create", store, lun, "--from", "\(path)/images/\(image).img", "--raw")
    }
    // Clones of an image of an older recipe keep what they share with it.
    let other = try Files.names(in: mountpoint).filter { name in
      name.hasPrefix("\(image)-") && name != lun && name.count == lun.count && !name.contains("@")
    }
    for name in other { _ = try? self.lun("delete", store, name, "--snapshots") }
    if access(file("\(lun)@clean"), F_OK) != 0 { try self.lun("snapshot", store, "\(lun)@clean") }
    return "\(lun)@clean"
  }
}

/// Keeps the store of a laboratory mounted for as long as it lives.
///
/// Several programs may have one at a time: each holds a lock that others may hold too, and who finds itself alone at the
/// end unmounts.
public final class LabMount {
  private let folder: LabFolder
  private let use: Int32

  /// Mounts the store, unless it is mounted.
  public init(_ folder: LabFolder) throws(LabError) {
    self.folder = folder
    try Files.makeFolder(folder.mountpoint)
    let turn = folder.turn()
    defer { close(turn) }
    // A LUN that shows whether the store is mounted.
    if access(folder.store, F_OK) != 0 { try folder.lun("create", folder.store, "mark", "--size", "1M") }
    if access(folder.file("mark"), F_OK) != 0 {
      // The mount of a program that was killed is there, and nobody answers.
      if errno == ENOTCONN { try Tool.run(["umount", "--lazy", folder.mountpoint]) }
      try folder.lun("mount", folder.store, folder.mountpoint)
    }
    use = open("\(folder.path)/.use.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard use >= 0 else { throw LabError("\(folder.path): \(String(cString: strerror(errno)))") }
    flock(use, LOCK_SH)
  }

  deinit {
    let turn = folder.turn()
    if flock(use, LOCK_EX | LOCK_NB) == 0 { _ = try? Tool.run(["umount", folder.mountpoint]) }
    close(use)
    close(turn)
  }
}
