import Glibc
import Synchronization

/// A layer: where its files are, and what its record said when it was opened.
final class Layer: Sendable {
  let record: LayerRecord
  let folder: LayerFolder
  let data: LayerFile
  /// What the data file takes up, once somebody has looked; -1 before.
  private let knownAllocation = Atomic<Int64>(-1)

  init(record: LayerRecord, folder: LayerFolder, data: LayerFile) {
    (self.record, self.folder, self.data) = (record, folder, data)
  }

  /// What the host's file system has given to the data file, in bytes.
  func allocated() throws(StoreError) -> Int64 {
    try folder.open().dataStatus(record).allocated
  }

  /// As `allocated`, of a layer that nobody writes to: looked at once.
  func settledAllocation() throws(StoreError) -> Int64 {
    let known = knownAllocation.load(ordering: .relaxed)
    if known >= 0 { return known }
    let allocated = try allocated()
    knownAllocation.store(allocated, ordering: .relaxed)
    return allocated
  }

  /// Blocks were given back to the host.
  func forgetAllocation() { knownAllocation.store(-1, ordering: .relaxed) }

  /// Reads this layer's map.
  ///
  /// - Throws: `damaged` if there is none or it is not whole.
  func readMap(size: Int64? = nil) throws(StoreError) -> (map: PresenceMap, extent: MapLog.Extent) {
    let map = try PresenceMap(size: size ?? record.size)
    let frames: UInt64? = if case .sealed(let frames) = record.map { frames } else { nil }
    let extent = try MapLog.read(
      in: folder.open(), record.mapName, layer: record.identifier, frames: frames, into: map)
    return (map, extent)
  }
}

extension stat {
  /// In bytes; whatever the host says, with the size of a LUN it has a sum.
  var allocated: Int64 { min(Int64(st_blocks), LUN.maximumSize / 512 - 1) * 512 }
}

extension Descriptor {
  /// The attributes of the data file of the layer that this is the folder of.
  ///
  /// - Throws: `damaged` if it is absent, or shorter than the record says.
  func dataStatus(_ record: LayerRecord) throws(StoreError) -> stat {
    let file = "\(path)/\(record.dataName)"
    guard let status = try status(of: record.dataName) else {
      throw StoreError(
        .damaged, at: path, "has no file '\(record.dataName)'",
        remedy: "restore it from a backup of the store")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw StoreError(.damaged, at: file, "is not a regular file")
    }
    guard Int64(status.st_size) >= record.size else {
      throw StoreError(
        .damaged, at: file, "has \(bytesText(Int64(status.st_size))), and \(record.size) were there",
        remedy: "if the end is really lost, 'truncate -s \(record.size)' puts zeros there")
    }
    return status
  }
}

extension Store {
  /// Reads the record of a layer.
  ///
  /// - Throws: `damaged` if there is no such layer.
  func layerRecord(_ identifier: Identifier) throws(StoreError) -> (record: LayerRecord, folder: Descriptor) {
    guard let folder = try layers.openIfPresent(identifier.description, O_RDONLY | O_DIRECTORY) else {
      throw StoreError(
        .damaged, at: layers.path, "has no layer \(identifier)",
        remedy: "restore its folder from a backup of the store")
    }
    let record = try LayerRecord(reading: folder.part(LayerRecord.fileName, O_RDONLY))
    guard record.identifier == identifier else {
      throw StoreError(
        .damaged, at: folder.path, "is the folder of layer \(record.identifier)",
        remedy: "give the folder that name again")
    }
    return (record, folder)
  }

  /// Looks at a layer; its files are opened when they are needed.
  ///
  /// - Throws: `damaged`, or the failing system call.
  func openLayer(_ identifier: Identifier, _ access: LUN.Access) throws(StoreError) -> Layer {
    let (record, folder) = try layerRecord(identifier)
    _ = try folder.dataStatus(record)
    return layer(record, access)
  }

  /// A layer with a record that was read or written just now.
  func layer(_ record: LayerRecord, _ access: LUN.Access) -> Layer {
    let folder = LayerFolder(in: layers, record.identifier.description)
    let data = LayerFile(in: folder, record.dataName, access == .readOnly ? O_RDONLY : O_RDWR, links: 2)
    return Layer(record: record, folder: folder, data: data)
  }

