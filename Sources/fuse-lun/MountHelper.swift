import ArgumentParser
import CLinux
import Glibc
import LUNStore

/// This program as mount(8) calls it, by the name of its helper: `mount.fuse-lun STORE MOUNTPOINT [-sfnv] [-N NAMESPACE]
/// [-o OPTIONS] [-t TYPE]`.
///
/// So `mount -t fuse-lun STORE MOUNTPOINT` works, and a line of fstab(5).
struct MountHelper: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mount.fuse-lun",
    abstract: "Mount a store of virtual LUNs, for mount(8).",
    discussion: """
      As 'fuse-lun mount', in the words of mount(8), which calls this for 'mount -t fuse-lun STORE MOUNTPOINT' and for \
      lines of fstab(5).

      Exit status: 0 mounted; 1 the command line is wrong; 32 it could not be mounted.
      """)

  /// What it is called: by the file system's type, and by the one that `/proc/mounts` shows.
  private static let names = ["mount.fuse-lun", "mount.\(Mountpoint.type)"]

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "The folder to mount at.")
  var mountpoint: String

  @Option(
    name: .customShort("o"), help: ArgumentHelp("Mount options, separated by commas.", valueName: "options"))
  var options: [String] = []

  @Flag(name: .customShort("f"), help: "Only look whether it could be mounted.")
  var isFake = false

  @Flag(name: .customShort("s"), help: "Leave out options that are not known.")
  var isSloppy = false

  @Flag(name: .customShort("v"), help: "Say what is mounted.")
  var isVerbose = false

  @Flag(name: .customShort("n"), help: "Nothing: whether /etc/mtab is written is for mount(8).")
  var leavesTableAlone = false

  @Option(
    name: .customShort("N"),
    help: ArgumentHelp(
      "The mount namespace to mount in: a process, or a file such as /proc/4711/ns/mnt.",
      valueName: "namespace"))
  var namespace: String?

  @Option(name: .customShort("t"), help: ArgumentHelp("The type of the file system.", valueName: "type"))
  var type: String?

  func run() throws {
    if let type, !["fuse-lun", Mountpoint.type].contains(type) {
      throw StoreError(
        .invalidInput, at: "type '\(printable(type))'", "is none of fuse-lun's", remedy: "give -t fuse-lun")
    }
    let options = try MountOptions(options, remounts: true, isSloppy: isSloppy)
    if let namespace { try enter(namespace) }
    if options.isRemount {
      if !isFake { try Remount(mountpoint, options).perform() }
    } else if isFake {
      _ = try Session(store: store, at: Mountpoint(mountpoint), options: options)
    } else {
      try MountCommand.leaveDaemon(store: store, at: mountpoint, options)
    }
    if isVerbose {
      try emit("\(printable(store)) \(options.isRemount ? "re" : "")mounted on \(printable(mountpoint))\n")
    }
  }

  /// mount(8) leaves it to its helpers to mount in another mount namespace, and names what it has open of it.
  private func enter(_ namespace: String) throws(StoreError) {
    let path = pid_t(namespace) == nil ? namespace : "/proc/\(namespace)/ns/mnt"
    let file = open(path, O_RDONLY | O_CLOEXEC)
    defer { close(file) }
    guard file >= 0, linux_setns(file) == 0 else {
      throw StoreError(.system(errno), at: path, "cannot mount in this mount namespace: \(errorText(errno))")
    }
  }
}

extension MountHelper {
  /// Whether the program was called by the name of the helper.
  static var isCalled: Bool {
    let name = CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? ""
    return names.contains(name)
  }

  /// Does what mount(8) wants, and ends with the status that it wants.
  static func main() -> Never {
    var status = Status.mounted
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch is ExitCode {
      // The daemon has said why.
      status = .failed
    } catch let error as StoreError {
      complain(error)
      status = error.kind == .invalidInput ? .wrongUsage : .failed
    } catch let problems as StoreProblems {
      problems.all.forEach(complain)
      status = problems.all.allSatisfy { $0.kind == .invalidInput } ? .wrongUsage : .failed
    } catch {
      // The argument parser's own: help and wrong usage.
      if exitCode(for: error) != .success { status = .wrongUsage }
      try? emit(fullMessage(for: error) + "\n", to: status == .mounted ? 1 : 2)
    }
    Glibc.exit(status.rawValue)
  }

  /// mount(8), "EXIT STATUS".
  private enum Status: Int32 {
    case mounted = 0
    case wrongUsage = 1
    case failed = 32
  }
}
