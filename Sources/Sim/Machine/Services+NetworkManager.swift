import LinuxConfig

/// NetworkManager: 0.7 and 0.8 as Ubuntu had it take every wired interface that is not in /etc/network/interfaces; from 1.0 on one
/// that is up and has an address when it starts is left to whoever gave it.
extension CommandCompiler {
  private static let files = [
    "/etc/NetworkManager/NetworkManager.conf", "/etc/NetworkManager/nm-system-settings.conf",
  ]

  /// Its start: an interface that it takes is set up from nothing, whatever it had before (S-43).
  mutating func networkManager(_ place: String) {
    let tree = tree
    if let version = model.packageVersion("network-manager", tree), !(version < KernelVersion("1.0")) {
      return ops.add(
        .tell("\(place): NetworkManager leaves alone what is up and has an address already", because: []))
    }
    let settings = Self.files.compactMap { path in tree.text(path).map { (path, $0) } }.first
    let isManaged = settings.map { Self.value("ifupdown", "managed", $0.1) == "true" } ?? true
    let hasPlugin = settings.flatMap { Self.value("main", "plugins", $0.1) }?.contains("ifupdown") ?? false
    let listed = model.interfaces(tree)
    // Without a carrier an interface is unavailable to it.
    for nic in model.scenario.machine.nics where nic.cable {
      let entry = listed.first { $0.name == nic.interface }
      if let entry, hasPlugin, !isManaged {
        ops.add(
          .tell(
            "\(place): NetworkManager leaves \(nic.interface) alone: \(entry.place) has it, and "
              + "\(settings?.0 ?? "its settings") says managed=false", because: []))
        continue
      }
      ops.add(
        .dropAddress(
          interface: nic.interface,
          says: "\(place): NetworkManager takes \(nic.interface) and takes its address away: "
            + (entry == nil
              ? "/etc/network/interfaces does not have it" : "\(settings?.0 ?? "it") says managed=true")))
      dhclient(nic.interface, place)
    }
  }

  /// A value of a file of sections.
  private static func value(_ section: String, _ key: String, _ text: String) -> String? {
    var current = ""
    var found: String?
    for line in text.split(separator: "\n") {
      let line = line.filter { !$0.isWhitespace }
      if line.hasPrefix("[") {
        current = line.filter { $0 != "[" && $0 != "]" }
      } else if current == section, let value = line.dropping(key + "=") {
        found = value
      }
    }
    return found
  }
}