  /// Looks at a layer and all those below it, root first.
  ///
  /// - Parameters:
  ///   - access: for the topmost one; the others are not written to.
  ///   - cache: those that are known already; whoever has it is the one who changes the store.
  func openLayers(
    _ head: Identifier, _ access: LUN.Access, _ cache: LayerCache?
  ) throws(StoreError) -> [Layer] {
    var layers: [Layer] = []
    var seen = Set<Identifier>()
    var next: Identifier? = head
    while let identifier = next {
      guard layers.count < OwnerMap.maximumLayers, seen.insert(identifier).inserted else {
        throw self.circle(from: head)
      }
      let layer =
        if let cache, identifier != head || access == .readOnly {
          try cache.layer(identifier) { () throws(StoreError) in try openLayer(identifier, .readOnly) }
        } else {
          try openLayer(identifier, access)
        }
      layers.append(layer)
      next = layer.record.parent
    }
    if cache == nil, layers.count <= FilePool.share {
      // Whoever changes the store may make two layers one, of which one file is then gone.
      for layer in layers {
        _ = try layer.data.pinned()
        layer.data.unpin()
      }
    }
    return layers.reversed()
  }

  func circle(from head: Identifier) -> StoreError {
    StoreError(
      .damaged, at: layers.path, "has layers that are each other's parents, or too many: \(head)")
  }

  /// Makes a layer, durably. It belongs to nothing yet: its folder is locked, until whoever makes it has
  /// written who it belongs to and unlocks it, so that nobody takes it for a leftover.
  ///
  /// - Parameter fill: writes the contents into the data file, which has its size and is all a hole.
  /// - Returns: the layer, and its folder, which is locked.
  func makeLayer(
    _ record: LayerRecord, fill: ((Descriptor) throws(StoreError) -> Void)? = nil
  ) throws(StoreError) -> (layer: Layer, folder: Descriptor) {
    let temporary = ".new-\(record.identifier)"
    // In one's turn: who tidies up must not come between the two.
    let folder = try turn { () throws(StoreError) in
      let folder = try layers.makeFolder(temporary)
      try folder.lock()
      return folder
    }
    do throws(StoreError) {
      let data = try folder.create(record.dataName, O_RDWR)
      guard retrying({ Int(ftruncate(data.raw, off_t(record.size))) }) == 0 else {
        let code = errno
        throw StoreError(
          .system(code), at: path, "cannot hold a LUN of \(record.size) bytes: \(errorText(code))",
          remedy: code == EFBIG ? "the file system under the store has a lower limit for files" : nil)
      }
      try fill?(data)
      try data.synchronize()
      if !record.isFlat {
        try MapLog.create(in: folder, record.mapName, layer: record.identifier)
      }
      try folder.install(LayerRecord.fileName, record.encoded)
      guard renameat(layers.raw, temporary, layers.raw, record.identifier.description) == 0 else {
        throw .system("create", "\(layers.path)/\(record.identifier)")
      }
      try layers.synchronize()
      let place = LayerFolder(in: layers, record.identifier.description)
      let file = LayerFile(in: place, record.dataName, O_RDWR, as: data)
      return (Layer(record: record, folder: place, data: file), folder)
    } catch {
      layers.removeFolder(temporary)
      throw error
    }
  }
}

extension Descriptor {
  /// A regular file that has to be in this folder.
  ///
  /// - Parameter links: the file of a layer has two names while that layer and the one above it become one.
  func part(_ name: String, _ flags: Int32, links: nlink_t = 1) throws(StoreError) -> Descriptor {
    if let file = try openFileIfPresent(name, flags, links: links) { return file }
    throw StoreError(
      .damaged, at: path, "has no file '\(name)'", remedy: "restore it from a backup of the store")
  }

  /// Removes a folder of this folder, with the files in it. One that has a name loses that first and durably: what
  /// an interruption leaves is a leftover, and not a folder with files missing.
  func removeFolder(_ name: String) { removeFolders([name]) }

  /// As `removeFolder`, of many; the first ones lose their names first.
  func removeFolders(_ names: [String]) {
    var nameless = names.filter { $0.hasPrefix(".") }
    let named = names.filter { !$0.hasPrefix(".") }
    let renamed = named.compactMap { name in
      let gone = ".new-\(Identifier())"
      return renameat(raw, name, raw, gone) == 0 ? gone : nil
    }
    if !renamed.isEmpty, (try? synchronize()) != nil { nameless += renamed }
    for name in nameless {
      if let folder = try? open(name, O_RDONLY | O_DIRECTORY), let entries = try? folder.entries() {
        for entry in entries { unlinkat(folder.raw, entry, 0) }
      }
      unlinkat(raw, name, AT_REMOVEDIR)
    }
  }
}
