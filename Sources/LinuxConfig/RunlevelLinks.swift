/// The links in the directories of runlevels, `rc0.d` to `rc6.d` and `rcS.d`: what `rc` starts and stops, in order.
public struct RunlevelLinks: Sendable, Hashable {
  /// One link.
  public struct Link: Sendable, Hashable {
    /// `S` or `K`.
    public var isStart: Bool
    /// The two digits; nothing says that they are sorted as a number, but with two digits it comes to the same.
    public var number: Int
    /// The name after the digits.
    public var name: String
    /// The whole name of the link: `K89iscsid`.
    public var fileName: String
    /// Its path.
    public var path: String
    /// What it points to, as written; `nil` when it is a file of its own.
    public var target: String?
    /// The script after all links; `nil` when the link dangles.
    public var script: String?
  }

  /// The links by runlevel (`0` … `6`, `S`), each in the order of the names' bytes, which is the order `rc` runs them.
  public var levels: [String: [Link]]

  /// Makes a set of links.
  public init(levels: [String: [Link]] = [:]) { self.levels = levels }

  /// What `rc` runs on entering a level: first the `K` links with `stop`, then the `S` links with `start`, each in
  /// order. In levels 0 and 6 Debian's `rc` calls the `S` links with `stop`.
  public func order(_ level: String) -> [Link] {
    let links = levels[level] ?? []
    return links.filter { !$0.isStart } + links.filter(\.isStart)
  }

  /// The places distributions keep the directories in: Debian in `/etc`, Red Hat in `/etc/rc.d` (with links from
  /// `/etc`), SUSE in `/etc/init.d`.
  public static let directories = ["/etc", "/etc/rc.d", "/etc/init.d"]

  /// Reads the links of a tree. Dangling links and names that `rc` passes over are warnings.
  public static func read(from tree: some FileTree) -> Parsed<RunlevelLinks> {
    var result = RunlevelLinks()
    var problems: [Problem] = []
    for level in ["0", "1", "2", "3", "4", "5", "6", "S"] {
      guard let base = directories.first(where: { tree.isDirectory("\($0)/rc\(level).d") }) else { continue }
      let directory = "\(base)/rc\(level).d"
      for fileName in tree.list(directory) {
        let path = "\(directory)/\(fileName)"
        guard var link = parse(fileName, path: path) else {
          if fileName != "README", fileName.utf8.first != 0x2E {
            problems.append(
              Problem(
                .warning, file: path, line: 0, message: "\(fileName.quoted) is passed over",
                hint: "a link has the form S20name or K20name"))
          }
          continue
        }
        link.target = tree.linkTarget(path)
        switch tree.resolve(path) {
        case .found(let real, .file): link.script = real
        case .missing(let real):
          problems.append(
            Problem(.warning, file: path, line: 0, message: "the link dangles: \(real) is not there"))
        default:
          problems.append(Problem(.warning, file: path, line: 0, message: "the link leads to no file"))
        }
        result.levels[level, default: []].append(link)
      }
    }
    return Parsed(result, problems: problems)
  }

  private static func parse(_ fileName: String, path: String) -> Link? {
    let bytes = Array(fileName.utf8)
    guard bytes.count > 3, bytes[0] == 0x53 || bytes[0] == 0x4B, bytes[1].isDigit, bytes[2].isDigit else {
      return nil
    }
    return Link(
      isStart: bytes[0] == 0x53, number: Int(bytes[1] - 0x30) * 10 + Int(bytes[2] - 0x30),
      name: String(bytes: bytes[3...]), fileName: fileName, path: path, target: nil, script: nil)
  }
}
