import ArgumentParser
import LUNStore

struct LogRecordCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "record",
    abstract: "Begin or end to record what is written to a LUN.",
    usage: "fuse-lun log <store> <name> record [--stop]",
    discussion: """
      The store has to be mounted; clients may have the LUN open meanwhile. Recording begins with a snapshot, \
      NAME@log-1 for the first log, and ends with --stop or with the mount. If the mount is killed, the log has \
      at least all that was acknowledged.

      Each log is kept, with its snapshot, until 'fuse-lun log <store> <name> remove'.
      """)

  @OptionGroup var of: LogOfLUN

  @Flag(help: "End the recording.")
  var stop = false

  @OptionGroup var output: OutputOptions

  func run() throws {
    let client = StoreClient(store: of.store)
    if stop {
      _ = try client.perform(LogStopRequest(lun: of.name))
      try output.report { Stopped(stopped: of.name) }
    } else {
      let begun = try client.perform(LogRecordRequest(lun: of.name))
      try output.report {
        begun
      } human: {
        try emitLine("recording log \(begun.log) of '\(of.name)' from \(begun.base) on")
      }
    }
  }
}

/// What `log record --stop --json` writes.
private struct Stopped: Encodable {
  /// The LUN.
  var stopped: String
}

struct LogMarkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mark",
    abstract: "Add a remark to the log that is being recorded.",
    usage: "fuse-lun log <store> <name> mark <text>",
    discussion:
      "It is behind everything that was acknowledged before, and before everything that comes later.")

  @OptionGroup var of: LogOfLUN

  @Argument(help: "The remark, of at most \(WriteLog.longestMark) bytes.")
  var text: String

  @OptionGroup var output: OutputOptions

  func run() throws {
    try LogMarkRequest.requireShort(text)
    _ = try StoreClient(store: of.store).perform(LogMarkRequest(lun: of.name, text: text))
    try output.report { Marked(lun: of.name, text: text) }
  }
}

/// What `log mark --json` writes.
private struct Marked: Encodable {
  var lun: String
  var text: String
}

/// Begins to record.
struct LogRecordRequest: StoreRequest {
  struct Answer: Codable, Sendable {
    var log: Int
    var base: String
  }

  static let name = "log-record"
  var lun: String

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Answer {
    let name = try LUNName(lun)
    let (node, mounted) = try server.served(name)
    if let recorder = node.stack.recorder {
      throw StoreError(
        .busy, at: "LUN '\(name)'", "is being recorded already, as \(name)@\(recorder.layer.header.base)",
        remedy: "'fuse-lun log STORE \(name) record --stop' ends that")
    }
    let openStore = server.openStore
    let (number, writer) = try openStore.createLog(of: name)
    let base = try SnapshotName(lun: name, label: LUNName(writer.header.base))
    let recorder = WriteLog.Recorder(writer) { Log.error($0.description) }
    do {
      try node.withoutPassthrough("a write log", at: mounted.point) {
        _ = try node.stack.add(recorder) { try openStore.snapshot(base) }
      }
    } catch {
      try? recorder.end("never begun")
      try? openStore.store.removeLog(number, of: name)
      throw error
    }
    return Answer(log: number, base: base.description)
  }
}

/// Ends the recording.
struct LogStopRequest: StoreRequest {
  static let name = "log-stop"
  var lun: String

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Done {
    let (stack, recorder) = try server.recording(of: LUNName(lun))
    defer { _ = try? stack.remove(recorder.id) }
    do throws(IOError) { try recorder.layer.end("stopped") } catch { throw logFailed(lun, error) }
    return Done()
  }
}

/// Adds a remark.
struct LogMarkRequest: StoreRequest {
  static let name = "log-mark"
  var lun: String
  var text: String

  static func requireShort(_ text: String) throws(StoreError) {
    guard text.utf8.count <= WriteLog.longestMark else {
      throw StoreError(
        .invalidInput, at: "mark", "has \(text.utf8.count) bytes, and may have \(WriteLog.longestMark)")
    }
  }

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Done {
    let recorder = try server.recording(of: LUNName(lun)).recorder.layer
    try Self.requireShort(text)
    do throws(IOError) { try recorder.mark(text) } catch { throw logFailed(lun, error) }
    return Done()
  }
}

private func logFailed(_ lun: String, _ error: IOError) -> StoreError {
  StoreError(
    .system(error.code), at: "log of LUN '\(lun)'",
    "could not be written, and lacks what came last: \(errorText(error.code))")
}

extension LayerStack {
  /// The layer that records, if there is one.
  var recorder: (id: Int, layer: WriteLog.Recorder)? {
    layers.lazy.compactMap { armed in
      (armed.layer as? WriteLog.Recorder).map { (armed.id, $0) }
    }.first
  }
}

extension StoreServer {
  /// The node of a LUN of a mounted store.
  fileprivate func served(_ name: LUNName) throws(StoreError) -> (node: Node, mounted: MountedStore) {
    guard let mounted else {
      throw StoreError(
        .invalidInput, at: openStore.store.path, "is not mounted: there are no writes to be recorded",
        remedy: "mount it first")
    }
    return (try mounted.node(named: .lun(name)), mounted)
  }

  /// The recording of a LUN that is under way.
  fileprivate func recording(
    of name: LUNName
  ) throws(StoreError) -> (stack: LayerStack, recorder: (id: Int, layer: WriteLog.Recorder)) {
    let stack = try served(name).node.stack
    guard let recorder = stack.recorder else {
      throw StoreError(
        .absent, at: "LUN '\(name)'", "is not being recorded",
        remedy: "'fuse-lun log STORE \(name) record' begins to")
    }
    return (stack, recorder)
  }

  /// Refuses what changes a LUN in a way that no log has.
  func requireNotRecorded(_ name: LUNName, _ what: String) throws(StoreError) {
    guard let mounted, let recorder = mounted[.lun(name)]?.stack.recorder else { return }
    throw StoreError(
      .busy, at: "LUN '\(name)'",
      "is being recorded, as \(name)@\(recorder.layer.header.base), and \(what) is no write",
      remedy: "'fuse-lun log STORE \(name) record --stop' ends that")
  }
}
