import Dispatch
import Glibc

/// A point in time, on a clock that never goes back.
public struct Instant: Comparable, Hashable, Sendable {
  /// Since an arbitrary beginning.
  public let nanoseconds: Int64

  /// A point in time, in nanoseconds since an arbitrary beginning.
  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// The later of two is the greater.
  public static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

  /// A later point in time; the end of time if there is none.
  public static func + (instant: Self, delay: Duration) -> Self {
    let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(delay.wholeNanoseconds)
    return Self(nanoseconds: overflow ? .max : sum)
  }

  /// The time from one to another; none where it is more than there is.
  public static func - (left: Self, right: Self) -> Duration {
    let (difference, overflow) = left.nanoseconds.subtractingReportingOverflow(right.nanoseconds)
    return .nanoseconds(overflow ? 0 : difference)
  }
}

extension Duration {
  /// Rounded down to whole nanoseconds; as many as fit.
  var wholeNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    return overflow || carry ? (seconds < 0 ? .min : .max) : sum
  }
}

/// Where a stack of layers has its time from, and who works for it later.
public protocol Scheduler: Sendable {
  /// The time.
  var now: Instant { get }
  /// Calls `body` once, at `instant` or soon after it; at once when it has passed. `body` may block.
  func call(at instant: Instant, _ body: @escaping @Sendable () -> Void)
}

/// The machine's time, and threads of its own: a request that waits occupies none.
public struct SystemScheduler: Scheduler {
  private static let queue = DispatchQueue(label: "fuse-lun.layers", attributes: .concurrent)

  /// All are alike.
  public init() {}

  /// The system's monotonic time.
  public var now: Instant {
    Instant(nanoseconds: Int64(clamping: DispatchTime.now().uptimeNanoseconds))
  }

  /// Calls `body` on another thread.
  public func call(at instant: Instant, _ body: @escaping @Sendable () -> Void) {
    guard instant > now else { return Self.queue.async(execute: body) }
    // Not asyncAfter, which may be late by a tenth of the delay.
    let timer = DispatchSource.makeTimerSource(flags: .strict, queue: Self.queue)
    timer.setEventHandler {
      timer.cancel()
      body()
    }
    timer.schedule(
      deadline: DispatchTime(uptimeNanoseconds: UInt64(instant.nanoseconds)), leeway: .nanoseconds(0))
    timer.activate()
  }
}
