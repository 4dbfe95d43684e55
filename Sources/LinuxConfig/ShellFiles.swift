/// A file tree with what a script wrote and removed laid over it.
struct ShellFiles: FileTree {
  let base: any FileTree
  private(set) var written = MemoryFileTree()
  private(set) var removed: Set<String> = []

  init(base: any FileTree) { self.base = base }

  func node(_ path: String) -> FileNode? {
    let below: FileNode? = isRemoved(path) ? nil : base.node(path)
    guard let above = written.node(path), path != "/" || !written.list("/").isEmpty else {
      return visible(below, path)
    }
    guard case .directory(let names) = above else { return above }
    guard case .directory(let others)? = visible(below, path) else { return above }
    return .directory(Set(names + others).sorted(by: TreePath.sortsBefore))
  }

  private func visible(_ node: FileNode?, _ path: String) -> FileNode? {
    guard case .directory(let names)? = node, !removed.isEmpty else { return node }
    return .directory(names.filter { !removed.contains(TreePath.join(path, $0)) })
  }

  /// Whether the script removed this path or one above it.
  func isRemoved(_ path: String) -> Bool {
    if removed.isEmpty { return false }
    var here = ""
    for part in TreePath.parts(path) {
      here += "/" + part
      if removed.contains(here) { return true }
    }
    return false
  }

  /// Whether the script put something at this path.
  func wasWritten(_ path: String) -> Bool { written.node(path) != nil }

  /// Puts a node at a path, through links in the parts before the last.
  mutating func put(_ node: FileNode, at path: String) {
    written[real(path)] = node
  }

  /// Removes what is at a path.
  mutating func remove(_ path: String) {
    let real = real(path)
    written.remove(real)
    removed.insert(real)
  }

  private func real(_ path: String) -> String {
    let path = TreePath.normalized(path)
    switch resolve(TreePath.parent(path)) {
    case .found(let parent, _), .missing(let parent): return TreePath.join(parent, TreePath.name(path))
    case .loop, .notDirectory: return path
    }
  }
}

/// What a script finds at a path.
enum ShellLookUp {
  case found(path: String, FileNode)
  case absent
  case unknown
}

extension ShellInterpreter {
  /// What is at an absolute path, as the delegate, the script's own writes and the tree have it.
  mutating func lookUp(_ path: String, followLast: Bool = true) -> ShellLookUp {
    var path = TreePath.normalized(path)
    // A link may lead out of what the tree knows, to where the delegate has to be asked again.
    for _ in 0..<TreePath.linkLimit {
      switch delegate.file(path) {
      case .absent: return .absent
      case .unknown: return .unknown
      case .node(.link(let target)) where followLast:
        path = TreePath.normalized(target.utf8.first == 0x2F ? target : TreePath.parent(path) + "/" + target)
        continue
      case .node(let node): return .found(path: path, node)
      case .tree: break
      }
      switch files.resolve(path, followLast: followLast) {
      case .found(let real, let node): return .found(path: real, node)
      case .notDirectory, .loop: return .absent
      case .missing(let real):
        if real == path { return Self.isFilledAtRun(real) && !files.isRemoved(real) ? .unknown : .absent }
        path = real
      }
    }
    return .absent
  }

  /// Whether a running machine fills this place, so that a tree without it says nothing.
  static func isFilledAtRun(_ path: String) -> Bool {
    for place in ["/proc", "/sys", "/dev", "/run", "/var/run", "/var/lock", "/tmp"]
    where path == place || path.starts(withBytes: place + "/") {
      return true
    }
    return false
  }

  /// An absolute path for a word of the script; `nil` when it, or the working directory, is not known.
  func absolute(_ value: ShellValue) -> String? {
    guard let text = value.known else { return nil }
    if text.utf8.first == 0x2F { return TreePath.normalized(text) }
    return directory.map { TreePath.normalized($0 + "/" + text) }
  }

