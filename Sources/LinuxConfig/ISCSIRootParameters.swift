/// `/etc/iscsi/iscsi.initramfs` (in the initramfs `/etc/iscsi.initramfs`): shell variables for Debian's script.
public struct IscsiInitramfs: ConfigurationFile, Hashable {
  /// The variables of the file.
  public var variables: ShellVariables

  /// The names the script reads.
  static let names = [
    "ISCSI_AUTO", "ISCSI_INITIATOR", "ISCSI_TARGET_NAME", "ISCSI_TARGET_IP", "ISCSI_TARGET_PORT",
    "ISCSI_TARGET_GROUP", "ISCSI_USERNAME", "ISCSI_PASSWORD", "ISCSI_IN_USERNAME", "ISCSI_IN_PASSWORD",
  ]

  /// Reads a file; it may be empty, and then only marks that iSCSI is wanted (open-iscsi of 2010).
  public static func parse(_ text: String, file: String) -> Parsed<IscsiInitramfs> {
    var parsed = ShellVariables.parse(text, file: file)
    for (name, variable) in parsed.value.variables where !names.contains(name) {
      let near = SourceText.nearest(to: name, among: names)
      parsed.problems.append(
        Problem(
          .warning, file: file, line: variable.line, message: "the initramfs does not read \(name.quoted)",
          hint: near.map { "did you mean '\($0)'?" }))
    }
    parsed.problems.sort { ($0.line, $0.message) < ($1.line, $1.message) }
    return parsed.map { IscsiInitramfs(variables: $0) }
  }
}

/// What an initramfs-tools initramfs logs in to: the file and the kernel command line together.
///
/// The order is that of Debian's `scripts/local-top/iscsi`: first the environment, to which the kernel adds what it does
/// not know of its command line (`ISCSI_…=`); then the file, which overrides it; then the lower-case `iscsi_…=` and
/// `root=iscsi:…` of `/proc/cmdline`, word by word, which override both.
public struct ISCSIRootParameters: Sendable, Hashable {
  /// Where a value came from.
  public enum Origin: String, Sendable, Hashable {
    /// `ISCSI_…=` on the kernel command line.
    case environment
    /// `/etc/iscsi.initramfs`.
    case file
    /// `iscsi_…=` or `root=iscsi:` on the kernel command line.
    case commandLine
  }

  /// Variable name (`ISCSI_TARGET_IP`) to value and origin; empty values are left out.
  public var values: [String: String] = [:]
  /// Variable name to where its value came from.
  public var origins: [String: Origin] = [:]
  /// The LUN of `root=iscsi:`; `nil` when there is no such parameter.
  public var rootLUN: String?

  /// The initiator's name; `nil` leaves it to `/etc/initiatorname.iscsi`.
  public var initiator: String? { values["ISCSI_INITIATOR"] }
  /// The target's name.
  public var targetName: String? { values["ISCSI_TARGET_NAME"] }
  /// The portals, each one a session.
  public var targetAddresses: [String] { (values["ISCSI_TARGET_IP"] ?? "").words.map(\.text) }
  /// The port as it is given; 3260 by default.
  public var port: String { values["ISCSI_TARGET_PORT"] ?? "3260" }
  /// The portal group as it is given; 1 by default.
  public var group: String { values["ISCSI_TARGET_GROUP"] ?? "1" }
  /// Whether the firmware's table (iBFT) says what to log in to.
  public var isAutomatic: Bool { values["ISCSI_AUTO"] != nil }
  /// Whether the script does anything: it needs a name and an address, or `iscsi_auto`, and says nothing otherwise.
  public var isActive: Bool { isAutomatic || (targetName != nil && !targetAddresses.isEmpty) }

  /// How many unknown `KEY=value` the kernel passes on before it panics (`MAX_INIT_ENVS`, init/main.c).
  public static let environmentLimit = 32

