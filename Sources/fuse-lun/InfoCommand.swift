import ArgumentParser
import LUNStore

struct InfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Say all there is to say about a store, a LUN or a snapshot.",
    discussion: """
      Without a name: how much there is in the store, what it takes up, and where it is mounted.

      Vendor, product, serial number and NAA designator are what an iSCSI target should tell initiators. LAYERS \
      is in how many files the contents are: one more for each snapshot and clone below.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "The LUN or the snapshot, LUN or LUN@SNAPSHOT; without, the whole store.")
  var name: String?

  @Flag(help: "Write JSON.")
  var json = false

  func run() throws {
    guard let name else { return try describeStore() }
    let opened = try Store.open(store)
    let volume = try VolumeName(name)
    let lun = try opened.describe(volume)
    var (snapshots, problems): ([SnapshotDescription], [StoreError]) = ([], [])
    if case .lun(let name) = volume { (snapshots, problems) = try opened.snapshots(of: name) }
    var report = LUNReport(lun, snapshots)
    if case .snapshot = volume { (report.name, report.readOnly) = (name, true) }
    report.layers = lun.layers
    report.flat = lun.isFlat
    report.mount = try MountReport(of: name, in: opened)
    if json { try writeJSON(report) } else { try writeTable(nil, rows(report)) }
    report.mount?.stale.forEach { Log.error(staleMount($0)) }
    if !problems.isEmpty { throw StoreProblems(problems) }
  }

  private func describeStore() throws {
    let opened = try Store.open(store)
    let (report, problems) = try StoreSummary.of(opened)
    if json {
      try writeJSON(report)
    } else {
      let mounted: [[String]]
      if let holder = report.mounted {
        let process = holder.process.map { "process \($0)" } ?? "another process"
        mounted = [["mounted", "\(holder.mountpoint) by \(process)"]]
      } else {
        mounted = [["mounted", "no"]]
      }
      try writeTable(
        nil,
        [
          ["store", report.store], ["uuid", report.uuid], ["LUNs", "\(report.luns)"],
          ["snapshots", "\(report.snapshots)"],
          ["size", "\(ByteCount(report.size)) in all LUNs (\(bytesText(report.size)))"],
          ["allocated", "\(ByteCount(report.allocated)) (\(bytesText(report.allocated)))"],
          ["free", "\(ByteCount(report.free)) in the file system under the store"],
        ] + mounted)
    }
    report.stale.forEach { Log.error(staleMount($0)) }
    if !problems.isEmpty { throw StoreProblems(problems) }
  }

  private func rows(_ lun: LUNReport) -> [[String]] {
    var rows = [
      ["name", lun.name],
      ["uuid", lun.uuid],
      ["size", "\(ByteCount(lun.size)) (\(lun.size) bytes, \(lun.blocks) blocks)"],
      ["block size", "\(lun.blockSize) bytes"],
      ["allocated", "\(ByteCount(lun.allocated)) (\(bytesText(lun.allocated)))"],
      ["created", lun.created],
      ["access", lun.readOnly ? "read-only" : "read-write"],
      ["vendor", lun.vendor],
      ["product", lun.product],
      ["serial", lun.serial],
      ["naa", lun.naa],
    ]
    if let layers = lun.layers { rows.append(["layers", lun.flat == true ? "1, a flat file" : "\(layers)"]) }
    if let base = lun.base { rows.append(["base", base]) }
    for snapshot in lun.snapshots {
      rows.append(["snapshot", "\(snapshot.name)  \(ByteCount(snapshot.size))  \(snapshot.created)"])
    }
    guard let mount = lun.mount, let point = mount.mountpoint else { return rows }
    let process = mount.process.map { "process \($0)" } ?? "another process"
    rows.append(["mounted", "\(point)/\(lun.name) by \(process)"])
    switch mount.mode {
    case .passthrough?: rows.append(["open", "\(times(mount.openCount)), in passthrough"])
    default: rows.append(["open", times(mount.openCount)])
    }
    if let transport = mount.transport { rows.append(["requests by", transport]) }
    for layer in mount.layers { rows.append(["armed", layer]) }
    return rows
  }

  private func times(_ count: Int) -> String {
    switch count {
    case 0: "no"
    case 1: "once"
    default: "\(count) times"
    }
  }
}

/// What `info --json` writes about a store; sizes in bytes.
private struct StoreSummary: Encodable {
  var store: String
  var uuid: String
  var luns: Int
  var snapshots: Int
  /// Of all LUNs together.
  var size: Int64
  var allocated: Int64
  /// In the file system under the store, for those who are not root.
  var free: Int64
  /// `nil` when nobody serves the store.
  @WrittenAsNull var mounted: HolderReport?
  var stale: [String]

  static func of(_ store: Store) throws -> (StoreSummary, [StoreError]) {
    let (luns, problems) = try store.list()
    let names = try store.names()
    let status = try store.fileSystemStatus()
    let (free, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    let holder = try store.holder()
    let summary = StoreSummary(
      store: store.path, uuid: store.identifier.description, luns: names.count { $0 == .lun($0.lun) },
      snapshots: names.count { $0 != .lun($0.lun) },
      size: luns.reduce(0) { sum, lun in
        let (total, overflow) = sum.addingReportingOverflow(lun.size.bytes)
        return overflow ? .max : total
      }, allocated: try store.allocated().bytes, free: overflow ? .max : Int64(clamping: free),
      mounted: holder.flatMap(HolderReport.init),
      stale: holder == nil ? Mountpoint.stale(store: store.path) : [])
    return (summary, problems)
  }
}

/// What only the mount knows about a LUN.
struct MountInfoRequest: StoreRequest {
  struct Answer: Codable, Sendable {
    /// How many times clients have it open.
    var openCount: Int
    /// How it is open; `nil` if it is not.
    var mode: Node.Mode?
    /// What way requests come to the daemon: `io_uring` or `/dev/fuse`.
    var transport: String
    /// The layers that are armed, by their names.
    var layers: [String]
  }

  static let name = "mount-info"
  var lun: String

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Answer {
    // One that cannot be opened, since its image is gone, say, has much to be said about it all the same.
    let name = try VolumeName(lun)
    let transport = server.mounted?.rings.isInUse == true ? "io_uring" : "/dev/fuse"
    guard let node = server.mounted?[name] else {
      return Answer(openCount: 0, mode: nil, transport: transport, layers: [])
    }
    return Answer(
      openCount: node.openCount, mode: node.mode, transport: transport,
      layers: node.stack.layers.map(\.layer.kind))
  }
}
