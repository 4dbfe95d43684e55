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
      let run = map.run(from: block, to: min(map.blocks, block + 256))
      if !run.isPresent {
        let bytes = (block..<run.end).bytes(upTo: record.size)
        let copied = bytes.clamped(to: 0..<max(0, seen))
        if !copied.isEmpty { try copy(copied, from: base, to: data, buffer) }
        try punch(
          max(bytes.lowerBound, copied.isEmpty ? 0 : copied.upperBound)..<bytes.upperBound, in: data)
        map.insert(block..<run.end)
        unsaved += run.end - block
        // So that what is copied need not be copied again if the image goes away in the middle.
        if unsaved >= 1 << 16 {
          try save()
          unsaved = 0
        }
        progress(bytes.upperBound, record.size)
      }
      block = run.end
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
    var isHole = false
    do throws(IOError) {
      let data = try base.nextData(from: bytes.lowerBound)
      if data.map({ $0.lowerBound < bytes.upperBound }) ?? false {
        try base.read(into: part, at: bytes.lowerBound)
      } else {
        isHole = true
      }
    } catch {
      throw base.explain(error)
    }
    if isHole { return try punch(bytes, in: file) }
    try file.writeAll(UnsafeRawBufferPointer(part), at: bytes.lowerBound)
  }
}
