import ArgumentParser
import LUNStore

struct LogCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log",
    abstract: "Record every write to a LUN, and rebuild the LUN as of any of them.",
    usage: """
      fuse-lun log <store> <name> record [--stop]
      fuse-lun log <store> <name> mark <text>
      fuse-lun log <store> <name> show [--json] [--data]
      fuse-lun log <store> <name> replay --at <entry> --to <new-name>
      fuse-lun log <store> <name> replay --each-flush -- <command> …
      fuse-lun log <store> <name> list
      fuse-lun log <store> <name> remove
      """,
    discussion: """
      A log has every write, discard and flush with its data, in the order in which they reached the LUN, from a \
      snapshot on. 'replay' makes of both the LUN as it was after any entry, or as a power cut there could have \
      left it, and runs a check at each of them.

      'fuse-lun log <store> <name> replay --help' says more, and so for the others.
      """,
    subcommands: [
      LogRecordCommand.self, LogMarkCommand.self, LogShowCommand.self, LogReplayCommand.self,
      LogListCommand.self,
      LogRemoveCommand.self,
    ])

  /// What is done comes after the store and the LUN, and the argument parser wants it before them.
  ///
  /// - Parameter arguments: those of the program, without its name.
  static func rearranged(_ arguments: [String]) -> [String] {
    guard arguments.count >= 4, arguments[0] == configuration.commandName else { return arguments }
    let verbs = configuration.subcommands.compactMap { $0.configuration.commandName }
    guard verbs.contains(arguments[3]), !arguments[1].hasPrefix("-"), !arguments[2].hasPrefix("-") else {
      return arguments
    }
    return [arguments[0], arguments[3], arguments[1], arguments[2]] + arguments[4...]
  }
}

/// The LUN that is recorded.
struct LogOfLUN: ParsableArguments {
  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "The LUN's name.")
  var name: String
}

/// One of the logs of a LUN.
struct WhichLog: ParsableArguments {
  @OptionGroup var of: LogOfLUN

  @Option(help: "Which log, if there are several; the newest by default.")
  var log: Int?

  func open() throws -> (number: Int, reader: WriteLog.Reader) {
    try Store.open(of.store).log(log, of: LUNName(of.name))
  }
}

struct LogListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the logs of a LUN.",
    usage: "fuse-lun log <store> <name> list [--json]")

  @OptionGroup var of: LogOfLUN
  @OptionGroup var output: OutputOptions

  func run() throws {
    let store = try Store.open(of.store)
    let lun = try LUNName(of.name)
    let logs = try store.logs(of: lun).map { number in
      let reader = try store.log(number, of: lun).reader
      return Listed(
        log: number, begun: iso8601(reader.header.created), bytes: try reader.length,
        base: "\(of.name)@\(reader.header.base)")
    }
    try output.report {
      logs
    } human: {
      let rows = logs.map { [String($0.log), $0.begun, ByteCount($0.bytes).description, $0.base] }
      if !rows.isEmpty { try writeTable(["LOG", "BEGUN", "SIZE", "BASE"], rows) }
    }
  }

  private struct Listed: Encodable {
    var log: Int
    var begun: String
    var bytes: Int64
    var base: String
  }
}

struct LogRemoveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Remove a log, and the snapshot that it begins with.",
    usage: "fuse-lun log <store> <name> remove [--log <log>] [--json]")

  @OptionGroup var which: WhichLog
  @OptionGroup var output: OutputOptions

  func run() throws {
    // Without reading it: a log that is damaged can go as well.
    let newest = try Store.open(which.of.store).logs(of: LUNName(which.of.name)).last
    let number = try which.log ?? newest ?? which.open().number
    _ = try StoreClient(store: which.of.store).perform(LogRemoveRequest(lun: which.of.name, log: number))
    try output.report { Removed(log: number, deleted: ["\(which.of.name)@\(Store.logName(number))"]) }
  }

  private struct Removed: Encodable {
    var log: Int
    /// The snapshot that it began with.
    var deleted: [String]
  }
}

/// Removes a log with its base.
struct LogRemoveRequest: StoreRequest {
  static let name = "log-remove"
  var lun: String
  var log: Int

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Done {
    try server.openStore.store.removeLog(log, of: LUNName(lun))
    do {
      return try DeleteRequest(name: "\(lun)@\(Store.logName(log))", withSnapshots: false).perform(
        on: server, progress: progress)
    } catch let error as StoreError where error.kind == .absent {
      // Somebody has deleted it before.
      return Done()
    }
  }
}
