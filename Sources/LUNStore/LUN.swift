import CLinux
import Glibc
import Synchronization

/// An open LUN, or a snapshot of one: bytes that can be read, written, zeroed and flushed.
///
/// All operations may be used from any number of threads at once. As on a disk, what overlapping operations
/// that run at the same time leave behind is not defined, and what was written is durable only after a later
/// `flush`.
public final class LUN: @unchecked Sendable {
  /// What a LUN is opened for.
  public enum Access: Sendable { case readOnly, readWrite }

  /// The most bytes that a LUN can have: 4 EiB.
  ///
  /// Half of what a file offset can say. So any two offsets or lengths inside LUNs have a sum that is a number too, and
  /// nothing that is reckoned from them overflows. XFS and Btrfs hold files of 8 EiB, ext4 of 16 TiB.
  public static let maximumSize: Int64 = 1 << 62

  /// Its name, as a file in a mount has it.
  public let volume: VolumeName

  let gate = Gate()
  let stripes = Stripes()
  let access: Access

  // Changed by whoever is alone in the gate.
  private(set) var chain: Chain
  private(set) var record: LUNRecord
  private var isGone = false

  private struct Flushing {
    var hasFailed = false
    /// Whether the head's record says that its map may grow.
    var mapIsOpen = false
  }
  private let flushing = Mutex(Flushing())
  private let flushesBegun = Atomic<UInt64>(0)
  /// Those that somebody has in hand.
  let heldFiles = Mutex<[LayerFile]>([])

  init(_ volume: VolumeName, _ record: LUNRecord, _ chain: Chain, _ access: Access) {
    (self.volume, self.record, self.chain, self.access) = (volume, record, chain, access)
    flushing.withLock { $0.mapIsOpen = chain.headRecord.map == .open }
  }

  /// The capacity in bytes.
  public var size: Int64 { gate.shared { chain.headRecord.size } }

  /// The logical block size, in bytes.
  public var blockSize: Int64 { record.blockSize.rawValue }

  /// Whether writes are refused: a snapshot, a LUN that is to be so, or one that was opened so.
  public var isReadOnly: Bool { access == .readOnly || gate.shared { record.properties.isReadOnly } }

  /// Whether the bytes are in one file in their order, so that the kernel could do without this program.
  public var isFlat: Bool { gate.shared { chain.isFlat } }

  /// How many layers the bytes are in.
  public var depth: Int { gate.shared { chain.layers.count } }

  /// The LUN, as its record has it now.
  public var description: LUNDescription {
    gate.shared {
      let head = (try? chain.head.allocated()) ?? 0
      return LUNDescription(
        record, chain.headRecord, allocated: (try? chain.allocated(head: head)) ?? head,
        base: chain.layers[0].record.base, layers: chain.layers.count)
    }
  }

  /// Whether everything is durable, and its files say what they are: nothing is lost if it is opened anew.
  var isSealed: Bool {
    let isSaid = flushing.withLock { !$0.hasFailed && !$0.mapIsOpen }
    return isSaid && !chain.head.data.isUnflushed && !(chain.presence?.hasChanges ?? false)
  }

