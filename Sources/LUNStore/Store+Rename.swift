import CLinux
import Glibc

/// What is written down before something gets another name, for the records that say their names themselves.
struct RenameRecord: Equatable {
  /// Of what gets the name.
  var identifier: Identifier
  var from: VolumeName
  var to: VolumeName

  static let fileName = ".renaming"

  var encoded: [UInt8] {
    Record(
      kind: .rename,
      fields: [("uuid", identifier.description), ("from", from.description), ("to", to.description)]
    ).encoded
  }

  init(identifier: Identifier, from: VolumeName, to: VolumeName) {
    (self.identifier, self.from, self.to) = (identifier, from, to)
  }

  init(reading file: Descriptor) throws(StoreError) {
    let path = file.path
    let record = try Record(decoding: file.contents(limit: Record.maximumLength), as: .rename, path: path)
    try record.requireKeys(["uuid", "from", "to"], path: path)
    identifier = try record.value("uuid", path: path, Identifier.init)
    from = try record.value("from", path: path) { try? VolumeName($0) }
    to = try record.value("to", path: path) { try? VolumeName($0) }
  }

  /// Whether a record that says this name belongs where `place` is: it has not been written anew yet.
  func explains(_ written: VolumeName, at place: VolumeName) -> Bool {
    switch (from, to, written, place) {
    case (_, _, from, to): true
    case (.lun(let from), .lun(let to), .snapshot(let written), .snapshot(let place)):
      written.lun == from && place.lun == to && written.label == place.label
    default: false
    }
  }
}

extension Store {
  /// What is getting another name, if something is.
  func renaming() throws(StoreError) -> RenameRecord? {
    guard let file = try luns.openFileIfPresent(RenameRecord.fileName, O_RDONLY) else { return nil }
    return try RenameRecord(reading: file)
  }

  /// Whether a record that says another name than its place has only not been written anew yet.
  func isBeingRenamed(_ written: VolumeName, to place: VolumeName) throws(StoreError) -> Bool {
    try renaming()?.explains(written, at: place) ?? false
  }

  /// Gives a LUN or a snapshot its new name, which happens in the one moment of a rename. In one's turn.
  func rename(_ change: RenameRecord) throws(StoreError) {
    try luns.install(RenameRecord.fileName, change.encoded)
    do throws(StoreError) {
      switch (change.from, change.to) {
      case (.lun(let old), .lun(let new)): try luns.move(old.text, new.text)
      case (.snapshot(let old), .snapshot(let new)):
        try lunFolder(old.lun).move(SnapshotRecord.fileName(old.label), SnapshotRecord.fileName(new.label))
      default: break
      }
    } catch {
      unlinkat(luns.raw, RenameRecord.fileName, 0)
      throw error
    }
  }

  /// Has the records say the names that they are found under, if that was interrupted. In one's turn, and with the right
  /// to serve.
  func finishRenaming() throws(StoreError) {
    let found: RenameRecord?
    do throws(StoreError) { found = try renaming() } catch {
      // 'check' names it, and whatever it would have explained.
      guard error.kind == .damaged else { throw error }
      return
    }
    guard let change = found else { return }
    if let folder = try openFolder(change.to.lun) {
      switch change.to {
      case .lun(let new):
        var record = try LUNRecord(reading: folder.part(LUNRecord.fileName, O_RDONLY))
        // Otherwise it was cut off before it happened, and this is another LUN.
        if record.identifier == change.identifier {
          for entry in try folder.entries() where entry.hasPrefix("@") {
            guard let label = try? LUNName(String(entry.dropFirst())) else { continue }
            try rewrite(entry, SnapshotName(lun: new, label: label), change, in: folder)
          }
          // The last one: until then the LUN's record shows that there is something left to do.
          if record.name != new {
            record.name = new
            try folder.install(LUNRecord.fileName, record.encoded)
          }
        }
      case .snapshot(let new): try rewrite(SnapshotRecord.fileName(new.label), new, change, in: folder)
      }
    }
    guard unlinkat(luns.raw, RenameRecord.fileName, 0) == 0 else {
      throw .system("remove", "\(luns.path)/\(RenameRecord.fileName)")
    }
    try luns.synchronize()
  }

  private func rewrite(
    _ fileName: String, _ name: SnapshotName, _ change: RenameRecord, in folder: Descriptor
  ) throws(StoreError) {
    guard let file = try folder.openFileIfPresent(fileName, O_RDONLY) else { return }
    // One that is damaged stays for 'check' to find.
    guard var record = try? SnapshotRecord(reading: file), record.name != name,
      change.explains(.snapshot(record.name), at: .snapshot(name))
    else { return }
    record.name = name
    try folder.install(fileName, record.encoded)
  }
}

extension OpenStore {
  /// Gives a LUN or a snapshot another name. What is open under the old one is closed: it may be opened anew.
  ///
  /// - Throws: `absent`, `exists`, `invalidInput` if one is a LUN and the other a snapshot, or not of the same LUN, or the
  ///   failing system call; nothing has changed then.
  public func rename(_ old: VolumeName, to new: VolumeName) throws(StoreError) {
    try change { () throws(StoreError) in
      let (record, folder) = try store.lunRecord(old.lun)
      var (open, identifier) = ([old], record.identifier)
      switch (old, new) {
      case (.lun, .lun(let newName)):
        for entry in try folder.entries() where entry.hasPrefix("@") {
          guard let label = try? LUNName(String(entry.dropFirst())) else { continue }
          // It may be too long then.
          _ = try SnapshotName(lun: newName, label: label)
          open.append(.snapshot(try SnapshotName(lun: old.lun, label: label)))
        }
      case (.snapshot(let oldName), .snapshot(let newName)) where oldName.lun == newName.lun:
        identifier = try store.snapshotRecord(oldName, in: folder).identifier
      default:
        throw StoreError(
          .invalidInput, at: "name '\(new)'", "is not what '\(old)' could be called",
          remedy: "a LUN gets the name of a LUN, and a snapshot another label of the same LUN")
      }
      // What cannot be flushed is not to get lost by being opened anew.
      for lun in openVolumes where lun.volume == old && lun.access == .readWrite { try lun.flushNow() }
      let unfinished = try store.turn { () throws(StoreError) -> StoreError? in
        try store.finishRenaming()
        try store.rename(RenameRecord(identifier: identifier, from: old, to: new))
        do throws(StoreError) { try store.finishRenaming() } catch { return error }
        return nil
      }
      for name in open {
        guard let volume = forget(name) else { continue }
        try volume.alone { () throws(StoreError) in
          if volume.access == .readWrite { try volume.seal() }
          volume.retire()
        }
      }
      // It has the new name. Whoever opens the store next writes the records that are left.
      if let unfinished { StoreLog.report(unfinished) }
    }
  }
}

extension Descriptor {
  /// Gives an entry of this folder another name that nothing has, durably.
  fileprivate func move(_ old: String, _ new: String) throws(StoreError) {
    guard linux_renameat(raw, old, new) == 0 else {
      if errno == EEXIST || errno == ENOTEMPTY {
        throw StoreError(
          .exists, at: path, "already has '\(new)'",
          remedy: "choose another name; 'fuse-lun list' shows what there is")
      }
      throw .system("rename", "\(path)/\(old)")
    }
    try synchronize()
  }
}
