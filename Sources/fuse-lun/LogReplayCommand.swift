import ArgumentParser
import LUNStore

struct LogReplayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Rebuild the LUN as of an entry of its log, or check it at many of them.",
    usage: """
      fuse-lun log <store> <name> replay --at <n> [--cut <k>] [--to <new-name>]
      fuse-lun log <store> <name> replay (--each-flush | --each-write | --each-mark | --at <n>) [<options>] -- <command> …
      """,
    discussion: """
      Without a command, --at makes a LUN that holds what the recorded one held after entry <n>; it shares the \
      rest with the snapshot that the log begins with.

      With a command, at each of the chosen points the LUN is rebuilt and the command run on it: '{}' in the \
      command stands for the path of the LUN's file in the mount, and without '{}' the path is the last argument. \
      FUSE_LUN_ENTRY and FUSE_LUN_CUT are in its environment. It may write to the file, which is thrown away. \
      Where it ends with another status than 0 the point is reported with what the command wrote, and the exit \
      status is 1. A store that is not mounted is mounted for it, at a place of its own.

      --power-cut also runs the command on so many states that a power cut could have left: every change that a \
      flush had made durable is there, and each other one is there, lost, or torn between blocks. The power \
      fails after the entry; if that is a flush, then before it was done. The same seed chooses the same states: \
      --at <n> --cut <k> --to <new-name> makes one of them to look at.
      """)

  @OptionGroup var which: WhichLog
  @OptionGroup var range: LogRange

  @Option(help: ArgumentHelp("The state after this entry; 0 is before the first.", valueName: "n"))
  var at: UInt64?

  @Flag(help: "The state after each flush.")
  var eachFlush = false

  @Flag(help: "The state after each write, discard and zeroing.")
  var eachWrite = false

  @Flag(help: "The state after each mark.")
  var eachMark = false

  @Option(
    help: ArgumentHelp("The name of the LUN that --at makes; NAME-at-<n> by default.", valueName: "new-name"))
  var to: String?

  private static let mostCuts: UInt64 = 1_000_000

  @Option(help: ArgumentHelp("Also this many power cuts at each point.", valueName: "count"))
  var powerCut: UInt64?

  @Option(help: ArgumentHelp("With --at: no other state than this power cut.", valueName: "k"))
  var cut: UInt64?

  @Option(help: "Chooses the power cuts.")
  var seed: UInt64 = 1

  @Flag(
    help:
      "The disk lies: flushes make nothing durable, and a power cut may lose anything since the beginning.")
  var dropFlushes = false

  @Flag(help: "Go no further than the first state that fails.")
  var stopAtFirst = false

  @Flag(help: "Write JSON.")
  var json = false

  @Argument(
    parsing: .postTerminator,
    help: ArgumentHelp("The check, with its arguments.", valueName: "command"))
  var command: [String] = []

  @OptionGroup var images: ImageOptions

  func validate() throws {
    let chosen = [at != nil, eachFlush, eachWrite, eachMark].count { $0 }
    guard chosen == 1 else {
      throw ValidationError("Say at which points: one of --at, --each-flush, --each-write and --each-mark.")
    }
    guard at != nil || !command.isEmpty else {
      throw ValidationError("Say what to run at each point, after '--'.")
    }
    guard to == nil || (at != nil && command.isEmpty) else {
      throw ValidationError("--to is for --at without a command: what a command was run on is thrown away.")
    }
    guard cut == nil || at != nil else { throw ValidationError("--cut is for --at.") }
    guard cut == nil || powerCut == nil, cut != 0 else {
      throw ValidationError(
        "--cut chooses one of the power cuts, which count from 1; --power-cut runs them all.")
    }
    guard powerCut == nil || !command.isEmpty else {
      throw ValidationError("--power-cut needs a command; --cut makes one of the states to look at.")
    }
    guard powerCut ?? 0 <= Self.mostCuts else {
      throw ValidationError("--power-cut is at most \(Self.mostCuts) at each point.")
    }
    guard !dropFlushes || cut != nil || powerCut != nil else {
      throw ValidationError("--drop-flushes only shows in a power cut: say --power-cut or --cut as well.")
    }
  }

  func run() throws {
    let (number, reader) = try which.open()
    let log = RecordedLUN(
      store: which.of.store, name: which.of.name, log: number, header: reader.header,
      trustsImages: images.trustImages)
    let cuts = cut.map { $0...$0 } ?? powerCut.flatMap { $0 > 0 ? 1...$0 : nil }
    let states = StateSelection(cuts: cuts, onlyCuts: cut != nil, seed: seed, dropsFlushes: dropFlushes)
    if let at, command.isEmpty { return try make(log, reader, at, states) }
    var replay = LogReplay(
      log, reader, points: points, first: at ?? range.first, last: at ?? range.last, states: states,
      command: command, stopsAtFirst: stopAtFirst, json: json)
    try replay.run()
  }

  /// Makes one LUN that stays.
  private func make(
    _ log: RecordedLUN, _ reader: WriteLog.Reader, _ entry: UInt64, _ states: StateSelection
  ) throws {
    var reader = reader
    var last: WriteLog.Entry?
    while reader.position.number < entry, let next = try reader.next() { last = next }
    guard reader.position.number == entry else { throw log.tooShort(reader) }
    guard let target = states.targets(at: entry, last).first(where: { _ in true }) else { return }
    let name = try LUNName(to ?? "\(log.name)-at-\(entry)")
    _ = try log.client.perform(
      LogRebuildRequest(
        lun: log.name, log: log.log, source: log.base, name: name.text, position: .start, target: target,
        durably: true))
    if json { try writeJSON(VolumeReport(.lun(name), in: log.store)) } else { try emit("\(name)\n") }
  }

  private var points: @Sendable (WriteLog.Entry) -> Bool {
    if at != nil { return { _ in true } }
    if eachWrite { return { $0.changed != nil } }
    let (eachFlush, eachMark) = (eachFlush, eachMark)
    return { entry in
      switch entry.operation {
      case .flush: eachFlush
      case .mark: eachMark
      default: false
      }
    }
  }
}

