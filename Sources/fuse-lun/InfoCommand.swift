import ArgumentParser
import LUNStore

struct InfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info", abstract: "Say all there is to say about one LUN.")

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "The LUN's name.")
  var name: String

  @Flag(help: "Write JSON.")
  var json = false

  func run() throws {
    let opened = try Store.open(store)
    let lun = try opened.openLUN(LUNName(name), .readOnly).description
    let report = LUNReport(lun)
    if json { return try writeJSON(report) }
    var rows = [
      ["name", report.name],
      ["uuid", report.uuid],
      ["size", "\(lun.size) (\(report.size) bytes, \(report.blocks) blocks)"],
      ["block size", "\(report.blockSize) bytes"],
      ["allocated", "\(lun.allocated) (\(report.allocated) bytes)"],
      ["created", report.created],
    ]
    if let holder = try opened.holder() {
      let process = holder.process.map { "process \($0)" } ?? "another process"
      rows.append(["mounted", "\(holder.mountpoint)/\(report.name) by \(process)"])
      if let mounted = try StoreClient(store: store).ask(MountInfoRequest(lun: report.name)) {
        rows.append(["open", mounted.openCount == 1 ? "once" : "\(mounted.openCount) times"])
      }
    }
    try writeTable(nil, rows)
  }
}

/// What only the mount knows about a LUN.
struct MountInfoRequest: StoreRequest {
  struct Answer: Codable, Sendable {
    /// How many times clients have it open.
    var openCount: Int
  }

  static let name = "mount-info"
  var lun: String

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Answer {
    Answer(openCount: server.mounted?.node(named: try LUNName(lun))?.openCount ?? 0)
  }
}
