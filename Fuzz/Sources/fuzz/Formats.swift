import Glibc

@testable import LUNStore

// The files of a store. Checksums are put right, since libFuzzer would not get past them; whoever forges a file does that
// too.

/// A record of any kind; the first byte says of which, and whether its checksum is put right.
@Sendable func fuzzRecord(_ input: Input) {
  var input = input
  let choice = input.byte()
  var bytes = Array(input.rest)
  if choice & 0x80 == 0 {
    // Everything but the last line, which is made anew.
    let body = bytes.lastIndex(of: 0x0A).map { bytes[...$0] } ?? []
    let digits = String(CRC32C.checksum(body), radix: 16)
    bytes = body + Array("crc32c \(String(repeating: "0", count: 8 - digits.count))\(digits)\n".utf8)
  }
  let file = scratchFile("record", bytes)
  tolerating {
    switch choice & 7 {
    case 0: _ = try LUNRecord(reading: file).encoded
    case 1: _ = try SnapshotRecord(reading: file).encoded
    case 2:
      let record = try LayerRecord(reading: file)
      let again = try LayerRecord(reading: scratchFile("record", record.encoded))
      precondition(again == record, "is not read as it was written")
    case 3: _ = try Record(decoding: bytes, as: .store, path: "store").encoded
    default: _ = try WriteLog.Header(decoding: bytes, path: "log").encoded
    }
  }
}

/// A map: of a layer with the size that the first bytes say, read, opened for writing and written anew.
@Sendable func fuzzMap(_ input: Input) {
  var input = input
  let choice = input.byte()
  let size = (Int64(input.byte()) + 1) << 22 | Int64(choice & 0x70) << 5
  let layer = seedLayer
  var bytes = Array(input.rest)
  if choice & 0x80 == 0 { mendMap(&bytes) }
  _ = scratchFile("map.0", bytes)
  tolerating {
    let file = try scratch.part("map.0", O_RDWR)
    let (frames, lost) = try MapLog.salvage(file, into: PresenceMap(size: size))
    precondition(lost <= frames)
    _ = try MapLog.mendHeader(of: file, layer: layer, frames: nil, writes: choice & 8 != 0)
  }
  tolerating {
    let map = try PresenceMap(size: size)
    let frames: UInt64? = choice & 1 == 0 ? nil : UInt64(choice >> 1 & 7)
    let extent = try MapLog.read(in: scratch, "map.0", layer: layer, frames: frames, into: map)
    map.forEachRun { run in precondition(run.upperBound <= map.blocks, "a block beyond the end") }
    let log = try MapLog(in: scratchLayer, "map.0", layer: layer, after: extent)
    try map.insert(0..<1)
    // A map that is said to be small is written anew.
    try log.append(entries(map), leaves: 0)
    let again = try PresenceMap(size: size)
    try MapLog.read(in: scratch, "map.0", layer: layer, frames: log.extent.frames, into: again)
    precondition(entries(again) == entries(map), "what was appended to a map is not what is read")
  }
}

private func entries(_ map: PresenceMap) -> [MapLog.Entry] {
  var all: [MapLog.Entry] = []
  map.forEachEntry { all.append($0) }
  return all
}

/// The layer that all maps are of.
let seedLayer = Identifier("00000000-0000-4000-8000-000000000000")!

/// Puts the header and the checksums of frames right.
private func mendMap(_ bytes: inout [UInt8]) {
  func set(_ value: UInt32, at offset: Int) {
    for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index)) }
  }
  guard bytes.count >= 64 else { return }
  bytes.replaceSubrange(0..<60, with: Array("FLUNMAP2\(seedLayer)".utf8) + [UInt8](repeating: 0, count: 16))
  set(CRC32C.checksum(bytes[..<60]), at: 60)
  var offset = 64
  while offset + 24 <= bytes.count {
    let length = 24 + Int(bytes.integer(at: offset + 4, UInt32.self) % 4096) * 520
    guard offset + length <= bytes.count else { return }
    set(0, at: offset + 16)
    set(CRC32C.checksum(bytes[offset..<(offset + length)]), at: offset + 16)
    offset += length
  }
}

/// A write log: read to its end, as the power could have failed at each entry.
@Sendable func fuzzLog(_ input: Input) {
  var input = input
  let choice = input.byte()
  var bytes = Array(input.rest)
  if choice & 0x80 == 0 { mendLog(&bytes) }
  _ = scratchFile("log-1", bytes)
  tolerating {
    let file = try scratch.part("log-1", O_RDONLY)
    var reader = try WriteLog.Reader(file, from: .start)
    let blockSize = reader.header.blockSize.rawValue
    var durability = WriteLog.Durability()
    while let entry = try reader.next() {
      durability.note(entry)
      let cut = WriteLog.Cut(seed: UInt64(choice), point: entry.number, index: 1)
      for part in cut.surviving(entry, blockSize: blockSize) {
        precondition(!part.isEmpty && part.clamped(to: entry.changed!) == part, "a part of what is not there")
      }
      _ = try WriteLog.Reader(file, from: reader.position)
    }
  }
}

/// Puts the checksums of entries right.
private func mendLog(_ bytes: inout [UInt8]) {
  guard bytes.count > 4096, let header = try? WriteLog.Header(decoding: Array(bytes[..<4096]), path: "log")
  else {
    return
  }
  func set(_ value: some FixedWidthInteger, at offset: Int) {
    withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(offset..<(offset + $0.count), with: $0) }
  }
  var offset = 4096
  while offset + 64 <= bytes.count {
    set(EntryHead.magic, at: offset)
    set(header.identifier.firstWord, at: offset + 8)
    let length = Int(bytes.integer(at: offset + 40, UInt64.self) % 65536)
    let hasPayload = [1, 5, 6].contains(bytes[offset + 4])
    let payload = hasPayload ? min(length, bytes.count - offset - 64) : 0
    set(CRC32C.checksum(bytes[(offset + 64)..<(offset + 64 + payload)]), at: offset + 56)
    set(CRC32C.checksum(bytes[offset..<(offset + 60)]), at: offset + 60)
    offset += EntryHead.footprint(payload: payload)
  }
}
