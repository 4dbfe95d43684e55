import Glibc
import Synchronization
import TestSupport

/// A folder of which it is known what a power cut would leave of it: of each file what it held when it was last flushed, of
/// each folder the names that it had then, and nothing else. File systems are kinder than that, but which of them do
/// what is nothing to build on.
final class DurableFolder: Sendable {
  /// What a power cut would leave at some moment.
  struct State {
    fileprivate enum Content {
      case file([UInt8])
      case folder([String: (inode: ino_t, isFolder: Bool)])
    }

    fileprivate var contents: [ino_t: Content] = [:]
    fileprivate var root: ino_t = 0

    /// Makes a folder of it.
    func restore(to path: String) { restore(root, isFolder: true, to: path) }

    private func restore(_ inode: ino_t, isFolder: Bool, to path: String) {
      // A name of what was never flushed itself is there, and nothing is in it.
      if !isFolder {
        if case .file(let bytes) = contents[inode] { write(bytes, to: path) } else { write([], to: path) }
        return
      }
      mkdir(path, 0o700)
      guard case .folder(let names) = contents[inode] else { return }
      for (name, entry) in names { restore(entry.inode, isFolder: entry.isFolder, to: "\(path)/\(name)") }
    }
  }

  private let probe: SyncProbe
  private let states: Mutex<[State]>
  private let next = Mutex<(@Sendable () -> Void)?>(nil)

  /// - Parameter path: of a folder; what is in it by now counts as durable.
  init(_ path: String) {
    var state = State()
    var status = stat()
    stat(path, &status)
    state.root = status.st_ino
    Self.note(path, in: &state)
    states = Mutex([state])
    probe = SyncProbe(path)
    probe.start { [weak self] file in
      self?.flushed(file)
      return 0
    }
  }

  /// No more flushes are looked at.
  func close() { probe.stop() }

  /// What a power cut would have left after each flush since the last call, beginning with what it was then.
  func takeStates() -> [State] {
    states.withLock { states in
      let taken = states
      states.removeFirst(states.count - 1)
      return taken
    }
  }

  private func flushed(_ file: Int32) {
    states.withLock { states in
      var state = states[states.count - 1]
      Self.note(file, in: &state)
      states.append(state)
    }
    let body = next.withLock { next in
      let body = next
      next = nil
      return body
    }
    body?()
  }

  /// Calls `body` once, in the middle of what flushes next.
  func afterNextFlush(_ body: @escaping @Sendable () -> Void) { next.withLock { $0 = body } }

  private static func note(_ path: String, in state: inout State) {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    defer { Glibc.close(file) }
    note(file, in: &state)
    for name in (names(file) ?? [:]).keys { note("\(path)/\(name)", in: &state) }
  }

  private static func note(_ file: Int32, in state: inout State) {
    var status = stat()
    guard fstat(file, &status) == 0 else { return }
    state.contents[status.st_ino] =
      if let names = names(file) { .folder(names) } else {
        .file(contents(of: "/proc/self/fd/\(file)") ?? [])
      }
  }

  private static func names(_ file: Int32) -> [String: (inode: ino_t, isFolder: Bool)]? {
    let again = openat(file, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard again >= 0, let folder = fdopendir(again) else { return nil }
    defer { closedir(folder) }
    var names: [String: (inode: ino_t, isFolder: Bool)] = [:]
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name == "." || name == ".." { continue }
      names[name] = (entry.pointee.d_ino, entry.pointee.d_type == UInt8(DT_DIR))
    }
    return names
  }
}
