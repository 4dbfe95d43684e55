import ArgumentParser
import LUNStore

struct CloneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clone",
    abstract: "Make a LUN with the contents of another one, or of a snapshot.",
    discussion: """
      Takes a moment, whatever the size. The two share what they have in common: the new LUN takes up only what \
      is written to it. It has a serial number and an NAA designator of its own.

      What the kernel holds of a LUN that is in use is written first, as by 'fuse-lun snapshot'.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "The LUN or the snapshot to clone, LUN or LUN@SNAPSHOT.")
  var source: String

  @Argument(help: "The new LUN's name.")
  var name: String

  @Flag(
    help: "Clone a LUN without writing first what the kernel holds: the clone is then as after a crash now.")
  var noSync = false

  @OptionGroup var images: ImageOptions

  @OptionGroup var output: OutputOptions

  func run() throws {
    let (_, clone) = try (VolumeName(source), LUNName(name))
    _ = try StoreClient(store: store, images).perform(
      CloneRequest(source: source, name: name, syncs: !noSync))
    try output.report { try VolumeReport(.lun(clone), in: store) }
  }
}

struct CloneRequest: StoreRequest {
  static let name = "clone"
  var source: String
  var name: String
  /// Whether what the kernel holds is written first.
  var syncs: Bool

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Done {
    let (source, name) = try (VolumeName(source), LUNName(name))
    let clone = { _ = try server.openStore.clone(source, to: name) }
    switch source {
    case .lun(let lun): try server.withStill(lun, "a clone", syncs: syncs, clone)
    case .snapshot: try clone()
    }
    return Done()
  }
}
