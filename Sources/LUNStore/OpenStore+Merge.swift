import CLinux
import Glibc

// Layers that no LUN and no snapshot names any more give their space back: one that nothing is on top of is
// removed, one with a single other on top of it becomes one with that, and of one that several others share
// the blocks go that all of them hide.
//
// Two layers become one in either of two ways, whichever copies less: the lower one's blocks are lifted into
// the upper one's file, or the upper one's sink into the lower one's file, which then is the upper one's.
// Whichever way, nothing that anybody can see changes until the one moment in which the upper layer's record
// is replaced; an interrupted merge has done no harm, and is done again.

extension OpenStore {
  /// Above this a LUN that is in use goes on with a new head while its old one is merged.
  private static let smallBytes: Int64 = 16 << 20

  /// Gives back what nothing needs. Part of a change of structure.
  ///
  /// - Throws: what kept it from that. No data is lost, and the next change tries again.
  func tidy(_ progress: Progress) throws(StoreError) {
    defer { sums.forget() }
    do throws(StoreError) {
      var catalog = try store.turn { () throws(StoreError) in
        var catalog = try Catalog(store)
        try catalog.removeLeftovers(store)
        return catalog
      }
      // A record that cannot be read might name any layer.
      guard catalog.problems.isEmpty else { return }
      while let (lower, upper) = catalog.mergeable {
        try merge(lower, upper, catalog, progress)
        // What others make meanwhile has layers of its own.
        try store.turn { () throws(StoreError) in
          try catalog.readAgain(upper, store)
          catalog.removeUnused(store)
        }
      }
      try punchHidden(catalog)
    } catch {
      throw StoreError(
        error.kind, at: error.place,
        "\(error.problem), while space was given back; what was asked for is done",
        remedy: "'fuse-lun check --repair' gives the rest back")
    }
  }

  private func merge(
    _ lower: Identifier, _ upper: Identifier, _ catalog: Catalog, _ progress: Progress
  ) throws(StoreError) {
    let lowerLayer = try store.openLayer(lower, .readWrite)
    // Until they are given the layers as they are then, open LUNs read what they have, under whatever name.
    for layer in [cache[lower], cache[upper]] { try layer?.data.stayOpen() }
    if let user = catalog.luns.first(where: { $0.head == upper }) {
      let lun = try lun(user.name)
      return try lun.alone { () throws(StoreError) in
        try lun.seal()
        guard let map = lun.chain.presence,
          Int64(map.count) << PresenceMap.blockShift <= Self.smallBytes
        else { return try putHead(on: lun) }
        let head = Layer(
          record: lun.chain.headRecord, folder: lun.chain.head.folder, data: lun.chain.head.data)
        let failure = try sink(head, map, into: lowerLayer, progress)
        cache.forget(lower)
        do throws(StoreError) {
          let merged = try store.openLayer(upper, .readWrite)
          lun.replace(try Chain(lun.chain.layers.dropLast(2) + [merged], .readWrite, store.imageRights))
        } catch {
          // What is written from here on to the file that it has would be lost.
          lun.retire()
          _ = forget(.lun(user.name))
          throw error
        }
        if let failure { throw failure }
      }
    }
    let upperLayer = try store.openLayer(upper, .readWrite)
    let (map, extent) = try upperLayer.readMap()
    let above = Int64(map.count) << PresenceMap.blockShift
    let failure =
      try above <= lowerLayer.allocated()
      ? try sink(upperLayer, map, into: lowerLayer, progress)
      : try lift(lowerLayer, into: upperLayer, map, extent, progress)
    cache.forget(lower)
    cache.forget(upper)
    try reload(upper)
    if let failure { throw failure }
  }

