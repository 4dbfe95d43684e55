import ArgumentParser
import Glibc
import LUNStore

struct MountCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mount",
    abstract: "Show each LUN of a store as a file.",
    discussion: """
      Returns when the files are there, and leaves a daemon behind; with -f it stays in the foreground. \
      'fusermount3 -u MOUNTPOINT' ends it, and so do SIGTERM and SIGINT: what was written is then flushed.

      Nobody but the user who mounts sees the files, not even root, unless '-o allow_other' is given; files \
      are then still for their owner alone until chmod says otherwise.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "The folder to mount at.")
  var mountpoint: String

  @Flag(name: [.customShort("f"), .customLong("foreground")], help: "Stay in the foreground.")
  var foreground = false

  @Option(
    name: .customShort("o"),
    help: ArgumentHelp("Mount options, separated by commas: allow_other, ro, …", valueName: "options"))
  var options: [String] = []

  func run() throws {
    let options = try MountOptions(options)
    let place = try Mountpoint(mountpoint)
    guard !foreground else {
      return try Session(store: store, at: place, options: options).run {}
    }
    try Daemon.run { becomeReady in
      try Session(store: store, at: place, options: options).run {
        Log.useSystemLog()
        becomeReady()
      }
    }
  }
}
