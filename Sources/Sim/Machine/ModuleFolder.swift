import LinuxConfig

/// `/lib/modules/VERSION`: which modules a kernel has, and what each needs, from modules.dep.
struct ModuleFolder {
  let version: String
  /// What has to be loaded before a module, by normalized names, in loading order.
  private var needs: [String: [String]] = [:]
  /// "usb-storage.ko" for usb_storage.
  private var fileNames: [String: String] = [:]
  /// False: the tree says nothing about this kernel's modules; any module is taken to be there and to need nothing.
  private let isKnown: Bool
  private let magic: String

  init(_ tree: MemoryFileTree, version: String) {
    self.version = version
    magic = Self.magic(of: version, tree)
    guard let text = tree.text("/lib/modules/\(version)/modules.dep") else {
      isKnown = false
      return
    }
    isKnown = true
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard let path = parts.first else { continue }
      // depmod lists what a module needs from the nearest to the farthest.
      let needed =
        parts.count > 1 ? parts[1].split(separator: " ").reversed().map { Self.name(String($0)) } : []
      needs[Self.name(String(path))] = needed
      fileNames[Self.name(String(path))] = TreePath.name(String(path))
    }
  }

  private static func name(_ path: String) -> String {
    KernelModules.normalized(path.split(separator: "/").last.map(String.init) ?? path)
  }

  /// Nil: this kernel has no such module.
  func dependencies(of module: String) -> [String]? {
    isKnown ? needs[KernelModules.normalized(module)] : []
  }

  func fileName(of module: String) -> String { fileNames[module] ?? module + ".ko" }

  /// The lines of `modinfo` that the kernel's loader looks at.
  func information(on module: String) -> String {
    "depends:        \((dependencies(of: module) ?? []).joined(separator: ","))\nvermagic:       \(magic)\n"
  }

  /// What a kernel of this version puts into its modules (vermagic): version and what its processor type adds, by the
  /// kernel's own configuration.
  static func magic(of version: String, _ tree: MemoryFileTree) -> String {
    let isBig = tree.text("/boot/config-\(version)")?.contains("CONFIG_X86_64=y") == true
    return version + (isBig ? " gcc-3.4" : " 686 REGPARM 4KSTACKS gcc-3.4")
  }
}

/// A module file as insmod finds it in an image.
struct ModuleFile: Hashable, Sendable {
  var name: String
  /// Modules whose symbols it uses.
  var depends: [String]
  /// Nil: the file says nothing.
  var magic: String?

  init(name: String, information: String) {
    self.name = KernelModules.normalized(name)
    depends = []
    for line in information.split(separator: "\n") {
      // As modinfo prints it, or as it stands in the file.
      let parts = line.split(maxSplits: 1) { $0 == ":" || $0 == "=" }.map { $0.trimmingSpaces }
      guard parts.count == 2 else { continue }
      if parts[0] == "depends" {
        depends = parts[1].split(separator: ",").map { KernelModules.normalized(String($0)) }
      }
      if parts[0] == "vermagic" { magic = parts[1] }
    }
  }
}

extension Substring {
  fileprivate var trimmingSpaces: String {
    String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }
}

extension MachineModel {
  /// `insmod` loads one file and looks for no other: what it needs has to be there before (A L187-L198).
  func executeInsmod(_ module: ModuleFile, part: String, _ s: inout MachineState, _ out: inout Out) -> Flow {
    guard !loaded(module.name, s) else { return .next(Self.instant) }
    let version = library.selection(s.firmware.selection)?.kernelVersion ?? ""
    let magic = ModuleFolder.magic(of: version, tree(s))
    if let built = module.magic, built != magic {
      say("kernel", "\(module.name): version magic '\(built)' should be '\(magic)'", &out)
      say(part, "insmod: error inserting '/lib/\(module.name).ko': -1 Invalid module format", &out)
      explain(
        part, "\(module.name).ko was built for another kernel: it is \(built), and \(magic) runs",
        because: [.initramfs, .selection], sets: .login, to: &out)
      return notLoaded(module, .moduleRefused, &s)
    }
    let missing = module.depends.filter { moduleBit($0) != nil && !loaded($0, s) }
    guard missing.isEmpty else {
      say("kernel", "\(module.name): Unknown symbol", &out)
      say(part, "insmod: error inserting '/lib/\(module.name).ko': -1 Unknown symbol in module", &out)
      explain(
        part,
        "\(module.name) is not loaded: it uses symbols of \(missing.joined(separator: ", ")), which is not loaded yet",
        because: [.initramfs], sets: .login, to: &out)
      return notLoaded(module, .symbolsUnresolved, &s)
    }
    loadModules([module.name], &s, &out)
    return .next(Pace.between(20, 150, seen: 60))
  }

  private func notLoaded(_ module: ModuleFile, _ problem: LoginProblem, _ s: inout MachineState) -> Flow {
    // Without other drivers something else is missed later; the initiator's own have to be remembered.
    let initiator = KernelModules.initiators.union(["crc32c", "libcrc32c"])
    if problem == .moduleRefused || initiator.contains(module.name) { s.iscsi.problem = problem.rawValue }
    return .next(Pace.between(5, 60, seen: 20))
  }

  /// The initiator program starts: goes on to `failTo` where the modules are missing that it, or the kernel's part of it,
  /// asks for. iscsi_sfnet allocates crc32c for each session and md5 for CHAP, and in an initrd nothing loads them on demand.
  func executeNeedsModules(
    _ names: [String], failTo: Int, part: String, _ s: inout MachineState, _ out: inout Out
  ) -> Flow {
    let missing = names.filter { !loaded($0, s) }
    guard let first = missing.first else { return .next(Self.instant) }
    let known = LoginProblem(rawValue: s.iscsi.problem) ?? .none
    if known != .symbolsUnresolved && known != .moduleRefused {
      s.iscsi.problem =
        (KernelModules.initiators.contains(first) ? .noInitiator : LoginProblem.symbolsUnresolved).rawValue
    }
    say(
      part,
      KernelModules.initiators.contains(first)
        ? "iscsi: no driver: \(first) is not loaded" : "iscsi-sfnet: could not allocate \(first)", &out)
    explain(
      part, "the initiator makes no session: \(missing.joined(separator: ", ")) is not loaded",
      because: [.initramfs], sets: .login, to: &out)
    return .to(failTo, Self.instant)
  }
}
