import LinuxConfig

/// systemd-networkd: what it takes away when it starts, and what it takes along when it ends (KeepConfiguration= in
/// systemd.network(5)).
extension CommandCompiler {
  /// What a .network file says of one interface.
  private struct Network {
    var interface: String
    var place: String
    var usesDHCP: Bool
    /// The value of KeepConfiguration=.
    var keep: String
  }

  /// The interfaces that it configures.
  private var networks: [Network] {
    model.scenario.machine.nics.filter(\.cable).compactMap { nic in
      guard let file = NetworkdFiles.network(of: nic.interface, in: tree).map({ model.read($0) }) else {
        return nil
      }
      let truth: Set = ["yes", "true", "on", "1"]
      guard !truth.contains(file.value("Link", "Unmanaged") ?? "no") else { return nil }
      let dhcp = file.value("Network", "DHCP") ?? "no"
      return Network(
        interface: nic.interface, place: file.files.last ?? "",
        usesDHCP: truth.contains(dhcp) || dhcp == "ipv4",
        keep: file.value("Network", "KeepConfiguration") ?? "no")
    }
  }

  /// Its start: an address that somebody else gave goes, and another is asked for. What asks has to be read from the disk
  /// first, when it runs for the first time (lab nd1: not one DHCPDISCOVER was sent).
  mutating func networkd(_ place: String) {
    for network in networks {
      let end = ops.label()
      let keeps = ["yes", "true", "on", "1", "static"].contains(network.keep)
      if !keeps {
        ops.add(
          .dropAddress(
            interface: network.interface,
            says: "\(place): systemd-networkd takes the address of \(network.interface) away, "
              + "which is not its own (\(network.place) does not keep it)"))
      }
      defer { ops.place(end) }
      guard network.usesDHCP else { continue }
      ops.add(.read("systemd-networkd's DHCP client", says: "systemd-networkd: I/O error", failTo: end))
      guard model.scenario.network.dhcp else {
        ops.add(.waitInVain(Pace.about(120_000)))
        continue
      }
      ops.add(.pause(Pace.between(500, 3000, seen: 1000)))
      ops.add(
        .setAddress(
          interface: network.interface,
          says: "\(network.place): systemd-networkd gets an address for \(network.interface) by DHCP"))
    }
  }

  /// Its end: what it got by DHCP is given back.
  mutating func networkdEnds(_ place: String) {
    for network in networks
    where network.usesDHCP && !["yes", "true", "on", "1", "dhcp", "dhcp-on-stop"].contains(network.keep) {
      ops.add(
        .dropAddress(
          interface: network.interface,
          says: "\(place): systemd-networkd ends and takes its address of \(network.interface) along"))
    }
  }

  /// `systemctl stop`, `start` or `restart` of it. A restart keeps what it has (SIGUSR2); after a stop its socket, which
  /// hears of every change of an address, starts it again.
  mutating func networkdService(_ action: String, _ place: String) {
    if action == "stop" {
      let before = ops.count
      networkdEnds(place)
      guard ops.count > before, model.unitExists("systemd-networkd.socket", tree) else { return }
      ops.add(
        .tell("\(place): systemd-networkd.socket hears of it and starts systemd-networkd again", because: []))
    }
    networkd(place)
  }
}
