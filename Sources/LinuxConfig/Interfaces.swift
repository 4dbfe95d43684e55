/// `/etc/network/interfaces` of ifupdown (interfaces(5)), with the files it sources.
public struct Interfaces: ConfigurationFile, Hashable {
  /// An option line of an `iface` stanza.
  public struct Option: Sendable, Hashable {
    /// The name: `address`, `pre-up`, `post-down`, …
    public var name: String
    /// The rest of the line.
    public var value: String
    /// The file it is in.
    public var file: String
    /// The line, counted from 1.
    public var line: Int
  }

  /// An `iface` stanza.
  public struct Interface: Sendable, Hashable {
    /// The interface, or the logical name a mapping leads to.
    public var name: String
    /// `inet`, `inet6`, …; `inet` with newer ifupdown when it is left out.
    public var family: String
    /// `dhcp`, `static`, `manual`, `loopback`, …
    public var method: String
    /// The stanza it inherits from.
    public var inherits: String?
    /// The option lines, in order.
    public var options: [Option]
    /// The file it is in.
    public var file: String
    /// The line of `iface`.
    public var line: Int

    /// The value of the first option with a name.
    public func value(_ name: String) -> String? { options.first { $0.name == name }?.value }
    /// The values of every option with a name, in order: the commands of `pre-up` and the like.
    public func values(_ name: String) -> [String] { options.filter { $0.name == name }.map(\.value) }
  }

  /// A `mapping` stanza: a script that chooses a logical name.
  public struct Mapping: Sendable, Hashable {
    /// The interfaces or patterns it is for.
    public var patterns: [String]
    /// The script.
    public var script: String?
    /// What the script is given, line by line.
    public var maps: [String]
    /// The line.
    public var line: Int
  }

  /// A name with the place it is written at.
  public struct Named: Sendable, Hashable {
    /// The interface, or a pattern such as `/eth*`.
    public var name: String
    /// The class: `auto`, `hotplug`, or what follows `allow-`.
    public var group: String
    /// The file.
    public var file: String
    /// The line.
    public var line: Int
  }

  /// Interfaces by class, in order.
  public var allowed: [Named] = []
  /// The stanzas in order; several for one interface add up.
  public var interfaces: [Interface] = []
  /// The mappings in order.
  public var mappings: [Mapping] = []
  /// `source` and `source-directory` lines as they were written; followed only by ``load(_:from:)-swift.type.method``.
  public var sources: [Named] = []

  /// Nothing.
  public init() {}

  /// The names brought up by `ifup -a`, in order.
  public var auto: [String] { allowed.filter { $0.group == "auto" }.map(\.name) }
  /// The names brought up when they appear.
  public var hotplug: [String] { allowed.filter { $0.group == "hotplug" }.map(\.name) }

  /// The stanzas for an interface.
  public func stanzas(_ name: String) -> [Interface] { interfaces.filter { $0.name == name } }

  private enum Stanza {
    case none
    case interface
    case mapping
  }

  /// Reads one file; what it sources is listed in ``sources`` and not read.
  public static func parse(_ text: String, file: String) -> Parsed<Interfaces> {
    var result = Interfaces()
    var problems = SourceText.carriageReturns(in: text, file: file)
    var stanza = Stanza.none
    for line in joined(text) {
      let words = line.text.words.map(\.text)
      guard let keyword = words.first, !keyword.starts(withBytes: "#") else { continue }
      func report(_ severity: Problem.Severity, _ message: String, hint: String? = nil) {
        problems.append(Problem(severity, file: file, line: line.number, message: message, hint: hint))
      }
      let rest = String(bytes: line.text.trimmed.utf8.dropFirst(keyword.utf8.count)).trimmed
      switch keyword {
      case "iface":
        stanza = .interface
        guard words.count >= 2 else {
          report(.error, "'iface' names no interface", hint: "for example: iface eth0 inet dhcp")
          stanza = .none
          continue
        }
        var interface = Interface(
          name: words[1], family: "inet", method: "", inherits: nil, options: [], file: file,
          line: line.number)
        var tail = words.dropFirst(2)
        if let index = tail.firstIndex(of: "inherits") {
          interface.inherits = tail.count > index - tail.startIndex + 1 ? tail[index + 1] : nil
          tail = tail[..<index]
        }
        if let family = tail.popFirst() { interface.family = family }
        if let method = tail.popFirst() { interface.method = method }
        if !["inet", "inet6", "ipx", "can", "link"].contains(interface.family) {
          report(.error, "\(interface.family.quoted) is no address family", hint: "inet or inet6")
        } else if interface.method.isEmpty, interface.inherits == nil {
          report(
            .error, "the interface \(interface.name) has no method", hint: "dhcp, static, manual or loopback")
        }
        if !tail.isEmpty { report(.error, "\(tail.joined(separator: " ").quoted) is too much on the line") }
        result.interfaces.append(interface)
      case "mapping":
        stanza = .mapping
        result.mappings.append(
          Mapping(patterns: Array(words.dropFirst()), script: nil, maps: [], line: line.number))
      case "auto", "no-auto-down", "no-scripts", "rename", "template":
        stanza = .none
        result.allowed += words.dropFirst().map {
          Named(name: $0, group: keyword, file: file, line: line.number)
        }
      case let word where word.starts(withBytes: "allow-"):
        stanza = .none
        let group = word.dropping(prefix: "allow-") ?? ""
        result.allowed += words.dropFirst().map {
          Named(name: $0, group: group, file: file, line: line.number)
        }
      case "source", "source-directory":
        stanza = .none
        result.sources.append(Named(name: rest, group: keyword, file: file, line: line.number))
      default:
        switch stanza {
        case .interface:
          let option = Option(name: keyword, value: rest, file: file, line: line.number)
          if rest.isEmpty { report(.error, "the option \(keyword.quoted) has no value") }
          result.interfaces[result.interfaces.count - 1].options.append(option)
        case .mapping:
          if keyword == "script" {
            result.mappings[result.mappings.count - 1].script = rest
          } else if keyword == "map" {
            result.mappings[result.mappings.count - 1].maps.append(rest)
          } else {
            report(.error, "\(keyword.quoted) is neither 'script' nor 'map'")
          }
        case .none:
          report(
            .error, "\(keyword.quoted) stands outside of a stanza", hint: "options follow an 'iface' line")
        }
      }
    }
    result.checkMethods(file: file, problems: &problems)
    return Parsed(result, problems: problems)
  }

