import Glibc

extension OpenStore {
  /// Reads every structure of the store, and finds what is damaged and what interrupted changes have left.
  ///
  /// The bytes of LUNs have no checksums: a disk has none that its clients see either. What is found is damage
  /// to what says where the bytes are, and files that have lost their end.
  ///
  /// Clients may read, write and flush meanwhile: a layer that is being written to is what its LUN says of it, and
  /// nothing of it is cut or removed.
  ///
  /// - Parameter repair: whether to mend what can be mended.
  /// - Returns: what was found, worst first; nothing for a sound store.
  public func check(repair: Bool, progress: Progress = { _, _ in }) throws(StoreError) -> [CheckFinding] {
    if repair { return try change { () throws(StoreError) in try look(repair: true, progress) } }
    return try betweenChanges { () throws(StoreError) in try look(repair: false, progress) }
  }

  private func look(repair: Bool, _ progress: Progress) throws(StoreError) -> [CheckFinding] {
    let catalog = try store.turn { () throws(StoreError) in try Catalog(store) }
    var check = Check(openStore: self, catalog: catalog, repair: repair)
    check.lookAtRecords()
    try check.lookAtSnapshots()
    try check.lookAtEntries()
    let layers = catalog.layers.values.sorted { $0.identifier.description < $1.identifier.description }
    for (index, layer) in layers.enumerated() {
      try check.lookAt(layer)
      progress(Int64(index + 1), Int64(layers.count))
    }
    try check.lookAtUnused()
    if repair, catalog.problems.isEmpty { try tidy { _, _ in } }
    let order: [CheckFinding.Severity] = [.damage, .unreachable, .leftover]
    return order.flatMap { severity in check.findings.filter { $0.severity == severity } }
  }
}

/// One look at everything in a store.
private struct Check {
  let openStore: OpenStore
  let catalog: Catalog
  let repair: Bool
  /// The LUNs that write to a layer, once they are open; there is one where all is well.
  private let writers: [Identifier: [LUNName]]
  var findings: [CheckFinding] = []

  var store: Store { openStore.store }

  init(openStore: OpenStore, catalog: Catalog, repair: Bool) {
    (self.openStore, self.catalog, self.repair) = (openStore, catalog, repair)
    writers = Dictionary(grouping: catalog.luns, by: \.head).mapValues { $0.map(\.name) }
  }

  private mutating func note(
    _ severity: CheckFinding.Severity, _ place: String, _ text: String, _ volumes: [String] = [],
    _ outcome: CheckFinding.Outcome = .stays
  ) {
    findings.append(
      CheckFinding(severity: severity, place: place, text: text, volumes: volumes, outcome: outcome))
  }

  /// Records that cannot be read, or that contradict one another.
  mutating func lookAtRecords() {
    let snapshots = catalog.damagedSnapshots
    for problem in catalog.problems where !snapshots.contains(where: { $0.problem == problem }) {
      let remedy = problem.remedy.map { "; \($0)" } ?? ""
      note(.damage, problem.place, "\(problem.problem)\(remedy)")
    }
    for layer in catalog.circular {
      note(.damage, place(layer), "is on top of itself: layers must not go in a circle", users(layer))
    }
    for layer in catalog.layers.values {
      if let several = writers[layer.identifier], several.count > 1 {
        note(.damage, place(layer), "would be written to by several LUNs", users(layer))
      }
    }
  }

  /// Snapshots the records of which are damaged.
  mutating func lookAtSnapshots() throws(StoreError) {
    for (name, problem) in catalog.damagedSnapshots {
      let wayOut = "'fuse-lun delete STORE \(name)' gives the snapshot up, and all else is whole again"
      guard let layer = catalog.layer(ofDamaged: name) else {
        note(.damage, problem.place, "\(problem.problem); \(wayOut)", [name.description])
        continue
      }
      guard repair else {
        note(
          .damage, problem.place,
          "\(problem.problem); --repair makes it anew, without its time and UUID; \(wayOut)",
          [name.description])
        continue
      }
      let record = SnapshotRecord(
        name: name, identifier: Identifier(), layer: layer, created: Int64(time(nil)))
      try store.lunFolder(name.lun).install(SnapshotRecord.fileName(name.label), record.encoded)
      note(
        .damage, problem.place, "\(problem.problem); it is made anew, with a new time and UUID",
        [name.description],
        .mendedWithLoss)
    }
  }

