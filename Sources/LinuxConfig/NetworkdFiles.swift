/// The files of systemd-networkd that say what becomes of an interface (systemd.network(5)).
public enum NetworkdFiles {
  /// Where they are; of two with one name, the one in the earlier directory counts.
  public static let directories = [
    "/etc/systemd/network", "/run/systemd/network", "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network", "/lib/systemd/network",
  ]

  /// The file that an interface is configured by, with its drop-ins: of those whose [Match] has its name, the first by file name.
  ///
  /// - Returns: `nil` when none has: the interface is left alone.
  public static func network(of interface: String, in tree: some FileTree) -> Parsed<SystemdUnit>? {
    var paths: [String: String] = [:]
    for directory in directories {
      for name in tree.list(directory) where name.hasSuffix(".network") && paths[name] == nil {
        paths[name] = "\(directory)/\(name)"
      }
    }
    for (name, path) in paths.sorted(by: { TreePath.sortsBefore($0.key, $1.key) }) {
      guard let text = tree.text(path) else { continue }
      var network = SystemdUnit.parse(text, file: path)
      guard matches(network.value, interface) else { continue }
      for directory in directories.reversed() {
        let folder = "\(directory)/\(name).d"
        for dropIn in tree.list(folder) where dropIn.hasSuffix(".conf") {
          guard let text = tree.text("\(folder)/\(dropIn)") else { continue }
          let parsed = SystemdUnit.parse(text, file: "\(folder)/\(dropIn)")
          network.value.settings += parsed.value.settings
          network.problems += parsed.problems
        }
      }
      return network
    }
    return nil
  }

  /// Several words are alternatives, "!" before the first of them turns them round; other conditions are taken as met.
  private static func matches(_ network: SystemdUnit, _ interface: String) -> Bool {
    var words = network.words("Match", "Name")
    guard var first = words.first else { return !network.settings.filter { $0.section == "Match" }.isEmpty }
    let isTurned = first.hasPrefix("!")
    if isTurned {
      first.removeFirst()
      words[0] = first
    }
    return words.contains { FileGlob.matches(interface, $0) } != isTurned
  }
}
