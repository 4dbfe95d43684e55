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
  /// What the LUN takes up in the host's file system, with what it shares with its snapshots and clones.
  public let allocated: ByteCount
  /// What initiators see of it besides its bytes.
  public let properties: LUNProperties
  /// The image that it is a lazy copy of, as long as not everything is copied.
  public let base: BaseReference?
  /// How many layers its bytes are in.
  public let layers: Int
  /// Whether its bytes are in one file in their order.
  public let isFlat: Bool
}

/// What is fixed about a snapshot.
public struct SnapshotDescription: Equatable, Sendable {
  /// Its name, with that of the LUN.
  public let name: SnapshotName
  /// Identifies the snapshot.
  public let identifier: Identifier
  /// The capacity of the LUN at that time.
  public let size: ByteCount
  /// When it was taken, in seconds since 1970.
  public let created: Int64
}

/// The logical block sizes that SCSI disks have in practice.
public enum BlockSize: Int64, CaseIterable, Sendable {
  /// 512 bytes, the size that every BIOS can boot from.
  case bytes512 = 512
  /// 4096 bytes ("4Kn").
  case bytes4096 = 4096

  /// Reads what a person wrote; `nil` for any other number, and for what is none.
  public init?(parsing text: String) {
    guard let size = Int64(text).flatMap(BlockSize.init) else { return nil }
    self = size
  }
}

/// What a LUN is to be.
public struct LUNRequest: Sendable {
  let name: LUNName
  let size: ByteCount
  let blockSize: BlockSize

  /// Checks what a person wrote.
  ///
  /// - Parameters:
  ///   - image: what the LUN has to have room for.
  ///   - problem: something else that is known to be wrong.
  /// - Throws: everything that is wrong with it.
  public init(
    name: String, size: String, blockSize: String = "512", atLeast image: (any BaseSource)? = nil,
    also problem: StoreError? = nil
  ) throws(StoreProblems) {
    var problems: [StoreError] = []
    func note<Value>(_ read: () throws(StoreError) -> Value) -> Value? {
      do throws(StoreError) { return try read() } catch { problems.append(error) }
      return nil
    }
    let checkedName = note { () throws(StoreError) in try LUNName(name) }
    let block = note { () throws(StoreError) in
      guard let size = BlockSize(parsing: blockSize) else {
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
          "\(bytesText(parsed.bytes)) \(parsed.bytes == 1 ? "is" : "are") not a whole number of blocks of \(unit) bytes",
          remedy: "the nearest right sizes are " + neighbours.map(String.init).joined(separator: " and "))
      }
      guard parsed.bytes <= LUN.maximumSize else { throw StoreError.tooLarge(printable(size)) }
      if let image, parsed.bytes < image.size {
        throw Self.tooSmall(parsed.bytes, for: "\(image.reference)", of: image.size)
      }
      return parsed
    }
    if let problem { problems.append(problem) }
    guard let checkedName, let bytes, let block, problems.isEmpty else { throw StoreProblems(problems) }
    (self.name, self.size, self.blockSize) = (checkedName, bytes, block)
  }

  /// A size that the contents do not fit into.
  public static func tooSmall(_ size: Int64, for source: String, of bytes: Int64) -> StoreError {
    StoreError(
      .invalidInput, at: "size '\(size)'", "is less than the \(bytesText(bytes)) of '\(printable(source))'",
      remedy: "leave --size out, or give at least that")
  }
}

extension LUNDescription {
  init(_ record: LUNRecord, _ facts: LayerFacts) {
    self.init(record, facts.record, allocated: facts.allocated, base: facts.base, layers: facts.depth)
  }

  init(_ record: LUNRecord, _ head: LayerRecord, allocated: Int64, base: BaseReference?, layers: Int) {
    self.init(
      name: record.name, identifier: record.identifier, size: ByteCount(head.size),
      blockSize: record.blockSize, created: record.created, allocated: ByteCount(allocated),
      properties: record.properties, base: base, layers: layers, isFlat: head.isFlat)
  }
}