  /// Copies the blocks of a layer into the file of the one below, which becomes its own file.
  ///
  /// - Returns: why that may not be durable, although it is so.
  private func sink(
    _ upper: Layer, _ map: PresenceMap, into lower: Layer, _ progress: Progress
  ) throws(StoreError) -> StoreError? {
    var record = upper.record
    guard record.generation < LayerRecord.maximumGeneration else {
      throw StoreError(
        .damaged, at: upper.folder.path, "has generation \(record.generation), and no next one")
    }
    let (upperFolder, lowerFolder) = try (upper.folder.open(), lower.folder.open())
    let (upperData, lowerData) = try (upper.data.pinned(), lower.data.pinned())
    defer {
      upper.data.unpin()
      lower.data.unpin()
    }
    // The lower layer's file must not become shorter than its record says, as long as there is that record.
    let seen = Int64(PresenceMap.blocks(in: record.limit)) << PresenceMap.blockShift
    let length = Int64(try lowerData.status().st_size)
    if seen < length { try punch(seen..<length, in: lowerData) }
    if length < record.size { try setLength(record.size, of: lowerData) }
    let total = Int64(map.count) << PresenceMap.blockShift
    var done: Int64 = 0
    try map.forEachRun { run throws(StoreError) in
      let bytes = run.bytes(upTo: record.size)
      try copy(bytes, from: upperData, to: lowerData)
      done += bytes.upperBound - bytes.lowerBound
      progress(done, total)
    }
    try lowerData.synchronize()

    let old = (record.dataName, record.mapName)
    record.generation += 1
    record.parent = lower.record.parent
    record.base = lower.record.base
    unlinkat(upperFolder.raw, record.dataName, 0)
    unlinkat(upperFolder.raw, record.mapName, 0)
    if lower.record.isFlat {
      record.map = .none
      record.limit = record.size
    } else {
      let union = try PresenceMap(size: record.size)
      let seen = PresenceMap.blocks(in: min(record.limit, lower.record.size))
      try union.formUnion(lower.readMap().map, before: seen)
      try union.formUnion(map)
      record.limit = min(record.limit, lower.record.limit)
      let frames = try MapLog.create(
        in: upperFolder, record.mapName, layer: record.identifier, union)
      record.map = .sealed(frames)
    }
    guard linkat(lowerFolder.raw, lower.record.dataName, upperFolder.raw, record.dataName, 0) == 0 else {
      throw .system("link", "\(upper.folder.path)/\(record.dataName)")
    }
    try upperFolder.synchronize()
    if let failure = try upperFolder.put(LayerRecord.fileName, record.encoded) { return failure }
    unlinkat(upperFolder.raw, old.0, 0)
    unlinkat(upperFolder.raw, old.1, 0)
    if length > record.size { try setLength(record.size, of: lowerData) }
    return nil
  }

  private func setLength(_ length: Int64, of file: Descriptor) throws(StoreError) {
    guard retrying({ Int(ftruncate(file.raw, off_t(length))) }) == 0 else {
      throw .system("set the length", file.path)
    }
  }

  /// Copies the blocks of a layer that the one above it, which nothing writes to, does not have.
  ///
  /// - Returns: why that may not be durable, although it is so.
  private func lift(
    _ lower: Layer, into upper: Layer, _ map: PresenceMap, _ extent: MapLog.Extent, _ progress: Progress
  ) throws(StoreError) -> StoreError? {
    var record = upper.record
    let seen = min(PresenceMap.blocks(in: record.limit), PresenceMap.blocks(in: lower.record.size))
    let lowerMap = lower.record.isFlat ? nil : try lower.readMap().map
    let total = try lower.allocated()
    let folder = try upper.folder.open()
    let (upperData, lowerData) = try (upper.data.pinned(), lower.data.pinned())
    defer {
      upper.data.unpin()
      lower.data.unpin()
    }
    var done: Int64 = 0
    var lifted: [Range<Int>] = []
    var block = 0
    while block < map.blocks {
      var (isPresent, end) = map.run(from: block, to: map.blocks)
      defer { block = end }
      if isPresent { continue }
      if block < seen {
        end = min(end, seen)
        if let lowerMap {
          let below = lowerMap.run(from: block, to: end)
          end = below.end
          if !below.isPresent { continue }
        }
        try copy(
          (block..<end).bytes(upTo: min(record.size, lower.record.size)), from: lowerData, to: upperData)
        lifted.append(block..<end)
        done += Int64(end - block) << PresenceMap.blockShift
        progress(min(done, total), total)
      } else if lowerMap == nil {
        // What a write that was never flushed has left there must not show where there is no map.
        try punch((block..<end).bytes(upTo: record.size), in: upperData)
      }
    }
    if lowerMap == nil, record.size > lower.record.size {
      let first = max(lower.record.size, 0)
      try punchPartialBlock(from: first, map, record.size, in: upperData)
    }
    try upperData.synchronize()

    record.parent = lower.record.parent
    record.base = lower.record.base
    let oldMap = record.mapName
    if lowerMap == nil {
      record.map = .none
      record.limit = record.size
      if let failure = try folder.put(LayerRecord.fileName, record.encoded) { return failure }
      unlinkat(folder.raw, oldMap, 0)
      return nil
    }
    record.limit = min(record.limit, lower.record.limit)
    var growing = upper.record
    growing.map = .open
    try folder.install(LayerRecord.fileName, growing.encoded)
    for run in lifted { try map.add(run) }
    let log = try MapLog(in: upper.folder, oldMap, layer: record.identifier, after: extent)
    try log.append(map.takeDirty(), leaves: map.presentLeaves.load(ordering: .relaxed))
    record.map = .sealed(log.extent.frames)
    return try folder.put(LayerRecord.fileName, record.encoded)
  }

