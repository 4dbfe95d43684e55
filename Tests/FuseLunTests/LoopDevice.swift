import Glibc
import TestSupport
import Testing

/// Why a file cannot be put under a loop device here, or `nil`.
let whyNoLoop: String? = {
  if let whyNoMount { return whyNoMount }
  guard isRoot, hasTools("losetup", "mount") else { return "loop devices need root, losetup and mount" }
  return run("losetup", "-f").status == 0 ? nil : "there is no free loop device"
}()

/// A loop device over a file, detached when the last reference goes.
final class LoopDevice: Sendable {
  let path: String

  init(_ file: String, direct: String = "off") throws {
    let outcome = run("losetup", "--find", "--show", "--direct-io=\(direct)", file)
    try #require(outcome.status == 0, "\(outcome)")
    path = String(outcome.output.prefix { $0 != "\n" })
  }

  deinit { run("losetup", "-d", path) }
}

/// A file system in a file, mounted through a loop device of its own; unmounted when the last reference goes.
///
/// Not `mount -o loop`: where the file is still on a device, because somebody looks at that one, mount(8) takes that
/// device again, and by the time it mounts it the device may have the file of another test.
final class LoopMount {
  private let point: String
  private(set) var device: LoopDevice?

  init(_ file: String, at point: String, options: String = "defaults") throws {
    let device = try LoopDevice(file)
    let mounted = run("mount", "-o", options, device.path, point)
    try #require(mounted.status == 0, "\(mounted)")
    (self.point, self.device) = (point, device)
  }

  deinit { if device != nil { run("umount", "-l", point) } }

  /// Waits for programs that tests beside this one start to let go of what they inherit.
  func unmount() throws {
    let isGone = eventually {
      run("umount", point)
      return !isMountpoint(point)
    }
    try #require(isGone, "\(point) cannot be unmounted")
    device = nil
  }
}
