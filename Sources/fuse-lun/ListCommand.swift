import ArgumentParser
import LUNStore

struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the LUNs of a store and their snapshots.",
    discussion: """
      ALLOCATED is what a LUN takes up in the file system under the store, with what it shares with its \
      snapshots and clones. Damaged LUNs are reported on the standard error output, and make the exit status 2; \
      the others are listed all the same.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Flag(help: "Write JSON.")
  var json = false

  func run() throws {
    let opened = try Store.open(store)
    var (luns, problems) = try opened.list()
    let all = luns.map { lun -> (LUNDescription, [SnapshotDescription]) in
      do throws(StoreError) {
        let (snapshots, damaged) = try opened.snapshots(of: lun.name)
        problems += damaged
        return (lun, snapshots)
      } catch {
        // Deleted since it was listed.
        if error.kind != .absent { problems.append(error) }
        return (lun, [])
      }
    }
    let stale = try opened.holder() == nil ? Mountpoint.stale(store: store) : []
    if json {
      let report = StoreReport(
        store: store, uuid: opened.identifier.description,
        mounted: try opened.holder().flatMap(HolderReport.init), stale: stale, luns: all.map(LUNReport.init),
        problems: problems.map(\.description))
      try writeJSON(report)
    } else if !all.isEmpty {
      let rows = all.flatMap { lun, snapshots in
        [[lun.name.text, lun.size.description, lun.allocated.description, "\(lun.blockSize.rawValue)"]]
          + snapshots.map { ["\($0.name)", $0.size.description, "", "\(lun.blockSize.rawValue)"] }
      }
      try writeTable(["NAME", "SIZE", "ALLOCATED", "BLOCK"], rows)
    }
    stale.forEach { Log.error(staleMount($0)) }
    if !problems.isEmpty { throw StoreProblems(problems) }
  }
}

/// What to say about a mount whose daemon is gone.
func staleMount(_ point: String) -> String {
  "\(printable(point)): the store is still mounted here, but the daemon is gone; 'fusermount3 -u "
    + "\(printable(point))' removes the mount, and what was flushed is safe"
}
