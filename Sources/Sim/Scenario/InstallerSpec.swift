import LinuxConfig

/// The installation system or live CD that the step "installer" starts.
public struct InstallerSpec: Sendable {
  /// What its shell is.
  public enum Shell: String, Sendable, CaseIterable {
    /// A few programs in one; no package manager.
    case busybox
    /// A whole system, as on a live CD.
    case full
  }

  /// The version of its kernel; nil: not known, and modules are not refused for it.
  public var kernel: String?
  /// The architecture of its kernel, as "i386" or "x86_64"; nil: not known.
  public var architecture: String?
  /// The drivers that its medium has; nil: all that there are.
  public var drivers: [String]?
  /// What its shell is.
  public var shell = Shell.full
  /// Its own files, in memory.
  public var files = MemoryFileTree()
  /// What is on a stick or floppy.
  public enum Medium: Sendable {
    case files(MemoryFileTree)
    /// What this directory of the system's files holds.
    case folder(String)
  }
  /// What is on sticks and floppies, by the name of the device.
  public var media: [String: Medium] = [:]
  /// The directory that it reads its packages from; nil: from somewhere nobody mounts over.
  public var source: String?
  /// Where it mounts the system that it installs.
  public var target = "/mnt"
  /// The disk that is on top of its disk order, by name: GRUB's boot code goes there; nil: the one with /boot.
  public var firstDisk: String?
  /// It makes a node in /dev for each disk that it finds; false: somebody has to, with `mknod`.
  public var makesNodes = true
  /// It logs in to every target by itself, with whatever the target wants.
  public var logsIn = true

  /// An installation system with all drivers that logs in to every target.
  public init() {}
}

/// What a package brings.
public struct PackageSpec: Sendable {
  /// Its files by path; nil: a path that it removes.
  public var files: [String: FileNode?] = [:]
  /// Files that it brings as the system had them when the story began: what was edited in them is lost.
  public var ships: [String] = []
  /// Its maintainer's script, run by root after the files are in place.
  public var postinst = ""
  /// Its version, for dpkg's status file.
  public var version: String?
  /// Configuration files that rpm leaves as they are when they were edited (`%config(noreplace)`).
  public var noReplace: Set<String> = []

  /// A package that brings nothing.
  public init() {}
}
