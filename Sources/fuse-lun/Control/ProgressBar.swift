import Glibc
import LUNStore
import Synchronization

/// One line on the standard error output that shows how far a work is that takes longer than a second; nothing where
/// that is no terminal.
final class ProgressBar: Sendable {
  /// What is counted.
  enum Unit: Sendable {
    case bytes
    /// Things, by the name of several of them.
    case things(String)
  }

  private struct State {
    var isShown = false
    /// When it was last drawn.
    var drawn: Int64 = 0
    /// Where this work was when it was first heard of, and when; there may be one after the other.
    var first: (done: Int64, total: Int64, moment: Int64)?
  }

  private let isOnTerminal = isatty(2) == 1
  private let unit: Unit
  private let begun = ProgressBar.now
  private let state = Mutex(State())

  init(_ unit: Unit = .bytes) { self.unit = unit }

  /// Draws it anew, at most ten times a second, from the second second on.
  func show(_ done: Int64, of total: Int64) {
    guard isOnTerminal, total > 0 else { return }
    let now = Self.now
    state.withLock { state in
      if state.first.map({ $0.total != total || done < $0.done }) ?? true { state.first = (done, total, now) }
      guard now - begun >= 1000, now - state.drawn >= 100, let first = state.first else { return }
      (state.isShown, state.drawn) = (true, now)
      let pace = Self.pace(done - first.done, in: now - first.moment, left: total - done, unit)
      try? emit("\r" + Self.line(done, of: total, unit) + pace + "\u{1B}[K", to: 2)
    }
  }

  /// Takes it away, so that what is written next has the line for itself.
  func erase() {
    state.withLock { state in
      if state.isShown { try? emit("\r\u{1B}[K", to: 2) }
      state.isShown = false
    }
  }

  /// In milliseconds.
  private static var now: Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
  }

  /// `[##########..........]  50%  512 MiB of 1 GiB`
  static func line(_ done: Int64, of total: Int64, _ unit: Unit = .bytes) -> String {
    let share = Double(min(max(done, 0), total)) / Double(total)
    let full = Int(share * 30)
    let percent = String(Int(share * 100))
    let bar = String(repeating: "#", count: full) + String(repeating: ".", count: 30 - full)
    let padding = String(repeating: " ", count: 3 - percent.count)
    let amount =
      switch unit {
      case .bytes: "\(ByteCount(max(0, done))) of \(ByteCount(total))"
      case .things(let name): "\(max(0, done)) of \(total) \(name)"
      }
    return "[\(bar)] \(padding)\(percent)%  \(amount)"
  }

  /// `, 80.5 MiB/s, 1:05 left`; nothing while there is nothing to tell it from.
  static func pace(_ done: Int64, in milliseconds: Int64, left: Int64, _ unit: Unit = .bytes) -> String {
    guard done > 0, milliseconds >= 500, left >= 0 else { return "" }
    let rate = Double(done) / (Double(milliseconds) / 1000)
    guard rate >= 1, rate < Double(Int64.max) else { return "" }
    let seconds = Int64(min(Double(left) / rate, 359_999))
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60)
    let two = { (number: Int64) in number < 10 ? "0\(number)" : "\(number)" }
    let time = hours > 0 ? "\(hours):\(two(minutes)):\(two(seconds % 60))" : "\(minutes):\(two(seconds % 60))"
    let speed: String
    switch unit {
    case .bytes: speed = "\(ByteCount(Int64(rate)))/s"
    case .things: speed = "\(Int64(rate))/s"
    }
    return ", \(speed), \(time) left"
  }
}
