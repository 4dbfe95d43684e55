import ArgumentParser
import LUNStore

struct RollbackCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rollback",
    abstract: "Make a LUN again what it was when a snapshot was taken.",
    discussion: """
      What was written to the LUN since is gone, unless another snapshot has it; the snapshots all stay. The \
      LUN's size is again what it was.

      A LUN that is open in a mount is left alone, since whoever uses it does not expect its contents to change; \
      with --force it is rolled back under them.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "The snapshot, LUN@SNAPSHOT.")
  var name: String

  @Flag(help: "Also if the LUN is open.")
  var force = false

  @OptionGroup var images: ImageOptions

  @OptionGroup var output: OutputOptions

  func run() throws {
    let snapshot = try SnapshotName(parsing: name)
    _ = try StoreClient(store: store, images).perform(RollbackRequest(name: name, force: force))
    try output.report { try VolumeReport(.lun(snapshot.lun), in: store) }
  }
}

struct RollbackRequest: StoreRequest {
  static let name = "rollback"
  /// `LUN@LABEL`.
  var name: String
  var force: Bool

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Done {
    let snapshot = try SnapshotName(parsing: name)
    try server.change(snapshot.lun, "a rollback", force: force) {
      try server.openStore.rollback(snapshot, progress: progress)
    }
    return Done()
  }
}

extension StoreServer {
  /// Runs what changes the contents of a LUN from below, while nobody has it open or, by `force`, under those
  /// who have.
  func change(_ name: LUNName, _ what: String, force: Bool, _ body: () throws -> Void) throws {
    guard let mounted else { return try body() }
    try requireNotRecorded(name, what)
    let node = try mounted.node(named: .lun(name))
    // Pages of shared mappings, and attributes, are of the old contents.
    defer { mounted.kernel.invalidate(node) }
    if force {
      try node.withoutPassthrough(what, at: mounted.point) { try node.whileQuiet(body) }
    } else {
      try node.whileClosed(
        what, at: mounted.point, remedy: "close it there first, or do it all the same with --force"
      ) { try node.whileQuiet(body) }
    }
  }
}
