import FoundationEssentials
import Glibc
import LUNStore

/// What `list --json` writes.
struct StoreReport: Encodable {
  var store: String
  var uuid: String
  /// `null` when nobody serves the store.
  var mounted: HolderReport?
  /// Mount points that a daemon which is gone has left behind.
  var stale: [String]
  var luns: [LUNReport]
  var problems: [String]

  private enum Key: String, CodingKey { case store, uuid, mounted, stale, luns, problems }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(store, forKey: .store)
    try container.encode(uuid, forKey: .uuid)
    // Encoded also when there is none: a key that comes and goes is a trap for scripts.
    try container.encode(mounted, forKey: .mounted)
    try container.encode(stale, forKey: .stale)
    try container.encode(luns, forKey: .luns)
    try container.encode(problems, forKey: .problems)
  }
}

/// Who serves a store.
struct HolderReport: Encodable {
  var process: Int32?
  var mountpoint: String

  /// `nil` if it is not served, but in the hands of a command.
  init?(_ holder: StoreHolder) {
    guard !holder.mountpoint.isEmpty else { return nil }
    (process, mountpoint) = (holder.process, holder.mountpoint)
  }
}

/// What `info --json` writes, and `list --json` for each LUN; sizes in bytes.
struct LUNReport: Encodable {
  var name: String
  var uuid: String
  var size: Int64
  var blockSize: Int64
  var blocks: Int64
  var allocated: Int64
  /// In UTC, as ISO 8601 has it.
  var created: String
  var readOnly: Bool
  var vendor: String
  var product: String
  var serial: String
  var naa: String
  /// The image that it is a lazy copy of; absent if there is none.
  var base: String?
  /// Oldest first.
  var snapshots: [SnapshotReport]
  /// How many files the contents are in; for `info` only.
  var layers: Int?
  /// Whether they are one file in the LUN's order; for `info` only.
  var flat: Bool?
  /// For `info` only.
  var mount: MountReport?

  init(_ lun: LUNDescription, _ snapshots: [SnapshotDescription]) {
    name = lun.name.text
    uuid = lun.identifier.description
    size = lun.size.bytes
    blockSize = lun.blockSize.rawValue
    blocks = lun.size.bytes / lun.blockSize.rawValue
    allocated = lun.allocated.bytes
    created = timestamp(lun.created)
    readOnly = lun.properties.isReadOnly
    vendor = lun.properties.vendor
    product = lun.properties.product
    serial = lun.properties.serial
    naa = lun.properties.naa
    base = lun.base.map(\.description)
    self.snapshots = snapshots.map(SnapshotReport.init)
  }
}

/// A snapshot in the reports of its LUN.
struct SnapshotReport: Encodable {
  /// `LUN@LABEL`.
  var name: String
  var uuid: String
  var size: Int64
  /// In UTC, as ISO 8601 has it.
  var created: String

  init(_ snapshot: SnapshotDescription) {
    name = snapshot.name.description
    uuid = snapshot.identifier.description
    size = snapshot.size.bytes
    created = timestamp(snapshot.created)
  }
}

/// What `info` says about the mount of the store.
struct MountReport: Encodable {
  var process: Int32?
  /// `null` when nobody serves the store.
  var mountpoint: String?
  /// How many times clients have the LUN open.
  var openCount = 0
  var mode: Node.Mode?
  /// What way requests come to the daemon: `io_uring` or `/dev/fuse`.
  var transport: String?
  /// The layers that are armed.
  var layers: [String] = []
  /// Mount points that a daemon which is gone has left behind.
  var stale: [String] = []

  init(of lun: String, in store: Store) throws {
    guard let holder = try store.holder(), !holder.mountpoint.isEmpty else {
      stale = Mountpoint.stale(store: store.path)
      return
    }
    (process, mountpoint) = (holder.process, holder.mountpoint)
    if let mounted = try StoreClient(store: store.path).ask(MountInfoRequest(lun: lun)) {
      (openCount, mode, layers) = (mounted.openCount, mounted.mode, mounted.layers)
      transport = mounted.transport
    }
  }
}

private func timestamp(_ seconds: Int64) -> String {
  Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
}

/// One JSON document on the standard output, with its keys in alphabetical order.
func writeJSON(
  _ report: some Encodable, keys: JSONEncoder.KeyEncodingStrategy = .useDefaultKeys
) throws {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = keys
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