extension Store {
  /// Creates a thin LUN: all zeros, and taking up no space until it is written to.
  ///
  /// It is there with all its parts, durably, once this returns, or not at all. A store that is being served
  /// may be added to.
  ///
  /// - Parameters:
  ///   - change: what is not as it is by default.
  ///   - base: the image that the LUN is to be a lazy copy of.
  ///   - fill: writes the contents into a file that has the size of the LUN and is all a hole.
  /// - Throws: `exists`, or the failing system call.
  @discardableResult
  public func createLUN(
    _ request: LUNRequest, _ change: LUNProperties.Change = .init(), base: BaseReference? = nil,
    fill: ((Int32) throws(StoreError) -> Void)? = nil
  ) throws(StoreError) -> LUNDescription {
    if !change.problems.isEmpty { throw change.problems[0] }
    try requireFree(request.name)
    // What this user can read now, the store's owner may not, as whom it will be read.
    if let base, case .owner = imageRights { _ = try base.open(with: imageRights) }
    let layerRecord = LayerRecord(size: request.size.bytes, base: base)
    let (layer, folder) = try makeLayer(layerRecord) { data throws(StoreError) in try fill?(data.raw) }
    let failure: StoreError?
    do throws(StoreError) {
      failure = try turn { () throws(StoreError) in
        let identifier = Identifier()
        return try install(
          LUNRecord(
            name: request.name, identifier: identifier, head: layer.record.identifier,
            blockSize: request.blockSize, created: Int64(time(nil)),
            properties: LUNProperties(of: identifier).with(change)))
      }
    } catch {
      layers.removeFolder(layerRecord.identifier.description)
      throw error
    }
    folder.unlock()
    if let failure { throw failure }
    return try describe(.lun(request.name))
  }

  /// Refuses a name that is taken.
  func requireFree(_ name: LUNName) throws(StoreError) {
    if try luns.status(of: name.text) != nil { throw taken(name) }
  }

  private func taken(_ name: LUNName) -> StoreError {
    StoreError(
      .exists, at: path, "already has a LUN '\(name)'",
      remedy: "choose another name; 'fuse-lun list' shows those that are taken")
  }

