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

  @Argument(help: "The LUN or the snapshot, NAME or NAME@LABEL.")
  var name: String

  @Flag(help: "Delete a LUN together with its snapshots.")
  var snapshots = false

  @OptionGroup var images: ImageOptions

  func run() throws {
    _ = try VolumeName(name)
    _ = try StoreClient(store: store, images).perform(DeleteRequest(name: name, withSnapshots: snapshots))
  }
}

struct DeleteRequest: StoreRequest {
  static let name = "delete"
  var name: String
  var withSnapshots: Bool

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Done {
    let name = try VolumeName(name)
    var names = [name]
    if case .lun(let lun) = name, withSnapshots {
      names = try server.openStore.volumes().filter { $0.lun == lun }
    }
    if case .snapshot(let snapshot) = name, let log = try server.openStore.store.log(on: snapshot) {
      throw StoreError(
        .busy, at: "snapshot '\(snapshot)'", "is what write log \(log) of '\(snapshot.lun)' begins with",
        remedy: "'fuse-lun log STORE \(snapshot.lun) remove --log \(log)' removes both")
    }
    try delete(names[...], of: name, on: server, progress)
    return Done()
  }

  /// Closes one name after the other to clients, and then deletes.
  private func delete(
    _ names: ArraySlice<VolumeName>, of name: VolumeName, on server: StoreServer,
    _ progress: @escaping Progress
  ) throws {
    guard let mounted = server.mounted, let first = names.first else {
      return try server.openStore.delete(name, withSnapshots: withSnapshots, progress: progress)
    }
    let node: Node
    do throws(StoreError) { node = try mounted.node(named: first) } catch {
      // What is damaged, or without its image, can be deleted: nobody has it open, since nobody could open it.
      guard error.kind != .absent else { throw error }
      return try delete(names.dropFirst(), of: name, on: server, progress)
    }
    try node.whileClosed("deleting it", at: mounted.point) {
      // It may be gone although not all of the space could be given back.
      defer {
        if let left = try? server.openStore.volumes(), !left.contains(first) { mounted.forget(node) }
      }
      try delete(names.dropFirst(), of: name, on: server, progress)
    }
  }
}
