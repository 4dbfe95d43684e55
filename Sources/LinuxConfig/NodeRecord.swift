/// A node record of open-iscsi: a target's portal, and how to log in to it.
public struct NodeRecord: ConfigurationFile, Hashable {
  /// The settings in order.
  public var settings: [ConfigSetting]
  /// The version after `# BEGIN RECORD`; `nil` when the mark is missing.
  public var version: String?
  /// The timers of sessions made from this record.
  public var timers: ISCSITimers

  /// An empty record.
  public init() {
    settings = []
    timers = ISCSITimers()
  }

  /// Reads a record.
  public static func parse(_ text: String, file: String) -> Parsed<NodeRecord> {
    var record = NodeRecord()
    var problems = SourceText.carriageReturns(in: text, file: file)
    var isEnded = false
    for line in text.sourceLines {
      let trimmed = line.text.trimmed
      if let version = trimmed.dropping(prefix: "# BEGIN RECORD") {
        record.version = version.trimmed
      } else if trimmed.starts(withBytes: "# END RECORD") {
        isEnded = true
      } else if trimmed.isEmpty || trimmed.starts(withBytes: "#") {
        continue
      } else if let setting = ConfigSetting(line) {
        record.settings.append(setting)
      } else {
        problems.append(
          Problem(.warning, file: file, line: line.number, message: "\(trimmed.quoted) is not understood"))
      }
    }
    if record.version != nil, !isEnded {
      problems.append(
        Problem(
          .error, file: file, line: 0, message: "the record has no '# END RECORD'",
          hint: "the file was cut short; discover the target again"))
    }
    if record.name == nil {
      problems.append(Problem(.error, file: file, line: 0, message: "the record has no 'node.name'"))
    }
    problems += record.timers.apply(record.settings.filter { $0.value != "<empty>" }, file: file)
    return Parsed(record, problems: problems)
  }

  /// The value of a key; `nil` when it is absent or `<empty>`.
  public func value(_ key: String) -> String? {
    settings.last(key).flatMap { $0.value.isEmpty || $0.value == "<empty>" ? nil : $0.value }
  }

  /// The name of the target.
  public var name: String? { value("node.name") }
  /// The address of the portal.
  public var address: String? { value("node.conn[0].address") }
  /// The TCP port; 3260 unless the record says otherwise.
  public var port: Int { value("node.conn[0].port").flatMap { $0.decimal } ?? 3260 }
  /// The target portal group tag.
  public var portalGroup: Int? { value("node.tpgt").flatMap { Int($0) } }
  /// When it is logged in to: `manual`, `automatic` or `onboot`.
  public var startup: String { value("node.startup") ?? "manual" }
  /// The network interface it is bound to, if it is.
  public var netInterface: String? { value("iface.net_ifacename") }
  /// The initiator's CHAP name and secret, and those asked of the target; each `nil` when it is not set.
  public var credentials: (username: String?, password: String?, usernameIn: String?, passwordIn: String?) {
    (
      value("node.session.auth.username"), value("node.session.auth.password"),
      value("node.session.auth.username_in"), value("node.session.auth.password_in")
    )
  }

  /// A record with the file it is in.
  public struct Found: Sendable, Equatable {
    /// The file.
    public var path: String
    /// The target's name, from the directory.
    public var target: String
    /// The address, from the directory or file.
    public var address: String
    /// The port.
    public var port: Int
    /// The name of the iface record; `default` for the older layout, in which the portal itself is the file.
    public var iface: String
    /// The record.
    public var record: Parsed<NodeRecord>
  }

  /// Where open-iscsi keeps records: Debian and SUSE below `/etc/iscsi`, upstream and Red Hat below `/var/lib/iscsi`.
  public static let directories = ["/etc/iscsi/nodes", "/var/lib/iscsi/nodes"]

  /// Every record in a tree, sorted by path. Records that do not agree with their place have a warning.
  public static func find(in tree: some FileTree) -> [Found] {
    var found: [Found] = []
    var seen: Set<String> = []
    for directory in directories {
      for target in tree.list(directory) {
        for portal in tree.list("\(directory)/\(target)") {
          let path = "\(directory)/\(target)/\(portal)"
          let files =
            tree.isDirectory(path) ? tree.list(path).map { ($0, "\(path)/\($0)") } : [("default", path)]
          for (iface, file) in files {
            // /var/lib/iscsi may be a link to /etc/iscsi: count a record once.
            guard case .found(let real, .file(let bytes)) = tree.resolve(file), seen.insert(real).inserted
            else {
              continue
            }
            let parts = portal.utf8.split(separator: 0x2C).map { String(bytes: $0) }
            var parsed = NodeRecord.parse(String(decoding: bytes, as: UTF8.self), file: file)
            if let name = parsed.value.name, name != target {
              parsed.problems.append(
                Problem(
                  .warning, file: file, line: 0,
                  message: "the record is for \(name.quoted), but is kept below \(target.quoted)"))
            }
            found.append(
              Found(
                path: file, target: target, address: parts.first ?? portal,
                port: parts.count > 1 ? parts[1].decimal ?? 3260 : 3260, iface: iface, record: parsed))
          }
        }
      }
    }
    return found
  }
}
