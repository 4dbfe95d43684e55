import ArgumentParser
import Glibc
import LUNStore

/// Goes through a log, and runs a command on the states of the LUN at the chosen points.
///
/// Two LUNs go along with it: one holds the state at the point, the other one what is durable there, which is
/// what all power cuts begin with. The command gets a clone of one of them each time, so that it may write.
struct LogReplay {
  private let log: RecordedLUN
  private var reader: WriteLog.Reader
  private let points: (WriteLog.Entry) -> Bool
  private let first: UInt64
  private let last: UInt64
  private let states: StateSelection
  private let command: [String]
  private let stopsAtFirst: Bool
  private let json: Bool

  /// A LUN that follows the log.
  private struct Follower {
    var name: String
    var position: WriteLog.Position?
  }

  private var state: Follower
  private var durable: Follower
  private var durability = WriteLog.Durability()
  private var report = ReplayReport()
  private let bar = ProgressBar()

  init(
    _ log: RecordedLUN, _ reader: WriteLog.Reader, points: @escaping (WriteLog.Entry) -> Bool, first: UInt64,
    last: UInt64, states: StateSelection, command: [String], stopsAtFirst: Bool, json: Bool
  ) {
    (self.log, self.reader, self.points, self.first, self.last) = (log, reader, points, first, last)
    (self.states, self.command, self.stopsAtFirst, self.json) = (states, command, stopsAtFirst, json)
    // Not in the way of another replay of the same LUN.
    state = Follower(name: "\(log.name).replay\(getpid())")
    durable = Follower(name: "\(log.name).replay\(getpid()).durable")
  }

  /// - Throws: the exit status 1 if the command failed anywhere, and what keeps it from being run.
  mutating func run() throws {
    let signals = DeferredSignals()
    defer { signals.deliver() }
    try withMountedStore(log.store, trustsImages: log.trustsImages) { mountpoint in
      do {
        try walk(mountpoint, signals)
      } catch {
        try? discardFollowers()
        throw error
      }
      try discardFollowers()
    }
    bar.erase()
    if signals.isPending { return }
    try report.write(json: json)
    if !report.failures.isEmpty { throw ExitCode(1) }
  }

  private mutating func walk(_ mountpoint: String, _ signals: DeferredSignals) throws {
    if first == 0 && last == 0 { try visit(nil, mountpoint, signals) }
    while reader.position.number < last, let entry = try reader.next() {
      bar.show(reader.position.bytes, of: try reader.length)
      if entry.number >= first && points(entry) {
        // A cut at a flush is one before it.
        if case .flush = entry.operation {} else { durability.note(entry) }
        try visit(entry, mountpoint, signals)
        if signals.isPending || (stopsAtFirst && !report.failures.isEmpty) { return }
      }
      durability.note(entry)
    }
    if last != .max && reader.position.number < last && first == last { throw log.tooShort(reader) }
  }

  /// Runs the command on all states of a point.
  private mutating func visit(
    _ entry: WriteLog.Entry?, _ mountpoint: String, _ signals: DeferredSignals
  ) throws {
    report.points += 1
    for target in states.targets(at: entry?.number ?? 0, entry) {
      var name = "\(state.name).at\(entry?.number ?? 0)"
      let follower: Follower
      if let cut = target.cut {
        name += ".cut\(cut.index)"
        follower = try advance(&durable, to: target.dropsFlushes ? 0 : min(durability.prefix, target.point))
      } else {
        follower = try advance(&state, to: target.point)
      }
      try perform(follower.name, name, follower.position ?? .start, target)
      let check = Result { () throws(StoreError) in
        try ReplayCheck(command).run(
          on: "\(mountpoint)/\(name)", entry: entry?.number ?? 0, cut: target.cut?.index)
      }
      try discard(name)
      let outcome = try check.get()
      if signals.isPending { return }
      report.states += 1
      if outcome.status == 0 { continue }
      let failure = ReplayReport.Failure(
        entry: entry?.number ?? 0, operation: entry?.operation.name ?? "base", cut: target.cut?.index,
        status: outcome.status, output: outcome.output)
      report.failures.append(failure)
      bar.erase()
      if !json { try emit(failure.text) }
      if stopsAtFirst { return }
    }
  }

  /// Brings a follower to an entry; makes it if need be.
  private func advance(_ follower: inout Follower, to entry: UInt64) throws -> Follower {
    let target = WriteLog.Target(point: entry)
    if let position = follower.position {
      follower.position = try perform(nil, follower.name, position, target)
    } else {
      follower.position = try perform(log.base, follower.name, .start, target)
    }
    return follower
  }

  @discardableResult
  private func perform(
    _ source: String?, _ name: String, _ position: WriteLog.Position, _ target: WriteLog.Target
  ) throws -> WriteLog.Position {
    try log.client.perform(
      LogRebuildRequest(
        lun: log.name, log: log.log, source: source, name: name, position: position, target: target,
        durably: false))
  }

  private func discard(_ name: String) throws {
    _ = try log.client.perform(DeleteRequest(name: name, withSnapshots: false))
  }

  private func discardFollowers() throws {
    for follower in [state, durable] where follower.position != nil { try discard(follower.name) }
  }
}

/// What came of a replay.
private struct ReplayReport: Encodable {
  struct Failure: Encodable {
    var entry: UInt64
    var operation: String
    var cut: UInt64?
    var status: Int32
    var output: String

    var text: String {
      let cut = cut.map { ", power cut \($0)" } ?? ""
      let how = status > 128 ? "killed by signal \(status - 128)" : "exit status \(status)"
      let lines = output.split(separator: "\n", omittingEmptySubsequences: false)
      let shown = (output.hasSuffix("\n") || output.isEmpty ? lines.dropLast() : lines[...]).map {
        "    \($0)\n"
      }
      return "entry \(entry) (\(operation))\(cut): \(how)\n" + shown.joined()
    }
  }

  var points = 0
  var states = 0
  var failures: [Failure] = []

  func write(json: Bool) throws {
    if json { return try writeJSON(self) }
    let states = states == points ? "" : ", " + counted(states, "state")
    try emit(
      "\(counted(points, "point"))\(states): \(failures.isEmpty ? "none" : String(failures.count)) failed\n")
  }
}
