import ArgumentParser
import LUNStore

struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the LUNs of a store.",
    discussion: """
      ALLOCATED is what a LUN takes up in the file system under the store. Damaged LUNs are reported on the \
      standard error output, and make the exit status 2; the others are listed all the same.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Flag(help: "Write JSON.")
  var json = false

  func run() throws {
    let opened = try Store.open(store)
    let (luns, problems) = try opened.list()
    if json {
      let report = StoreReport(
        store: store, uuid: opened.identifier.description,
        mounted: try opened.holder().map(HolderReport.init), luns: luns.map(LUNReport.init),
        problems: problems.map(\.description))
      try writeJSON(report)
    } else if !luns.isEmpty {
      let rows = luns.map { lun in
        [
          lun.name.text, lun.size.description, lun.allocated.description, String(lun.blockSize.rawValue),
        ]
      }
      try writeTable(["NAME", "SIZE", "ALLOCATED", "BLOCK"], rows)
    }
    if !problems.isEmpty { throw StoreProblems(problems) }
  }
}
