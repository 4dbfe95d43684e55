/// The configuration of one interface: `ifcfg-eth0` of Red Hat (`/etc/sysconfig/network-scripts`) and of SUSE
/// (`/etc/sysconfig/network`).
public struct Ifcfg: ConfigurationFile, Hashable {
  /// Which distribution's words are used.
  public enum Flavour: Sendable, Hashable {
    /// `ONBOOT`, `HWADDR`.
    case redHat
    /// `STARTMODE`, `LLADDR`.
    case suse
  }

  /// The variables of the file.
  public var variables: ShellVariables
  /// Which distribution's words are used; Red Hat's when none says.
  public var flavour: Flavour { variables["STARTMODE"] == nil ? .redHat : .suse }
  /// The name after `ifcfg-` in the file's name; `nil` when it is named otherwise.
  public var fileInterface: String?

  /// Reads a file.
  public static func parse(_ text: String, file: String) -> Parsed<Ifcfg> {
    let parsed = ShellVariables.parse(text, file: file)
    var ifcfg = Ifcfg(variables: parsed.value)
    ifcfg.fileInterface = TreePath.name(file).dropping(prefix: "ifcfg-")
    var problems = parsed.problems
    func check(_ name: String, _ allowed: [String]) {
      guard let variable = parsed.value.variables[name], let value = variable.value.known else { return }
      if !value.isEmpty, !allowed.contains(value.lowercased()) {
        let near = SourceText.nearest(to: value, among: allowed)
        problems.append(
          Problem(
            .warning, file: file, line: variable.line, message: "\(name) is \(value.quoted)",
            hint: near.map { "did you mean '\($0)'?" } ?? allowed.joined(separator: ", ")))
      }
    }
    check("ONBOOT", ["yes", "no", "true", "false", "on", "off"])
    check(
      "BOOTPROTO",
      [
        "none", "static", "dhcp", "bootp", "ibft", "dhcp4", "dhcp6", "dhcp+autoip", "autoip", "autoip+dhcp",
        "shared",
      ])
    check("STARTMODE", ["auto", "onboot", "on", "boot", "manual", "off", "hotplug", "ifplugd", "nfsroot"])
    if let device = ifcfg.device, let named = ifcfg.fileInterface, ifcfg.flavour == .redHat, device != named,
      parsed.value.variables["DEVICE"] != nil, !named.utf8.contains(0x2E), !named.utf8.contains(0x2D)
    {
      problems.append(
        Problem(
          .warning, file: file, line: parsed.value.variables["DEVICE"]?.line ?? 0,
          message: "DEVICE is \(device.quoted), but the file is named for \(named.quoted)"))
    }
    return Parsed(ifcfg, problems: problems)
  }

  /// The interface: `DEVICE`, else what the file is named for.
  public var device: String? { variables["DEVICE"].flatMap { $0.isEmpty ? nil : $0 } ?? fileInterface }
  /// `dhcp`, `static`, `none`, …, in lower case; `nil` when it is not set.
  public var bootProtocol: String? { variables["BOOTPROTO"]?.lowercased() }
  /// The hardware address the settings are for: `HWADDR`, or SUSE's `LLADDR`.
  public var hardwareAddress: String? { variables["HWADDR"] ?? variables["LLADDR"] }
  /// The address.
  public var address: String? { variables["IPADDR"] }
  /// The netmask.
  public var netmask: String? { variables["NETMASK"] }
  /// The gateway.
  public var gateway: String? { variables["GATEWAY"] }
  /// The bridge the interface is part of.
  public var bridge: String? { variables["BRIDGE"] }
  /// Whether NetworkManager leaves it alone: `NM_CONTROLLED=no`.
  public var isUnmanaged: Bool { variables["NM_CONTROLLED"]?.lowercased() == "no" }

  /// Whether it is brought up at boot. Red Hat: unless `ONBOOT=no`. SUSE: `STARTMODE` `auto`, `onboot`, `on`, `boot`,
  /// `nfsroot`, `hotplug` or `ifplugd`.
  public var startsAtBoot: Bool {
    if let mode = variables["STARTMODE"]?.lowercased() { return mode != "manual" && mode != "off" }
    return !["no", "false", "off"].contains(variables["ONBOOT"]?.lowercased() ?? "")
  }

  /// Whether `network stop` leaves it up: SUSE's `STARTMODE=nfsroot`.
  public var staysUp: Bool { variables["STARTMODE"]?.lowercased() == "nfsroot" }

  /// Where the two distributions keep the files.
  public static let directories = ["/etc/sysconfig/network-scripts", "/etc/sysconfig/network"]

  /// Every file of a tree, sorted by path. Copies that editors and packages leave (`.bak`, `~`, `.rpmsave`, …) are not
  /// among them, as the network scripts pass them over.
  public static func find(in tree: some FileTree) -> [(path: String, file: Parsed<Ifcfg>)] {
    var found: [(path: String, file: Parsed<Ifcfg>)] = []
    let leftovers = ["~", ".bak", ".orig", ".rpmnew", ".rpmorig", ".rpmsave", ".old", ".swp"]
    for directory in directories {
      for name in tree.list(directory) where name.starts(withBytes: "ifcfg-") {
        if leftovers.contains(where: { name.dropping(suffix: $0) != nil }) { continue }
        if let file = load("\(directory)/\(name)", from: tree) {
          found.append(("\(directory)/\(name)", file))
        }
      }
    }
    return found
  }
}
