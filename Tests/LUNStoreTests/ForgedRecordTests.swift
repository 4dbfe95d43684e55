import Glibc
import TestSupport
import Testing

@testable import LUNStore

/// Records with the right checksum that no release of this program has written.
@Suite("A forged record", .timeLimit(.minutes(60)))
struct ForgedRecordTests {
  private let folder = TemporaryFolder()

  private func file(_ record: Record) throws -> Descriptor {
    write(record.encoded, to: folder("record"))
    return try Descriptor.open(path: folder("record"), O_RDONLY)
  }

  private func changed(_ bytes: [UInt8], _ kind: Record.Kind, _ key: String, _ value: String) throws -> Record
  {
    var record = try Record(decoding: bytes, as: kind, path: "p")
    let index = try #require(record.fields.firstIndex { $0.key == key })
    record.fields[index].value = value
    return record
  }

  @Test(
    "of a layer with a number that cannot be is damage",
    arguments: [
      ("generation", "9223372036854775808"), ("generation", "18446744073709551615"), ("generation", "-1"),
      ("generation", "007"), ("size", "0"), ("size", "-512"), ("size", "+512"),
      ("size", "9223372036854775808"),
      ("limit", "-1"), ("limit", "1048577"), ("map", "-1"), ("map", "18446744073709551616"),
      ("base", "file 1048576 0 etc/shadow"), ("base", "file 1048576 0 /a%00b"),
      ("base", "nbd 1048576 nbd+ssh://host/"), ("base", "nbd 0 nbd://host/"), ("parent", "../../x"),
    ])
  func layer(_ key: String, _ value: String) throws {
    let sound = LayerRecord(size: 1 << 20)
    let forged = try changed(sound.encoded, .layer, key, value)
    let error = thrown(StoreError.self) { try LayerRecord(reading: file(forged)) }
    #expect(error?.kind == .damaged, "\(key) \(value)")
  }

  @Test(
    "of a snapshot from a time that nobody can write down is damage",
    arguments: ["-1", "253402300800", "9223372036854775807"])
  func time(_ value: String) throws {
    let sound = try SnapshotRecord(
      name: SnapshotName(lun: LUNName("a"), label: LUNName("b")), identifier: Identifier(),
      layer: Identifier(), created: 0)
    let forged = try changed(sound.encoded, .snapshot, "created", value)
    let error = thrown(StoreError.self) { try SnapshotRecord(reading: file(forged)) }
    #expect(error?.kind == .damaged)
  }

  @Test("of a log with a snapshot that is no name of one is damage", arguments: ["../x", "/x", "a/b", "a@b"])
  func logBase(_ base: String) throws {
    let header = WriteLog.Header(
      lun: try LUNName("a"), size: ByteCount(512), blockSize: .bytes512, base: base, created: 0)
    write(header.encoded, to: folder("log"))
    #expect(thrown(StoreError.self) { try WriteLog.Reader(folder("log")) }?.kind == .damaged)
  }

  @Test(
    "is asked for by a place in a log that cannot be, and is not looked for there",
    arguments: [
      "{\"number\":0,\"offset\":-9223372036854775808}", "{\"number\":0,\"offset\":9223372036854775744}",
      "{\"number\":0,\"offset\":0}", "{\"number\":0,\"offset\":4097}",
    ])
  func position(_ json: String) throws {
    let writer = try WriteLog.Writer.create(
      folder("log"),
      WriteLog.Header(
        lun: LUNName("a"), size: ByteCount(512), blockSize: .bytes512, base: "", created: 0))
    try writer.end("")
    let numbers = json.split { !"-0123456789".contains($0) }.compactMap { Int64($0) }
    var position = WriteLog.Position.start
    (position.number, position.offset) = (UInt64(numbers[0]), numbers[1])
    let error = thrown(StoreError.self) { try WriteLog.Reader(folder("log"), from: position) }
    #expect(error?.kind == .invalidInput)
    // The last number there is: no entry can be behind it.
    position = .start
    position.number = .max
    let last = thrown(StoreError.self) { try WriteLog.Reader(folder("log"), from: position) }
    #expect(last?.kind == .invalidInput)
  }

  @Test("of a layer of the last generation is not merged, and ends nothing")
  func lastGeneration() throws {
    let path = folder("store")
    try Store.openOrCreate(path).store.createLUN(LUNRequest(name: "a", size: "1M"))
    let name = try SnapshotName(lun: LUNName("a"), label: LUNName("s"))
    do {
      let store = try OpenStore(path, at: "")
      try store.snapshot(name)
      try store.release()
    }
    let files = try Store.open(path)
    let head = try files.lunRecord(name.lun).record.head
    var (record, layer) = try files.layerRecord(head)
    let (data, map) = (record.dataName, record.mapName)
    record.generation = LayerRecord.maximumGeneration
    try layer.install(LayerRecord.fileName, record.encoded)
    #expect(renameat(layer.raw, data, layer.raw, record.dataName) == 0)
    #expect(renameat(layer.raw, map, layer.raw, record.mapName) == 0)
    let store = try OpenStore(path, at: "")
    let error = thrown(StoreError.self) { try store.delete(.snapshot(name)) }
    #expect(error?.problem.contains("and no next one") == true, "\(error as Any)")
    #expect(try store.lun(name.lun).size == 1 << 20)
    try store.release()
  }

  @Test("with the last number of a log leaves room for the next log")
  func lastLog() throws {
    let path = folder("store")
    try Store.openOrCreate(path).store.createLUN(LUNRequest(name: "a", size: "1M"))
    write([], to: "\(path)/luns/a/log-9223372036854775807")
    write([], to: "\(path)/luns/a/@log-9223372036854775807")
    let store = try OpenStore(path, at: "")
    #expect(try store.createLog(of: LUNName("a")).number == 1)
  }

  @Test("of a map with a leaf far away does not keep whoever writes the map anew busy for ever")
  func farLeaf() throws {
    let layer = Identifier()
    let folder = try Descriptor.open(path: self.folder.folder("layer"), O_RDONLY | O_DIRECTORY)
    try MapLog.create(in: folder, "map.0", layer: layer)
    let log = try MapLog(
      in: LayerFolder(at: folder.path), "map.0", layer: layer, after: .init(length: 64, frames: 0))
    let words = [UInt64](repeating: 1, count: PresenceMap.wordsPerLeaf)
    try log.append([.init(leaf: Int(Int64.max >> 24) - 1, words: words)], leaves: 1 << 20)
    // Mostly outdated by now, as far as the caller says.
    for _ in 0..<2100 { try log.append([.init(leaf: 0, words: words)], leaves: 1) }
    #expect(log.extent.length < 1 << 20)
  }
}
