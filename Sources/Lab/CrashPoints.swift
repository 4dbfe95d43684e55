import Sim

/// What the file systems would have been after a power cut at each flush of a run, from the write log of its disk.
public struct CrashPoints: Sendable, Equatable {
  /// States of the disk that were rebuilt and checked, and those of them that were damaged.
  public struct Count: Sendable, Equatable {
    /// Flushes of the log.
    public var flushes: Int
    /// States that were checked: one at each flush, and the power cuts there.
    public var states: Int
    /// States in which `e2fsck -fn` found damage after the journal was replayed.
    public var damaged: Int
    /// What it said of the first of them.
    public var first: String?
  }

  /// The disk keeps what it acknowledged as flushed: no state may be damaged.
  public var honest: Count
  /// The disk drops flushes, and a power cut may lose anything since the beginning: some states are damaged, or this check
  /// could not see damage.
  public var dropping: Count

  /// Power cuts that are tried at each flush.
  static let cuts = 2

  /// Rebuilds and checks them.
  init(of lun: String, folder: LabFolder) throws(LabError) {
    honest = try Self.count(lun, folder, [])
    dropping = try Self.count(lun, folder, ["--drop-flushes"])
  }

  private static func count(_ lun: String, _ folder: LabFolder, _ options: [String]) throws(LabError) -> Count
  {
    func integer(_ value: JSONValue?) -> Int? {
      if case .number(let text)? = value?.kind { Int(text) } else { nil }
    }
    let words =
      [
        folder.fuseLun, "log", folder.store, lun, "replay", "--each-flush", "--power-cut", "\(cuts)",
        "--json",
      ]
      + options + ["--", "\(folder.recipes)/crash-check", "{}"]
    let text = try Tool.run(words, allowing: [0, 1])
    guard let start = text.firstIndex(of: "{"),
      let value = JSONParser.parse(Array(text[start...].utf8), file: "log replay").value,
      let flushes = integer(value["points"]), let states = integer(value["states"]),
      case .array(let failures)? = value["failures"]?.kind
    else { throw LabError("fuse-lun log replay does not answer in JSON: \(text.prefix(200))") }
    return Count(
      flushes: flushes, states: states, damaged: failures.count, first: failures.first?["output"]?.string)
  }
}

extension CrashPoints {
  /// As JSON, for a file.
  public var text: String {
    let value: JSONValue = ["keepsFlushes": honest.json, "dropsFlushes": dropping.json]
    return value.text(indented: true) + "\n"
  }
}

extension CrashPoints.Count {
  fileprivate var json: JSONValue {
    [
      "flushes": JSONValue(integerLiteral: Int64(flushes)),
      "states": JSONValue(integerLiteral: Int64(states)),
      "damaged": JSONValue(integerLiteral: Int64(damaged)),
      "first": first.map { JSONValue(.string($0)) } ?? JSONValue(.null),
    ]
  }
}
