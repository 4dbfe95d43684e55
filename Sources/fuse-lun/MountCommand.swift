import ArgumentParser
import CLinux
import Glibc
import LUNStore

struct MountCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mount",
    abstract: "Show each LUN of a store as a file.",
    discussion: """
      Returns when the files are there, and leaves a daemon behind; with -f it stays in the foreground. \
      'fusermount3 -u MOUNTPOINT' ends it, and so do SIGTERM and SIGINT: what was written is then flushed.

      Snapshots are there too, as NAME@LABEL, for reading. While a store is mounted it is managed by the same \
      commands as otherwise; what they change is in the mount at once.

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
    help: ArgumentHelp(
      """
      Mount options, separated by commas. allow_other: for other users too. nonempty: hide what is in the folder. \
      passthrough: let the kernel read and write LUNs without snapshots by itself, which is faster (root, Linux \
      6.9); as long as such a file is open no snapshot can be taken of it and no fault or log be armed, and the \
      kernel does not keep writes from growing it. transport=auto, uring or device: whether requests come by rings \
      (FUSE over io_uring, Linux 6.14, where its parameter enable_uring is set), which is faster, or by /dev/fuse; \
      auto takes what there is. ro, noexec, noatime, …: as for every file system.
      """, valueName: "options"))
  var options: [String] = []

  /// For mounts that a command makes for itself.
  @Option(help: ArgumentHelp("End when this process, which started this one, does.", visibility: .private))
  var endsWith: Int32?

  func run() throws {
    if let endsWith { linux_end_with_parent(endsWith, SIGTERM) }
    let options = try MountOptions(options)
    let place = try Mountpoint(mountpoint)
    // Its folder is there for it alone, and the command that made it may have been killed by then.
    defer { if endsWith != nil { rmdir(place.path) } }
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
