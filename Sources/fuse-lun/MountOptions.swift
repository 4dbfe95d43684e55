import LUNStore

/// What way requests come from the kernel.
enum Transport: String, CaseIterable, Sendable {
  /// By rings where the kernel has them, and by the device elsewhere.
  case auto
  /// By rings (FUSE over io_uring), or not at all.
  case uring
  /// By reading and writing `/dev/fuse`.
  case device
}

/// What `-o` may say.
struct MountOptions: Equatable {
  /// For libfuse, as given.
  var list: [String] = []
  /// Whether other users may see the mount.
  var isShared = false
  /// Whether the kernel may go to the file of a flat LUN by itself.
  var allowsPassthrough = false
  /// What way requests come.
  var transport = Transport.auto
  /// Whether what is in the folder already may be hidden.
  var mayHideFiles = false

  private static let own = ["passthrough", "nonempty"] + Transport.allCases.map { "transport=\($0)" }
  private static let known =
    [
      "ro", "rw", "allow_other", "exec", "noexec", "suid", "nosuid", "dev", "nodev", "atime",
      "noatime", "sync", "async", "debug",
    ] + own

  init() {}

  /// Reads the options of all `-o`.
  ///
  /// - Throws: each of them that is not known.
  init(_ given: [String]) throws(StoreProblems) {
    var problems: [StoreError] = []
    for option in given.flatMap({ $0.split(separator: ",").map(String.init) }) {
      switch option {
      case "passthrough": allowsPassthrough = true
      case "nonempty": mayHideFiles = true
      case _ where option.hasPrefix("transport=") && Self.known.contains(option):
        transport = Transport(rawValue: String(option.dropFirst("transport=".count))) ?? .auto
      case _ where !Self.known.contains(option):
        problems.append(
          StoreError(
            .invalidInput, at: "option '\(option)'", "is no mount option of fuse-lun",
            remedy: "those are: " + Self.known.joined(separator: ", ")))
      case _ where !list.contains(option):
        list.append(option)
        if option == "allow_other" { isShared = true }
      default: break
      }
    }
    if !problems.isEmpty { throw StoreProblems(problems) }
  }

  /// The one argument for libfuse's `-o`, with what every mount has: the kernel checks permissions, and the
  /// store's path shows as the device in `/proc/mounts`.
  func argument(store: String) -> String {
    var name = ""
    for character in store.unicodeScalars {
      if character == "," || character == "\\" { name += "\\" }
      name.unicodeScalars.append(character)
    }
    return (["default_permissions", "subtype=fuse-lun", "fsname=\(name)"] + list).joined(separator: ",")
  }
}
