/// `/etc/initramfs-tools/initramfs.conf` with `conf.d/*` and, before them, `/usr/share/initramfs-tools/conf.d/*`.
public struct InitramfsConf: ConfigurationFile, Hashable {
  /// The variables, later files over earlier ones.
  public var variables: ShellVariables

  /// Makes a configuration of variables.
  public init(variables: ShellVariables = ShellVariables()) { self.variables = variables }

  /// `most`, `dep`, `netboot` or `list`; mkinitramfs(8) takes `most` when nothing is said.
  public var modules: String { variables["MODULES"] ?? "most" }
  /// `local` or `nfs`.
  public var boot: String { variables["BOOT"] ?? "local" }
  /// The network interface configured in the initramfs; `nil` for any.
  public var device: String? { variables["DEVICE"].flatMap { $0.isEmpty ? nil : $0 } }
  /// `NO_ISCSI_IN_INITRAMFS=yes` keeps open-iscsi out of the initramfs.
  public var excludesISCSI: Bool { variables["NO_ISCSI_IN_INITRAMFS"] == "yes" }
  /// `IP`, used when the kernel command line has no `ip=`.
  public var ip: String? { variables["IP"] }

  /// Reads one file.
  public static func parse(_ text: String, file: String) -> Parsed<InitramfsConf> {
    var parsed = ShellVariables.parse(text, file: file)
    if let value = parsed.value["MODULES"], !["most", "dep", "netboot", "list"].contains(value) {
      parsed.problems.append(
        Problem(
          .error, file: file, line: parsed.value.variables["MODULES"]?.line ?? 0,
          message: "MODULES is \(value.quoted)", hint: "most, dep, netboot or list"))
    }
    return parsed.map { InitramfsConf(variables: $0) }
  }

  /// Reads all the files mkinitramfs reads, in its order: the package's `conf.d` first, then `initramfs.conf`, then the
  /// administrator's `conf.d`. `nil` when there is no `initramfs.conf`.
  ///
  /// Names with other characters than run-parts(8) takes, or ending in `.dpkg-…` or `~`, are left out.
  public static func load(from tree: some FileTree) -> Parsed<InitramfsConf>? {
    let main = "/etc/initramfs-tools/initramfs.conf"
    guard tree.isFile(main) else { return nil }
    func files(_ directory: String) -> [String] {
      tree.list(directory).filter { name in
        !name.utf8.contains(0x7E) && !name.contains(".dpkg-") && name.utf8.first != 0x2E
      }.map { "\(directory)/\($0)" }
    }
    let paths =
      files("/usr/share/initramfs-tools/conf.d") + [main] + files("/etc/initramfs-tools/conf.d")
    var result = Parsed(InitramfsConf())
    for path in paths {
      guard let parsed = load(path, from: tree) else { continue }
      result.value.variables = result.value.variables.merging(parsed.value.variables)
      result.problems += parsed.problems
    }
    return result
  }
}

/// A list of kernel modules with their parameters, one a line: `/etc/initramfs-tools/modules`, `/etc/modules`.
public struct InitramfsModules: ConfigurationFile, Hashable {
  /// One line.
  public struct Module: Sendable, Hashable {
    /// The module. The kernel takes `-` and `_` as the same.
    public var name: String
    /// Its parameters.
    public var parameters: [String]
    /// The line, counted from 1.
    public var line: Int
  }

  /// The modules in order.
  public var modules: [Module]

  /// Makes a list.
  public init(modules: [Module] = []) { self.modules = modules }

  /// Whether a module is listed.
  public func contains(_ name: String) -> Bool {
    let wanted = ModprobeConf.canonical(name)
    return modules.contains { ModprobeConf.canonical($0.name) == wanted }
  }

  /// Reads a list.
  public static func parse(_ text: String, file: String) -> Parsed<InitramfsModules> {
    var list = InitramfsModules()
    var problems = SourceText.carriageReturns(in: text, file: file)
    for line in text.sourceLines {
      let code = line.text.split(at: 0x23)?.before ?? line.text
      let words = code.words
      guard let first = words.first else { continue }
      if first.text.utf8.contains(where: { $0 == 0x2F || $0 == 0x3D || $0 == 0x22 })
        || first.text.dropping(suffix: ".ko") != nil
      {
        problems.append(
          Problem(
            .warning, file: file, line: line.number, column: first.column,
            message: "\(first.text.quoted) is no name of a module", hint: "for example: e1000"))
      }
      list.modules.append(
        Module(name: first.text, parameters: words.dropFirst().map(\.text), line: line.number))
    }
    return Parsed(list, problems: problems)
  }
}
