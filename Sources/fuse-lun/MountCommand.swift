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
      'fuse-lun umount MOUNTPOINT' ends it, and so do SIGTERM and SIGINT: what was written is then flushed.

      Snapshots are there too, as NAME@LABEL, for reading. While a store is mounted it is managed by the same \
      commands as otherwise; what they change is in the mount at once.

      Nobody but the user who mounts sees the files, not even root, unless '-o allow_other' is given; files \
      are then still for their owner alone until umask= or chmod says otherwise.

      The options of -o: allow_other, for other users too (allow_root: for root); uid=, gid= and umask=, whom the \
      files belong to and the rights that nobody gets (umask=007: none for others); ro; degraded, refuse to open \
      what is damaged, and serve the rest; nonempty, hide what is in the folder; auto_unmount, unmount when the \
      daemon is killed; fsname=, what /proc/mounts shows as the device. passthrough lets the kernel read and write \
      LUNs without snapshots by itself, which is faster (root, Linux 6.9); as long as such a file is open no \
      snapshot can be taken of it and no fault or log be armed, and the kernel does not keep writes from growing \
      it. transport=auto, uring or device: whether requests come by rings (FUSE over io_uring, Linux 6.14, where the \
      parameter enable_uring of its module fuse is set), which is faster, or by /dev/fuse; auto takes what there is. \
      trust-images: in a store of another user, open every image that the store names. What every file system has (noexec, noatime, context= and so on) and what mount(8) and systemd read in \
      fstab (defaults, nofail, _netdev, x-*) may be given too.

      A service manager that is waiting for it (systemd, Type=notify) is told when the files are there.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "The folder to mount at.")
  var mountpoint: String

  @Flag(name: [.customShort("f"), .customLong("foreground")], help: "Stay in the foreground.")
  var foreground = false

  @Option(
    name: .customShort("o"),
    help: ArgumentHelp("Mount options, separated by commas; see above.", valueName: "options"))
  var options: [String] = []

  /// For mounts that a command makes for itself.
  @Option(help: ArgumentHelp("End when this process, which started this one, does.", visibility: .private))
  var endsWith: Int32?

  func run() throws {
    if let endsWith { linux_end_with_parent(endsWith, SIGTERM) }
    let options = try MountOptions(options)
    guard foreground else { return try Self.leaveDaemon(store: store, at: mountpoint, options) }
    let place = try Mountpoint(mountpoint)
    // Its folder is there for it alone, and the command that made it may have been killed by then.
    defer { if endsWith != nil { rmdir(place.path) } }
    try Session(store: store, at: place, options: options).run { [store] in
      ServiceManager.sayReady("Serving \(store) at \(place.path)")
    }
  }

  /// Mounts, and returns when clients can open the files. A daemon serves them.
  static func leaveDaemon(store: String, at mountpoint: String, _ options: MountOptions) throws {
    let place = try Mountpoint(mountpoint)
    try Daemon.run { becomeReady in
      try Session(store: store, at: place, options: options).run {
        Log.useSystemLog()
        becomeReady()
      }
    }
  }
}
