/// A small, fast source of random numbers that gives the same numbers for the same seed, everywhere and for ever.
///
/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014). The simulator
/// draws integers only: floating point would tie results to a machine's mathematics library.
public struct RandomSource: Sendable {
  private var state: UInt64

  /// A source for this seed.
  public init(seed: UInt64) {
    state = seed
  }

  /// The seed of the `index`-th run of a series: well away from its neighbours and from the seed of the series.
  public static func seed(_ seed: UInt64, run index: UInt64) -> UInt64 {
    var outer = RandomSource(seed: seed)
    var inner = RandomSource(seed: outer.next() ^ index)
    return inner.next()
  }

  /// The next 64 random bits.
  @inline(__always)
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A number of 0..<`bound`, each with the same probability; 0 when `bound` is 0.
  ///
  /// Lemire: Fast Random Integer Generation in an Interval, 2019.
  public mutating func next(below bound: UInt64) -> UInt64 {
    if bound == 0 { return 0 }
    var product = next().multipliedFullWidth(by: bound)
    if product.low < bound {
      let threshold = (0 &- bound) % bound
      while product.low < threshold { product = next().multipliedFullWidth(by: bound) }
    }
    return product.high
  }

  /// A delay drawn from a window.
  ///
  /// Between two ends every microsecond is equally likely; from a steady window the nominal delay is drawn 15 times in 16
  /// before that. Without a latest end the delay is drawn from `earliest` up to a bound that doubles with probability 1/2,
  /// so that long delays are rare but do occur.
  public mutating func delay(in window: Window) -> SimTime {
    let earliest = window.earliest.microseconds
    if window.isSteady, next(below: 16) != 0 { return window.nominal }
    if !window.latest.isUnbounded {
      let width = UInt64(window.latest.microseconds - earliest)
      if width == 0 { return window.earliest }
      return SimTime(unchecked: earliest + Int64(next(below: width + 1)))
    }
    let typical = Swift.max(window.nominal.microseconds - earliest, 1_000)
    let doublings = Swift.min(next().trailingZeroBitCount, 20)
    let span = Swift.min(typical, SimTime.maximum.microseconds >> 21) << Int64(doublings)
    return window.earliest + SimTime(unchecked: Int64(next(below: UInt64(span) + 1)))
  }
}
