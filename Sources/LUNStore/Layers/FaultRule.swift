import Glibc

/// One thing that goes wrong with requests that meet its conditions; a state machine like every request layer.
struct FaultRule: RequestLayer {
  /// What goes wrong.
  enum Fault: Sendable {
    /// The request fails, and leaves no trace.
    case error(Int32)
    /// It waits.
    case delay(ClosedRange<Duration>)
    /// It waits for so long, or until the rule is cleared.
    case hang(Duration?)
    /// Everything stalls for so long, then fails, as with a lost session; after the second time, it is restored.
    case disconnect(stall: Duration?, code: Int32, restoreAfter: Duration?)
    /// Only a part of a write reaches the disk; it fails, or with `nil` is acknowledged.
    case torn(Tear, code: Int32?)
    /// A write is acknowledged and never reaches the disk.
    case lost
    /// A write is acknowledged and lands elsewhere.
    case misdirected
    /// So many bits of what is read are turned over on the way; the disk is unharmed.
    case flip(bits: Int64)
    /// The power fails, and is back after so long.
    case powerCut(down: Duration, tearsBlocks: Bool)
  }

  /// Which part of a torn write reaches the disk.
  enum Tear: String, CaseIterable, Sendable { case prefix, sectors }

  /// What everything has to suffer since the rule applied.
  private enum Outage {
    case none
    case stalled(until: Instant?)
    case failing(until: Instant?)
  }

  let kind: String
  let fault: Fault
  private let blockSize: Int64
  private let deviceSize: Int64
  private var trigger: Trigger
  private var outage = Outage.none

  /// The names on the command line.
  static let kinds = [
    "error", "delay", "hang", "disconnect", "torn", "lost", "misdirected", "flip", "power-cut",
  ]

  /// Reads a rule of one of the `kinds`.
  init?(_ kind: String, _ options: inout LayerOptions, on device: any BlockDevice) {
    self.kind = kind
    (blockSize, deviceSize) = (device.blockSize, device.size)
    switch kind {
    case "error": fault = .error(options.errorNumber("errno") ?? EIO)
    case "delay": fault = .delay(options.durations("for") ?? .zero ... .zero)
    case "hang": fault = .hang(options.duration("for"))
    case "disconnect":
      fault = .disconnect(
        stall: options.duration("for"), code: options.errorNumber("errno") ?? EIO,
        restoreAfter: options.duration("restore-after"))
    case "torn":
      let isAcknowledged = options.flag("acknowledge")
      let code = options.errorNumber("errno") ?? EIO
      let tear = options.value("tear", "'prefix' or 'sectors'") { Tear(rawValue: $0) } ?? .prefix
      fault = .torn(tear, code: isAcknowledged ? nil : code)
    case "lost": fault = .lost
    case "misdirected": fault = .misdirected
    case "flip": fault = .flip(bits: options.number("bits", from: 1) ?? 1)
    case "power-cut":
      fault = .powerCut(down: options.duration("down") ?? .zero, tearsBlocks: options.flag("torn"))
    default: return nil
    }
    trigger = Trigger(&options, blockSize: blockSize, kinds: fault.usualKinds)
    // Once is what an outage is, unless asked otherwise: the next request would begin another one.
    if trigger.count == nil, fault.isOutage { trigger.count = 1 }
  }

  var settings: [LayerSetting] {
    fault.settings + trigger.settings(blockSize: blockSize, kinds: fault.usualKinds)
  }

  var counters: [LayerCounter] {
    [LayerCounter("matches", trigger.matches), LayerCounter("hits", trigger.hits)]
  }

  func warnings(on device: any BlockDevice) -> [String] {
    var warnings = trigger.warnings(on: device, sensible: fault.usualKinds)
    if case .delay(let delay) = fault, delay.upperBound == .zero {
      warnings.append("it does nothing: give a time, as in --for 20ms or --for 5ms..20ms")
    }
    return warnings
  }

  /// An outage with nothing to wait for begins at once.
  var actsWhenArmed: Bool { fault.isOutage && trigger.isUnconditional }

  mutating func armed(at now: Instant) -> PowerCut? {
    guard actsWhenArmed else { return nil }
    trigger.fireNow()
    return beginOutage(at: now)
  }

  mutating func admit(_ request: inout IORequest, at now: Instant) -> Verdict {
    if let verdict = sufferOutage(at: now) { return verdict }
    guard fault.usualKinds.contains(request.kind), trigger.fires(for: request) else { return .pass }
    switch fault {
    case .error(let code): return .fail(code)
    case .delay(let range):
      let width = (range.upperBound - range.lowerBound).wholeNanoseconds
      let delay = range.lowerBound + .nanoseconds(trigger.draw(below: width + 1))
      return .hold(until: now + delay, then: .pass)
    case .hang(let time): return .hold(until: time.map { now + $0 }, then: .pass)
    case .disconnect:
      _ = beginOutage(at: now)
      return sufferOutage(at: now) ?? .pass
    case .powerCut: return beginOutage(at: now).map { .cutPower($0) } ?? .pass
    case .torn(let tear, let code): tearWrite(&request, tear, code)
    case .lost: request.mishap.reaching = []
    case .misdirected: misdirect(&request)
    case .flip(let bits): flip(bits, in: &request)
    }
    return .pass
  }

