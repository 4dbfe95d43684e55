import Glibc

/// What can still be read of a LUN or a snapshot of which something is damaged, for the one who has no backup.
///
/// Blocks come from where those parts of the maps say that are whole. Where a part of a map is lost, blocks show what they
/// were before, or zeros; what is lost is named.
public struct Salvage {
  /// The capacity, in bytes.
  public let size: Int64
  /// What is lost, in the order from the newest layer to the oldest; empty if nothing is.
  public private(set) var losses: [StoreError] = []

  private struct Part {
    let record: LayerRecord
    let folder: Descriptor
    let data: Descriptor?
  }

  /// Root first.
  private let parts: [Part]
  private var owners: OwnerMap
  private var base: (any BaseSource)?
  /// Those with which the image is opened.
  private let rights: ImageRights

  /// Reads what there is of the records and maps. Nobody may write to the volume meanwhile.
  ///
  /// - Throws: `absent`; `damaged` if it is not even known which layer the contents begin with.
  public init(_ name: VolumeName, in store: Store) throws(StoreError) {
    let (found, losses) = try Self.parts(from: store.head(of: name), in: store)
    guard let top = found.last else {
      throw losses.first ?? StoreError(.damaged, at: store.layers.path, "has nothing of '\(name)'")
    }
    (parts, size, self.losses, rights) = (found, top.record.size, losses, store.imageRights)
    owners = try OwnerMap(size: found[0].record.size, owner: OwnerMap.zeros)
    for (index, part) in found.enumerated() { try lay(part, OwnerMap.Owner(index)) }
  }

  private static func parts(
    from head: Identifier, in store: Store
  ) throws(StoreError) -> ([Part], [StoreError]) {
    var (found, losses): ([Part], [StoreError]) = ([], [])
    var seen: Set<Identifier> = []
    var next: Identifier? = head
    while let identifier = next, found.count < OwnerMap.maximumLayers, seen.insert(identifier).inserted {
      do throws(StoreError) {
        let (record, folder) = try store.layerRecord(identifier)
        let data = try folder.openFileIfPresent(record.dataName, O_RDONLY)
        found.append(Part(record: record, folder: folder, data: data))
        next = record.parent
        if let loss = try Self.loss(of: data, record, in: folder) { losses.append(loss) }
      } catch {
        losses.append(
          StoreError(error.kind, at: error.place, "\(error.problem): what was in it and below it is lost"))
        next = nil
      }
    }
    return (found.reversed(), losses)
  }

  private static func loss(
    of data: Descriptor?, _ record: LayerRecord, in folder: Descriptor
  ) throws(StoreError) -> StoreError? {
    guard let data else {
      return StoreError(
        .damaged, at: "\(folder.path)/\(record.dataName)", "is gone: what was in it reads as zeros")
    }
    let length = Int64(try data.status().st_size)
    guard length < record.size else { return nil }
    return StoreError(
      .damaged, at: data.path, "has \(length) bytes, and \(record.size) were there: the rest reads as zeros")
  }

  /// Lays a layer over those below it.
  private mutating func lay(_ part: Part, _ owner: OwnerMap.Owner) throws(StoreError) {
    let record = part.record
    owners.descend(to: record)
    if let reference = record.base {
      do throws(StoreError) {
        base = try reference.open(with: rights)
        owners = try OwnerMap(size: record.size, owner: OwnerMap.base)
        owners.cut(at: record.limit)
      } catch {
        losses.append(error)
      }
    }
    guard !record.isFlat else { return owners = try OwnerMap(size: record.size, owner: owner) }
    let map = try PresenceMap(size: record.size)
    do throws(StoreError) {
      let file = try part.folder.part(record.mapName, O_RDONLY)
      var (frames, lost) = try MapLog.salvage(file, into: map)
      if case .sealed(let written) = record.map, written > frames { lost += written - frames }
      if lost > 0 {
        losses.append(
          StoreError(
            .damaged, at: file.path,
            "has lost \(lost == 1 ? "a frame" : "\(lost) frames"): what was written last in some pieces of 16 MiB reads "
              + "as it was before"))
      }
    } catch {
      losses.append(
        StoreError(
          error.kind, at: error.place, "\(error.problem): what was in this layer reads as it was before"))
    }
    try owners.overlay(map, owner: owner)
  }

  /// Hands out what is there and may be something else than zeros, in pieces of at most a MiB.
  public func copyData(
    _ body: (_ offset: Int64, _ bytes: UnsafeRawBufferPointer) throws(StoreError) -> Void
  ) throws(StoreError) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    let blocks = PresenceMap.blocks(in: size)
    var block = 0
    while block < blocks {
      let run = owners.run(from: block, to: blocks)
      defer { block = run.end }
      var position = Int64(block) << PresenceMap.blockShift
      let end = min(size, Int64(run.end) << PresenceMap.blockShift)
      while let data = try nextData(run.owner, position..<end) {
        let part = UnsafeMutableRawBufferPointer(
          rebasing: buffer[..<Int(min(Int64(buffer.count), data.upperBound - data.lowerBound))])
        try read(part, run.owner, at: data.lowerBound)
        try body(data.lowerBound, UnsafeRawBufferPointer(part))
        position = data.lowerBound + Int64(part.count)
      }
    }
  }

  /// The next bytes of a range that are not a hole in what has them.
  private func nextData(_ owner: OwnerMap.Owner, _ range: Range<Int64>) throws(StoreError) -> Range<Int64>? {
    switch owner {
    case OwnerMap.zeros: nil
    case OwnerMap.base: try base?.nextData(in: range)
    default: try parts[Int(owner)].data?.nextData(in: range)
    }
  }

  private func read(
    _ part: UnsafeMutableRawBufferPointer, _ owner: OwnerMap.Owner, at offset: Int64
  ) throws(StoreError) {
    if owner == OwnerMap.base {
      try base?.readAll(into: part, at: offset)
    } else {
      try parts[Int(owner)].data?.readAll(into: part, at: offset)
    }
  }
}
