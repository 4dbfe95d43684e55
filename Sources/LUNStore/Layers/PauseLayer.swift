/// Holds every request until it is removed.
struct PauseLayer: RequestLayer {
  let kind = "pause"
  private var held: Int64 = 0

  init(_ options: inout LayerOptions) {}

  var counters: [LayerCounter] { [LayerCounter("held", held)] }

  mutating func admit(_ request: inout IORequest, at now: Instant) -> Verdict {
    held += 1
    return .hold(until: nil, then: .pass)
  }
}