  /// Files that are none of the store's, and rights that others must not have.
  mutating func lookAtEntries() throws(StoreError) {
    let own = [Store.recordName, Store.lunsName, Store.layersName, Store.lockName, "control", "lost+found"]
    for entry in try store.root.entries().sorted() where !own.contains(entry) {
      note(.leftover, "\(store.path)/\(printable(entry))", "is not a part of the store; it means nothing")
    }
    do throws(StoreError) { _ = try store.renaming() } catch {
      let isNeeded = !catalog.problems.isEmpty
      let isMended = repair && !isNeeded && unlinkat(store.luns.raw, RenameRecord.fileName, 0) == 0
      note(
        isNeeded ? .damage : .leftover, error.place,
        error.problem + (isNeeded ? "" : "; all names are as they should be")
          + (isMended ? "; it is gone" : ""),
        [], isMended ? .mended : .stays)
    }
    try lookAtRights(of: store.root, folder: true)
    for record in catalog.luns {
      guard let folder = try store.openFolder(record.name) else { continue }
      try lookAtRights(of: folder, folder: true)
      // What begins with `.new-` is being made, by whoever begins a log right now.
      for entry in try folder.entries()
      where entry != LUNRecord.fileName && !entry.hasPrefix("@") && !entry.hasPrefix(".new-") {
        if let number = Store.logNumber(entry) {
          try lookAtLog(number, of: record.name, in: folder)
        } else {
          note(
            .leftover, "\(folder.path)/\(printable(entry))", "is not a part of the store; it means nothing")
        }
      }
    }
  }

  /// A write log: that it can be read to its end, and that there is what it begins with.
  private mutating func lookAtLog(
    _ number: Int, of lun: LUNName, in folder: Descriptor
  ) throws(StoreError) {
    do throws(StoreError) {
      var reader = try store.log(number, of: lun).reader
      while try reader.next() != nil {}
      // Where a log has just begun its snapshot is about to be taken.
      if reader.ending == .recording { return }
      guard try folder.status(of: "@\(reader.header.base)") == nil else { return }
      note(
        .leftover, reader.path,
        "begins with the snapshot \(lun)@\(reader.header.base), which is gone: it cannot be replayed")
    } catch {
      note(.damage, error.place, error.problem + (error.remedy.map { "; \($0)" } ?? ""))
    }
  }

  private mutating func lookAtRights(of file: Descriptor, folder: Bool) throws(StoreError) {
    let mode = try file.status().st_mode & 0o777
    guard mode & 0o077 != 0 else { return }
    let right: mode_t = folder ? 0o700 : 0o600
    let isMended = repair && fchmod(file.raw, right) == 0
    note(
      .leftover, file.path,
      "can be used by others, with mode \(String(mode, radix: 8))"
        + (isMended ? "; it is \(String(right, radix: 8)) now" : ""), [], isMended ? .mended : .stays)
  }

  /// A layer's files.
  mutating func lookAt(_ record: LayerRecord) throws(StoreError) {
    // Nobody writes to what no LUN begins with, and only changes of structure change it.
    guard let writer = writers[record.identifier]?.first else { return try lookAtFiles(of: record) }
    try openStore.withLUNIfOpen(writer) { lun throws(StoreError) in
      guard let lun, lun.access == .readWrite else { return try lookAtFiles(of: record) }
      try lookAtFiles(of: record, writtenBy: lun)
    }
  }

