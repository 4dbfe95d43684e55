/// Counts requests, bytes and errors, and how long requests took from here down and back.
struct StatsLayer: RequestLayer {
  let kind = "stats"
  let observesCompletion = true
  private(set) var operations: [IORequest.Kind: OperationStatistics] = [:]
  private var arrivals: [UInt64: Instant] = [:]

  init(_ options: inout LayerOptions) {}

  var counters: [LayerCounter] {
    [
      LayerCounter("requests", operations.values.reduce(0) { $0 + $1.requests }),
      LayerCounter("under way", Int64(arrivals.count)),
    ]
  }

  mutating func admit(_ request: inout IORequest, at now: Instant) -> Verdict {
    arrivals[request.number] = now
    return .pass
  }

  mutating func completed(_ request: IORequest, _ result: Result<IOReply, IOError>, at now: Instant) {
    guard let arrival = arrivals.removeValue(forKey: request.number) else { return }
    operations[request.kind, default: OperationStatistics()].add(request, result, took: now - arrival)
  }
}

/// What was seen of one kind of requests.
public struct OperationStatistics: Codable, Equatable, Sendable {
  /// Those that ended, well or not.
  public private(set) var requests: Int64 = 0
  /// Those that ended with an error.
  public private(set) var errors: Int64 = 0
  /// What was read, written, discarded, zeroed or allocated by those that ended well.
  public private(set) var bytes: Int64 = 0
  /// The shortest time, in nanoseconds.
  public private(set) var shortest: Int64 = .max
  /// The longest time, in nanoseconds.
  public private(set) var longest: Int64 = 0
  /// The sum of all times, in nanoseconds.
  public private(set) var total: Int64 = 0
  /// At `n`: how many took less than 2^n microseconds and at least half of that (at 0: less than one).
  public private(set) var histogram: [Int64] = []

  mutating func add(_ request: IORequest, _ result: Result<IOReply, IOError>, took time: Duration) {
    requests += 1
    switch result {
    case .success(let reply):
      let isTransfer = request.kind == .read || request.kind == .write
      bytes = bytes.saturatingAdd(isTransfer ? Int64(reply.count) : request.length)
    case .failure: errors += 1
    }
    let nanoseconds = time.wholeNanoseconds
    shortest = min(shortest, nanoseconds)
    longest = max(longest, nanoseconds)
    total = total.saturatingAdd(nanoseconds)
    let bucket = Int64.bitWidth - (nanoseconds / 1000).leadingZeroBitCount
    if histogram.count <= bucket { histogram += [Int64](repeating: 0, count: bucket + 1 - histogram.count) }
    histogram[bucket] += 1
  }
}

extension Int64 {
  /// The sum, or the greatest number: what is discarded may be all of a LUN, again and again.
  fileprivate func saturatingAdd(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