  /// Merges the command line and the file.
  public static func merge(
    commandLine: KernelCommandLine, commandLineFile: String = "/proc/cmdline", initramfs: IscsiInitramfs?
  ) -> Parsed<ISCSIRootParameters> {
    var result = ISCSIRootParameters()
    var problems: [Problem] = []
    func report(_ severity: Problem.Severity, line: Int, column: Int?, _ message: String, hint: String? = nil)
    {
      problems.append(
        Problem(severity, file: commandLineFile, line: line, column: column, message: message, hint: hint))
    }
    let upper = commandLine.kernelArguments.filter { $0.value != nil && $0.key.starts(withBytes: "ISCSI_") }
    if upper.count > environmentLimit {
      report(
        .error, line: upper[upper.startIndex].line, column: nil,
        "\(upper.count) words go to the environment of init; the kernel panics after \(environmentLimit)")
    }
    for word in upper { result.set(word.key, word.value ?? "", .environment) }
    for (name, variable) in initramfs?.variables.variables ?? [:] {
      guard let value = variable.value.known else { continue }
      if let other = result.values[name], other != value,
        let word = upper.last(where: { $0.key == name })
      {
        report(
          .warning, line: word.line, column: word.column,
          "\(name)= here gives way to the file, which says \(value.quoted)",
          hint: "only the lower-case \(name.lowercased())= overrides the file")
      }
      result.set(name, value, .file)
    }
    for word in commandLine.text.words { result.apply(word, report: report) }
    result.check(commandLine, report: report)
    return Parsed(result, problems: problems)
  }

  private mutating func set(_ name: String, _ value: String, _ origin: Origin) {
    values[name] = value.isEmpty ? nil : value
    origins[name] = value.isEmpty ? nil : origin
  }

  private mutating func apply(
    _ word: SourceWord, report: (Problem.Severity, Int, Int?, String, String?) -> Void
  ) {
    if word.text == "iscsi_auto" { return set("ISCSI_AUTO", "true", .commandLine) }
    if let root = word.text.dropping(prefix: "root=iscsi:") { return applyRoot(root, word, report: report) }
    guard word.text.starts(withBytes: "iscsi_"), let (key, value) = word.text.split(at: 0x3D) else { return }
    let name = key.uppercased()
    if IscsiInitramfs.names.contains(name), name != "ISCSI_AUTO" {
      set(name, value, .commandLine)
    } else if !["iscsi_firmware", "iscsi_ibft"].contains(key) {
      let near = SourceText.nearest(to: name, among: IscsiInitramfs.names).map { $0.lowercased() }
      report(
        .warning, 1, word.column, "the initramfs does not read \(key.quoted)",
        near.map { "did you mean '\($0)'?" })
    }
  }

  /// `root=iscsi:[user:password[:user_in:password_in]@]address:protocol:port:lun:name` (RFC 4173), as the script's
  /// `parse_root_param` reads it: split at colons, so an IPv6 address cannot be written.
  private mutating func applyRoot(
    _ text: String, _ word: SourceWord, report: (Problem.Severity, Int, Int?, String, String?) -> Void
  ) {
    let (login, target) = text.split(at: 0x40).map { ($0.before, $0.after) } ?? ("", text)
    let parts = target.utf8.split(separator: 0x3A, omittingEmptySubsequences: false).map { String(bytes: $0) }
    let form = "root=iscsi:[user:password[:user_in:password_in]@]address:6:port:lun:name"
    guard parts.count >= 5, !parts[0].isEmpty, !parts[4].isEmpty else {
      return report(
        .error, 1, word.column, "\(word.text.quoted) has no address or no name and is ignored", form)
    }
    let secrets = login.isEmpty ? [] : login.utf8.split(separator: 0x3A, omittingEmptySubsequences: false)
    guard secrets.count <= 4 else {
      return report(
        .error, 1, word.column, "\(word.text.quoted) has too many parts before '@' and is ignored", form)
    }
    if !parts[1].isEmpty, parts[1] != "6" {
      report(.warning, 1, word.column, "protocol \(parts[1].quoted) is taken as 6 (TCP)", nil)
    }
    set("ISCSI_TARGET_IP", parts[0], .commandLine)
    set("ISCSI_TARGET_PORT", parts[2], .commandLine)
    set("ISCSI_TARGET_NAME", parts[4...].joined(separator: ":"), .commandLine)
    rootLUN = parts[3].isEmpty ? "0" : parts[3]
    let names = ["ISCSI_USERNAME", "ISCSI_PASSWORD", "ISCSI_IN_USERNAME", "ISCSI_IN_PASSWORD"]
    for pair in [0, 2] where secrets.count > pair && !secrets[pair].isEmpty {
      set(names[pair], String(bytes: secrets[pair]), .commandLine)
      set(names[pair + 1], secrets.count > pair + 1 ? String(bytes: secrets[pair + 1]) : "", .commandLine)
    }
  }

