/// Limits the bytes and the requests per second.
///
/// A leaky bucket, as a meter (GCRA, ITU-T I.371): each limit keeps the time at which all that was let in so far
/// would be done at the limit's pace, and a request is let in no earlier than a burst before that time.
struct RateLayer: RequestLayer {
  let kind = "rate"
  private let bytesPerSecond: Int64?
  private let requestsPerSecond: Int64?
  private let burst: Duration
  private var bytesDone = Instant(nanoseconds: .min)
  private var requestsDone = Instant(nanoseconds: .min)
  private var delayed: Int64 = 0

  init(_ options: inout LayerOptions) {
    bytesPerSecond = options.bytes("bytes")
    requestsPerSecond = options.number("iops", from: 1)
    burst = options.duration("burst") ?? .milliseconds(100)
  }

  var settings: [LayerSetting] {
    (bytesPerSecond.map { [LayerSetting("bytes", sizeText($0))] } ?? [])
      + (requestsPerSecond.map { [LayerSetting("iops", "\($0)")] } ?? [])
      + [LayerSetting("burst", burst.shortText)]
  }

  var counters: [LayerCounter] { [LayerCounter("delayed", delayed)] }

  func warnings(on device: any BlockDevice) -> [String] {
    bytesPerSecond == nil && requestsPerSecond == nil
      ? ["it does nothing: no limit is given, as in bytes=10M or iops=100"] : []
  }

  mutating func admit(_ request: inout IORequest, at now: Instant) -> Verdict {
    var start = now
    // What is discarded or zeroed is not transferred.
    if let bytesPerSecond, request.kind == .read || request.kind == .write {
      let (seconds, rest) = request.length.quotientAndRemainder(dividingBy: bytesPerSecond)
      let part = Double(rest) / Double(bytesPerSecond) * 1e9
      start = max(start, enter(&bytesDone, .seconds(seconds) + .nanoseconds(Int64(part)), now))
    }
    if let requestsPerSecond {
      start = max(start, enter(&requestsDone, .nanoseconds(1_000_000_000 / requestsPerSecond), now))
    }
    guard start > now else { return .pass }
    delayed += 1
    return .hold(until: start, then: .pass)
  }

  /// - Returns: when a request may start that takes `cost` at the pace of the limit.
  private func enter(_ done: inout Instant, _ cost: Duration, _ now: Instant) -> Instant {
    let begin = max(done, now)
    done = begin + cost
    return max(now, begin + (.zero - burst))
  }
}
