import LUNStore

/// What `-o` may say.
struct MountOptions: Equatable {
  /// For libfuse, as given.
  var list: [String] = []
  /// Whether other users may see the mount.
  var isShared = false
  /// Whether the kernel may go to the file of a flat LUN by itself.
  var allowsPassthrough = false
  /// Whether what is damaged is left out, instead of being a reason not to mount.
  var isDegraded = false
  /// Whether nothing is to be written.
  var isReadOnly: Bool { list.last { $0 == "ro" || $0 == "rw" } == "ro" }
  /// Whether what is in the folder already may be hidden.
  var mayHideFiles = false
  /// Whether images are opened that the owner of the store, another user, could not read.
  var trustsImages = false

  private static let own = ["passthrough", "nonempty", "degraded", "trust-images"]
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
      case "degraded": isDegraded = true
      case "trust-images": trustsImages = true
      case _ where !Self.known.contains(option):
        problems.append(
          StoreError(
            .invalidInput, at: "option '\(printable(option))'", "is no mount option of fuse-lun",
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
