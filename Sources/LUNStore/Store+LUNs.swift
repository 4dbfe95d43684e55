import CLinux
import Glibc

/// What is fixed about a LUN, from its record.
public struct LUNDescription: Equatable, Sendable {
  /// Unique in the store.
  public let name: LUNName
  /// Identifies the LUN wherever it is moved or renamed to.
  public let identifier: Identifier
  /// The capacity, a multiple of `blockSize`.
  public let size: ByteCount
  /// The logical block size, in bytes.
  public let blockSize: BlockSize
  /// When it was created, in seconds since 1970.
  public let created: Int64
  /// What the LUN takes up in the host's file system; less than `size` as long as it is thin.
  public let allocated: ByteCount
}

/// The logical block sizes that SCSI disks have in practice.
public enum BlockSize: Int64, CaseIterable, Sendable {
  /// 512 bytes, the size that every BIOS can boot from.
  case bytes512 = 512
  /// 4096 bytes ("4Kn").
  case bytes4096 = 4096
}

/// What a LUN is to be.
public struct LUNRequest: Sendable {
  let name: LUNName
  let size: ByteCount
  let blockSize: BlockSize

  /// Checks what a person wrote.
  ///
  /// - Throws: everything that is wrong with it.
  public init(name: String, size: String, blockSize: String = "512") throws(StoreProblems) {
    var problems: [StoreError] = []
    func note<Value>(_ read: () throws(StoreError) -> Value) -> Value? {
      do throws(StoreError) { return try read() } catch { problems.append(error) }
      return nil
    }
    let checkedName = note { () throws(StoreError) in try LUNName(name) }
    let block = note { () throws(StoreError) in
      guard let size = Int64(blockSize).flatMap(BlockSize.init) else {
        throw StoreError(
          .invalidInput, at: "block size '\(printable(blockSize))'", "is not a block size of a LUN",
          remedy: "use 512 or 4096")
      }
      return size
    }
    let bytes = note { () throws(StoreError) in
      let parsed = try ByteCount(parsing: size)
      let unit = (block ?? .bytes512).rawValue
      guard parsed.bytes > 0 else {
        throw StoreError(.invalidInput, at: "size '\(printable(size))'", "a LUN has at least one block")
      }
      guard parsed.bytes % unit == 0 else {
        let below = parsed.bytes / unit * unit
        let above = below.addingReportingOverflow(unit)
        let neighbours = [below, above.overflow ? 0 : above.partialValue].filter { $0 > 0 }
        throw StoreError(
          .invalidInput, at: "size '\(printable(size))'",
          "\(parsed.bytes) bytes are not a whole number of blocks of \(unit) bytes",
          remedy: "the nearest right sizes are " + neighbours.map(String.init).joined(separator: " and "))
      }
      return parsed
    }
    guard let checkedName, let bytes, let block, problems.isEmpty else { throw StoreProblems(problems) }
    (self.name, self.size, self.blockSize) = (checkedName, bytes, block)
  }
}

extension Store {
  static let lunRecordName = "lun"
  static let dataName = "data"
  static let lunKeys = ["name", "uuid", "size", "block-size", "created"]

  /// Creates a thin LUN: all zeros, and taking up no space until it is written to.
  ///
  /// It is there with all its parts, durably, once this returns, or not at all. A store that is being served
  /// may be added to.
  ///
  /// - Throws: `exists`, or the failing system call.
  @discardableResult
  public func createLUN(_ request: LUNRequest) throws(StoreError) -> LUNDescription {
    // Creators take turns, and so what an interrupted one left behind is nobody's.
    let turn = try root.open(Self.lunsName, O_RDONLY | O_DIRECTORY)
    try turn.lock()
    for (entry, _) in try luns.entries() where entry.hasPrefix(".new-") { removeFolder(entry) }

    func taken() -> StoreError {
      StoreError(
        .exists, at: path, "already has a LUN '\(request.name)'",
        remedy: "choose another name; 'fuse-lun list' shows those that are taken")
    }
    if try luns.openIfPresent(request.name.text, O_RDONLY) != nil { throw taken() }
    let temporary = ".new-\(Identifier())"
    do throws(StoreError) {
      let folder = try luns.makeFolder(temporary)
      let data = try folder.open(Self.dataName, O_RDWR | O_CREAT | O_EXCL)
      guard retrying({ Int(ftruncate(data.raw, off_t(request.size.bytes))) }) == 0 else {
        let code = errno
        throw StoreError(
          .system(code), at: path,
          "cannot hold a LUN of \(request.size.bytes) bytes: \(errorText(code))",
          remedy: code == EFBIG ? "the file system under the store has a lower limit for files" : nil)
      }
      try data.synchronize()
      let record = Record(
        kind: .lun,
        fields: [
          ("name", request.name.text), ("uuid", Identifier().description),
          ("size", String(request.size.bytes)), ("block-size", String(request.blockSize.rawValue)),
          ("created", String(time(nil))),
        ])
      try folder.install(Self.lunRecordName, record.encoded)
      // Fails if the name is taken: a folder is only ever put in the place of an empty one.
      guard renameat(luns.raw, temporary, luns.raw, request.name.text) == 0 else {
        if errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR { throw taken() }
        throw .system("create", "\(luns.path)/\(request.name)")
      }
      try luns.synchronize()
    } catch {
      removeFolder(temporary)
      throw error
    }
    return try openLUN(request.name, .readOnly).description
  }