  /// The text of a file; `nil` when there is certainly none, unknown when nobody knows.
  mutating func content(_ path: ShellValue) -> ShellValue? {
    guard let absolute = absolute(path) else { return .unknown }
    if absolute == "/dev/null" { return "" }
    switch lookUp(absolute) {
    case .found(_, .file(let bytes)):
      if unknownFiles.contains(absolute) { return .unknown }
      return ShellValue(String(decoding: bytes, as: UTF8.self))
    case .found, .absent: return nil
    case .unknown: return .unknown
    }
  }

  // MARK: Redirections

  /// What opening redirections pushed, for closing.
  struct OpenRedirections {
    var sources = 0
    var sinks: [ShellRedirection] = []
    var paths: [ShellValue] = []
    /// A file may not be opened: the command is not run.
    var isRefused = false
  }

  mutating func open(_ redirections: [ShellRedirection]) -> OpenRedirections {
    var opened = OpenRedirections()
    for redirection in redirections {
      let target = expandToOne(redirection.target)
      switch redirection.kind {
      case .hereDocument, .hereString:
        var text = target
        if redirection.kind == .hereString { text.append("\n") }
        if redirection.descriptor == 0 {
          sources.append(ShellSource(text))
          opened.sources += 1
        }
      case .read, .readWrite:
        if redirection.descriptor == 0 {
          sources.append(ShellSource(content(target) ?? ""))
          opened.sources += 1
        }
      case .duplicate:
        if redirection.descriptor == 0 {
          sources.append(ShellSource(.unknown))
          opened.sources += 1
        } else if redirection.descriptor == 1, target.known != "1" {
          push(ShellSink(text: nil), redirection, "", &opened)
        }
      case .write, .append, .writeBoth:
        guard delegate.opens(written("", to: target, redirection)) else {
          opened.isRefused = true
          return opened
        }
        if redirection.descriptor == 1 || redirection.kind == .writeBoth {
          push(ShellSink(text: target.known == "/dev/null" ? nil : ""), redirection, target, &opened)
        } else if redirection.descriptor == 2, target.known != "/dev/null" {
          wrote(.unknown, to: target, redirection)
        }
      }
    }
    return opened
  }

  private mutating func push(
    _ sink: ShellSink, _ redirection: ShellRedirection, _ path: ShellValue, _ opened: inout OpenRedirections
  ) {
    sinks.append(sink)
    opened.sinks.append(redirection)
    opened.paths.append(path)
  }

  mutating func close(_ opened: OpenRedirections) {
    for (redirection, path) in zip(opened.sinks, opened.paths).reversed() {
      guard let text = sinks.popLast()?.text else { continue }
      wrote(text, to: path, redirection)
    }
    sources.removeLast(min(opened.sources, sources.count))
  }

  private mutating func wrote(_ text: ShellValue, to path: ShellValue, _ redirection: ShellRedirection) {
    let appends = redirection.kind == .append
    let write = written(text, to: path, redirection)
    result.writes.append(write)
    delegate.wrote(write)
    guard let absolute = absolute(path), !absolute.starts(withBytes: "/dev/") else { return }
    var whole = appends ? content(path) ?? "" : ""
    whole.append(text)
    if whole.isKnown { unknownFiles.remove(absolute) } else { unknownFiles.insert(absolute) }
    files.put(.file(Array((whole.known ?? "").utf8)), at: absolute)
  }

  private func written(_ text: ShellValue, to path: ShellValue, _ redirection: ShellRedirection) -> ShellWrite
  {
    ShellWrite(
      path: path, text: text, appends: redirection.kind == .append, file: frame.file, line: redirection.line,
      absolutePath: absolute(path))
  }

  /// Sends text to standard output.
  mutating func emit(_ text: ShellValue) {
    if sinks.isEmpty { result.output.append(text) } else { sinks[sinks.count - 1].text?.append(text) }
  }

  /// Whether anyone in the script looks at standard output.
  var isCaptured: Bool {
    sinks.last?.text != nil
  }
}
