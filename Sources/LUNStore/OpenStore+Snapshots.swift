import Glibc

extension OpenStore {
  /// Takes a snapshot of a LUN: what every write that was answered before the call has written, durably.
  ///
  /// - Throws: `exists`, `absent`, or the failing system call; nothing has changed then.
  @discardableResult
  public func snapshot(_ name: SnapshotName) throws(StoreError) -> SnapshotDescription {
    try change { () throws(StoreError) in
      let lun = try lun(name.lun)
      let folder = try store.lunRecord(name.lun).folder
      let fileName = SnapshotRecord.fileName(name.label)
      if try folder.status(of: fileName) != nil {
        throw StoreError(
          .exists, at: store.path, "already has a snapshot '\(name)'", remedy: "choose another label")
      }
      // Most of the work, while requests still come in.
      try lun.flushNow()
      return try lun.alone { () throws(StoreError) in
        try lun.seal()
        let head = lun.chain.headRecord
        let record = SnapshotRecord(
          name: name, identifier: Identifier(), layer: head.identifier, created: Int64(time(nil)))
        try folder.install(fileName, record.encoded)
        do throws(StoreError) { try putHead(on: lun) } catch {
          unlinkat(folder.raw, fileName, 0)
          throw error
        }
        return SnapshotDescription(
          name: name, identifier: record.identifier, size: ByteCount(head.size), created: record.created)
      }
    }
  }

  /// Makes a LUN what it was when a snapshot of it was taken, size and all. What it is now is gone; the
  /// snapshots all stay.
  ///
  /// - Throws: `absent`, or the failing system call; nothing has changed then.
  public func rollback(_ name: SnapshotName, progress: Progress = { _, _ in }) throws(StoreError) {
    try change { () throws(StoreError) in
      let lun = try lun(name.lun)
      let folder = try store.lunRecord(name.lun).folder
      let snapshot = try store.snapshotRecord(name, in: folder)
      let below = try store.openLayers(snapshot.layer, .readOnly, cache)
      let new = try store.makeLayer(
        LayerRecord(size: below[below.count - 1].record.size, parent: snapshot.layer))
      let chain = try Chain(below + [new.layer], .readWrite, store.imageRights)
      try lun.alone { () throws(StoreError) in try install(new, chain, on: lun) }
      try tidy(progress)
    }
  }

  /// Makes a LUN with the contents of another one or of a snapshot, which it shares. It takes up what is
  /// written to it.
  ///
  /// - Throws: `exists`, `absent`, or the failing system call; nothing has changed then.
  @discardableResult
  public func clone(
    _ source: VolumeName, to name: LUNName, _ change: LUNProperties.Change = .init()
  ) throws(StoreError) -> LUNDescription {
    if !change.problems.isEmpty { throw change.problems[0] }
    try self.change { () throws(StoreError) in
      try store.requireFree(name)
      var (record, folder) = try store.lunRecord(source.lun)
      // An original that is open goes on with what it has of an image that is gone; its clone could not be opened.
      try store.naming(source) { () throws(StoreError) in
        _ = try store.look(at: source, sums).facts.base?.open(with: store.imageRights)
      }
      let parent: Identifier
      switch source {
      case .snapshot(let snapshot): parent = try store.snapshotRecord(snapshot, in: folder).layer
      case .lun(let sourceName):
        let lun = try lun(sourceName)
        try lun.flushNow()
        parent = try lun.alone { () throws(StoreError) in
          let parent = lun.chain.headRecord.identifier
          try putHead(on: lun)
          return parent
        }
      }
      let (head, headFolder) = try store.makeLayer(
        LayerRecord(size: store.layerRecord(parent).record.size, parent: parent))
      record.name = name
      record.identifier = Identifier()
      record.head = head.record.identifier
      record.created = Int64(time(nil))
      // Two disks must not say that they are the same one.
      let own = LUNProperties(of: record.identifier)
      (record.properties.serial, record.properties.naa) = (own.serial, own.naa)
      record.properties = record.properties.with(change)
      let failure: StoreError?
      do throws(StoreError) {
        failure = try store.turn { () throws(StoreError) in try store.install(record) }
      } catch {
        store.layers.removeFolder(head.record.identifier.description)
        throw error
      }
      headFolder.unlock()
      if let failure { throw failure }
    }
    let (record, facts) = try store.look(at: .lun(name), sums)
    return LUNDescription(record, facts)
  }

