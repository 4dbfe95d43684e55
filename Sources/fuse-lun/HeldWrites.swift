import CLinux
import Glibc
import LUNStore

/// Gets what this machine's kernel holds of a LUN, above the mount, down to the mount: pages of shared mappings,
/// and where the LUN is under a loop device the cache of that device, of its partitions, of what is stacked on
/// them (device mapper, RAID), and the file systems mounted from any of these.
///
/// What other machines and virtual machines hold is theirs to flush.
struct HeldWrites {
  private let node: Node
  private let point: String

  init(of node: Node, at point: String) {
    self.node = node
    self.point = point
  }

  /// Runs `body` when everything is written, with those file systems frozen, so that what is below is a clean
  /// file system. One that cannot be frozen is flushed instead: what is below is then as after a crash at this
  /// moment, which it is made to survive.
  ///
  /// - Throws: everything that could not be written; `body` has not been run then.
  func whileWritten<Result>(_ body: () throws -> Result) throws -> Result {
    guard node.openCount > 0 else { return try body() }
    var problems: [StoreError] = []
    var frozen: [Opened] = []
    defer { for folder in frozen.reversed() { linux_thaw(folder.descriptor) } }
    let file: Opened
    do throws(StoreError) {
      file = try Opened("\(point)/\(node.name)", O_RDONLY | O_NOFOLLOW)
    } catch { throw unwritten([error]) }
    let devices = devices(on: file, &problems)
    for place in mounts(from: devices) {
      attempt(&problems) { () throws(StoreError) in
        let folder = try Opened(place, O_RDONLY)
        if linux_freeze(folder.descriptor) == 0 {
          frozen.append(folder)
        } else if linux_syncfs(folder.descriptor) != 0 {
          throw folder.failure("flush the file system")
        }
      }
    }
    // Each flush of a device goes to those that it is on: the last one stacked comes first.
    for device in devices.reversed() {
      attempt(&problems) { () throws(StoreError) in
        let opened = try Opened("/dev/\(device.node)", O_RDONLY)
        if fsync(opened.descriptor) != 0 { throw opened.failure("flush") }
      }
    }
    if fsync(file.descriptor) != 0 { problems.append(file.failure("flush")) }
    guard problems.isEmpty else { throw unwritten(problems) }
    return try body()
  }

  private func attempt(_ problems: inout [StoreError], _ body: () throws(StoreError) -> Void) {
    do throws(StoreError) { try body() } catch { problems.append(error) }
  }

  private func unwritten(_ problems: [StoreError]) -> StoreProblems {
    StoreProblems(
      [
        StoreError(
          .system(EIO), at: "LUN '\(node.name)'",
          "not everything that clients wrote could be got out of the kernel, for the reasons below",
          remedy: "unmount what is on it and close it, or do without with --no-sync")
      ] + problems)
  }

  // MARK: What is on the LUN

  private struct Device: Equatable {
    /// Below `/sys/class/block`.
    var name: String
    var number: dev_t
    /// Below `/dev`; the kernel writes `!` for the `/` in names.
    var node: String { String(name.map { $0 == "!" ? "/" : $0 }) }
  }

  /// The block devices on the LUN, each after those that it is on.
  private func devices(on file: Opened, _ problems: inout [StoreError]) -> [Device] {
    var found: [Device] = []
    var pending = LoopDevice.all().filter { isOn(file, $0, &problems) }.map(\.name)
    while !pending.isEmpty {
      let name = pending.removeFirst()
      let folder = "/sys/class/block/\(name)"
      let numbers = (firstLine(of: "\(folder)/dev") ?? "").split(separator: ":").compactMap { UInt32($0) }
      guard numbers.count == 2 else { continue }
      let device = Device(name: name, number: deviceNumber(numbers[0], numbers[1]))
      // One that is on two others comes after both.
      found.removeAll { $0 == device }
      found.append(device)
      pending += entries(of: folder).filter { access("\(folder)/\($0)/partition", F_OK) == 0 }
      pending += entries(of: "\(folder)/holders")
    }
    return found
  }

  private func isOn(_ file: Opened, _ loop: LoopDevice, _ problems: inout [StoreError]) -> Bool {
    let device = open("/dev/\(loop.name)", O_RDONLY | O_CLOEXEC)
    guard device >= 0 else {
      // Without a right to the device there is its path, which is another one where the mount is also bound.
      return loop.path.utf8.elementsEqual(file.path.utf8)
    }
    defer { close(device) }
    var (number, inode) = (UInt64(0), UInt64(0))
    guard linux_loop_backing(device, &number, &inode) == 0 else { return false }
    return number == UInt64(file.status.st_dev) && inode == UInt64(file.status.st_ino)
  }

  /// Where file systems from these devices are mounted, each once.
  private func mounts(from devices: [Device]) -> [String] {
    guard !devices.isEmpty, let table = MountTable.read() else { return [] }
    let numbers = Set(devices.map(\.number))
    var seen: Set<dev_t> = []
    return table.entries.filter { entry in
      var status = stat()
      // Some file systems, Btrfs for one, have a number of their own, and the device as their source.
      let isBlock =
        entry.isTrusted && entry.source.hasPrefix("/") && stat(entry.source, &status) == 0
        && status.st_mode & S_IFMT == S_IFBLK
      let isOurs = numbers.contains(entry.device) || isBlock && numbers.contains(status.st_rdev)
      return isOurs && seen.insert(entry.device).inserted
    }.map(\.point)
  }
}

/// An open file or device, closed when the last reference goes.
private final class Opened {
  let descriptor: Int32
  let path: String

  init(_ path: String, _ flags: Int32) throws(StoreError) {
    descriptor = open(path, flags | O_CLOEXEC | O_NONBLOCK)
    self.path = path
    guard descriptor >= 0 else {
      throw StoreError(.system(errno), at: path, "cannot open to flush it: \(errorText(errno))")
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  var status: stat {
    var status = stat()
    fstat(descriptor, &status)
    return status
  }

  func failure(_ action: String) -> StoreError {
    let code = errno
    return StoreError(.system(code), at: path, "cannot \(action): \(errorText(code))")
  }
}