  private func check(
    _ commandLine: KernelCommandLine, report: (Problem.Severity, Int, Int?, String, String?) -> Void
  ) {
    let line = commandLine.arguments.first?.line ?? 1
    if !isActive, targetName != nil || !targetAddresses.isEmpty {
      let missing = targetName == nil ? "iscsi_target_name" : "iscsi_target_ip"
      report(
        .error, line, nil, "without \(missing) the initramfs logs in to nothing, and says nothing",
        "give both iscsi_target_name= and iscsi_target_ip=, or iscsi_auto")
    }
    for (name, secret) in [("ISCSI_USERNAME", "ISCSI_PASSWORD"), ("ISCSI_IN_USERNAME", "ISCSI_IN_PASSWORD")]
    where (values[name] == nil) != (values[secret] == nil) {
      report(
        .error, line, nil,
        "\(values[name] == nil ? secret : name) is given without the other half of the pair",
        "CHAP needs \(name) and \(secret)")
    }
    if let name = targetName {
      for problem in ISCSIName.problems(name) { report(.error, line, nil, problem, nil) }
    }
    if let port = values["ISCSI_TARGET_PORT"], port.decimal.map({ !(1...65535).contains($0) }) ?? true {
      report(.error, line, nil, "the port \(port.quoted) is none", "1 to 65535; 3260 is usual")
    }
  }
}

/// An `ip=` of the kernel command line: static settings for an interface, or how to get them.
///
/// `ip=client:server:gateway:netmask:hostname:device:method:dns0:dns1` (kernel, klibc ipconfig, dracut), and the short
/// forms `ip=dhcp` and `ip=device:dhcp`. IPv6 addresses stand in brackets.
public struct IPParameter: Sendable, Hashable {
  /// The interface's own address; `nil` when it is not given.
  public var client: String?
  /// The address of a boot server.
  public var server: String?
  /// The default gateway.
  public var gateway: String?
  /// The netmask, or the length of the prefix.
  public var netmask: String?
  /// The host name.
  public var hostname: String?
  /// The interface.
  public var device: String?
  /// `dhcp`, `none`, `off`, `static`, `ibft`, …; `nil` when it is not given.
  public var method: String?
  /// Name servers.
  public var nameServers: [String] = []

  /// Reads the value of `ip=`.
  public init(_ text: String) {
    var parts: [String] = []
    var current: [UInt8] = []
    var inBrackets = false
    for byte in text.utf8 {
      if byte == 0x5B {
        inBrackets = true
      } else if byte == 0x5D {
        inBrackets = false
      } else if byte == 0x3A, !inBrackets {
        parts.append(String(bytes: current))
        current = []
      } else {
        current.append(byte)
      }
    }
    parts.append(String(bytes: current))
    func part(_ index: Int) -> String? { parts.count > index && !parts[index].isEmpty ? parts[index] : nil }
    if parts.count == 1 {
      method = part(0)
      return
    }
    // dracut: the first part of a short form is an interface, not an address.
    if parts.count <= 4, let first = part(0), first.utf8.contains(where: \.isLetter),
      !first.utf8.contains(0x3A)
    {
      device = first
      method = part(1)
      return
    }
    (client, server, gateway, netmask) = (part(0), part(1), part(2), part(3))
    (hostname, device, method) = (part(4), part(5), part(6))
    nameServers = parts.dropFirst(7).filter { !$0.isEmpty }
  }
}
