import ArgumentParser
import LUNStore

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Find what is damaged in a store, and mend it.",
    discussion: """
      Reads every record and every map, and looks at the length of every file. The bytes of the LUNs themselves \
      have no checksums: one that has changed in a data file is read as it is. Keep the store on what checks them (ZFS, \
      Btrfs, dm-integrity); 'e2fsck' and its like look at what is in a LUN. A store that is mounted can be checked too.

      Each line names a file, what is wrong with it, and the LUNs and snapshots that need it. What an \
      interrupted change left behind is no damage.

      Exit status: 0 sound, or mended without loss; 2 something is lost or stays damaged.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Flag(help: "Mend what can be mended, remove leftovers, and say what cannot be mended.")
  var repair = false

  @Flag(help: "Write JSON.")
  var json = false

  @OptionGroup var images: ImageOptions

  func run() throws {
    let findings = try StoreClient(store: store, images).perform(CheckRequest(repair: repair))
    if json {
      try writeJSON(findings)
    } else {
      for finding in findings { try emitLine("\(finding.severity.rawValue): \(finding)") }
      if findings.isEmpty {
        try emit("sound: every record and map is as it was written; the data itself has no checksums\n")
      }
    }
    let isBad = findings.contains { $0.severity != .leftover && $0.outcome != .mended }
    if isBad { throw ExitCode(2) }
  }
}

struct CheckRequest: StoreRequest {
  static let name = "check"
  static let progressUnit = ProgressBar.Unit.things("layers")
  /// Whether to mend what can be mended.
  var repair: Bool

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> [CheckFinding] {
    try server.openStore.check(repair: repair, progress: progress)
  }
}
