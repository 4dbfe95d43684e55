import ArgumentParser
import LUNStore

struct RenameCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rename",
    abstract: "Give a LUN or a snapshot another name.",
    usage: """
      fuse-lun rename <store> <lun> <new-lun>
      fuse-lun rename <store> <lun>@<snapshot> <lun>@<new-snapshot>
      """,
    discussion: """
      Identity, contents, snapshots and logs stay: an initiator sees the same disk. A mount shows the new name at once. \
      What refers to a file by its name, as a target's configuration does, has to be told: 'fuse-lun target' prints it anew.

      One that is open in a mount, is recorded or has layers or faults armed is not renamed.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "The LUN or the snapshot, LUN or LUN@SNAPSHOT.")
  var name: String

  @Argument(help: "The new name: LUN; for a snapshot LUN@SNAPSHOT, or @SNAPSHOT for short.")
  var newName: String

  @OptionGroup var output: OutputOptions

  func run() throws {
    let old = try VolumeName(name)
    let new = try VolumeName(newName.hasPrefix("@") ? "\(old.lun)\(newName)" : newName)
    _ = try StoreClient(store: store).perform(RenameRequest(from: old.description, to: new.description))
    try output.report { try VolumeReport(new, in: store) }
  }
}

struct RenameRequest: StoreRequest {
  static let name = "rename"
  var from: String
  var to: String

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Done {
    let (old, new) = try (VolumeName(from), VolumeName(to))
    let openStore = server.openStore
    if case (.snapshot(let old), .snapshot(let new)) = (old, new) {
      let logs = try openStore.store.logs(of: old.lun).map(Store.logName)
      for name in [old, new] where logs.contains(name.label.text) {
        throw StoreError(
          .busy, at: "snapshot '\(name)'", "is what a write log of '\(name.lun)' begins with",
          remedy: "'fuse-lun log STORE \(name.lun) list' shows which; it goes with its log")
      }
    }
    guard let mounted = server.mounted else {
      try openStore.rename(old, to: new)
      return Done()
    }
    var names = [old]
    if case .lun(let lun) = old { names = try openStore.volumes().filter { $0.lun == lun } }
    if let armed = names.first(where: { !(mounted[$0]?.stack.isEmpty ?? true) }) {
      throw StoreError(
        .busy, at: "LUN '\(armed)'", "has layers, faults or a recording armed, which are gone with the name",
        remedy:
          "'fuse-lun layer list' shows them, 'layer clear', 'fault clear' and 'log … record --stop' remove them"
      )
    }
    try mounted.whileClosed(names, "renaming it") {
      try openStore.rename(old, to: new)
      mounted.rename(names, from: old, to: new)
    }
    return Done()
  }
}