  /// Runs `body` while no request is under way.
  func alone<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    try gate.alone(body)
  }

  /// To be called alone: the LUN goes on with other layers, a new record, or both.
  func replace(_ chain: Chain? = nil, record: LUNRecord? = nil) {
    if let chain {
      // The same head above other layers: what a flush has written into its record is not in `headRecord`.
      if chain.head !== self.chain.head {
        flushing.withLock { $0.mapIsOpen = chain.headRecord.map == .open }
      }
      self.chain = chain
    }
    if let record { self.record = record }
  }

  /// To be called alone: every operation fails with `ENODEV` from here on.
  func retire() { isGone = true }

  /// To be called inside the gate.
  func requirePresent() throws(IOError) {
    if isGone { throw IOError(ENODEV) }
  }

  /// To be called inside the gate.
  func requireWritable() throws(IOError) {
    try requirePresent()
    if access == .readOnly || record.properties.isReadOnly { throw IOError(EROFS) }
  }

  /// Makes durable everything that was written before the call.
  ///
  /// Linux tells of a failed write-back once and then forgets it, with the data. A LUN does not: once a flush
  /// failed, every later one fails too, until the LUN is opened again, so that nobody takes for durable what
  /// is lost. Where the host has no room for the map of what was written, nothing is lost: a later flush may
  /// succeed.
  ///
  /// - Throws: the host's error the first time, `EIO` from then on.
  public func flush() throws(IOError) {
    // Flushes go one after the other, so that none of them can miss that another one failed. A flush that
    // began after this call came in has done its work as well.
    let begunBefore = flushesBegun.load(ordering: .sequentiallyConsistent)
    try gate.shared { () throws(IOError) in
      let code: Int32 = flushing.withLock { flushing in
        if flushing.hasFailed { return EIO }
        if flushesBegun.load(ordering: .sequentiallyConsistent) > begunBefore { return 0 }
        flushesBegun.add(1, ordering: .sequentiallyConsistent)
        return flush(&flushing)
      }
      guard code == 0 else { throw IOError(code) }
    }
  }

  /// To be called alone: as `flush`, and the map's file then says how long it is.
  func seal() throws(StoreError) {
    let code: Int32 = flushing.withLock { flushing in
      flushing.hasFailed ? EIO : flush(&flushing)
    }
    guard code == 0 else {
      throw StoreError(.system(code), at: "LUN '\(volume)'", "cannot flush: \(errorText(code))")
    }
    guard let log = chain.log else { return }
    try flushing.withLock { flushing throws(StoreError) in
      guard flushing.mapIsOpen else { return }
      var record = chain.headRecord
      record.map = .sealed(log.extent.frames)
      // Whatever becomes of it: the next flush has to say that the map grows again.
      flushing.mapIsOpen = false
      try chain.head.folder.open().install(LayerRecord.fileName, record.encoded)
      chain.headRecord = record
    }
  }

  /// What the medium has of the head by now, while it goes on being written: its record as it is there, and its map's
  /// file with the extent that is whole and durable. What is longer, or has another name, is work under way.
  ///
  /// - Returns: `nil` for the map of a head that is flat.
  /// - Throws: why the map's file cannot be opened.
  func headOnMedium() throws(StoreError) -> (
    record: LayerRecord, map: (file: Descriptor, extent: MapLog.Extent)?
  ) {
    try gate.shared { () throws(StoreError) in
      try flushing.withLock { flushing throws(StoreError) in
        var record = chain.headRecord
        if flushing.mapIsOpen { record.map = .open }
        guard let log = chain.log else { return (record, nil) }
        // As it is now: another file may have its name by the time it is read.
        let file = try log.file.pinned()
        log.file.unpin()
        return (record, (file, log.extent))
      }
    }
  }

  /// Returns 0 or the error number.
  private func flush(_ flushing: inout Flushing) -> Int32 {
    guard access == .readWrite else { return 0 }
    // Taken before the data is flushed: no block may be called present that is not on the medium.
    let changed = chain.presence?.takeDirty() ?? []
    // Size and blocks are what it takes to read the data back; fdatasync has those written too.
    let code = chain.head.data.flush()
    guard code == 0 else {
      flushing.hasFailed = true
      return code
    }
    guard !changed.isEmpty, let presence = chain.presence, let log = chain.log else { return 0 }
    do throws(StoreError) {
      if !flushing.mapIsOpen {
        var record = chain.headRecord
        record.map = .open
        try chain.head.folder.open().install(LayerRecord.fileName, record.encoded)
        // Not in `chain.headRecord`, which requests read meanwhile; `seal` comes before anybody else does.
        flushing.mapIsOpen = true
      }
      try log.append(changed, leaves: presence.presentLeaves.load(ordering: .relaxed))
      return 0
    } catch {
      presence.giveBack(changed)
      if case .system(let code) = error.kind { return code }
      return EIO
    }
  }

  /// The attributes of the LUN as a file: its size, what its layers take up, and the times of the last access
  /// and the last change.
  public func status() throws(IOError) -> stat {
    try gate.shared { () throws(IOError) in
      try requirePresent()
      let raw = try chain.head.data.pin()
      defer { chain.head.data.unpin() }
      var status = stat()
      guard fstat(raw, &status) == 0 else { throw IOError(errno) }
      status.st_size = off_t(chain.headRecord.size)
      if chain.layers.count > 1 {
        do throws(StoreError) {
          status.st_blocks = blkcnt_t(try chain.allocated(head: status.allocated) / 512)
        } catch {
          StoreLog.report(error)
          throw IOError(EIO)
        }
      }
      return status
    }
  }

  /// Sets the times of the last access and the last change; `UTIME_NOW` and `UTIME_OMIT` mean what they mean
  /// for `futimens`.
  public func setTimes(access: timespec, modification: timespec) throws(IOError) {
    try gate.shared { () throws(IOError) in
      let raw = try chain.head.data.pin()
      defer { chain.head.data.unpin() }
      guard futimens(raw, [access, modification]) == 0 else { throw IOError(errno) }
    }
  }

  /// Hands out the descriptor of the one file that holds the bytes of the LUN in their order; it is valid for
  /// the duration of the call.
  ///
  /// - Returns: what `body` returns; `nil` without calling it if there is no such file, but several layers, or no
  ///   room to open it.
  public func withFlatFile<Result, Failure: Error>(
    _ body: (Int32) throws(Failure) -> Result
  ) throws(Failure) -> Result? {
    guard let file = gate.shared({ chain.isFlat ? chain.head.data : nil }), let raw = try? file.pin() else {
      return nil
    }
    defer { file.unpin() }
    return try body(raw)
  }

  /// Hands out the descriptor of a copy of everything in the LUN, for libraries that read files: one without
  /// a name, in the folder for temporary files, and with holes where there are holes.
  public func withCopy<Result>(_ body: (Int32) -> Result) throws(StoreError) -> Result {
    let file = try flattened()
    defer { withExtendedLifetime(file) {} }
    return body(file.raw)
  }

  private func flattened() throws(StoreError) -> Descriptor {
    let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp"
    // O_TMPFILE is hidden by the overlay; a name that nobody can guess, removed at once, is as good.
    let path = "\(folder)/.fuse-lun-\(Identifier())"
    let raw = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard raw >= 0 else { throw .system("create", path) }
    unlink(path)
    let file = Descriptor(raw: raw, path: path)
    guard ftruncate(raw, off_t(size)) == 0 else { throw .system("enlarge", path) }
    try copyData { offset, bytes throws(StoreError) in try file.writeAll(bytes, at: offset) }
    return file
  }

  /// Hands out everything in the LUN that is not a hole, in pieces of at most a MiB.
  public func copyData(
    _ body: (_ offset: Int64, _ bytes: UnsafeRawBufferPointer) throws(StoreError) -> Void
  ) throws(StoreError) {
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { piece.deallocate() }
    func reading<Value>(_ step: () throws(IOError) -> Value) throws(StoreError) -> Value {
      do throws(IOError) { return try step() } catch {
        throw StoreError(.system(error.code), at: "LUN '\(volume)'", "cannot read: \(errorText(error.code))")
      }
    }
    var position: Int64 = 0
    while let data = try reading({ () throws(IOError) in try nextData(from: position) }) {
      let end = try reading { () throws(IOError) in try nextHole(from: data) } ?? data
      position = data
      while position < end {
        let part = UnsafeMutableRawBufferPointer(
          rebasing: piece[..<Int(min(Int64(piece.count), end - position))])
        let count = try reading { () throws(IOError) in try read(into: part, at: position) }
        guard count > 0 else { return }
        try body(position, UnsafeRawBufferPointer(rebasing: part[..<count]))
        position += Int64(count)
      }
    }
  }
}
