import Glibc
import LUNStore
import Synchronization

/// One line on the standard error output that shows how far a long work is; nothing where that is no
/// terminal.
final class ProgressBar: Sendable {
  private struct State {
    var isShown = false
    /// When it was last drawn, in milliseconds.
    var drawn: Int64 = 0
  }

  private let isOnTerminal = isatty(2) == 1
  private let state = Mutex(State())

  /// Draws it anew, at most ten times a second.
  func show(_ done: Int64, of total: Int64) {
    guard isOnTerminal, total > 0 else { return }
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    let moment = Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
    state.withLock { state in
      guard moment - state.drawn >= 100 else { return }
      state = State(isShown: true, drawn: moment)
      try? emit("\r" + Self.line(done, of: total) + "\u{1B}[K", to: 2)
    }
  }

  /// Takes it away, so that what is written next has the line for itself.
  func erase() {
    state.withLock { state in
      if state.isShown { try? emit("\r\u{1B}[K", to: 2) }
      state.isShown = false
    }
  }

  /// `[##########..........]  50%  512 MiB of 1 GiB`
  static func line(_ done: Int64, of total: Int64) -> String {
    let share = Double(min(max(done, 0), total)) / Double(total)
    let full = Int(share * 30)
    let percent = String(Int(share * 100))
    let bar = String(repeating: "#", count: full) + String(repeating: ".", count: 30 - full)
    let padding = String(repeating: " ", count: 3 - percent.count)
    return "[\(bar)] \(padding)\(percent)%  \(ByteCount(max(0, done))) of \(ByteCount(total))"
  }
}
