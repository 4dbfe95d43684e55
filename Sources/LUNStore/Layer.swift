import Glibc

/// An open layer: its folder, its data file, and what its record said when it was opened.
final class Layer: Sendable {
  let record: LayerRecord
  let folder: Descriptor
  let data: Descriptor

  init(record: LayerRecord, folder: Descriptor, data: Descriptor) {
    (self.record, self.folder, self.data) = (record, folder, data)
  }

  /// What the host's file system has given to the data file, in bytes.
  var allocated: Int64 {
    var status = stat()
    return fstat(data.raw, &status) == 0 ? Int64(status.st_blocks) * 512 : 0
  }

  /// What layers take up in the host's file system, in bytes; at most the size of the LUN that they are, although
  /// a layer may have blocks that one above it hides.
  static func allocated(by layers: [Layer], size: Int64) -> Int64 {
    min(layers.reduce(0) { $0 + $1.allocated }, size)
  }

  /// Reads this layer's map.
  ///
  /// - Throws: `damaged` if there is none or it is not whole.
  func readMap(size: Int64? = nil) throws(StoreError) -> (map: PresenceMap, extent: MapLog.Extent) {
    let map = PresenceMap(size: size ?? record.size)
    let frames: UInt64? = if case .sealed(let frames) = record.map { frames } else { nil }
    let extent = try MapLog.read(
      in: folder, record.mapName, layer: record.identifier, frames: frames, into: map)
    return (map, extent)
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

  /// Opens a layer.
  ///
  /// - Throws: `damaged`, or the failing system call.
  func openLayer(_ identifier: Identifier, _ access: LUN.Access) throws(StoreError) -> Layer {
    let (record, folder) = try layerRecord(identifier)
    let data = try folder.part(record.dataName, access == .readOnly ? O_RDONLY : O_RDWR, links: 2)
    let length = Int64(try data.status().st_size)
    guard length >= record.size else {
      throw StoreError(
        .damaged, at: data.path, "has \(length) bytes, and \(record.size) were there",
        remedy: "if the end is really lost, 'truncate -s \(record.size)' puts zeros there")
    }
    return Layer(record: record, folder: folder, data: data)
  }

  /// Opens a layer and all those below it, root first.
  ///
  /// - Parameters:
  ///   - access: for the topmost one; the others are not written to.
  ///   - cache: those that are open already.
  func openLayers(
    _ head: Identifier, _ access: LUN.Access, _ cache: LayerCache?
  ) throws(StoreError) -> [Layer] {
    var layers: [Layer] = []
    var next: Identifier? = head
    while let identifier = next {
      guard layers.count < OwnerMap.maximumLayers,
        !layers.contains(where: { $0.record.identifier == identifier })
      else {
        throw StoreError(
          .damaged, at: self.layers.path, "has layers that are each other's parents, or too many: \(head)")
      }
      let layer =
        if let cache, identifier != head || access == .readOnly {
          try cache.layer(identifier) { () throws(StoreError) in try openLayer(identifier, cache.access) }
        } else {
          try openLayer(identifier, access)
        }
      layers.append(layer)
      next = layer.record.parent
    }
    return layers.reversed()
  }

  /// Makes a layer, durably. It belongs to nothing yet: its folder is locked, until whoever makes it has
  /// written who it belongs to and unlocks it, so that nobody takes it for a leftover.
  ///
  /// - Parameter fill: writes the contents into the data file, which has its size and is all a hole.
  func makeLayer(
    _ record: LayerRecord, fill: ((Descriptor) throws(StoreError) -> Void)? = nil
  ) throws(StoreError) -> Layer {
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
      return Layer(record: record, folder: folder, data: data)
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
  func removeFolder(_ named: String) {
    var name = named
    if !named.hasPrefix(".") {
      name = ".new-\(Identifier())"
      guard renameat(raw, named, raw, name) == 0, (try? synchronize()) != nil else { return }
    }
    if let folder = try? open(name, O_RDONLY | O_DIRECTORY), let entries = try? folder.entries() {
      for entry in entries { unlinkat(folder.raw, entry, 0) }
    }
    unlinkat(raw, name, AT_REMOVEDIR)
  }
}
