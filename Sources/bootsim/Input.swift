import Glibc
import LinuxConfig
import Sim

/// Reads files, and refuses what is none before a byte of it is read.
enum Input {
  typealias Failure = ScenarioResources.Failure

  /// The bytes of a regular file, or of standard input for "-"; never more than a parser takes.
  static func bytes(_ path: String) throws(Failure) -> [UInt8] {
    if path == "-" { return try read(STDIN_FILENO) }
    guard !path.utf8.contains(0) else { throw Failure("the name has a NUL character in it") }
    // A FIFO without a writer would block an open that is not told otherwise.
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure(Output.message(errno), hint: nil) }
    defer { close(descriptor) }
    var information = stat()
    guard fstat(descriptor, &information) == 0 else { throw Failure(Output.message(errno)) }
    switch information.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw Failure("is a directory, not a file", hint: "bootsim test takes directories")
    case S_IFIFO: throw Failure("is a FIFO, not a file", hint: "\"-\" reads standard input")
    case S_IFCHR, S_IFBLK: throw Failure("is a device, not a file")
    default: throw Failure("is not a regular file")
    }
    guard information.st_size <= JSONParser.sizeLimit else { throw tooLarge }
    return try read(descriptor)
  }

  private static var tooLarge: Failure {
    Failure("larger than \(JSONParser.sizeLimit >> 20) MiB", hint: "a scenario is a small text in JSON")
  }

  private static func read(_ descriptor: Int32) throws(Failure) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        throw Failure(Output.message(errno))
      }
      if count == 0 { return bytes }
      bytes.append(contentsOf: chunk[..<count])
      guard bytes.count <= JSONParser.sizeLimit else { throw tooLarge }
    }
  }

  /// A path that a file names: absolute, or relative to that file's folder. One file has one name, so that
  /// profiles that extend one another in a circle are seen to.
  static func path(_ path: String, from referrer: String) -> String {
    let path = path.hasPrefix("/") ? path : TreePath.parts(path).joined(separator: "/")
    guard !path.hasPrefix("/"), let slash = referrer.lastIndex(of: "/") else { return path }
    return "\(referrer[...slash])\(path)"
  }

  // MARK: Folders

  /// Files of more bytes are taken to be there and empty: no file that the simulator reads is so large, and a
  /// real machine's root has many that are.
  private static let contentLimit = 4 << 20
  /// Programs are only looked for by name; what is short enough to be a script is read.
  private static let scriptLimit = 64 << 10

  /// Where a system keeps what the simulator looks at; what is in /lib may be in /usr/lib. The rest of a real root (homes,
  /// packages, kernel modules, what the running kernel shows) is not walked.
  private static let looked =
    [
      "/etc", "/boot", "/sbin", "/bin", "/usr/sbin", "/usr/bin", "/usr/share/initramfs-tools",
      "/var/lib/dpkg/status",
      "/var/lib/initramfs-tools", "/var/lib/iscsi", "/var/log/rpmpkgs",
    ]
    + ["systemd", "lsb", "init", "open-iscsi", "dracut/dracut.conf.d"].flatMap {
      ["/lib/\($0)", "/usr/lib/\($0)"]
    }

  private static func isLookedAt(_ path: String) -> Bool {
    looked.contains { path == $0 || path.hasPrefix($0 + "/") || $0.hasPrefix(path + "/") }
  }

  private static func isProgram(_ path: String) -> Bool {
    ["/sbin/", "/bin/", "/usr/sbin/", "/usr/bin/", "/usr/lib/systemd/systemd", "/lib/systemd/systemd"]
      .contains {
        path.hasPrefix($0)
      }
  }
  private static let entryLimit = 500_000

  /// A folder as a tree, as far as the simulator looks at a system; links stay links, and lead inside the tree. What is no
  /// file, folder or link is left out.
  static func folder(_ root: String) throws(Failure) -> MemoryFileTree {
    var information = stat()
    guard stat(root, &information) == 0 else { throw Failure(Output.message(errno)) }
    guard information.st_mode & S_IFMT == S_IFDIR else {
      throw Failure("is not a folder", hint: "\"root\" is a folder that holds the system's files")
    }
    var tree = MemoryFileTree()
    var pending = [""]
    var entries = 0
    while let folder = pending.popLast() {
      for name in try names(in: root + folder) {
        entries += 1
        guard entries <= entryLimit else { throw Failure("has more than \(entryLimit) files") }
        let path = "\(folder)/\(name)"
        guard isLookedAt(path) else { continue }
        guard lstat(root + path, &information) == 0 else {
          throw Failure("\(path): \(Output.message(errno))")
        }
        switch information.st_mode & S_IFMT {
        case S_IFDIR:
          tree[path] = .directory([])
          pending.append(path)
        case S_IFLNK: tree.link(path, to: try target(root + path))
        case S_IFREG:
          let limit = isProgram(path) && !path.contains("/systemd/system/") ? scriptLimit : contentLimit
          tree[path] = .file(information.st_size > limit ? [] : try bytes(root + path))
        default: continue
        }
      }
    }
    return tree
  }

  /// The names in a folder, sorted by byte.
  static func names(in folder: String) throws(Failure) -> [String] {
    guard let stream = opendir(folder) else { throw Failure("\(folder): \(Output.message(errno))") }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) {
          String(cString: $0)
        }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted(by: TreePath.sortsBefore)
  }

  private static func target(_ path: String) throws(Failure) -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count)
    guard count >= 0 else { throw Failure("\(path): \(Output.message(errno))") }
    return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
