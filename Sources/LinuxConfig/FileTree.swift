/// What is at a path of a ``FileTree``.
public enum FileNode: Sendable, Hashable {
  /// A regular file with its bytes.
  case file([UInt8])
  /// A directory with the names in it, sorted by byte as `ls` in the C locale does.
  case directory([String])
  /// A symbolic link with its target as it was written, relative or absolute.
  case link(String)
}

/// The files of a machine, wherever they really are: in a scenario, a folder, a tarball, a disk image, an initrd.
///
/// Paths are absolute, with `/` between the parts; an absolute link target starts at the root of the tree, never at
/// the root of the machine that looks at it.
public protocol FileTree: Sendable {
  /// What is at this very path, without following a link in its last part; `nil` when there is nothing.
  ///
  /// The path is normalised (see ``TreePath/normalized(_:)``) and no part before the last is a link: the methods
  /// below see to both.
  func node(_ path: String) -> FileNode?
}

/// Where following a path through a tree ended.
public enum PathResolution: Sendable, Hashable {
  /// Something is there; `path` has no link left in it.
  case found(path: String, node: FileNode)
  /// Nothing is there; `path` is where it would be once all links are followed.
  case missing(path: String)
  /// A part of the path that has to be a directory is a file.
  case notDirectory(path: String)
  /// More than ``TreePath/linkLimit`` links were followed: a loop, as Linux sees it (`ELOOP`).
  case loop(path: String)
}

/// Arithmetic on the paths of a ``FileTree``. Nothing here looks at any file.
public enum TreePath {
  /// How many links Linux follows in one path before it gives up with `ELOOP` (`MAXSYMLINKS`, path_resolution(7)).
  public static let linkLimit = 40

  /// The parts of a path, without empty parts and `.`; `..` is kept, since what it means depends on links.
  public static func parts(_ path: String) -> [String] {
    path.utf8.split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }.filter {
      $0 != "."
    }
  }

  /// An absolute path without empty parts, `.` and `..`; `..` at the root stays at the root.
  public static func normalized(_ path: String) -> String {
    var kept: [String] = []
    for part in parts(path) {
      if part == ".." {
        _ = kept.popLast()
      } else {
        kept.append(part)
      }
    }
    return "/" + kept.joined(separator: "/")
  }

  /// A name below a directory.
  public static func join(_ directory: String, _ name: String) -> String {
    directory.utf8.last == UInt8(ascii: "/") ? "\(directory)\(name)" : "\(directory)/\(name)"
  }

  /// The last part of a path; `/` for the root.
  public static func name(_ path: String) -> String {
    parts(path).last ?? "/"
  }

  /// The directory that holds a path; the root for a path of one part.
  public static func parent(_ path: String) -> String {
    "/" + parts(path).dropLast().joined(separator: "/")
  }

  /// Whether a name sorts before another in the C locale, which is how `rc`, `run-parts` and shell globs see them.
  public static func sortsBefore(_ left: String, _ right: String) -> Bool {
    left.utf8.lexicographicallyPrecedes(right.utf8)
  }
}

extension FileTree {
  /// Follows a path the way the kernel does: every link on the way, and the last one too unless told otherwise.
  public func resolve(_ path: String, followLast: Bool = true) -> PathResolution {
    var pending = Array(TreePath.parts(path).reversed())
    var done: [String] = []
    var links = 0
    var current = node("/") ?? .directory([])
    while let part = pending.popLast() {
      if part == ".." {
        _ = done.popLast()
        current = node(Self.text(of: done)) ?? .directory([])
        continue
      }
      guard case .directory = current else { return .notDirectory(path: Self.text(of: done)) }
      done.append(part)
      let here = Self.text(of: done)
      guard let found = node(here) else {
        return .missing(path: TreePath.normalized(here + "/" + pending.reversed().joined(separator: "/")))
      }
      current = found
      guard case .link(let target) = found, followLast || !pending.isEmpty else { continue }
      links += 1
      if links > TreePath.linkLimit { return .loop(path: TreePath.normalized(path)) }
      done.removeLast()
      if target.utf8.first == UInt8(ascii: "/") { done.removeAll() }
      pending.append(contentsOf: TreePath.parts(target).reversed())
      current = node(Self.text(of: done)) ?? .directory([])
    }
    return .found(path: Self.text(of: done), node: current)
  }

  private static func text(of parts: [String]) -> String { "/" + parts.joined(separator: "/") }

  /// The bytes of a regular file, links followed; `nil` when there is no regular file.
  public func bytes(_ path: String) -> [UInt8]? {
    guard case .found(_, .file(let bytes)) = resolve(path) else { return nil }
    return bytes
  }

  /// The text of a regular file, links followed; bytes that are not UTF-8 become U+FFFD.
  public func text(_ path: String) -> String? {
    bytes(path).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The names in a directory, links followed, sorted by byte; empty when it is not a directory.
  public func list(_ path: String) -> [String] {
    guard case .found(_, .directory(let names)) = resolve(path) else { return [] }
    return names
  }

  /// Whether there is anything at a path once all links are followed; a dangling link does not exist.
  public func exists(_ path: String) -> Bool {
    if case .found = resolve(path) { return true }
    return false
  }

  /// Whether a path is a directory once all links are followed.
  public func isDirectory(_ path: String) -> Bool {
    if case .found(_, .directory) = resolve(path) { return true }
    return false
  }

  /// Whether a path is a regular file once all links are followed.
  public func isFile(_ path: String) -> Bool {
    if case .found(_, .file) = resolve(path) { return true }
    return false
  }

  /// The target of the link at a path, as it was written; `nil` when the path itself is not a link.
  public func linkTarget(_ path: String) -> String? {
    guard case .found(_, .link(let target)) = resolve(path, followLast: false) else { return nil }
    return target
  }
}