  /// Deletes a LUN or a snapshot, and gives back the space that nothing else needs.
  ///
  /// - Parameter withSnapshots: whether the LUN's snapshots are deleted as well; it cannot go without them.
  /// - Throws: `absent`, `busy` if the LUN has snapshots that are to stay, or the failing system call.
  public func delete(
    _ name: VolumeName, withSnapshots: Bool = false, progress: Progress = { _, _ in }
  ) throws(StoreError) {
    try change { () throws(StoreError) in
      let folder = try store.lunFolder(name.lun)
      switch name {
      case .lun(let lunName):
        let snapshots = try folder.entries().filter { $0.hasPrefix("@") }.sorted()
        guard withSnapshots || snapshots.isEmpty else {
          throw StoreError(
            .busy, at: "LUN '\(lunName)'",
            "has \(snapshots.count == 1 ? "a snapshot" : "\(snapshots.count) snapshots")",
            remedy: "delete what it has first, or all with --snapshots: "
              + snapshots.prefix(10).map { "\(lunName)\($0)" }.joined(separator: ", ")
              + (snapshots.count > 10 ? " and \(snapshots.count - 10) more" : ""))
        }
        let gone = ".new-\(Identifier())"
        try store.turn { () throws(StoreError) in
          guard renameat(store.luns.raw, lunName.text, store.luns.raw, gone) == 0 else {
            throw .system("delete", folder.path)
          }
          try store.luns.synchronize()
          store.luns.removeFolder(gone)
        }
        retire(name)
        for entry in snapshots {
          guard let label = try? LUNName(String(entry.dropFirst())) else { continue }
          if let snapshot = try? SnapshotName(lun: lunName, label: label) { retire(.snapshot(snapshot)) }
        }
      case .snapshot(let snapshot):
        guard unlinkat(folder.raw, SnapshotRecord.fileName(snapshot.label), 0) == 0 else {
          guard errno == ENOENT else { throw .system("delete", "\(folder.path)/@\(snapshot.label)") }
          throw StoreError(
            .absent, at: store.path, "has no snapshot '\(snapshot)'",
            remedy: "'fuse-lun info STORE \(snapshot.lun)' shows those that the LUN has")
        }
        try folder.synchronize()
        retire(name)
      }
      try tidy(progress)
    }
  }

  private func retire(_ name: VolumeName) {
    guard let lun = forget(name) else { return }
    lun.alone { lun.retire() }
  }

  /// Changes the capacity of a LUN. What is added is zeros; what is cut off is gone.
  ///
  /// - Parameter size: a multiple of the block size.
  /// - Throws: `invalidInput`, or the failing system call.
  public func resize(_ name: LUNName, to size: Int64) throws(StoreError) {
    try change { () throws(StoreError) in
      let lun = try lun(name)
      let unit = lun.blockSize
      guard size > 0, size % unit == 0 else {
        throw StoreError(
          .invalidInput, at: "size '\(size)'", "is not a whole number of blocks of \(unit) bytes, or none")
      }
      guard size <= LUN.maximumSize else { throw .tooLarge("\(size)") }
      try lun.alone { () throws(StoreError) in
        do throws(IOError) { try lun.requirePresent() } catch {
          throw StoreError(.absent, at: store.path, "has no LUN '\(name)' any more")
        }
        try lun.seal()
        try resize(lun, to: size)
      }
    }
  }

  private func resize(_ lun: LUN, to size: Int64) throws(StoreError) {
    let chain = lun.chain
    let data = try chain.head.data.pinned()
    defer { chain.head.data.unpin() }
    func setLength() throws(StoreError) {
      guard retrying({ Int(ftruncate(data.raw, off_t(size))) }) == 0 else {
        let code = errno
        throw StoreError(
          .system(code), at: store.path, "cannot hold a LUN of \(size) bytes: \(errorText(code))",
          remedy: code == EFBIG ? "the file system under the store has a lower limit for files" : nil)
      }
    }
    var record = chain.headRecord
    let isGrowing = size > record.size
    if isGrowing {
      try setLength()
      try data.synchronize()
    } else if size % PresenceMap.blockSize != 0, !chain.isFlat {
      // What the last block shows of the layers below ends in the middle of it.
      do throws(IOError) { try lun.bring(Int(size / PresenceMap.blockSize)) } catch {
        throw StoreError(.system(error.code), at: "LUN '\(lun.volume)'", "cannot copy its last block")
      }
      try lun.seal()
      record = chain.headRecord
    }
    record.size = size
    record.limit = chain.isFlat ? size : min(record.limit, size)
    let presence = try chain.presence?.resized(to: size)
    let failure = try chain.head.folder.open().put(LayerRecord.fileName, record.encoded)
    chain.headRecord = record
    chain.presence = presence
    chain.owners?.descend(to: record)
    if !isGrowing { try setLength() }
    if let failure { throw failure }
  }

  /// Changes what initiators see of a LUN, or whether it can be written.
  ///
  /// - Throws: the first thing that is wrong with the new values, or the failing system call.
  public func setProperties(_ name: LUNName, _ change: LUNProperties.Change) throws(StoreError) {
    if !change.problems.isEmpty { throw change.problems[0] }
    try self.change { () throws(StoreError) in
      let lun = try lun(name)
      try lun.flushNow()
      try lun.alone { () throws(StoreError) in
        var record = lun.record
        record.properties = record.properties.with(change)
        let failure = try store.lunRecord(name).folder.put(LUNRecord.fileName, record.encoded)
        lun.replace(record: record)
        if let failure { throw failure }
      }
    }
  }
}

extension LUN {
  /// As `flush`, for those who change the LUN's structure.
  func flushNow() throws(StoreError) {
    do throws(IOError) { try flush() } catch {
      throw StoreError(.system(error.code), at: "LUN '\(volume)'", "cannot flush: \(errorText(error.code))")
    }
  }
}
