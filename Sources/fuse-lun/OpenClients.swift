import Glibc
import LUNStore

/// What has a file open, as far as this process may look.
struct OpenClient: Equatable {
  enum Kind: Equatable, Sendable {
    /// A program.
    case process
    /// The kernel, for a loop device.
    case loopDevice
    /// The kernel, for LIO.
    case lio
  }

  /// Of the program, or of the device in `/dev`.
  var name: String
  var kind = Kind.process
  /// The process, for a program.
  var process: Int32?
}

extension OpenClient: CustomStringConvertible {
  /// `qemu-system-x86 4711`, `/dev/loop0`.
  var description: String { process.map { "\(name) \($0)" } ?? name }
}

/// Who has files open, for messages.
enum OpenClients {
  /// Who has something open whose path, as the kernel has it, is wanted: files, mapped files, working folders, loop
  /// devices, backstores.
  static func matching(_ isWanted: (String) -> Bool) -> [OpenClient] {
    var found: [OpenClient] = []
    // What this process has, it has from a shell, or for a moment.
    for entry in entries(of: "/proc").compactMap(Int32.init).sorted()
    where entry != getpid() && uses(entry, isWanted) {
      found.append(OpenClient(name: firstLine(of: "/proc/\(entry)/comm") ?? "process", process: entry))
    }
    for device in LoopDevice.all() where isWanted(device.path) {
      found.append(OpenClient(name: "/dev/\(device.name)", kind: .loopDevice))
    }
    let core = "/sys/kernel/config/target/core"
    for host in entries(of: core).sorted() where host.hasPrefix("fileio_") {
      for object in entries(of: "\(core)/\(host)").sorted() {
        guard let path = firstLine(of: "\(core)/\(host)/\(object)/udev_path"), isWanted(path) else {
          continue
        }
        found.append(OpenClient(name: "LIO's backstore \(object)", kind: .lio))
      }
    }
    return found
  }

  /// Who has this file open.
  static func of(_ path: String) -> [OpenClient] { matching { $0.utf8.elementsEqual(path.utf8) } }

  /// Who uses anything in a folder that is a mount point, the folder itself included.
  static func inMount(_ point: String) -> [OpenClient] {
    matching { $0.utf8.elementsEqual(point.utf8) || $0.utf8.starts(with: "\(point)/".utf8) }
  }

  private static func uses(_ process: Int32, _ isWanted: (String) -> Bool) -> Bool {
    let folder = "/proc/\(process)"
    for link in ["cwd", "root"] where linkTarget("\(folder)/\(link)").map(isWanted) ?? false { return true }
    for descriptor in entries(of: "\(folder)/fd")
    where linkTarget("\(folder)/fd/\(descriptor)").map(isWanted) ?? false { return true }
    // A mapping stays when the file that it was made from is closed.
    for range in entries(of: "\(folder)/map_files")
    where linkTarget("\(folder)/map_files/\(range)").map(isWanted) ?? false { return true }
    return false
  }

  /// `qemu-system-x86 4711 and /dev/loop0`, for a file at a path.
  static func describe(path: String) -> String { describe(of(path)) }

  static func describe(_ clients: [OpenClient]) -> String {
    let all = clients.map(\.description)
    switch all.count {
    case 0: return "a process that cannot be seen from here"
    case 1...3: return all.joined(separator: " and ")
    default: return all.prefix(3).joined(separator: ", ") + " and \(all.count - 3) more"
    }
  }
}

/// A loop device that has a file under it.
struct LoopDevice {
  /// As in `/dev`.
  let name: String
  /// Of the file, as the kernel has it.
  let path: String

  static func all() -> [LoopDevice] {
    entries(of: "/sys/block").filter { $0.hasPrefix("loop") }.sorted().compactMap { name in
      firstLine(of: "/sys/block/\(name)/loop/backing_file").map { LoopDevice(name: name, path: $0) }
    }
  }
}

/// The names in a folder; none if it cannot be read.
func entries(of path: String) -> [String] {
  guard let folder = opendir(path) else { return [] }
  defer { closedir(folder) }
  var names: [String] = []
  while let entry = readdir(folder) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != "." && name != ".." { names.append(name) }
  }
  return names
}

/// The first line of a file of `/proc` or `/sys`.
func firstLine(of path: String) -> String? {
  guard let file = fopen(path, "re") else { return nil }
  defer { fclose(file) }
  var line: UnsafeMutablePointer<CChar>?
  var capacity = 0
  defer { free(line) }
  guard case let length = getline(&line, &capacity, file), length > 0, let line else { return nil }
  let bytes = UnsafeRawBufferPointer(start: line, count: length)
  return String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)
}

/// Where a symbolic link of `/proc` leads.
func linkTarget(_ path: String) -> String? {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer in
    let length = readlink(path, buffer.baseAddress!, buffer.count)
    guard length > 0 else { return nil }
    return String(decoding: UnsafeRawBufferPointer(buffer).prefix(length), as: UTF8.self)
  }
}
