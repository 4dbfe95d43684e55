import Glibc
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
  /// For libfuse, each once, in the order of what was said last.
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
  /// What shows as the device in `/proc/mounts`; the store's path if it is `nil`.
  var name: String?
  /// Whom the files belong to.
  var rights = FileRights()
  /// The most that the kernel may ask for in one read, in bytes; 0 where it is free to choose.
  var largestRead: UInt32 = 0
  /// Whether what is mounted already is to be mounted otherwise; only mount(8) asks for that.
  var isRemount = false
  /// Whether images are opened that the owner of the store, another user, could not read.
  var trustsImages = false
  /// What way requests come.
  var transport = Transport.auto

  init() {}

  /// Reads the options of all `-o`.
  ///
  /// - Parameters:
  ///   - remounts: whether `remount` may be said.
  ///   - isSloppy: leaves out what is not known (mount(8), `-s`).
  /// - Throws: each of them that is not known, or cannot be.
  init(_ given: [String], remounts: Bool = false, isSloppy: Bool = false) throws(StoreProblems) {
    var problems: [StoreError] = []
    for option in given.flatMap(Self.split) {
      do throws(StoreError) {
        if !(try read(option, remounts: remounts)) && !isSloppy { throw Self.unknown(option) }
      } catch { problems.append(error) }
    }
    problems += contradictions
    if !problems.isEmpty { throw StoreProblems(problems) }
  }

  /// The one argument for libfuse's `-o`, with what every mount has: the kernel checks permissions, and the
  /// store's path shows as the device in `/proc/mounts`.
  func argument(store: String) -> String {
    let own = ["default_permissions", "subtype=\(Mountpoint.subtype)", "fsname=\(name ?? store)"]
    return (own + list).map(Self.escaped).joined(separator: ",")
  }
}

// MARK: - The options that there are

extension MountOptions {
  private static let own = [
    "passthrough", "nonempty", "degraded", "trust-images", "transport=", "uid=", "gid=", "umask=",
  ]
  /// What libfuse takes and every mount may have.
  private static let common = [
    "ro", "rw", "allow_other", "allow_root", "auto_unmount", "exec", "noexec", "suid", "nosuid", "dev",
    "nodev",
    "atime", "noatime", "sync", "async", "dirsync", "debug", "max_read=", "context=", "fscontext=",
    "defcontext=",
    "rootcontext=",
  ]
  /// Is so anyway, or is for whoever reads fstab(5): mount(8), systemd, file managers.
  private static let withoutEffect = [
    "default_permissions", "defaults", "auto", "noauto", "nofail", "_netdev", "user", "nouser", "users",
    "nousers",
    "owner", "noowner", "group", "nogroup", "diratime", "nodiratime", "relatime", "norelatime", "strictatime",
    "nostrictatime", "lazytime", "nolazytime", "iversion", "noiversion", "mand", "nomand", "silent", "loud",
    "symfollow", "nosymfollow", "user=", "comment=",
  ]
  private static let named = ["fsname=", "subtype="]

  private static func unknown(_ option: String) -> StoreError {
    StoreError(
      .invalidInput, at: "option '\(printable(option))'", "is no mount option of fuse-lun",
      remedy: "those are: " + (own + common + named).joined(separator: ", ")
        + ", and what mount(8) and systemd read in fstab: "
        + (withoutEffect + ["x-*"]).joined(separator: ", "))
  }

  /// - Returns: `false` for one that is not known.
  private mutating func read(_ option: String, remounts: Bool) throws(StoreError) -> Bool {
    let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let key = parts.count == 2 ? parts[0] + "=" : parts[0]
    let value = parts.count == 2 ? parts[1] : ""
    switch key {
    case "passthrough": allowsPassthrough = true
    case "nonempty": mayHideFiles = true
    case "degraded": isDegraded = true
    case "trust-images": trustsImages = true
    case "transport=":
      guard let way = Transport(rawValue: value) else {
        throw StoreError(
          .invalidInput, at: "option '\(printable(option))'", "is no way for requests to come",
          remedy: "say transport=auto, transport=uring or transport=device")
      }
      transport = way
    case "uid=": rights.user = try Self.number(of: "user", value, option) { getpwnam($0)?.pointee.pw_uid }
    case "gid=": rights.group = try Self.number(of: "group", value, option) { getgrnam($0)?.pointee.gr_gid }
    case "umask=": rights.mask = try Self.mask(value, option)
    case "fsname=": name = try Self.nonempty(value, option)
    case "subtype=":
      guard value == Mountpoint.subtype else {
        throw StoreError(
          .invalidInput, at: "option '\(printable(option))'",
          "would hide the mount from the commands of fuse-lun",
          remedy: "they know it by subtype=\(Mountpoint.subtype), which it has anyway")
      }
    case "remount" where remounts: isRemount = true
    // mount(8) repeats what /proc/mounts says where fstab says nothing.
    case _ where remounts && ["user_id=", "group_id="].contains(key): break
    case "max_read=":
      guard let size = UInt32(value), size >= 4096 else {
        throw StoreError(
          .invalidInput, at: "option '\(printable(option))'", "is no size for the reads of the kernel",
          remedy: "a number of bytes, 4096 at least")
      }
      largestRead = size
      pass(option, replacing: key)
    case _ where Self.common.contains(key):
      if key.hasSuffix("=") { _ = try Self.nonempty(value, option) }
      if key == "allow_other" { isShared = true }
      pass(option, replacing: key)
    case _ where Self.withoutEffect.contains(key) || key.hasPrefix("x-") || key.hasPrefix("X-"): break
    default: return false
    }
    return true
  }

