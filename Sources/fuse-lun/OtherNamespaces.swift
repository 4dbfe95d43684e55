import Glibc
import LUNStore

/// A mount of a store that is not in this process's mount namespace, or not only: it lives on when the one here is
/// taken away.
struct OtherMount: CustomStringConvertible {
  /// One of the processes in that namespace, the first one.
  let process: Int32
  let name: String
  let point: String

  var description: String {
    "process \(process) (\(printable(name))) has it mounted in a mount namespace of its own at '\(printable(point))'"
  }

  /// The mounts of a store in other namespaces, one for each namespace and place, as far as this process may look.
  ///
  /// - Parameters:
  ///   - source: the store's path, as the kernel shows it.
  ///   - device: the number of the file system, where it is known.
  static func all(of source: String, device: dev_t? = nil) -> [OtherMount] {
    var seen: Set<String> = []
    if let own = linkTarget("/proc/self/ns/mnt") { seen.insert(own) }
    var found: [OtherMount] = []
    for process in entries(of: "/proc").compactMap(Int32.init).sorted() {
      guard let namespace = linkTarget("/proc/\(process)/ns/mnt"), seen.insert(namespace).inserted,
        let table = MountTable.read(of: String(process))
      else { continue }
      for entry in table.entries where entry.type == Mountpoint.type {
        guard entry.device == device || entry.source.utf8.elementsEqual(source.utf8) else { continue }
        let name = firstLine(of: "/proc/\(process)/comm") ?? "?"
        found.append(OtherMount(process: process, name: name, point: entry.point))
      }
    }
    return found
  }

  /// What to say where a mount lives on; `nil` if it does not.
  static func problem(_ mounts: [OtherMount], of store: String) -> StoreError? {
    guard let first = mounts.first else { return nil }
    let more = mounts.count > 1 ? ", and so do \(mounts.count - 1) more" : ""
    return StoreError(
      .busy, at: store, "is not mounted here any more, but \(first)\(more)",
      remedy: "end that process, or 'nsenter -m -t \(first.process) umount \(printable(first.point))'")
  }
}