  /// Reads a file of a tree with everything it sources, in the order ifupdown reads it; `nil` when it is not there.
  public static func load(_ path: String, from tree: some FileTree) -> Parsed<Interfaces>? {
    var visited: [String] = []
    return load(path, from: tree, visited: &visited)
  }

  private static func load(
    _ path: String, from tree: some FileTree, visited: inout [String]
  ) -> Parsed<Interfaces>? {
    guard let text = tree.text(path), !visited.contains(path), visited.count < 1000 else { return nil }
    visited.append(path)
    var parsed = parse(text, file: path)
    for source in parsed.value.sources where source.file == path {
      let files = expand(source, below: path, in: tree)
      if files.isEmpty, !source.name.utf8.contains(0x2A) {
        parsed.problems.append(
          Problem(.warning, file: path, line: source.line, message: "\(source.name.quoted) is not there"))
      }
      for file in files {
        guard let other = load(file, from: tree, visited: &visited) else { continue }
        parsed.value.allowed += other.value.allowed
        parsed.value.interfaces += other.value.interfaces
        parsed.value.mappings += other.value.mappings
        parsed.value.sources += other.value.sources
        parsed.problems += other.problems
      }
    }
    return parsed
  }

  /// The files a `source` line means: a pattern, or those in a directory whose names run-parts(8) accepts.
  private static func expand(_ source: Named, below path: String, in tree: some FileTree) -> [String] {
    let pattern =
      source.name.starts(withBytes: "/") ? source.name : TreePath.join(TreePath.parent(path), source.name)
    var places = ["/"]
    for part in TreePath.parts(pattern) {
      let matcher = ShellPattern([(part, false)])
      places = places.flatMap { place -> [String] in
        guard matcher.isWild else { return [TreePath.join(place, part)] }
        return tree.list(place).filter { $0.utf8.first != 0x2E && matcher.matches($0.utf8) }.map {
          TreePath.join(place, $0)
        }
      }
    }
    guard source.group == "source-directory" else { return places.filter { tree.isFile($0) } }
    return places.flatMap { place in
      tree.list(place).filter { $0.utf8.allSatisfy { $0.isNamePart || $0 == 0x2D } }.map {
        TreePath.join(place, $0)
      }
    }.filter { tree.isFile($0) }
  }

  private func checkMethods(file: String, problems: inout [Problem]) {
    for interface in interfaces where interface.method == "static" && interface.inherits == nil {
      if interface.value("address") == nil {
        problems.append(
          Problem(
            .error, file: file, line: interface.line,
            message: "\(interface.name) is static and has no 'address'"))
      }
    }
    for named in allowed where named.group == "auto" && !named.name.starts(withBytes: "/") {
      let base = named.name.split(at: 0x3D)?.after ?? named.name
      if sources.isEmpty, mappings.isEmpty, !interfaces.contains(where: { $0.name == base }) {
        problems.append(
          Problem(
            .warning, file: file, line: named.line,
            message: "\(named.name.quoted) is 'auto' and has no 'iface'"))
      }
    }
  }

  /// Lines with those that end in a backslash joined; comments are joined too, as ifupdown does.
  private static func joined(_ text: String) -> [SourceLine] {
    var lines: [SourceLine] = []
    var open: SourceLine?
    for line in text.sourceLines {
      var piece = line.text
      let continues = piece.utf8.last == 0x5C
      if continues { piece = String(bytes: piece.utf8.dropLast()) }
      if open == nil { open = SourceLine(number: line.number, text: "") }
      open?.text += piece
      if !continues, let whole = open {
        lines.append(whole)
        open = nil
      }
    }
    if let open { lines.append(open) }
    return lines
  }
}