  /// Of two that contradict each other the later one counts, as with mount(8); libfuse sees to that.
  private mutating func pass(_ option: String, replacing key: String) {
    list.removeAll { key.hasSuffix("=") ? $0.hasPrefix(key) : $0 == key }
    list.append(option)
  }

  private var contradictions: [StoreError] {
    var found: [StoreError] = []
    if isShared && list.contains("allow_root") {
      found.append(
        StoreError(
          .invalidInput, at: "options 'allow_other' and 'allow_root'", "exclude each other",
          remedy: "allow_other lets root in as well"))
    }
    // As with chmod: rights for others would be a promise that the kernel does not keep.
    if !isShared && rights.areForOthers {
      found.append(
        StoreError(
          .invalidInput, at: "options 'uid=' and 'umask='",
          "give rights to users whom the kernel keeps out of this mount", remedy: "add allow_other"))
    }
    return found
  }
}

// MARK: - Their values

extension MountOptions {
  /// What is between commas; a part between double quotes is not taken apart: `context="system_u:object_r:tmp_t:s0:c1,c2"`.
  private static func split(_ text: String) -> [String] {
    var options: [String] = [""]
    var isQuoted = false
    for scalar in text.unicodeScalars {
      if scalar == "\"" { isQuoted.toggle() }
      if scalar == "," && !isQuoted {
        options.append("")
      } else {
        options[options.count - 1].unicodeScalars.append(scalar)
      }
    }
    return options.filter { !$0.isEmpty }
  }

  /// As libfuse wants what has its separator in it.
  private static func escaped(_ option: String) -> String {
    var text = ""
    for scalar in option.unicodeScalars {
      if scalar == "," || scalar == "\\" { text += "\\" }
      text.unicodeScalars.append(scalar)
    }
    return text
  }

  private static func nonempty(_ value: String, _ option: String) throws(StoreError) -> String {
    guard value.isEmpty else { return value }
    throw StoreError(.invalidInput, at: "option '\(printable(option))'", "has no value")
  }

  /// A user's or a group's number.
  ///
  /// - Parameter find: looks a name up.
  private static func number(
    of kind: String, _ value: String, _ option: String, _ find: (String) -> UInt32?
  ) throws(StoreError) -> UInt32 {
    if let number = number(value) ?? find(value) { return number }
    throw StoreError(
      .invalidInput, at: "option '\(printable(option))'", "names no \(kind) of this machine",
      remedy: "a \(kind)'s name or number")
  }

  /// The highest number means "leave it as it is" to chown(2), and is nobody's.
  private static func number(_ value: String) -> UInt32? { UInt32(value).flatMap { $0 == .max ? nil : $0 } }

  private static func mask(_ value: String, _ option: String) throws(StoreError) -> mode_t {
    guard let mask = mode_t(value, radix: 8), mask <= 0o777, !value.hasPrefix("+") else {
      throw StoreError(
        .invalidInput, at: "option '\(printable(option))'", "is not what umask(2) takes",
        remedy: "the rights that nobody gets, as an octal number: umask=007")
    }
    return mask
  }
}

/// Whom the files of a mount belong to, and what for, until chown and chmod say otherwise.
struct FileRights: Equatable, Sendable {
  var user = getuid()
  var group = getgid()
  /// The rights that are taken from everybody, as by umask(2); `nil` where the files are for their owner alone.
  var mask: mode_t?

  /// Of a file that can be written.
  var file: mode_t { 0o666 & ~(mask ?? 0o077) }

  /// Of the folder, which anybody may list who sees the mount at all.
  func folder(isShared: Bool) -> mode_t { 0o777 & ~(mask ?? (isShared ? 0o022 : 0o077)) }

  /// Whether another user than the one who mounts could do something.
  var areForOthers: Bool { user != getuid() || mask.map { ~$0 & 0o077 != 0 } ?? false }
}