  /// Whoever changes what there is in the store takes turns.
  func turn<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
    let turn = try root.open(Self.lunsName, O_RDONLY | O_DIRECTORY)
    try turn.lock()
    defer { withExtendedLifetime(turn) {} }
    return try body()
  }

  /// Makes the folder of a new LUN, whose layers there are. In one's turn.
  ///
  /// - Returns: why it may not be durable, although it is there.
  /// - Throws: why it is not there.
  func install(_ record: LUNRecord) throws(StoreError) -> StoreError? {
    // In our turn: what an interrupted creator left behind is nobody's.
    for entry in try luns.entries() where entry.hasPrefix(".new-") { luns.removeFolder(entry) }
    try requireFree(record.name)
    let temporary = ".new-\(record.identifier)"
    do throws(StoreError) {
      let folder = try luns.makeFolder(temporary)
      try folder.install(LUNRecord.fileName, record.encoded)
      // Fails if the name is taken: a folder is only ever put in the place of an empty one.
      guard renameat(luns.raw, temporary, luns.raw, record.name.text) == 0 else {
        if errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR { throw taken(record.name) }
        throw .system("create", "\(luns.path)/\(record.name)")
      }
    } catch {
      luns.removeFolder(temporary)
      throw error
    }
    do throws(StoreError) { try luns.synchronize() } catch { return error }
    return nil
  }

  /// Opens a LUN.
  ///
  /// - Throws: `absent`, `damaged`, `newer`, or the failing system call.
  public func openLUN(_ name: LUNName, _ access: LUN.Access) throws(StoreError) -> LUN {
    try openLUN(name, access, nil)
  }

  func openLUN(
    _ name: LUNName, _ access: LUN.Access, _ cache: LayerCache?
  ) throws(StoreError) -> LUN {
    let record = try lunRecord(name).record
    let chain = try naming(.lun(name)) { () throws(StoreError) in
      try Chain(openLayers(record.head, access, cache), access, imageRights)
    }
    return LUN(.lun(name), record, chain, access)
  }

  /// What the records say of a LUN or a snapshot, and whether its files are there and long enough; reads no
  /// maps, and does not ask for the image that it is a lazy copy of. The name is that of the LUN.
  ///
  /// - Throws: as `openLUN` does.
  public func describe(_ name: VolumeName) throws(StoreError) -> LUNDescription {
    let (record, facts) = try look(at: name, LayerSums())
    return LUNDescription(record, facts)
  }

  /// What the records and the attributes of the files say of a LUN or a snapshot.
  func look(
    at name: VolumeName, _ sums: LayerSums
  ) throws(StoreError) -> (record: LUNRecord, facts: LayerFacts) {
    try settled { () throws(StoreError) in
      let record =
        switch name {
        case .lun(let name): try lunRecord(name).record
        case .snapshot(let name): try recordOfSnapshot(name)
        }
      return try naming(name) { () throws(StoreError) in (record, try layerFacts(record.head, sums)) }
    }
  }

  /// Whether there is a LUN or a snapshot of this name, whatever state it is in.
  public func has(_ name: VolumeName) throws(StoreError) -> Bool {
    switch name {
    case .lun(let lun): return try luns.status(of: lun.text) != nil
    case .snapshot(let snapshot):
      return try luns.status(of: "\(snapshot.lun)/\(SnapshotRecord.fileName(snapshot.label))") != nil
    }
  }

  /// Reads several files that belong together, while whoever serves the store may be replacing them: layers that
  /// become one, a LUN that is deleted. What is damaged stays as it is; what was being changed does not look the
  /// same twice.
  func settled<Result>(_ read: () throws(StoreError) -> Result) throws(StoreError) -> Result {
    var last: StoreError?
    while true {
      do throws(StoreError) { return try read() } catch {
        guard error.kind == .damaged, error != last else { throw error }
        last = error
      }
    }
  }

  /// Whether a snapshot is the one that it was, and not deleted since.
  public func has(_ name: SnapshotName, _ identifier: Identifier) throws(StoreError) -> Bool {
    do throws(StoreError) {
      return try settled { () throws(StoreError) in try recordOfSnapshot(name).identifier == identifier }
    } catch {
      if error.kind == .absent { return false }
      throw error
    }
  }

  /// Opens a snapshot, which can only be read.
  ///
  /// - Throws: as `openLUN` does.
  public func openSnapshot(_ name: SnapshotName) throws(StoreError) -> LUN {
    try settled { () throws(StoreError) in try openSnapshot(name, nil) }
  }

  func openSnapshot(_ name: SnapshotName, _ cache: LayerCache?) throws(StoreError) -> LUN {
    let record = try recordOfSnapshot(name)
    let chain = try naming(.snapshot(name)) { () throws(StoreError) in
      try Chain(openLayers(record.head, .readOnly, cache), .readOnly, imageRights)
    }
    return LUN(.snapshot(name), record, chain, .readOnly)
  }

  /// The layer that a LUN or a snapshot begins with.
  func head(of name: VolumeName) throws(StoreError) -> Identifier {
    switch name {
    case .lun(let name): try lunRecord(name).record.head
    case .snapshot(let name): try snapshotRecord(name, in: lunFolder(name.lun)).layer
    }
  }

  /// The record of a snapshot's LUN, with what is different for the snapshot.
  private func recordOfSnapshot(_ name: SnapshotName) throws(StoreError) -> LUNRecord {
    var (record, folder) = try lunRecord(name.lun)
    let snapshot = try snapshotRecord(name, in: folder)
    (record.head, record.created, record.identifier) = (snapshot.layer, snapshot.created, snapshot.identifier)
    return record
  }

  /// Says whose layer it is that something is wrong with.
  func naming<Result>(
    _ volume: VolumeName, _ open: () throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    do throws(StoreError) { return try open() } catch {
      throw StoreError(
        error.kind, at: error.place, "\(error.problem), and '\(volume)' needs it", remedy: error.remedy)
    }
  }

  /// Opens a LUN or a snapshot to read it.
  public func open(_ name: VolumeName) throws(StoreError) -> LUN {
    switch name {
    case .lun(let name): try settled { () throws(StoreError) in try openLUN(name, .readOnly) }
    case .snapshot(let name): try openSnapshot(name)
    }
  }

  func lunRecord(_ name: LUNName) throws(StoreError) -> (record: LUNRecord, folder: Descriptor) {
    guard let folder = try openFolder(name) else { throw absent(name) }
    var record = try LUNRecord(reading: folder.part(LUNRecord.fileName, O_RDONLY))
    if record.name != name, try isBeingRenamed(.lun(record.name), to: .lun(name)) { record.name = name }
    guard record.name == name else {
      throw StoreError(
        .damaged, at: folder.path, "is the folder of the LUN '\(record.name)'",
        remedy: "give the folder that name again")
    }
    return (record, folder)
  }

  func snapshotRecord(_ name: SnapshotName, in folder: Descriptor) throws(StoreError) -> SnapshotRecord {
    let fileName = SnapshotRecord.fileName(name.label)
    guard let file = try folder.openFileIfPresent(fileName, O_RDONLY) else {
      throw StoreError(
        .absent, at: path, "has no snapshot '\(name)'",
        remedy: "'fuse-lun info STORE \(name.lun)' shows those that the LUN has")
    }
    var record = try SnapshotRecord(reading: file)
    if record.name != name, try isBeingRenamed(.snapshot(record.name), to: .snapshot(name)) {
      record.name = name
    }
    guard record.name == name else {
      throw StoreError(
        .damaged, at: file.path, "is the record of the snapshot '\(record.name)'",
        remedy: "give the file the name that belongs to it")
    }
    return record
  }

  func absent(_ name: LUNName) -> StoreError {
    StoreError(.absent, at: path, "has no LUN '\(name)'", remedy: "'fuse-lun list' shows those that it has")
  }

  func openFolder(_ name: LUNName) throws(StoreError) -> Descriptor? {
    do throws(StoreError) {
      return try luns.openIfPresent(name.text, O_RDONLY | O_DIRECTORY)
    } catch {
      guard error.kind == .system(ENOTDIR) || error.kind == .system(ELOOP) else { throw error }
      throw StoreError(
        .damaged, at: error.place, "is not the folder of a LUN",
        remedy: "nothing else belongs here; move it away")
    }
  }
}