  /// The rest of a block in which the lower layer ended is zeros.
  private func punchPartialBlock(
    from end: Int64, _ map: PresenceMap, _ size: Int64, in file: Descriptor
  ) throws(StoreError) {
    let block = Int(end >> PresenceMap.blockShift)
    guard end & (PresenceMap.blockSize - 1) != 0, block < map.blocks, !map.contains(block) else { return }
    try punch(end..<min(size, Int64(block + 1) << PresenceMap.blockShift), in: file)
  }

  /// Makes all open LUNs and snapshots that have a layer below their head see it as its record now is.
  func reload(_ changed: Identifier) throws(StoreError) {
    for lun in openVolumes where lun.chain.layers.contains(where: { $0.record.identifier == changed }) {
      if lun.access == .readOnly {
        let chain = try Chain(
          store.openLayers(lun.record.head, .readOnly, cache), .readOnly, store.imageRights)
        lun.alone { lun.replace(chain) }
      } else if let parent = try store.layerRecord(lun.chain.headRecord.identifier).record.parent {
        let below = try store.openLayers(parent, .readOnly, cache)
        let owners = try Chain.owners(of: below, below: lun.chain.headRecord)
        try lun.alone { () throws(StoreError) in
          lun.replace(try Chain(lun.chain, above: below, owners, store.imageRights))
        }
      }
    }
  }

  /// Gives back the blocks of unnamed layers that all layers on top of them hide.
  private func punchHidden(_ catalog: Catalog) throws(StoreError) {
    let named = catalog.named
    for (identifier, children) in catalog.children where children.count > 1 && !named.contains(identifier) {
      let shared = try store.openLayer(identifier, .readWrite)
      let data = try shared.data.pinned()
      defer {
        shared.data.unpin()
        cache[identifier]?.forgetAllocation()
      }
      let maps = try children.map { child throws(StoreError) in try mapOnDisk(child, catalog) }
      let blocks = PresenceMap.blocks(in: shared.record.size)
      var block = 0
      while block < blocks {
        var end = blocks
        var isHidden = true
        for (map, limit) in maps where block < limit {
          let run = map.run(from: block, to: min(end, limit))
          isHidden = isHidden && run.isPresent
          end = run.end
        }
        if isHidden { try punch((block..<end).bytes(upTo: shared.record.size), in: data) }
        block = end
      }
    }
  }

  /// What a layer's map says durably, and from which block on it sees nothing below.
  private func mapOnDisk(
    _ identifier: Identifier, _ catalog: Catalog
  ) throws(StoreError) -> (map: PresenceMap, limit: Int) {
    guard let user = catalog.luns.first(where: { $0.head == identifier }) else {
      let layer = try store.openLayer(identifier, .readOnly)
      let map = try layer.readMap().map
      return (map, min(map.blocks, PresenceMap.blocks(in: layer.record.limit)))
    }
    let lun = try lun(user.name)
    return try lun.alone { () throws(StoreError) in
      try lun.seal()
      let record = lun.chain.headRecord
      let map =
        if let presence = lun.chain.presence {
          try presence.resized(to: record.size)
        } else {
          try PresenceMap(size: record.size)
        }
      return (map, PresenceMap.blocks(in: record.limit))
    }
  }
}

extension Range<Int> {
  /// The bytes of these blocks in a file of this size.
  func bytes(upTo size: Int64) -> Range<Int64> {
    let end = Swift.min(size, Int64(upperBound) << PresenceMap.blockShift)
    return Swift.min(end, Int64(lowerBound) << PresenceMap.blockShift)..<end
  }
}

/// Copies bytes to the same place in another file, holes as holes. What is behind the end of the first is zeros.
func copy(_ bytes: Range<Int64>, from source: Descriptor, to target: Descriptor) throws(StoreError) {
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
  defer { buffer.deallocate() }
  var position = bytes.lowerBound
  while position < bytes.upperBound {
    let data = try source.nextData(in: position..<bytes.upperBound) ?? bytes.upperBound..<bytes.upperBound
    if data.lowerBound > position { try punch(position..<data.lowerBound, in: target) }
    position = data.lowerBound
    while position < data.upperBound {
      let part = UnsafeMutableRawBufferPointer(
        rebasing: buffer[..<Int(min(Int64(buffer.count), data.upperBound - position))])
      try source.readAll(into: part, at: position)
      try target.writeAll(UnsafeRawBufferPointer(part), at: position)
      position += Int64(part.count)
    }
  }
}

/// Makes bytes of a file a hole.
func punch(_ bytes: Range<Int64>, in file: Descriptor) throws(StoreError) {
  guard !bytes.isEmpty else { return }
  let mode = Int32(LINUX_FALLOC_FL_PUNCH_HOLE | LINUX_FALLOC_FL_KEEP_SIZE)
  let length = bytes.upperBound - bytes.lowerBound
  guard retrying({ Int(linux_fallocate(file.raw, mode, bytes.lowerBound, length)) }) == 0 else {
    throw .system("punch a hole", file.path)
  }
}
