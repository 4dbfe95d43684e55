import FoundationEssentials
import Glibc
import LUNStore

/// Written as `null` where there is none: a key that comes and goes is a trap for scripts.
@propertyWrapper
struct WrittenAsNull<Value: Encodable>: Encodable {
  var wrappedValue: Value?

  init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if let wrappedValue { try container.encode(wrappedValue) } else { try container.encodeNil() }
  }
}

/// What `list --json` writes.
struct StoreReport: Encodable {
  var store: String
  var uuid: String
  /// `null` when nobody serves the store.
  @WrittenAsNull var mounted: HolderReport?
  /// Mount points that a daemon which is gone has left behind.
  var stale: [String]
  var luns: [LUNReport]
  var problems: [String]
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
    created = iso8601(lun.created)
    readOnly = lun.properties.isReadOnly
    vendor = lun.properties.vendor
    product = lun.properties.product
    serial = lun.properties.serial
    naa = lun.properties.naa
    base = lun.base.map(\.description)
    self.snapshots = snapshots.map(SnapshotReport.init)
  }
}

/// What a command that makes or changes a LUN or a snapshot writes with `--json`: what `info` has about it.
struct VolumeReport: Encodable {
  private let report: any Encodable

  init(_ name: VolumeName, in path: String) throws {
    let store = try Store.open(path)
    switch name {
    case .lun(let lun): report = LUNReport(try store.describe(name), try store.snapshots(of: lun).snapshots)
    case .snapshot(let snapshot):
      guard let found = try store.snapshots(of: snapshot.lun).snapshots.first(where: { $0.name == snapshot })
      else {
        throw StoreError(.absent, at: path, "has no snapshot '\(snapshot)' any more")
      }
      report = SnapshotReport(found)
    }
  }

  func encode(to encoder: any Encoder) throws { try report.encode(to: encoder) }
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
    created = iso8601(snapshot.created)
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

/// One JSON document on the standard output, with its keys in alphabetical order.
func writeJSON(
  _ report: some Encodable, keys: JSONEncoder.KeyEncodingStrategy = .useDefaultKeys
) throws {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = keys
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  try emit(String(decoding: try encoder.encode(report), as: UTF8.self) + "\n")
}

/// Left-aligned columns on the standard output, by the width that a terminal gives to text.
///
/// - Parameter limit: the widest that a cell may be that is not in the last column; what is longer is cut off with `…`.
func writeTable(_ head: [String]?, _ rows: [[String]], limit: Int = 40) throws {
  let all = ((head.map { [$0] } ?? []) + rows).map { row in
    row.enumerated().map { column, cell in
      let text = printable(cell, atMost: longestLine)
      return column + 1 < row.count ? ColumnText.cut(text, to: limit) : text
    }
  }
  let columns = all.map(\.count).max() ?? 0
  let widths = (0..<columns).map { column in
    all.map { column < $0.count ? ColumnText.width($0[column]) : 0 }.max() ?? 0
  }
  var text = ""
  for row in all {
    for (column, cell) in row.enumerated() {
      text += cell
      if column + 1 < columns {
        text += String(repeating: " ", count: widths[column] - ColumnText.width(cell) + 2)
      }
    }
    text += "\n"
  }
  try emit(text)
}

/// More than any message has.
private let longestLine = 1 << 20

/// Writes a line that has text from outside in it, which must not be able to do more to a terminal than show.
func emitLine(_ text: String, to descriptor: Int32 = 1) throws(StoreError) {
  try emit(printable(text, atMost: longestLine) + "\n", to: descriptor)
}

/// Says what is wrong, on the standard error output.
func complain(_ error: StoreError) { try? emitLine("error: \(error)", to: 2) }

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