  // MARK: Outages

  private mutating func beginOutage(at now: Instant) -> PowerCut? {
    switch fault {
    case .disconnect(let stall, _, _):
      outage = .stalled(until: stall.map { now + $0 })
      return nil
    case .powerCut(let down, let tearsBlocks):
      outage = .failing(until: now + down)
      return PowerCut(seed: trigger.seed &+ UInt64(trigger.hits), tearsBlocks: tearsBlocks)
    default: return nil
    }
  }

  /// What becomes of any request during an outage; `nil` when there is none.
  private mutating func sufferOutage(at now: Instant) -> Verdict? {
    if case .stalled(let until?) = outage, until <= now, case .disconnect(_, _, let restoreAfter) = fault {
      outage = .failing(until: restoreAfter.map { until + $0 })
    }
    if case .failing(let until?) = outage, until <= now { outage = .none }
    switch outage {
    case .none: return nil
    case .stalled(let until): return .hold(until: until, then: .fail(fault.outageCode))
    case .failing: return .fail(fault.outageCode)
    }
  }

  // MARK: What happens to data

  private mutating func tearWrite(_ request: inout IORequest, _ tear: Tear, _ code: Int32?) {
    let sectors = (request.length + blockSize - 1) / blockSize
    let reaching: [Range<Int64>]
    switch tear {
    case .prefix: reaching = [0..<trigger.draw(below: sectors)]
    case .sectors:
      let some = (0..<sectors).filter { _ in trigger.draw(below: 2) == 1 }
      // All of them would be no tear.
      reaching = (some.count == Int(sectors) ? some.dropLast() : some[...]).map { $0..<$0 + 1 }
    }
    request.mishap.reaching = reaching.filter { !$0.isEmpty }.map {
      $0.lowerBound * blockSize..<min($0.upperBound * blockSize, request.length)
    }
    request.mishap.code = code
  }

  private mutating func misdirect(_ request: inout IORequest) {
    let places = (deviceSize - request.length) / blockSize + 1
    guard places > 1 else { return }
    let other = trigger.draw(below: places - 1)
    request.mishap.landing = (other < request.offset / blockSize ? other : other + 1) * blockSize
  }

  /// Chooses distinct bits (Floyd's sampling: as many draws as bits).
  private mutating func flip(_ bits: Int64, in request: inout IORequest) {
    let range = trigger.range.map { $0.clamped(to: request.range) } ?? request.range
    let all = Int64(range.count) * 8
    let first = (range.lowerBound - request.offset) * 8
    var chosen: Set<Int64> = []
    for last in (all - min(bits, all))..<all {
      let bit = trigger.draw(below: last + 1)
      chosen.insert(chosen.contains(bit) ? last : bit)
    }
    request.mishap.flippedBits += chosen.sorted().map { first + $0 }
  }
}

extension FaultRule.Fault {
  var isOutage: Bool {
    switch self {
    case .disconnect, .powerCut: true
    default: false
    }
  }

  /// What a request fails with during an outage.
  var outageCode: Int32 { if case .disconnect(_, let code, _) = self { code } else { EIO } }

  /// Those to which it can do anything, and applies unless `--op` says otherwise.
  var usualKinds: Set<IORequest.Kind> {
    switch self {
    case .torn, .lost, .misdirected: [.write]
    case .flip: [.read]
    default: Set(IORequest.Kind.allCases)
    }
  }

  var settings: [LayerSetting] {
    func time(_ name: String, _ value: Duration?) -> [LayerSetting] {
      value.map { [LayerSetting(name, $0.shortText)] } ?? []
    }
    switch self {
    case .error(let code): return [LayerSetting("errno", errorName(code))]
    case .delay(let range): return [LayerSetting("for", range.shortText)]
    case .hang(let duration): return time("for", duration)
    case .disconnect(let stall, let code, let restoreAfter):
      return time("for", stall) + [LayerSetting("errno", errorName(code))]
        + time("restore-after", restoreAfter)
    case .torn(let tear, let code):
      let end = code.map { LayerSetting("errno", errorName($0)) } ?? LayerSetting("acknowledge", "true")
      return [LayerSetting("tear", tear.rawValue), end]
    case .lost, .misdirected: return []
    case .flip(let bits): return [LayerSetting("bits", "\(bits)")]
    case .powerCut(let down, let tearsBlocks):
      return time("down", down) + (tearsBlocks ? [LayerSetting("torn", "true")] : [])
    }
  }
}
