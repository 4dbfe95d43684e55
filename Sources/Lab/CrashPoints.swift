import Sim

/// What the file systems would have been after a power cut at each flush of a run, from the write log of its disk.
public struct CrashPoints: Sendable, Equatable {
  /// States of the disk that were rebuilt and checked, and those of them that were damaged: `e2fsck -fn` found something
  /// after the journal was replayed.
  public struct Count: Sendable, Equatable {
    /// Flushes of the log: at each the state that it made durable, with all that was written until then.
    public var flushes: Int
    /// Those of these states that were damaged.
    public var damagedAtFlushes: Int
    /// Power cuts: what a flush had made durable is there, every other write is there, lost or torn between blocks.
    public var powerCuts: Int
    /// Those of these states that were damaged.
    public var damagedByPowerCuts: Int
    /// What e2fsck said of the damaged states, its first line, each once.
    public var words: [String]
  }

  /// The disk keeps what it acknowledged as flushed: no state at a flush may be damaged.
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
    let command =
      [
        folder.fuseLun, "log", folder.store, lun, "replay", "--each-flush", "--power-cut", "\(cuts)",
        "--json",
      ]
      + options + ["--", "\(folder.recipes)/crash-check", "{}"]
    let text = try Tool.run(command, allowing: [0, 1])
    guard let start = text.firstIndex(of: "{"),
      let value = JSONParser.parse(Array(text[start...].utf8), file: "log replay").value,
      let flushes = integer(value["points"]), let states = integer(value["states"]),
      case .array(let failures)? = value["failures"]?.kind
    else { throw LabError("fuse-lun log replay does not answer in JSON: \(text.prefix(200))") }
    let byCut = failures.count { !($0["cut"]?.isNull ?? true) }
    var words: [String] = []
    for failure in failures {
      let line = failure["output"]?.string?.split(separator: "\n").first.map(String.init) ?? ""
      if !words.contains(line) { words.append(line) }
    }
    return Count(
      flushes: flushes, damagedAtFlushes: failures.count - byCut, powerCuts: states - flushes,
      damagedByPowerCuts: byCut, words: words)
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
    func number(_ value: Int) -> JSONValue { JSONValue(integerLiteral: Int64(value)) }
    return [
      "flushes": number(flushes), "damagedAtFlushes": number(damagedAtFlushes),
      "powerCuts": number(powerCuts),
      "damagedByPowerCuts": number(damagedByPowerCuts),
      "words": JSONValue(.array(words.map { JSONValue(.string($0)) })),
    ]
  }
}
