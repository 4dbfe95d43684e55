import Glibc

extension OpenStore {
  /// Copies what is not copied yet from the image that a LUN is a lazy copy of, and lets go of the image. The
  /// LUN can be used meanwhile.
  ///
  /// - Throws: `invalidInput` if the LUN has no such image; what reading the image throws. What was copied
  ///   until then stays.
  public func fetch(_ name: LUNName, progress: Progress = { _, _ in }) throws(StoreError) {
    try change { () throws(StoreError) in
      let lun = try lun(name)
      guard let base = lun.chain.base else {
        throw StoreError(.invalidInput, at: "LUN '\(name)'", "is no lazy copy: there is nothing to fetch")
      }
      // The root is then written by nobody else.
      if lun.chain.layers.count == 1 {
        try lun.alone { () throws(StoreError) in try putHead(on: lun) }
      }
      let root = try store.openLayer(lun.chain.layers[0].record.identifier, .readWrite)
      try fill(root, from: base, progress)
      cache.forget(root.record.identifier)
      sums.forget()
      try reload(root.record.identifier)
      try tidy { _, _ in }
    }
  }

  private func fill(_ root: Layer, from base: any BaseSource, _ progress: Progress) throws(StoreError) {
    var record = root.record
    let (map, extent) = try root.readMap()
    let folder = try root.folder.open()
    let data = try root.data.pinned()
    defer { root.data.unpin() }
    record.map = .open
    try folder.install(LayerRecord.fileName, record.encoded)
    let log = try MapLog(in: root.folder, record.mapName, layer: record.identifier, after: extent)
    func save() throws(StoreError) {
      let changed = map.takeDirty()
      try data.synchronize()
      try log.append(changed, leaves: map.presentLeaves.load(ordering: .relaxed))
    }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    let seen = min(base.size, record.limit)
    var unsaved = 0
    var block = 0
    while block < map.blocks {
      let run = map.run(from: block, to: map.blocks)
      if run.isPresent {
        block = run.end
        continue
      }
      // What is in no map and not in the image is a hole, whatever a write that was never flushed has left there. It
      // needs no bits: the layer will have no map in the end.
      let bytes = (block..<run.end).bytes(upTo: record.size)
      let extent = try base.nextData(in: bytes.clamped(to: 0..<max(0, seen)))
      let begin =
        extent.map { $0.lowerBound / PresenceMap.blockSize * PresenceMap.blockSize } ?? bytes.upperBound
      try punch(bytes.lowerBound..<begin, in: data)
      block = extent == nil ? run.end : Int(begin >> PresenceMap.blockShift)
      guard let extent else { continue }
      let end = min(run.end, block + 256, PresenceMap.blocks(in: extent.upperBound))
      let whole = (block..<end).bytes(upTo: record.size)
      let copied = whole.clamped(to: 0..<seen)
      try copy(copied, from: base, to: data, buffer)
      try punch(copied.upperBound..<whole.upperBound, in: data)
      try map.add(block..<end)
      unsaved += end - block
      // So that what is copied need not be copied again if the image goes away in the middle.
      if unsaved >= 1 << 16 {
        try save()
        unsaved = 0
      }
      progress(copied.upperBound, seen)
      block = end
    }
    try save()
    let oldMap = record.mapName
    (record.base, record.map, record.limit) = (nil, .none, record.size)
    try folder.install(LayerRecord.fileName, record.encoded)
    unlinkat(folder.raw, oldMap, 0)
  }

  private func copy(
    _ bytes: Range<Int64>, from base: any BaseSource, to file: Descriptor,
    _ buffer: UnsafeMutableRawBufferPointer
  ) throws(StoreError) {
    let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(bytes.upperBound - bytes.lowerBound)])
    try base.readAll(into: part, at: bytes.lowerBound)
    try file.writeAll(UnsafeRawBufferPointer(part), at: bytes.lowerBound)
  }
}
