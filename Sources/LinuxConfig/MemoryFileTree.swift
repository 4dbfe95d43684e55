/// A ``FileTree`` held in memory, and a value: a copy costs nothing until one of the two changes.
///
/// Directories need not be made: a file brings those above it, and they stay when the file goes, as on a disk.
/// Names are compared as Swift strings, so two names that differ only in Unicode normalisation are one.
public struct MemoryFileTree: FileTree, Hashable {
  private enum Entry: Sendable, Hashable {
    case file([UInt8])
    case link(String)
    case directory([String])
  }

  /// Normalised path to what is there. The names in a directory are sorted by byte.
  private var entries: [String: Entry] = ["/": .directory([])]

  /// An empty root directory.
  public init() {}

  /// A tree of text files, by path.
  public init(_ files: [String: String]) {
    for path in files.keys.sorted(by: TreePath.sortsBefore) {
      if let text = files[path] { self[path] = .file(Array(text.utf8)) }
    }
  }

  /// What is at this very path; a path that is not normalised is normalised first.
  public func node(_ path: String) -> FileNode? {
    switch entries[path] ?? entries[TreePath.normalized(path)] {
    case .file(let bytes): .file(bytes)
    case .link(let target): .link(target)
    case .directory(let names): .directory(names)
    case nil: nil
    }
  }

  /// What is at a path, without following a link in its last part.
  ///
  /// Setting follows links in the parts before the last and makes what directories are needed; where a file or a
  /// dangling loop is in the way of a directory, the directory takes its place. The names given with a directory
  /// are ignored: a directory holds what is put into it. Setting `nil` removes, a directory with all it holds; the
  /// root itself stays.
  public subscript(path: String) -> FileNode? {
    get {
      guard case .found(_, let node) = resolve(path, followLast: false) else { return nil }
      return node
    }
    set {
      guard let newValue else { return remove(path) }
      switch newValue {
      case .file(let bytes): put(.file(bytes), at: path)
      case .link(let target): put(.link(target), at: path)
      case .directory: makeDirectory(path)
      }
    }
  }

  /// Writes a text file; shorthand for setting ``FileNode/file(_:)``.
  public mutating func write(_ text: String, to path: String) {
    self[path] = .file(Array(text.utf8))
  }

  /// Makes a link; shorthand for setting ``FileNode/link(_:)``.
  public mutating func link(_ path: String, to target: String) {
    self[path] = .link(target)
  }

  /// Removes a file, a link, or a directory with everything in it; nothing happens where there is nothing.
  public mutating func remove(_ path: String) {
    guard case .found(let real, _) = resolve(path, followLast: false), real != "/" else { return }
    var doomed = [real]
    while let next = doomed.popLast() {
      if case .directory(let names) = entries.removeValue(forKey: next) {
        doomed.append(contentsOf: names.map { TreePath.join(next, $0) })
      }
    }
    let parent = TreePath.parent(real)
    if case .directory(var names) = entries[parent] {
      let name = TreePath.name(real)
      names.removeAll { $0 == name }
      entries[parent] = .directory(names)
    }
  }

  /// Puts every file, link and directory of another tree over this one; what both have is the other's.
  public mutating func merge(_ other: MemoryFileTree) {
    for path in other.paths {
      if let node = other.node(path) { self[path] = node }
    }
  }

  /// Every path but the root, sorted by byte; a directory comes before what it holds.
  public var paths: [String] {
    entries.keys.filter { $0 != "/" }.sorted(by: TreePath.sortsBefore)
  }

  /// Makes a directory and those above it; what is there already stays when it is a directory.
  private mutating func makeDirectory(_ path: String) {
    switch resolve(path) {
    case .found(_, .directory): return
    case .found(let real, _), .missing(let real): put(.directory([]), at: real)
    case .notDirectory, .loop: put(.directory([]), at: path)
    }
  }

  /// Puts an entry at a path whose parents may be links, missing, or in the way.
  private mutating func put(_ entry: Entry, at path: String) {
    let parts = TreePath.parts(TreePath.normalized(path))
    guard let name = parts.last else { return }
    let parent: String
    switch resolve("/" + parts.dropLast().joined(separator: "/")) {
    case .found(let real, .directory): parent = real
    case .missing(let real): parent = real
    case .found(let real, _): parent = real
    case .notDirectory, .loop: parent = "/" + parts.dropLast().joined(separator: "/")
    }
    claimDirectory(parent)
    let real = TreePath.join(parent, name)
    if case .directory = entries[real] { remove(real) }
    entries[real] = entry
    insert(name, into: parent)
  }

  /// Makes sure that a link-free path is a directory, whatever stands there now.
  private mutating func claimDirectory(_ path: String) {
    var here = "/"
    for part in TreePath.parts(path) {
      let next = TreePath.join(here, part)
      if case .directory = entries[next] {
        here = next
        continue
      }
      entries[next] = .directory([])
      insert(part, into: here)
      here = next
    }
  }

  private mutating func insert(_ name: String, into directory: String) {
    guard case .directory(var names) = entries[directory] else { return }
    entries[directory] = nil  // So that the array below is not shared, and grows in place.
    var low = 0
    var high = names.count
    while low < high {
      let middle = (low + high) / 2
      if TreePath.sortsBefore(names[middle], name) { low = middle + 1 } else { high = middle }
    }
    if low == names.count || names[low] != name { names.insert(name, at: low) }
    entries[directory] = .directory(names)
  }
}
