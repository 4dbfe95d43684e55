/// A layer that was set up and is not armed yet.
public enum NewLayer: Sendable {
  /// One that decides about requests.
  case request(any RequestLayer)
  /// One before the disk.
  case disk(any DiskLayer)

  /// The layer.
  public var layer: any IOLayer {
    switch self {
    case .request(let layer): layer
    case .disk(let layer): layer
    }
  }

  /// When a rule cuts the power.
  public enum PowerCutTime: Sendable { case whenArmed, later }

  /// When it cuts the power; `nil` if it never does.
  public var powerCut: PowerCutTime? {
    guard let rule = layer as? FaultRule, case .powerCut = rule.fault else { return nil }
    return rule.actsWhenArmed ? .whenArmed : .later
  }

  /// The kinds of layers that need nothing but options.
  public static let kinds = ["stats", "delay", "rate", "pause", "protect", "power"]

  /// The kinds of fault rules, each of which is a layer of its own.
  public static var faultKinds: [String] { FaultRule.kinds }

  /// Sets up a layer of one of the `kinds`.
  ///
  /// - Throws: everything that is wrong with the kind and the options.
  public init(
    _ kind: String, _ given: [LayerSetting], on device: any BlockDevice
  ) throws(StoreProblems) {
    var options = LayerOptions(given, of: kind) { "option '\($0)'" }
    switch kind {
    case "stats": self = .request(StatsLayer(&options))
    case "delay": self = .request(DelayLayer(&options))
    case "rate": self = .request(RateLayer(&options))
    case "pause": self = .request(PauseLayer(&options))
    case "protect": self = .request(ProtectLayer(&options, blockSize: device.blockSize))
    case "power": self = .disk(PowerLayer(&options))
    default: throw Self.unknown(kind, "layer", Self.kinds)
    }
    try options.requireNoProblems()
  }

  /// Sets up a fault rule of one of the `faultKinds`.
  ///
  /// - Throws: everything that is wrong with the kind and the options.
  public init(
    fault kind: String, _ given: [LayerSetting], on device: any BlockDevice
  ) throws(StoreProblems) {
    var options = LayerOptions(given, of: kind) { "option '--\($0)'" }
    guard let rule = FaultRule(kind, &options, on: device) else {
      throw Self.unknown(kind, "fault", FaultRule.kinds)
    }
    try options.requireNoProblems()
    self = .request(rule)
  }

  private static func unknown(_ kind: String, _ what: String, _ known: [String]) -> StoreProblems {
    StoreProblems([
      StoreError(
        .invalidInput, at: "'\(printable(kind))'", "is no kind of \(what)",
        remedy: "there are " + known.joined(separator: ", "))
    ])
  }
}

extension ArmedLayer {
  /// Whether it is a fault rule.
  public var isFault: Bool { layer is FaultRule }
  /// Whether it is the volatile write cache.
  public var isWriteCache: Bool { layer is PowerLayer }
  /// What a layer of statistics has seen.
  public var statistics: [IORequest.Kind: OperationStatistics]? { (layer as? StatsLayer)?.operations }
}
