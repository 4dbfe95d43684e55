import Glibc
import LUNStore

/// Who has files open, for messages: as far as this process may look.
struct OpenClients {
  /// Paths of files as the kernel has them, and what has them open.
  private let holders: [(path: String, who: String)]

  /// - Parameter isWanted: which paths matter.
  init(where isWanted: (String) -> Bool) {
    var found: [(String, String)] = []
    for process in entries(of: "/proc") where Int32(process) != nil {
      let folder = "/proc/\(process)/fd"
      for descriptor in entries(of: folder) {
        guard let path = linkTarget("\(folder)/\(descriptor)"), isWanted(path) else { continue }
        let name = firstLine(of: "/proc/\(process)/comm") ?? "process"
        if !found.contains(where: { $0.1.hasSuffix(" \(process)") }) {
          found.append((path, "\(name) \(process)"))
        }
      }
    }
    for device in LoopDevice.all() where isWanted(device.path) {
      found.append((device.path, "/dev/\(device.name)"))
    }
    holders = found
  }

  /// `qemu-system-x86 4711 and /dev/loop0`, for a file at a path.
  static func describe(path: String) -> String {
    let all = OpenClients(where: { $0.utf8.elementsEqual(path.utf8) }).holders.map(\.who)
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

private func linkTarget(_ path: String) -> String? {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer in
    let length = readlink(path, buffer.baseAddress!, buffer.count)
    guard length > 0 else { return nil }
    return String(decoding: UnsafeRawBufferPointer(buffer).prefix(length), as: UTF8.self)
  }
}
