import Glibc
import LUNStore

/// What a disk may hold after a crash, sector by sector.
///
/// A sector that was written is filled with one word made of the number of the write and the number of the sector, so
/// that what is found in it says where it came from. 0 is a sector of zeros.
struct DiskModel {
  static let sectorSize = 512

  /// What the last flush has made durable.
  private(set) var durable: [UInt64]
  /// What was written since, in order, whether acknowledged or not: after a crash any of these or what is durable.
  private var since: [Int: [UInt64]] = [:]

  init(sectors: Int) { durable = Array(repeating: 0, count: sectors) }

  /// The word that a write with this number leaves in a sector.
  static func word(_ write: UInt32, _ sector: Int) -> UInt64 {
    write == 0 ? 0 : UInt64(write) << 32 | UInt64(sector)
  }

  /// To be called before the write, the discard (`write` 0) or the zeroing begins.
  mutating func write(_ write: UInt32, _ sectors: Range<Int>) {
    for sector in sectors { since[sector, default: []].append(Self.word(write, sector)) }
  }

  /// To be called when a flush has been acknowledged.
  mutating func flush() {
    for (sector, words) in since { durable[sector] = words[words.count - 1] }
    since = [:]
  }

  /// What a client reads while nothing has crashed.
  var content: [UInt64] {
    var content = durable
    for (sector, words) in since { content[sector] = words[words.count - 1] }
    return content
  }

  /// Says what in `found` cannot be after a crash; takes `found` for what the disk holds if there is nothing.
  mutating func recover(_ found: [UInt64]) -> String? {
    guard found.count == durable.count else { return "\(found.count) sectors instead of \(durable.count)" }
    for sector in found.indices where found[sector] != durable[sector] {
      if since[sector]?.contains(found[sector]) ?? false { continue }
      let allowed = ([durable[sector]] + (since[sector] ?? [])).map { String($0, radix: 16) }
      return "sector \(sector) has \(String(found[sector], radix: 16)) and may have \(allowed)"
    }
    (durable, since) = (found, [:])
    return nil
  }
}

/// What sectors hold, as words; `nil` if one is a mixture.
func words(of bytes: [UInt8]) -> [UInt64]? {
  bytes.withUnsafeBytes { bytes in
    guard let base = bytes.baseAddress else { return [] }
    var found: [UInt64] = []
    found.reserveCapacity(bytes.count / DiskModel.sectorSize)
    for start in stride(from: 0, to: bytes.count, by: DiskModel.sectorSize) {
      // Each byte equals the one a word before it.
      guard memcmp(base + start, base + start + 8, DiskModel.sectorSize - 8) == 0 else { return nil }
      found.append(base.load(fromByteOffset: start, as: UInt64.self))
    }
    return found
  }
}

/// The bytes that a write leaves in sectors.
func bytes(of write: UInt32, _ sectors: Range<Int>) -> [UInt8] {
  let words = sectors.flatMap { sector in
    repeatElement(DiskModel.word(write, sector), count: DiskModel.sectorSize / 8)
  }
  return words.withUnsafeBytes { Array($0) }
}

/// What a store may hold after a crash: its volumes, and the one change of them that was under way.
struct StoreModel {
  /// A change that was sent and not yet acknowledged.
  enum Change {
    /// A snapshot or a clone of a volume: not there yet, or there with what the volume holds.
    case new(VolumeName, of: VolumeName)
    /// A volume that is there as before, or no more.
    case gone(VolumeName)
    /// A LUN that holds what it did, or what the snapshot does.
    case rollback(VolumeName, to: VolumeName)
  }

  var disks: [VolumeName: DiskModel] = [:]
  private(set) var change: Change?

  /// To be called before a command is started.
  mutating func begin(_ change: Change) { self.change = change }

  /// To be called when the command has said that it is done.
  mutating func acknowledge() {
    switch change {
    case .new(let name, let source):
      // What a snapshot has is durable, and so it is where it was taken.
      disks[source]?.flush()
      disks[name] = disks[source]
    case .gone(let name): disks[name] = nil
    case .rollback(let name, let snapshot): disks[name] = disks[snapshot]
    case nil: break
    }
    change = nil
  }

  /// Says what of the volumes that are found cannot be after a crash; goes on with these if there is nothing.
  mutating func recover(_ found: [VolumeName: [UInt64]]) -> String? {
    switch change {
    case .new(let name, let source) where found[name] != nil:
      guard found[name] == found[source] else { return "\(name) and \(source) differ" }
      disks[name] = disks[source]
    case .gone(let name) where found[name] == nil: disks[name] = nil
    case .rollback(let name, let snapshot) where found[name] == disks[snapshot]?.content:
      disks[name] = disks[snapshot]
    default: break
    }
    change = nil
    guard Set(found.keys) == Set(disks.keys) else {
      return "there are \(found.keys.sorted()), and should be \(disks.keys.sorted())"
    }
    for name in found.keys.sorted() {
      if let problem = disks[name]!.recover(found[name]!) { return "\(name): \(problem)" }
    }
    return nil
  }
}
