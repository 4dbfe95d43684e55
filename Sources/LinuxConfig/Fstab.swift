/// `/etc/fstab` (fstab(5)): what is mounted where.
public struct Fstab: ConfigurationFile, Hashable {
  /// How the first field names what is mounted.
  public enum Source: Sendable, Hashable {
    /// A path: `/dev/sda2`.
    case path(String)
    /// `UUID=…`
    case uuid(String)
    /// `LABEL=…`
    case label(String)
    /// `PARTUUID=…`
    case partitionUUID(String)
    /// `PARTLABEL=…`
    case partitionLabel(String)
    /// Anything else: `proc`, `tmpfs`, `server:/export`.
    case other(String)

    init(_ text: String) {
      if let value = text.dropping(prefix: "UUID=") {
        self = .uuid(value.unquoted)
      } else if let value = text.dropping(prefix: "LABEL=") {
        self = .label(value.unquoted)
      } else if let value = text.dropping(prefix: "PARTUUID=") {
        self = .partitionUUID(value.unquoted)
      } else if let value = text.dropping(prefix: "PARTLABEL=") {
        self = .partitionLabel(value.unquoted)
      } else if text.starts(withBytes: "/") {
        self = .path(text)
      } else {
        self = .other(text)
      }
    }
  }

  /// One line.
  public struct Entry: Sendable, Hashable {
    /// The first field, escapes undone.
    public var specification: String
    /// Where it is mounted; `none` or `swap` for swap space.
    public var mountPoint: String
    /// The file system type; several with commas between.
    public var type: String
    /// The options in order; `defaults` among them when it is written.
    public var options: [String]
    /// The fifth field, for dump(8); 0 when it is missing.
    public var dump: Int
    /// The sixth field: the pass of fsck(8) at boot; 0 when it is missing, which means never.
    public var pass: Int
    /// The line, counted from 1.
    public var line: Int

    /// How the first field names what is mounted.
    public var source: Source { Source(specification) }

    /// Whether an option is given, as a word or with a value.
    public func has(_ option: String) -> Bool {
      options.contains { $0 == option || $0.starts(withBytes: option + "=") }
    }

    /// The value of the last `option=value`; `nil` when there is none.
    public func value(_ option: String) -> String? {
      options.reversed().lazy.compactMap { $0.dropping(prefix: option + "=") }.first
    }

    /// Whether it waits for the network: `_netdev`, or a file system that is one of the network.
    public var isNetwork: Bool {
      has("_netdev")
        || ["nfs", "nfs4", "cifs", "smbfs", "ncpfs", "coda", "ocfs2", "gfs", "gfs2"].contains(type)
    }

    /// Whether it is mounted at boot: not `noauto`.
    public var isMountedAtBoot: Bool { !has("noauto") && mountPoint != "none" && type != "swap" }
  }

  /// The lines in order.
  public var entries: [Entry]

  /// Makes a table.
  public init(entries: [Entry] = []) { self.entries = entries }

  /// The line for `/`; the last one, which is mounted over the others. `nil` when there is none.
  public var root: Entry? { entries.last { $0.mountPoint == "/" } }

  /// Reads a table. A line that mount(8) would ignore is left out and is an error.
  public static func parse(_ text: String, file: String) -> Parsed<Fstab> {
    var table = Fstab()
    var problems = SourceText.carriageReturns(in: text, file: file)
    for line in text.sourceLines {
      let words = line.text.words
      guard let first = words.first, !first.text.starts(withBytes: "#") else { continue }
      func report(_ severity: Problem.Severity, _ message: String, column: Int?, hint: String? = nil) {
        problems.append(
          Problem(severity, file: file, line: line.number, column: column, message: message, hint: hint))
      }
      let fields = words.map { unescape($0.text) }
      guard fields.count >= 3 else {
        report(
          .error, "the line has \(fields.count) of 6 fields and is ignored", column: nil,
          hint: "device, mount point, type, options, dump, pass")
        continue
      }
      if fields.count == 3 {
        report(
          .warning, "there are no options; mount takes 'defaults'", column: nil, hint: "write 'defaults'")
      }
      var numbers = [0, 0]
      var isBad = false
      for index in 4..<6 where fields.count > index {
        if let number = fields[index].decimal {
          numbers[index - 4] = number
        } else if words[index].text.starts(withBytes: "#") {
          break
        } else {
          report(
            .error, "\(words[index].text.quoted) is no number; the line is ignored",
            column: words[index].column,
            hint: index == 4 ? "the fifth field is 0 or 1" : "the sixth field is 0, 1 or 2")
          isBad = true
        }
      }
      if isBad { continue }
      if fields.count > 6, !words[6].text.starts(withBytes: "#") {
        report(.warning, "\(words[6].text.quoted) is too much on the line", column: words[6].column)
      }
      let entry = Entry(
        specification: fields[0], mountPoint: fields[1], type: fields[2],
        options: fields.count > 3 ? split(fields[3]) : ["defaults"], dump: numbers[0], pass: numbers[1],
        line: line.number)
      if !entry.mountPoint.starts(withBytes: "/"), entry.type != "swap", entry.mountPoint != "none" {
        report(
          .error, "the mount point \(entry.mountPoint.quoted) is no absolute path", column: words[1].column)
      }
      if entry.pass > 2 {
        report(.warning, "pass is \(entry.pass)", column: words[5].column, hint: "0, 1 or 2")
      }
      if entry.mountPoint.starts(withBytes: "/"),
        let earlier = table.entries.first(where: { $0.mountPoint == entry.mountPoint })
      {
        report(
          .warning, "\(entry.mountPoint) is already mounted by line \(earlier.line)", column: words[1].column)
      }
      table.entries.append(entry)
    }
    return Parsed(table, problems: problems)
  }

  /// Options are separated by commas, but not inside double quotes (mount(8), SELinux contexts).
  private static func split(_ text: String) -> [String] {
    var options: [String] = []
    var current: [UInt8] = []
    var isQuoted = false
    for byte in text.utf8 {
      if byte == 0x22 { isQuoted.toggle() }
      if byte == 0x2C, !isQuoted {
        options.append(String(bytes: current))
        current = []
      } else {
        current.append(byte)
      }
    }
    options.append(String(bytes: current))
    return options.filter { !$0.isEmpty }
  }

  /// Undoes `\040` and the like: three octal digits after a backslash (getmntent(3)).
  static func unescape(_ text: String) -> String {
    guard text.utf8.contains(0x5C) else { return text }
    let bytes = Array(text.utf8)
    var output: [UInt8] = []
    var at = 0
    while at < bytes.count {
      if bytes[at] == 0x5C, at + 3 < bytes.count, (0x30...0x33).contains(bytes[at + 1]),
        (0x30...0x37).contains(bytes[at + 2]), (0x30...0x37).contains(bytes[at + 3])
      {
        output.append((bytes[at + 1] - 0x30) << 6 | (bytes[at + 2] - 0x30) << 3 | (bytes[at + 3] - 0x30))
        at += 4
      } else {
        output.append(bytes[at])
        at += 1
      }
    }
    return String(bytes: output)
  }
}
