/// `/etc/dracut.conf` with `/usr/lib/dracut/dracut.conf.d/*.conf` and `/etc/dracut.conf.d/*.conf` (dracut.conf(5)): shell
/// assignments, which `+=` adds to.
public struct DracutConf: Sendable, Hashable {
  /// Whether the image is for this machine alone (`hostonly`; Debian's package says yes).
  public var isHostOnly = true
  /// Modules of dracut that are put in, whatever their own checks say (`add_dracutmodules`, `force_add_dracutmodules`).
  public var added: [String] = []
  /// Modules of dracut that are left out (`omit_dracutmodules`).
  public var omitted: [String] = []
  /// Files that are put in besides (`install_items`).
  public var items: [String] = []
  /// Kernel modules that are put in besides (`add_drivers`, `force_drivers`).
  public var addedDrivers: [String] = []
  /// Kernel modules that are left out (`omit_drivers`).
  public var omittedDrivers: [String] = []

  /// Reads the files of a tree in the order in which dracut sources them: the package's, then `/etc`'s; of two with one
  /// name only the latter.
  ///
  /// - Parameter arguments: dracut's own, which count more: `--add`, `--omit`, `--install`, `--hostonly`, `--no-hostonly`.
  public static func load(
    from tree: some FileTree, arguments: [String] = []
  ) -> (conf: DracutConf, notLookedAt: [ShellNote]) {
    var names: [String: String] = [:]
    for directory in ["/usr/lib/dracut/dracut.conf.d", "/etc/dracut.conf.d"] {
      for name in tree.list(directory) where name.hasSuffix(".conf") { names[name] = "\(directory)/\(name)" }
    }
    let files = ["/etc/dracut.conf"] + names.sorted { $0.key < $1.key }.map(\.value)
    let script = files.filter(tree.isFile).map { ". \($0)\n" }.joined()
    var interpreter = ShellInterpreter(tree: tree, delegate: IgnorantShellDelegate())
    let run = interpreter.run(ShellScript.parse(script, file: "dracut.conf"), file: "dracut.conf")
    func words(_ name: String) -> [String] {
      (run.variables[name]?.known ?? "").split { $0 == " " || $0 == "\t" }.map(String.init)
    }
    var conf = DracutConf()
    conf.isHostOnly = words("hostonly").first != "no"
    conf.added = words("add_dracutmodules") + words("force_add_dracutmodules")
    conf.omitted = words("omit_dracutmodules")
    conf.items = words("install_items")
    conf.addedDrivers = words("add_drivers") + words("force_drivers")
    conf.omittedDrivers = words("omit_drivers")
    conf.take(arguments)
    return (conf, run.notLookedAt)
  }

  private mutating func take(_ arguments: [String]) {
    var rest = arguments[...]
    while let word = rest.popFirst() {
      switch word {
      case "-a", "--add", "--force-add": added += split(rest.popFirst())
      case "-o", "--omit": omitted += split(rest.popFirst())
      case "-I", "--install": items += split(rest.popFirst())
      case "--add-drivers", "--force-drivers": addedDrivers += split(rest.popFirst())
      case "--omit-drivers": omittedDrivers += split(rest.popFirst())
      case "-H", "--hostonly": isHostOnly = true
      case "-N", "--no-hostonly": isHostOnly = false
      default: break
      }
    }
  }

  private func split(_ words: String?) -> [String] { (words ?? "").split(separator: " ").map(String.init) }
}
