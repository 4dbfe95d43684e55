import Glibc
import LUNStore

/// Changes how a mounted store is mounted, as `mount -o remount,…` asks.
///
/// Only what the kernel keeps to by itself can be changed while files are open: whether anything may be written, and
/// `nosuid`, `nodev`, `noexec`, `sync`. What else a line of fstab says stays as it was mounted.
struct Remount {
  private let place: Mountpoint
  private let flags: UInt

  /// - Throws: if no store is mounted there.
  init(_ mountpoint: String, _ options: MountOptions) throws {
    place = try Mountpoint(mountpoint)
    guard MountTable.read()?.top(at: place.path)?.type == Mountpoint.type else {
      throw StoreError(
        .invalidInput, at: place.path, "cannot be mounted otherwise: no store is mounted here",
        remedy: "mount it first, without the option 'remount'")
    }
    var flags = try Self.current(at: place.path)
    for option in options.list {
      guard let flag = Self.flags[option] else { continue }
      flags = flag.isSet ? flags | UInt(flag.bit) : flags & ~UInt(flag.bit)
    }
    self.flags = flags
  }

  /// - Throws: what the kernel has against it.
  func perform() throws(StoreError) {
    guard mount(nil, place.path, nil, flags | UInt(MS_REMOUNT), nil) == 0 else {
      throw StoreError(
        .system(errno), at: place.path, "cannot be mounted otherwise: \(errorText(errno))",
        remedy: errno == EPERM ? "only root may do this" : nil)
    }
  }

  /// The flag of mount(2) that an option sets, or takes away.
  private static let flags: [String: (bit: Int, isSet: Bool)] = [
    "ro": (MS_RDONLY, true), "rw": (MS_RDONLY, false), "nosuid": (MS_NOSUID, true),
    "suid": (MS_NOSUID, false),
    "nodev": (MS_NODEV, true), "dev": (MS_NODEV, false), "noexec": (MS_NOEXEC, true),
    "exec": (MS_NOEXEC, false),
    "sync": (MS_SYNCHRONOUS, true), "async": (MS_SYNCHRONOUS, false), "noatime": (MS_NOATIME, true),
    "atime": (MS_NOATIME, false), "dirsync": (MS_DIRSYNC, true),
  ]

  /// How it is mounted: a remount takes away every flag that it does not repeat. statvfs(3) has them as mount(2) does,
  /// but for `relatime`.
  private static func current(at path: String) throws(StoreError) -> UInt {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else {
      throw StoreError(.system(errno), at: path, "cannot be mounted otherwise: \(errorText(errno))")
    }
    let same = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS | MS_NOATIME | MS_NODIRATIME
    let isRelative = status.f_flag & 4096 != 0
    return status.f_flag & UInt(same) | (isRelative ? UInt(MS_RELATIME) : 0)
  }
}