/// A LUN with one of its logs.
struct RecordedLUN {
  var store: String
  var name: String
  var log: Int
  var header: WriteLog.Header
  /// As `StoreClient` has it.
  var trustsImages: Bool

  var client: StoreClient { StoreClient(store: store, trustsImages: trustsImages) }

  /// The snapshot that the log begins with.
  var base: String { "\(name)@\(header.base)" }

  func tooShort(_ reader: WriteLog.Reader) -> StoreError {
    StoreError(
      .invalidInput, at: "log \(log) of LUN '\(name)'", "ends with entry \(reader.position.number)",
      remedy: "choose an entry up to that one")
  }
}

/// Which states are looked at where the replay stops.
struct StateSelection {
  var cuts: ClosedRange<UInt64>?
  /// Not the state without a power cut.
  var onlyCuts: Bool
  var seed: UInt64
  var dropsFlushes: Bool

  /// - Parameter entry: the entry at the point; `nil` before the first.
  func targets(at point: UInt64, _ entry: WriteLog.Entry?) -> AnySequence<WriteLog.Target> {
    let whole = onlyCuts ? [] : [WriteLog.Target(point: point)]
    // Whoever waits for a flush does not know yet that it is done: the power fails before.
    var cutPoint = point
    if case .flush = entry?.operation { cutPoint -= 1 }
    let (seed, dropsFlushes, point) = (seed, dropsFlushes, cutPoint)
    // One after the other: there may be more of them than there is memory for.
    let cut = (cuts.map { AnySequence($0) } ?? AnySequence([])).lazy.map { index in
      WriteLog.Target(
        point: point, cut: WriteLog.Cut(seed: seed, point: point, index: index), dropsFlushes: dropsFlushes)
    }
    return AnySequence([AnySequence(whole), AnySequence(cut)].joined())
  }
}

/// Makes a LUN what a recorded one was.
struct LogRebuildRequest: StoreRequest {
  static let name = "log-rebuild"
  static let progressUnit = ProgressBar.Unit.things("entries")
  /// The LUN that was recorded, and which of its logs.
  var lun: String
  var log: Int
  /// What to make the LUN from; `nil` if it is there already.
  var source: String?
  /// The LUN that is made or changed.
  var name: String
  /// Up to where the source, or the LUN if there is no source, has the log's entries.
  var position: WriteLog.Position
  var target: WriteLog.Target
  /// Whether it has to survive the machine.
  var durably: Bool

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> WriteLog.Position {
    let openStore = server.openStore
    let name = try LUNName(name)
    let reader = try openStore.store.log(log, of: LUNName(lun), from: position).reader
    if let source {
      var change = LUNProperties.Change()
      change.isReadOnly = false
      _ = try openStore.clone(VolumeName(source), to: name, change)
    }
    do {
      let made = try openStore.lun(name)
      let reached = try WriteLog.rebuild(made, from: reader, to: target, progress: progress)
      if durably { try made.flush() }
      return reached
    } catch {
      if source != nil { try? openStore.delete(.lun(name)) }
      throw error
    }
  }
}