  private func removeFolder(_ name: String) {
    if let folder = try? luns.open(name, O_RDONLY | O_DIRECTORY), let entries = try? folder.entries() {
      for (entry, _) in entries { unlinkat(folder.raw, entry, 0) }
    }
    unlinkat(luns.raw, name, AT_REMOVEDIR)
  }

  /// Opens a LUN.
  ///
  /// - Throws: `absent`, `damaged`, `newer`, or the failing system call.
  public func openLUN(_ name: LUNName, _ access: LUN.Access) throws(StoreError) -> LUN {
    guard let folder = try openFolder(name) else {
      throw StoreError(
        .absent, at: path, "has no LUN '\(name)'", remedy: "'fuse-lun list' shows those that it has")
    }
    let file = try part(Self.lunRecordName, of: folder, O_RDONLY)
    let record = try Record(decoding: file.contents(limit: Record.maximumLength), as: .lun, path: file.path)
    try record.requireKeys(Self.lunKeys, path: file.path)
    let recordedName = try record.value("name", path: file.path) { try? LUNName($0) }
    guard recordedName == name else {
      throw StoreError(
        .damaged, at: folder.path, "is the folder of the LUN '\(recordedName)'",
        remedy: "give the folder that name again")
    }
    let blockSize = try record.value("block-size", path: file.path) { Int64($0).flatMap(BlockSize.init) }
    let size = try record.value("size", path: file.path) { text in
      Int64(text).flatMap { $0 > 0 && $0 % blockSize.rawValue == 0 ? ByteCount($0) : nil }
    }
    let data = try part(Self.dataName, of: folder, access == .readOnly ? O_RDONLY : O_RDWR)
    let status = try data.status()
    guard Int64(status.st_size) == size.bytes else {
      throw StoreError(
        .damaged, at: data.path, "has \(status.st_size) bytes, and the LUN '\(name)' has \(size.bytes)",
        remedy: "if the end is really lost, 'truncate -s \(size.bytes)' puts zeros there")
    }
    let description = LUNDescription(
      name: name, identifier: try record.value("uuid", path: file.path, Identifier.init), size: size,
      blockSize: blockSize, created: try record.value("created", path: file.path) { Int64($0) },
      allocated: ByteCount(Int64(status.st_blocks) * 512))
    return LUN(description, number: UInt64(try folder.status().st_ino), data: data)
  }

  private func openFolder(_ name: LUNName) throws(StoreError) -> Descriptor? {
    do throws(StoreError) {
      return try luns.openIfPresent(name.text, O_RDONLY | O_DIRECTORY)
    } catch {
      guard error.kind == .system(ENOTDIR) || error.kind == .system(ELOOP) else { throw error }
      throw StoreError(
        .damaged, at: error.place, "is not the folder of a LUN",
        remedy: "nothing else belongs here; move it away")
    }
  }

  private func part(_ name: String, of folder: Descriptor, _ flags: Int32) throws(StoreError) -> Descriptor {
    if let file = try folder.openFileIfPresent(name, flags) { return file }
    throw StoreError(
      .damaged, at: folder.path, "has no file '\(name)'", remedy: "restore it from a backup of the store")
  }
}
