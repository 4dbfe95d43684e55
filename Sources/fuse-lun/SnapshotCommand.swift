import ArgumentParser
import LUNStore

struct SnapshotCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "snapshot",
    abstract: "Keep what a LUN holds now.",
    discussion: """
      Takes a moment, whatever the size of the LUN, and no space until the LUN is written to. A mount shows the \
      snapshot as a file LUN@SNAPSHOT that can be read.

      The LUN may be in use. What the kernel of this machine holds of it is written first: shared mappings, and \
      where the LUN is under a loop device its cache and the file systems on it, which are frozen for that \
      moment where the mount's user may do so. If something cannot be written, nothing is taken. What a virtual \
      machine or an iSCSI initiator holds is for that one to flush.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "What to call it, LUN@SNAPSHOT: the LUN's name, '@', and a label.")
  var name: String

  @Flag(help: "Take it without writing first what the kernel holds: it is then as after a crash now.")
  var noSync = false

  @OptionGroup var images: ImageOptions

  @OptionGroup var output: OutputOptions

  func run() throws {
    let snapshot = try SnapshotName(parsing: name)
    _ = try StoreClient(store: store, images).perform(SnapshotRequest(name: name, syncs: !noSync))
    try output.report { try VolumeReport(.snapshot(snapshot), in: store) }
  }
}

struct SnapshotRequest: StoreRequest {
  static let name = "snapshot"
  /// `LUN@LABEL`.
  var name: String
  /// Whether what the kernel holds is written first.
  var syncs: Bool

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Done {
    let snapshot = try SnapshotName(parsing: name)
    try server.withStill(snapshot.lun, "a snapshot", syncs: syncs) {
      _ = try server.openStore.snapshot(snapshot)
    }
    return Done()
  }
}

extension StoreServer {
  /// Runs what copies the present contents of a LUN, when they are complete.
  func withStill(_ name: LUNName, _ what: String, syncs: Bool, _ body: () throws -> Void) throws {
    guard let mounted else { return try body() }
    let node = try mounted.node(named: .lun(name))
    try node.withoutPassthrough(what, at: mounted.point) {
      guard syncs else { return try node.whileQuiet(body) }
      try HeldWrites(of: node, at: mounted.point).whileWritten { try node.whileQuiet(body) }
    }
  }
}

extension SnapshotName {
  /// Reads `LUN@LABEL`.
  init(parsing text: String) throws(StoreError) {
    guard case .snapshot(let name) = try VolumeName(text) else {
      throw StoreError(
        .invalidInput, at: "name '\(printable(text))'", "is that of a LUN, and not of a snapshot",
        remedy: "write the LUN's name, '@' and a label, as in \(printable(text))@monday")
    }
    self = name
  }
}
