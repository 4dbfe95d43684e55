/// Makes requests wait: each kind its own time, fixed or drawn from a range.
struct DelayLayer: RequestLayer {
  let kind = "delay"
  private var delays: [IORequest.Kind: ClosedRange<Duration>] = [:]
  private let all: ClosedRange<Duration>?
  private let seed: UInt64
  private var random: SplitMix64
  private var delayed: Int64 = 0

  init(_ options: inout LayerOptions) {
    all = options.durations("any")
    for kind in IORequest.Kind.allCases { delays[kind] = options.durations(kind.rawValue) ?? all }
    seed = options.seed()
    random = SplitMix64(seed: seed)
  }

  var settings: [LayerSetting] {
    var settings = all.map { [LayerSetting("any", $0.shortText)] } ?? []
    for kind in IORequest.Kind.allCases {
      if let delay = delays[kind], delay != all {
        settings.append(LayerSetting(kind.rawValue, delay.shortText))
      }
    }
    return settings + (seed == 0 ? [] : [LayerSetting("seed", "\(seed)")])
  }

  var counters: [LayerCounter] { [LayerCounter("delayed", delayed)] }

  func warnings(on device: any BlockDevice) -> [String] {
    delays.values.allSatisfy { $0.upperBound == .zero }
      ? ["it does nothing: no delay is given, as in read=5ms or any=1ms..10ms"] : []
  }

  mutating func admit(_ request: inout IORequest, at now: Instant) -> Verdict {
    guard let delay = delays[request.kind], delay.upperBound > .zero else { return .pass }
    delayed += 1
    return .hold(until: now + random.duration(in: delay), then: .pass)
  }
}

extension SplitMix64 {
  /// A time from the range, each nanosecond as likely as another.
  mutating func duration(in range: ClosedRange<Duration>) -> Duration {
    let width = (range.upperBound - range.lowerBound).wholeNanoseconds
    return range.lowerBound + .nanoseconds(next(below: width + 1))
  }
}

extension ClosedRange<Duration> {
  var shortText: String {
    lowerBound == upperBound ? lowerBound.shortText : "\(lowerBound.shortText)..\(upperBound.shortText)"
  }
}
