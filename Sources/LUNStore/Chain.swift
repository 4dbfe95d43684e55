import Glibc

/// The layers that a LUN's bytes are in, as they are between two changes of the LUN's structure.
final class Chain: @unchecked Sendable {
  /// Root first; the last one is the head.
  let layers: [Layer]
  /// The head's record as it is now: size, limit and map may have changed since it was opened.
  var headRecord: LayerRecord
  /// Which blocks the head has; `nil` when it is a flat file and has all.
  var presence: PresenceMap?
  /// Where the other blocks are.
  var owners: OwnerMap?
  /// The head's map, for writing; `nil` when there is none or this is read-only.
  var log: MapLog?
  /// The image that the root is a lazy copy of.
  let base: (any BaseSource)?
  /// The image's room in the pool of files.
  private let place: FilePool.Place?

  var head: Layer { layers[layers.count - 1] }

  /// Reads the maps of layers.
  ///
  /// - Parameters:
  ///   - access: whether the head is to be written to.
  ///   - rights: those with which the image is opened that the root may be a lazy copy of.
  init(_ layers: [Layer], _ access: LUN.Access, _ rights: ImageRights) throws(StoreError) {
    self.layers = layers
    headRecord = layers[layers.count - 1].record
    (base, place) = try Self.open(layers[0].record.base, rights)
    (presence, owners, log) = (nil, nil, nil)
    guard !headRecord.isFlat else { return }
    let (map, extent) = try layers[layers.count - 1].readMap()
    presence = map
    owners = try Self.owners(of: layers.dropLast(), below: headRecord)
    if access == .readWrite {
      log = try MapLog(
        in: head.folder, headRecord.mapName, layer: headRecord.identifier, after: extent)
    }
  }

  /// A chain with a new and empty head on top of one that is sealed and will be written no more.
  init(_ head: Layer, above chain: Chain) throws(StoreError) {
    let frozen = Layer(record: chain.headRecord, folder: chain.head.folder, data: chain.head.data)
    layers = chain.layers.dropLast() + [frozen, head]
    headRecord = head.record
    (base, place) = (chain.base, chain.place)
    let owner = OwnerMap.Owner(layers.count - 2)
    let owners =
      if let owners = chain.owners { owners } else { try OwnerMap(size: headRecord.size, owner: owner) }
    // In place: the old chain, if it stays, asks its head's map first.
    if let presence = chain.presence { try owners.overlay(presence, owner: owner) }
    self.owners = owners
    let (map, extent) = try head.readMap()
    presence = map
    log = try MapLog(in: head.folder, head.record.mapName, layer: head.record.identifier, after: extent)
  }

  /// The same head above other layers; `owners` is what `owners(below:of:)` says of these.
  init(
    _ chain: Chain, above below: [Layer], _ owners: OwnerMap, _ rights: ImageRights
  ) throws(StoreError) {
    layers = below + [chain.head]
    headRecord = chain.headRecord
    (presence, log) = (chain.presence, chain.log)
    self.owners = owners
    (base, place) = try Self.open(below[0].record.base, rights)
  }

  private static func open(
    _ base: BaseReference?, _ rights: ImageRights
  ) throws(StoreError) -> (base: (any BaseSource)?, place: FilePool.Place?) {
    guard let base else { return (nil, nil) }
    let place = try FilePool.shared.place(for: "\(base)")
    return (try base.open(with: rights), place)
  }

  /// What its layers take up in the host's file system, in bytes, of which the head takes up some; at most the size of
  /// the LUN that they are.
  func allocated(head: Int64) throws(StoreError) -> Int64 {
    var sum = head
    for layer in layers.dropLast() { sum = min(try sum + layer.settledAllocation(), headRecord.size) }
    return min(sum, headRecord.size)
  }

  /// Whether the head has it all, in one file in the LUN's order.
  var isFlat: Bool { presence == nil }

  /// Where a head finds the blocks that it does not have.
  static func owners(
    of layers: some Sequence<Layer>, below head: LayerRecord,
    map: (Layer) throws(StoreError) -> PresenceMap = { layer throws(StoreError) in try layer.readMap().map }
  ) throws(StoreError) -> OwnerMap {
    var owners: OwnerMap?
    for (index, layer) in layers.enumerated() {
      let record = layer.record
      if let owners {
        owners.descend(to: record)
      } else {
        owners = try OwnerMap(size: record.size, owner: record.base == nil ? 0 : OwnerMap.base)
        owners?.cut(at: record.limit)
      }
      if !record.isFlat { try owners?.overlay(map(layer), owner: OwnerMap.Owner(index)) }
    }
    guard let owners else {
      let owners = try OwnerMap(size: head.size, owner: OwnerMap.base)
      owners.cut(at: head.limit)
      return owners
    }
    owners.descend(to: head)
    return owners
  }

  /// The layer, the zeros or the base that a block comes from, and where the run of blocks ends that are alike.
  @inline(__always)
  func run(from block: Int, to end: Int) -> (owner: OwnerMap.Owner, end: Int) {
    guard let presence, let owners else { return (0, end) }
    let (isPresent, presentEnd) = presence.run(from: block, to: end)
    if isPresent { return (OwnerMap.Owner(layers.count - 1), presentEnd) }
    return owners.run(from: block, to: presentEnd)
  }
}

extension OwnerMap {
  /// From what a layer sees below it: it may have another size, and what is beyond its limit does not count.
  func descend(to record: LayerRecord) {
    resize(to: record.size)
    cut(at: record.limit)
  }

  /// Nothing is seen from `limit` on. A block that it goes through stays: whoever shrank the LUN has copied it.
  func cut(at limit: Int64) { cut(from: PresenceMap.blocks(in: limit)) }
}
