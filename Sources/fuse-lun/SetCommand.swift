import ArgumentParser
import LUNStore

struct SetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "set",
    abstract: "Change what a LUN says of itself, or whether it can be written.",
    discussion: """
      Vendor, product, serial number and NAA designator are what initiators see of the LUN when an iSCSI target \
      is configured with them; 'fuse-lun info' shows them. A LUN that somebody has open for writing cannot be \
      made read-only.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "The LUN's name.")
  var name: String

  @Flag(help: "Refuse writes.")
  var readOnly = false

  @Flag(help: "Allow writes.")
  var readWrite = false

  @OptionGroup var identity: IdentityOptions

  @OptionGroup var images: ImageOptions

  @OptionGroup var output: OutputOptions

  func validate() throws {
    if readOnly && readWrite { throw ValidationError("--read-only and --read-write exclude each other") }
    if change == LUNProperties.Change() {
      throw ValidationError(
        "say what to set: --read-only, --read-write, --vendor, --product, --serial, --naa")
    }
  }

  private var change: LUNProperties.Change {
    identity.change(isReadOnly: readOnly ? true : readWrite ? false : nil)
  }

  func run() throws {
    var problems: [StoreError] = []
    do throws(StoreError) { _ = try LUNName(name) } catch { problems.append(error) }
    problems += change.problems
    guard problems.isEmpty else { throw StoreProblems(problems) }
    _ = try StoreClient(store: store, images).perform(SetRequest(name: name, change: change))
    try output.report { try VolumeReport(VolumeName(name), in: store) }
  }
}

struct SetRequest: StoreRequest {
  static let name = "set"
  var name: String
  var change: LUNProperties.Change

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Done {
    let name = try LUNName(name)
    let set = { try server.openStore.setProperties(name, change) }
    guard let mounted = server.mounted else {
      try set()
      return Done()
    }
    let node = try mounted.node(named: .lun(name))
    if change.isReadOnly == true {
      try node.whileClosed("making it read-only", at: mounted.point, writersOnly: true, set)
    } else {
      try set()
    }
    return Done()
  }
}