  private mutating func lookAtFiles(of recorded: LayerRecord, writtenBy lun: LUN? = nil) throws(StoreError) {
    // In this order: what the LUN says is on the medium, and what is found there later is no less.
    let head = try lun?.headOnMedium()
    let mends = repair && lun == nil
    let record: LayerRecord
    let folder: Descriptor
    let data: Descriptor
    do throws(StoreError) {
      // Since the catalogue was read the LUN may have been opened, written to, and closed.
      let found = try store.layerRecord(recorded.identifier)
      (record, folder) = (head?.record ?? found.record, found.folder)
      data = try folder.part(record.dataName, mends ? O_RDWR : O_RDONLY, links: 2)
    } catch {
      return note(
        .damage, error.place, "\(error.problem); restore it from a backup of the store", users(recorded))
    }
    try lookAtRights(of: data, folder: false)
    let length = Int64(try data.status().st_size)
    if length < record.size {
      let isMended = mends && ftruncate(data.raw, off_t(record.size)) == 0
      note(
        .damage, data.path,
        "has \(bytesText(length)), and \(record.size) were there"
          + (isMended ? "; what is lost reads as zeros now" : "; --repair puts zeros there"),
        users(record), isMended ? .mendedWithLoss : .stays)
    } else if length > record.size, lun == nil {
      let isMended = mends && ftruncate(data.raw, off_t(record.size)) == 0
      note(
        .leftover, data.path,
        "has \(bytesText(length)), and \(record.size) count"
          + (isMended ? "; the rest is gone" : ""), [], isMended ? .mended : .stays)
    }
    // A record or a map that is about to take its place has a name with `.new-`.
    for entry in try folder.entries()
    where ![LayerRecord.fileName, record.dataName, record.mapName].contains(entry)
      && !(lun != nil && entry.hasPrefix(".new-"))
    {
      let isMended = repair && unlinkat(folder.raw, entry, 0) == 0
      note(
        .leftover, "\(folder.path)/\(printable(entry))",
        "is not a part of the layer" + (isMended ? "; it is gone" : ""), [], isMended ? .mended : .stays)
    }
    do throws(StoreError) {
      if let map = head?.map {
        try MapLog.requireWhole(map.file, layer: record.identifier, upTo: map.extent)
      } else if !record.isFlat {
        try lookAtMap(record, store.layer(record, .readOnly))
      }
    } catch {
      let map = head == nil ? try folder.openFileIfPresent(record.mapName, repair ? O_RDWR : O_RDONLY) : nil
      let frames: UInt64? = if case .sealed(let frames) = record.map { frames } else { nil }
      if let map, try MapLog.mendHeader(of: map, layer: record.identifier, frames: frames, writes: repair) {
        return note(
          .damage, error.place,
          "\(error.problem); \(repair ? "this is mended" : "--repair mends this"), without loss",
          users(record), repair ? .mended : .stays)
      }
      note(
        .damage, error.place,
        "\(error.problem); where all blocks are cannot be guessed: restore it from a backup of the store, or take out "
          + "what is whole with 'fuse-lun export --salvage' and delete the rest",
        users(record))
    }
    if let base = record.base {
      do throws(StoreError) { _ = try base.open(with: store.imageRights) } catch {
        note(.unreachable, error.place, error.problem + (error.remedy.map { "; \($0)" } ?? ""), users(record))
      }
    }
  }

  private mutating func lookAtMap(_ record: LayerRecord, _ layer: Layer) throws(StoreError) {
    let extent = try layer.readMap().extent
    let file = try layer.folder.open().part(record.mapName, repair ? O_RDWR : O_RDONLY)
    let length = Int64(try file.status().st_size)
    guard length > extent.length else { return }
    let isMended = repair && ftruncate(file.raw, off_t(extent.length)) == 0
    note(
      .leftover, file.path,
      "ends in \(bytesText(length - extent.length)) that no flush had made durable"
        + (isMended ? "; they are gone" : ""), [], isMended ? .mended : .stays)
  }

  /// Layers that nothing needs. With a record that cannot be read one of them may be the LUN's.
  mutating func lookAtUnused() throws(StoreError) {
    let parents = Set(catalog.layers.values.compactMap(\.parent))
    for identifier in catalog.unused.sorted(by: { $0.description < $1.description }) {
      guard let record = catalog.layers[identifier], try !store.isBeingMade(identifier) else { continue }
      if catalog.problems.isEmpty {
        note(
          .leftover, place(record), "belongs to no LUN and no snapshot" + (repair ? "; it is gone" : ""), [],
          repair ? .mended : .stays)
      } else if !parents.contains(identifier) {
        try recover(record)
      }
    }
  }

  private mutating func recover(_ record: LayerRecord) throws(StoreError) {
    let name = try LUNName("recovered-\(record.identifier.description.prefix(8))")
    guard repair else {
      return note(
        .damage, place(record),
        "belongs to no record that can be read; --repair makes the LUN '\(name)' of it", [name.text])
    }
    let identifier = Identifier()
    let failure = try store.turn { () throws(StoreError) in
      try store.install(
        LUNRecord(
          name: name, identifier: identifier, head: record.identifier,
          blockSize: record.size % BlockSize.bytes512.rawValue == 0 ? .bytes512 : .bytes4096,
          created: Int64(time(nil)), properties: LUNProperties(of: identifier)))
    }
    if let failure { throw failure }
    note(
      .damage, place(record),
      "belonged to no record that could be read; it is the LUN '\(name)' now, with blocks of 512 bytes and an "
        + "identity of its own: delete the damaged LUN once you have looked at it", [name.text],
      .mendedWithLoss)
  }

  private func place(_ layer: LayerRecord) -> String { "\(store.layers.path)/\(layer.identifier)" }

  /// The LUNs and snapshots that a layer is part of.
  private func users(_ layer: LayerRecord) -> [String] {
    func needs(_ head: Identifier) -> Bool {
      var seen = Set<Identifier>()
      var next: Identifier? = head
      while let identifier = next, seen.insert(identifier).inserted {
        if identifier == layer.identifier { return true }
        next = catalog.layers[identifier]?.parent
      }
      return false
    }
    let luns = catalog.luns.filter { needs($0.head) }.map(\.name.text)
    return luns + catalog.snapshots.filter { needs($0.layer) }.map(\.name.description)
  }
}
