import FoundationEssentials
import Glibc
import LUNStore

/// What `list --json` writes.
struct StoreReport: Encodable {
  var store: String
  var uuid: String
  /// `null` when nobody serves the store.
  var mounted: HolderReport?
  var luns: [LUNReport]
  var problems: [String]

  private enum Key: String, CodingKey { case store, uuid, mounted, luns, problems }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(store, forKey: .store)
    try container.encode(uuid, forKey: .uuid)
    // Encoded also when there is none: a key that comes and goes is a trap for scripts.
    try container.encode(mounted, forKey: .mounted)
    try container.encode(luns, forKey: .luns)
    try container.encode(problems, forKey: .problems)
  }
}

/// Who serves a store.
struct HolderReport: Encodable {
  var process: Int32?
  var mountpoint: String

  init(_ holder: StoreHolder) { (process, mountpoint) = (holder.process, holder.mountpoint) }
}

/// What `info --json` writes; sizes in bytes.
struct LUNReport: Encodable {
  var name: String
  var uuid: String
  var size: Int64
  var blockSize: Int64
  var blocks: Int64
  var allocated: Int64
  /// In UTC, as ISO 8601 has it.
  var created: String

  init(_ lun: LUNDescription) {
    name = lun.name.text
    uuid = lun.identifier.description
    size = lun.size.bytes
    blockSize = lun.blockSize.rawValue
    blocks = lun.size.bytes / lun.blockSize.rawValue
    allocated = lun.allocated.bytes
    created = Date(timeIntervalSince1970: Double(lun.created)).formatted(.iso8601)
  }
}

/// One JSON document on the standard output, with its keys in alphabetical order.
func writeJSON(_ report: some Encodable) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  try emit(String(decoding: try encoder.encode(report), as: UTF8.self) + "\n")
}

/// Left-aligned columns on the standard output.
func writeTable(_ head: [String]?, _ rows: [[String]]) throws {
  let all = (head.map { [$0] } ?? []) + rows
  let columns = all.map(\.count).max() ?? 0
  let widths = (0..<columns).map { column in all.map { $0[column].count }.max() ?? 0 }
  var text = ""
  for row in all {
    for (column, cell) in row.enumerated() {
      text += cell
      if column + 1 < columns { text += String(repeating: " ", count: widths[column] - cell.count + 2) }
    }
    text += "\n"
  }
  try emit(text)
}

/// Writes all of a text, on the standard output (1) or the standard error output (2).
func emit(_ text: String, to descriptor: Int32 = 1) throws(StoreError) {
  var rest = Array(text.utf8)[...]
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    if count > 0 {
      rest.removeFirst(count)
    } else if errno != EINTR {
      throw StoreError(.system(errno), at: "output", "cannot write: \(errorText(errno))")
    }
  }
}
