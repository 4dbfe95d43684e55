/// Random numbers that are the same for the same seed, everywhere and for ever; faults and power cuts draw from
/// them.
///
/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
public struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// A source for this seed.
  public init(seed: UInt64) { state = seed }

  /// The next 64 random bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A number of 0..<`bound`; 0 when `bound` is not positive. A bias of `bound` in 2^64 does no harm here.
  public mutating func next(below bound: Int64) -> Int64 {
    bound > 0 ? Int64(next().multipliedFullWidth(by: UInt64(bound)).high) : 0
  }

  /// Whether something happens that has this probability.
  public mutating func happens(_ probability: Double) -> Bool {
    // 53 bits are what a Double holds exactly.
    Double(next() >> 11) < probability * 0x1p53
  }
}
