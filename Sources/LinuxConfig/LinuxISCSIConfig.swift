/// `/etc/iscsi.conf` of linux-iscsi 3.x and 4.x (SLES 9) and of RHEL 4's `iscsi_sfnet`.
///
/// Settings before the first `DiscoveryAddress=` (or another line that opens a section) are defaults; those after it,
/// indented or not, belong to it until the next one (the iscsi.conf(5) of those packages).
public struct LinuxISCSIConfig: ConfigurationFile, Hashable {
  /// What a section is about.
  public enum SectionKind: String, Sendable, Hashable {
    /// A portal to ask for targets.
    case discoveryAddress = "DiscoveryAddress"
    /// Settings for a target.
    case targetName = "TargetName"
    /// Settings for the portals of one address.
    case targetAddress = "TargetIpAddr"
    /// Settings for the portals of a network.
    case subnet = "Subnet"
  }

  /// A line that opens a section, and the settings below it.
  public struct Section: Sendable, Hashable {
    /// What the section is about.
    public var kind: SectionKind
    /// The address, name or network.
    public var value: String
    /// The line, counted from 1.
    public var line: Int
    /// The settings in order.
    public var settings: [ConfigSetting]
  }

  /// Settings for everything, in order.
  public var settings: [ConfigSetting] = []
  /// The sections in order.
  public var sections: [Section] = []

  /// No settings.
  public init() {}

  /// The keys these initiators read.
  static let known: [String] = [
    "DiscoveryAddress", "TargetName", "TargetIpAddr", "TargetIpAddress", "Subnet", "Username", "Password",
    "IncomingUsername", "IncomingPassword", "OutgoingUsername", "OutgoingPassword", "Enabled", "Continuous",
    "SendAsyncText", "PortalFailover", "PreferredPortal", "PreferredSubnet", "PreferredSubnetMask",
    "ConnFailTimeout",
    "LoginTimeout", "AuthTimeout", "IdleTimeout", "PingTimeout", "ActiveTimeout", "AbortTimeout",
    "ResetTimeout",
    "MinDiskCommandTimeout", "MaxDiskCommandTimeout", "InitialR2T", "ImmediateData",
    "MaxRecvDataSegmentLength",
    "FirstBurstLength", "MaxBurstLength", "HeaderDigest", "DataDigest", "TCPWindowSize", "DebugFlags",
    "Multipath",
    "LUNs", "InitiatorName", "InitiatorAlias", "QueueDepth", "DisableMultipath", "SuspendTimeout", "Type",
  ]

  /// The keys whose value is a number of seconds.
  private static let timers: Set<String> = [
    "ConnFailTimeout", "LoginTimeout", "AuthTimeout", "IdleTimeout", "PingTimeout", "ActiveTimeout",
    "AbortTimeout",
    "ResetTimeout",
  ]

  /// Reads a file.
  public static func parse(_ text: String, file: String) -> Parsed<LinuxISCSIConfig> {
    var config = LinuxISCSIConfig()
    var problems = SourceText.carriageReturns(in: text, file: file)
    for line in text.sourceLines {
      let trimmed = line.text.trimmed
      if trimmed.isEmpty || trimmed.starts(withBytes: "#") { continue }
      func report(_ severity: Problem.Severity, _ message: String, hint: String? = nil) {
        problems.append(Problem(severity, file: file, line: line.number, message: message, hint: hint))
      }
      guard let setting = ConfigSetting(line) else {
        report(.warning, "\(trimmed.quoted) is not understood", hint: "a line has the form Key=value")
        continue
      }
      let kind = SectionKind(rawValue: setting.key == "TargetIpAddress" ? "TargetIpAddr" : setting.key)
      if let kind {
        if setting.value.isEmpty { report(.error, "'\(setting.key)' has no value") }
        config.sections.append(Section(kind: kind, value: setting.value, line: line.number, settings: []))
        continue
      }
      if !known.contains(setting.key) {
        let near = SourceText.nearest(to: setting.key, among: known)
        report(
          .warning, "the key \(setting.key.quoted) is not one of iscsi.conf",
          hint: near.map { "did you mean '\($0)'? Upper and lower case matter" })
      } else if timers.contains(setting.key), Int(setting.value) == nil {
        report(.error, "'\(setting.key)' is \(setting.value.quoted)", hint: "a number of seconds")
      }
      if config.sections.isEmpty {
        config.settings.append(setting)
      } else {
        config.sections[config.sections.count - 1].settings.append(setting)
      }
    }
    if !config.sections.contains(where: { $0.kind == .discoveryAddress }) {
      problems.append(
        Problem(
          .warning, file: file, line: 0,
          message: "there is no DiscoveryAddress; the initiator looks for no target",
          hint: "for example: DiscoveryAddress=192.168.1.10"))
    }
    return Parsed(config, problems: problems)
  }

  /// The addresses asked for targets, in order.
  public var discoveryAddresses: [String] { sections.filter { $0.kind == .discoveryAddress }.map(\.value) }

  /// The setting in force for a target found at an address: its target's, else the discovery address's, else the
  /// default. `nil` when none of them sets it.
  public func setting(_ key: String, discoveryAddress: String? = nil, target: String? = nil) -> ConfigSetting?
  {
    func find(_ kind: SectionKind, _ value: String?) -> ConfigSetting? {
      guard let value else { return nil }
      return sections.last { $0.kind == kind && $0.value == value && $0.settings.last(key) != nil }?.settings
        .last(key)
    }
    return find(.targetName, target) ?? find(.discoveryAddress, discoveryAddress) ?? settings.last(key)
  }

  /// A timer in seconds; `nil` when it is not set or is no number.
  public func seconds(_ key: String, discoveryAddress: String? = nil, target: String? = nil) -> Int? {
    setting(key, discoveryAddress: discoveryAddress, target: target).flatMap { Int($0.value) }
  }

  /// The name and secret the initiator gives, and those it asks of the target; each `nil` when it is not set.
  ///
  /// RHEL 4 writes `OutgoingUsername` for what linux-iscsi 3.x calls `Username`.
  public func credentials(
    discoveryAddress: String? = nil, target: String? = nil
  ) -> (username: String?, password: String?, incomingUsername: String?, incomingPassword: String?) {
    func value(_ keys: String...) -> String? {
      keys.lazy.compactMap { self.setting($0, discoveryAddress: discoveryAddress, target: target)?.value }
        .first
    }
    return (
      value("OutgoingUsername", "Username"), value("OutgoingPassword", "Password"), value("IncomingUsername"),
      value("IncomingPassword")
    )
  }

  /// Whether a target, or a whole discovery address, is used: `Enabled=no` leaves it out.
  public func isEnabled(discoveryAddress: String? = nil, target: String? = nil) -> Bool {
    setting("Enabled", discoveryAddress: discoveryAddress, target: target)?.value.lowercased() != "no"
  }
}
