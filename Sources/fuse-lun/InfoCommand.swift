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
    }
    try writeTable(nil, rows)
  }
}
