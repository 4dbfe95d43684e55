import Glibc
import Synchronization

/// The files of layers that are open in this process: as many as it may have open, less a reserve.
///
/// A LUN with ten thousand snapshots is in ten thousand files, and a store may have more LUNs than that. Which of their
/// files are open depends on which are used: one that nobody uses at the moment makes room for one that is needed.
/// The reserve is for all that is open for a moment or not a layer's: what commands read and write, sockets, records.
final class FilePool: Sendable {
  static let shared = FilePool()

  fileprivate struct Entry {
    weak var file: LayerFile?
  }

  fileprivate struct State {
    /// Those that are open, and some that are no more.
    var entries: [Entry] = []
    /// Where the search for one to close goes on.
    var hand = 0
  }

  private let state = Mutex(State())
  private let openCount = Atomic(0)
  private let placeCount = Atomic(0)

  /// How many files there may be, by the limit of the process as it is now (`RLIMIT_NOFILE`).
  private static var limit: Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 256 }
    let all = Int(clamping: limit.rlim_cur)
    // Half of a small limit is left for the rest. A large one is not used up: each open file is memory of the kernel's.
    return min(all - min(256, all / 2), 1 << 14)
  }

  /// How many files of one LUN may be kept open without others having to go.
  static var share: Int { limit / 2 }

  /// Room in the pool that something else takes which cannot be closed and opened again: a connection to the server
  /// of an image. Given back when the last reference goes.
  final class Place: Sendable {
    fileprivate init() {}
    deinit { FilePool.shared.placeCount.subtract(1, ordering: .relaxed) }
  }

  /// - Throws: `EMFILE` if so much is taken that layers would have too little.
  func place(for what: String) throws(StoreError) -> Place {
    guard placeCount.add(1, ordering: .relaxed).newValue <= Self.share else {
      placeCount.subtract(1, ordering: .relaxed)
      throw StoreError(
        .system(EMFILE), at: what,
        "cannot be opened: as many images as this process may have open are in use",
        remedy: "raise the limit for open files ('ulimit -n'; LimitNOFILE= of a systemd unit)")
    }
    return Place()
  }

  /// To be called before a file is opened: closes others while there are too many.
  func makeRoom() {
    let limit = Self.limit
    while openCount.load(ordering: .relaxed) + placeCount.load(ordering: .relaxed) >= limit {
      if !closeOne() { return }
    }
  }

  /// Notes that a file is open.
  func add(_ file: LayerFile) {
    let count = openCount.add(1, ordering: .relaxed).newValue
    state.withLock { state in
      if state.entries.count > 2 * count + 64 {
        state.entries.removeAll { $0.file == nil }
        state.hand = 0
      }
      state.entries.append(Entry(file: file))
    }
  }

  /// Notes that a file is closed.
  func remove() { openCount.subtract(1, ordering: .relaxed) }

  /// Closes a file that nobody uses at the moment.
  ///
  /// - Returns: `false` if there is none.
  func closeOne() -> Bool {
    // The search lets go of what it looked at only with the lock given back: that may be the last reference.
    var seen: [LayerFile] = []
    guard let file = state.withLock({ $0.take(&seen) }) else { return false }
    file.finishClosing()
    return true
  }
}

extension FilePool.State {
  /// Finds a file that can be closed, and takes it: the others find it closed. One that was not used since the last
  /// time around, and has nothing that would have to be flushed first, is the first choice.
  fileprivate mutating func take(_ seen: inout [LayerFile]) -> LayerFile? {
    for pass in 0..<3 {
      var left = entries.count
      while left > 0 {
        left -= 1
        if hand >= entries.count { hand = 0 }
        guard let file = entries[hand].file else {
          entries.swapAt(hand, entries.count - 1)
          entries.removeLast()
          continue
        }
        seen.append(file)
        if file.beginClosing(evenIfRecent: pass > 0, evenIfUnflushed: pass > 1) {
          entries.swapAt(hand, entries.count - 1)
          entries.removeLast()
          return file
        }
        hand += 1
      }
    }
    return nil
  }
}

/// Opens something, and where this process has too many files open has files of layers closed for it.
///
/// - Returns: the descriptor, or -1 and `errno`.
func withRoom(_ open: () -> Int32) -> Int32 {
  while true {
    let raw = Int32(retrying { Int(open()) })
    let code = errno
    guard raw < 0, code == EMFILE || code == ENFILE, FilePool.shared.closeOne() else {
      errno = code
      return raw
    }
  }
}
