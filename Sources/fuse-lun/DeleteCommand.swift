import ArgumentParser
import LUNStore

struct DeleteCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Delete a LUN or a snapshot.",
    discussion: """
      The space that nothing else needs is given back; clones and other snapshots keep what they share with it. \
      One that is open in a mount is not deleted.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "The LUN or the snapshot, LUN or LUN@SNAPSHOT.")
  var name: String

  @Flag(help: "Delete a LUN together with its snapshots.")
  var snapshots = false

  @OptionGroup var images: ImageOptions

  @OptionGroup var output: OutputOptions

  func run() throws {
    let volume = try VolumeName(name)
    var deleted = [volume.description]
    if output.json, snapshots, case .lun(let lun) = volume {
      deleted += try Store.open(store).snapshots(of: lun).snapshots.map(\.name.description)
    }
    _ = try StoreClient(store: store, images).perform(DeleteRequest(name: name, withSnapshots: snapshots))
    try output.report { DeleteReport(deleted: deleted) }
  }
}

/// What `delete --json` writes.
private struct DeleteReport: Encodable {
  /// The LUN or the snapshot, and the snapshots that went with it.
  var deleted: [String]
}

struct DeleteRequest: StoreRequest {
  static let name = "delete"
  var name: String
  var withSnapshots: Bool

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Done {
    let name = try VolumeName(name)
    var names = [name]
    if case .lun(let lun) = name, withSnapshots {
      names += try server.openStore.store.snapshotNames(of: lun).map { .snapshot($0) }
    }
    if case .snapshot(let snapshot) = name, let log = try server.openStore.store.log(on: snapshot) {
      throw StoreError(
        .busy, at: "snapshot '\(snapshot)'", "is what write log \(log) of '\(snapshot.lun)' begins with",
        remedy: "'fuse-lun log STORE \(snapshot.lun) remove --log \(log)' removes both")
    }
    let delete = { try server.openStore.delete(name, withSnapshots: withSnapshots, progress: progress) }
    // What is not open, since it is damaged or without its image, can be deleted too.
    if let mounted = server.mounted {
      try mounted.whileClosed(names, "deleting it", delete)
    } else {
      try delete()
    }
    return Done()
  }
}
