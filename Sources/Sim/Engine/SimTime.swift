/// A point of virtual time, or a length of it: whole microseconds.
///
/// As an instant it counts from power-on; as a delay it counts from the event that caused it. Arithmetic
/// saturates at ``unbounded`` instead of overflowing, so no duration in a scenario can make the simulator trap.
public struct SimTime: Hashable, Comparable, Sendable {
  /// The number of microseconds, never more than that of ``unbounded``.
  public let microseconds: Int64

  /// The largest finite time: 2^58 µs, about nine thousand years.
  ///
  /// The bound keeps sums of a few times inside 64 bits and lets the event queue pack a time into 60 bits.
  public static let maximum = SimTime(unchecked: 1 << 58)

  /// Later than every other time; as the latest end of a ``Window`` it means that there is no deadline.
  public static let unbounded = SimTime(unchecked: (1 << 58) + 1)

  /// Power-on, or no delay.
  public static let zero = SimTime(unchecked: 0)

  @inline(__always)
  init(unchecked microseconds: Int64) {
    self.microseconds = microseconds
  }

  /// A time of so many microseconds; what lies outside 0…``maximum`` is brought to the nearer end.
  public init(microseconds: Int64) {
    self.microseconds = Swift.max(0, Swift.min(microseconds, SimTime.maximum.microseconds))
  }

  /// A time in microseconds; see ``init(microseconds:)`` for values out of range.
  public static func microseconds(_ count: Int64) -> SimTime { SimTime(microseconds: count) }

  /// A time in milliseconds; see ``init(microseconds:)`` for values out of range.
  public static func milliseconds(_ count: Int64) -> SimTime { scaled(count, 1_000) }

  /// A time in seconds; see ``init(microseconds:)`` for values out of range.
  public static func seconds(_ count: Int64) -> SimTime { scaled(count, 1_000_000) }

  /// A time in minutes; see ``init(microseconds:)`` for values out of range.
  public static func minutes(_ count: Int64) -> SimTime { scaled(count, 60_000_000) }

  private static func scaled(_ count: Int64, _ unit: Int64) -> SimTime {
    let (product, overflow) = count.multipliedReportingOverflow(by: unit)
    if overflow { return count < 0 ? zero : maximum }
    return SimTime(microseconds: product)
  }

  /// Whether this is ``unbounded``.
  public var isUnbounded: Bool { self == .unbounded }

  /// Whether `a` is earlier, or shorter, than `b`.
  @inline(__always)
  public static func < (a: SimTime, b: SimTime) -> Bool { a.microseconds < b.microseconds }

  /// The sum; ``unbounded`` absorbs, and a finite sum stops at ``maximum``.
  @inline(__always)
  public static func + (a: SimTime, b: SimTime) -> SimTime {
    let sum = a.microseconds &+ b.microseconds  // both are at most 2^58 + 1
    if sum <= maximum.microseconds { return SimTime(unchecked: sum) }
    return a.isUnbounded || b.isUnbounded ? unbounded : maximum
  }

  /// The time from `b` to `a`, zero when `b` is later; ``unbounded`` less a finite time stays ``unbounded``.
  @inline(__always)
  public static func - (a: SimTime, b: SimTime) -> SimTime {
    if a.isUnbounded && !b.isUnbounded { return unbounded }
    return SimTime(unchecked: Swift.max(0, a.microseconds &- b.microseconds))
  }
}

extension SimTime: CustomStringConvertible {
  /// Seconds with as many digits as the value has, at least three: `12.400s`, `0.000250s`.
  public var description: String {
    if isUnbounded { return "unbounded" }
    let fraction = microseconds % 1_000_000
    let (value, width) = fraction % 1_000 == 0 ? (fraction / 1_000, 3) : (fraction, 6)
    let digits = String(value)
    return "\(microseconds / 1_000_000)." + String(repeating: "0", count: width - digits.count) + digits + "s"
  }
}

/// When an event may happen, counted from the event that caused it.
///
/// Both ends are possible. A run without a seed takes the nominal delay, a sampled run draws between the ends,
/// and the explorer follows every order that the windows of all events allow together.
public struct Window: Hashable, Sendable {
  /// The shortest delay.
  public let earliest: SimTime
  /// The delay of an undisturbed run, between the two ends.
  public let nominal: SimTime
  /// The longest delay; ``SimTime/unbounded`` when nothing forces the event to happen by then.
  public let latest: SimTime
  /// The delay is nearly always the nominal one: a sampled run takes another one time in 16 only.
  public private(set) var isSteady = false

  /// A window between two delays.
  ///
  /// - Parameters:
  ///   - earliest: the shortest delay.
  ///   - latest: the longest delay; when it is shorter than `earliest` the window is exactly `earliest`.
  ///   - nominal: the delay of an undisturbed run, brought into the window; without one the middle, or
  ///     `earliest` when the window has no end.
  public init(_ earliest: SimTime, _ latest: SimTime, nominal: SimTime? = nil) {
    let earliest = Swift.min(earliest, .maximum)
    let latest = Swift.max(earliest, latest)
    self.earliest = earliest
    self.latest = latest
    if let nominal {
      self.nominal = Swift.max(earliest, Swift.min(nominal, Swift.min(latest, .maximum)))
    } else if latest.isUnbounded {
      self.nominal = earliest
    } else {
      let middle = (earliest.microseconds &+ latest.microseconds) / 2
      self.nominal = SimTime(unchecked: middle)
    }
  }

  /// A window between two delays in which there is hardly ever another than the usual one.
  public init(_ earliest: SimTime, _ latest: SimTime, seldomElse usual: SimTime) {
    self.init(earliest, latest, nominal: usual)
    isSteady = true
  }

  /// A window of one possible delay.
  @inline(__always)
  public init(_ exact: SimTime) {
    let exact = Swift.min(exact, .maximum)
    earliest = exact
    nominal = exact
    latest = exact
  }

  /// No delay at all.
  public static let now = Window(.zero)

  /// Any delay, none included.
  public static let anyTime = Window(.zero, .unbounded)
}
