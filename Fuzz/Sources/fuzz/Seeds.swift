import Glibc

@testable import FuseLunCode
@testable import LUNStore

/// Writes inputs for each target to begin with, made by the program's own hand.
func writeSeeds(to path: String) throws {
  func put(_ target: String, _ name: String, _ bytes: [UInt8]) throws {
    mkdir(path, 0o755)
    mkdir("\(path)/\(target)", 0o755)
    let file = open("\(path)/\(target)/\(name)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    defer { close(file) }
    let descriptor = Descriptor(raw: dup(file), path: name)
    try descriptor.writeAll(bytes)
  }

  // Records, maps and logs: those of a store that uses everything once.
  let image = "\(scratch.path)/image"
  _ = scratchFile("image", [UInt8](repeating: 7, count: 8192))
  let (a, label) = (try LUNName("a"), try LUNName("s"))
  let folder = try Store.openOrCreate("\(scratch.path)/seeds").store
  try folder.createLUN(LUNRequest(name: "a", size: "1M"))
  try folder.createLUN(LUNRequest(name: "lazy", size: "8K"), base: FileBase(image).reference)
  let snapshot = try SnapshotName(lun: a, label: label)
  let opened = try OpenStore(folder.path, at: "")
  try opened.snapshot(snapshot)
  try opened.clone(.snapshot(snapshot), to: LUNName("clone"))
  try put("records", "lun", [0] + folder.lunRecord(a).record.encoded)
  try put("records", "snapshot", [1] + folder.snapshotRecord(snapshot, in: folder.lunFolder(a)).encoded)
  for name in ["a", "lazy", "clone"] {
    let head = try folder.lunRecord(LUNName(name)).record.head
    try put("records", "layer-\(name)", [2] + folder.layerRecord(head).record.encoded)
  }
  try put("records", "store", [3] + Record(kind: .store, fields: [("uuid", "\(folder.identifier)")]).encoded)
  let nbd = LayerRecord(
    size: 1 << 20, base: BaseReference(.nbd(uri: "nbd+unix:///?socket=/a%b"), size: 1 << 20))
  try put("records", "layer-nbd", [2] + nbd.encoded)
  let header = WriteLog.Header(
    lun: a, size: ByteCount(1 << 20), blockSize: .bytes512, base: "log-1", created: 1_795_261_104)
  try put("records", "log", [4] + Array(header.encoded.prefix { $0 != 0 }))
  try opened.release()

  let map = try PresenceMap(size: 64 << 20)
  try MapLog.create(in: scratch, "empty", layer: seedLayer)
  try map.insert(0..<3)
  try map.insert(5000..<5001)
  try MapLog.create(in: scratch, "two", layer: seedLayer, map)
  for name in ["empty", "two"] {
    let bytes = try scratch.part(name, O_RDONLY).contents(limit: 1 << 16)
    for choice in [0, 3] as [UInt8] { try put("maps", "\(name)-\(choice)", [choice, 15] + bytes) }
  }

  let writer = try WriteLog.Writer.create("\(scratch.path)/log-9", header)
  try [UInt8](repeating: 9, count: 512).withUnsafeBytes { _ = try writer.append(.write(512..<1024), $0) }
  try writer.append(.discard(0..<4096))
  try writer.append(.zero(4096..<8192))
  try writer.append(.flush(1..<3))
  try writer.append(.mark("here"))
  try put("logs", "cut", [0] + scratch.part("log-9", O_RDONLY).contents(limit: 1 << 16))
  try writer.end("stopped")
  try put("logs", "ended", [0] + scratch.part("log-9", O_RDONLY).contents(limit: 1 << 16))

  func request(_ name: String, _ request: some StoreRequest) throws {
    try put("control", name, [0] + encodeLine(request.line).dropLast())
  }
  try request("ping", PingRequest())
  try request("info", MountInfoRequest(lun: "a"))
  try request("snapshot", SnapshotRequest(name: "a@s", syncs: true))
  try request("delete", DeleteRequest(name: "a", withSnapshots: true))
  try request("resize", ResizeRequest(name: "a", size: .to(1 << 20), shrinks: false, force: false))
  try request(
    "set", SetRequest(name: "a", change: .init(isReadOnly: true, vendor: "V", naa: "3000000000000000")))
  try request("mark", LogMarkRequest(lun: "a", text: "here"))
  try request(
    "rebuild",
    LogRebuildRequest(
      lun: "a", log: 1, source: "a@log-1", name: "b", position: .start,
      target: .init(point: 7, cut: .init(seed: 1, point: 7, index: 1)), durably: true))
  for (kind, isFault, options) in [
    ("delay", false, [("for", "5ms..20ms")]), ("rate", false, [("iops", "200"), ("bytes", "10M")]),
    ("power", false, [("size", "64M")]), ("protect", false, [("lba", "5-9")]),
    ("error", true, [("op", "write"), ("lba", "2048-4095"), ("probability", "1%"), ("errno", "ENOSPC")]),
    ("power-cut", true, [("after", "1000")]), ("torn", true, [("seed", "1")]),
  ] as [(String, Bool, [(String, String)])] {
    try request(
      "arm-\(kind)",
      ArmRequest(
        volume: "a", kind: kind, options: options.map { LayerSetting($0.0, $0.1) }, isFault: isFault,
        before: nil))
  }
  let full = StoreError(.system(ENOSPC), at: "LUN 'a'", "cannot write", remedy: "make room")
  try put("control", "reply-begun", [1] + encodeLine(ReplyLine<Done>(begun: true)).dropLast())
  try put("control", "reply-progress", [1] + encodeLine(ReplyLine<Done>(progress: [5, 7])).dropLast())
  try put("control", "reply-problem", [1] + encodeLine(ReplyLine<Done>(problems: [full])).dropLast())

  for (name, text) in [
    ("known", "ro,noatime,allow_other,passthrough\nnonempty\n/a,b\\c"),
    ("mountinfo", "36 35 98:0 / /a\\040b rw,noatime master:1 - fuse.fuse-lun /store rw,user_id=0"),
  ] {
    try put("options", name, Array(text.utf8))
  }
  for text in [
    "10G", "512MiB", "10737418240", "9223372036854775807", "8E", "5ms", "a@b", "nbd 5 nbd://h/",
    "file 5 0 /a%25b",
  ] {
    try put("sizes", String(text.map { $0.isLetter || $0.isNumber ? $0 : "_" }), Array(text.utf8))
  }
  let openAndUse: [UInt8] = [
    0, 0, 1, 0x61, 0, 0, 1, 0x62, 0, 0, 3, 0x62, 0x40, 0x73, 2, 4, 0, 4, 6, 1, 2,
    12, 7, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 13, 7, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16,
    0, 0, 0, 0,
    0, 0, 16, 9, 7, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 10, 7, 18, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 16,
    0, 0, 0, 0, 0, 0, 0, 2, 15, 0, 0, 16, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0,
    0, 0, 0, 0,
    3, 0, 0, 0, 0, 0, 0, 0, 17, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 18, 0, 0,
  ]
  try put("requests", "use", openAndUse)
  try put(
    "requests", "list", [6, 0, 0, 7, 0, 0, 8, 0, 0, 19, 0, 0, 20, 0, 0, 21, 0, 1, 0x61, 22, 0, 1, 0x61])
}

extension StoreRequest {
  fileprivate var line: RequestLine<Self> { RequestLine(request: self) }
}
