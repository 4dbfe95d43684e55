import Glibc
import Synchronization

/// Where the files of a layer are. Opened whenever something is done in it, and closed again.
struct LayerFolder: Sendable {
  /// The folder that it is in.
  let parent: Descriptor
  let name: String

  init(in parent: Descriptor, _ name: String) { (self.parent, self.name) = (parent, name) }

  /// For messages.
  var path: String { "\(parent.path)/\(name)" }

  func open() throws(StoreError) -> Descriptor { try parent.open(name, O_RDONLY | O_DIRECTORY) }
}

/// A file of a layer: open while somebody uses it, and after that until others need the room (`FilePool`).
///
/// Linux tells of a write-back that failed those who have the file open, once (errseq_t; fsync(2)). So one that was
/// written to is flushed before it is closed, and if that fails the file remembers it for whoever flushes next.
final class LayerFile: @unchecked Sendable {
  private let folder: LayerFolder
  private let name: String
  private let flags: Int32
  /// How many names it may have; see `Descriptor.open`.
  private let links: nlink_t

  /// The number of the descriptor and 1, or 0, in the upper half; in the lower half how many use it.
  private let use = Atomic<UInt64>(0)
  private let isRecent = Atomic(false)
  private let isWritten = Atomic(false)
  private let failure = Atomic<Int32>(0)
  /// Set and cleared by whoever has `turn`; read by those who use it.
  private var file: Descriptor?
  /// Held by whoever opens or closes it.
  private let turn = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  init(in folder: LayerFolder, _ name: String, _ flags: Int32, links: nlink_t = 1) {
    (self.folder, self.name, self.flags, self.links) = (folder, name, flags, links)
    pthread_mutex_init(turn, nil)
  }

  /// One that is open already.
  convenience init(in folder: LayerFolder, _ name: String, _ flags: Int32, as file: Descriptor) {
    self.init(in: folder, name, flags)
    pthread_mutex_lock(turn)
    keep(file)
    pthread_mutex_unlock(turn)
  }

  deinit {
    if file != nil { FilePool.shared.remove() }
    pthread_mutex_destroy(turn)
    turn.deallocate()
  }

  /// For messages.
  var path: String { "\(folder.path)/\(name)" }

  // MARK: Use

  /// Hands out the descriptor, which stays open until `unpin`.
  @inline(__always)
  func pin() throws(IOError) -> Int32 {
    let before = use.add(1, ordering: .acquiring).oldValue
    guard before >> 32 != 0 else { return try openPinned() }
    if !isRecent.load(ordering: .relaxed) { isRecent.store(true, ordering: .relaxed) }
    return Int32(truncatingIfNeeded: before >> 32) - 1
  }

  @inline(__always)
  func unpin() { use.subtract(1, ordering: .releasing) }

  /// As `pin`, for those who change the LUN's structure.
  func pinned() throws(StoreError) -> Descriptor {
    if use.add(1, ordering: .acquiring).oldValue >> 32 == 0 { try openOrUnpin() }
    guard let file else { throw .system("open", path, code: EBADF) }
    return file
  }

  /// Keeps the file open for as long as there is this object: its name will be gone, or another file's.
  func stayOpen() throws(StoreError) { _ = try pinned() }

  /// To be called after each change of the file's bytes, while it is pinned.
  @inline(__always)
  func noteWritten() {
    if !isWritten.load(ordering: .relaxed) { isWritten.store(true, ordering: .releasing) }
  }

  /// Whether something may have been written that was not flushed.
  var isUnflushed: Bool { isWritten.load(ordering: .acquiring) }

  /// Makes everything durable that was written before.
  ///
  /// - Returns: 0 or the error number; that of a flush before the file was closed, if that one failed.
  func flush() -> Int32 {
    defer { unpin() }
    let before = use.add(1, ordering: .acquiring).oldValue
    guard before >> 32 != 0 else {
      // Somebody may be about to flush and to close it.
      pthread_mutex_lock(turn)
      let isOpen = file != nil
      pthread_mutex_unlock(turn)
      if isOpen { return flush(Int32(truncatingIfNeeded: use.load(ordering: .acquiring) >> 32) - 1) }
      return failure.load(ordering: .acquiring)
    }
    return flush(Int32(truncatingIfNeeded: before >> 32) - 1)
  }

  private func flush(_ raw: Int32) -> Int32 {
    let lost = failure.load(ordering: .acquiring)
    guard lost == 0 else { return lost }
    // Before: what is written from here on may miss this flush.
    isWritten.store(false, ordering: .sequentiallyConsistent)
    return retrying { Int(fdatasync(raw)) } == 0 ? 0 : errno
  }

  // MARK: Opening and closing

  private func openPinned() throws(IOError) -> Int32 {
    do throws(StoreError) { try openOrUnpin() } catch {
      // A file that is gone is not one that the client has asked for.
      if case .system(let code) = error.kind, code != ENOENT { throw IOError(code) }
      StoreLog.report(error)
      throw IOError(EIO)
    }
    return Int32(truncatingIfNeeded: use.load(ordering: .acquiring) >> 32) - 1
  }

  /// Opens the file, which the caller has pinned.
  private func openOrUnpin() throws(StoreError) {
    pthread_mutex_lock(turn)
    defer { pthread_mutex_unlock(turn) }
    guard file == nil else { return }
    do throws(StoreError) {
      FilePool.shared.makeRoom()
      keep(try folder.open().part(name, flags, links: links))
    } catch {
      unpin()
      throw error
    }
  }

  private func keep(_ opened: Descriptor) {
    file = opened
    isRecent.store(true, ordering: .relaxed)
    use.add(UInt64(opened.raw + 1) << 32, ordering: .releasing)
    FilePool.shared.add(self)
  }

  /// Takes the descriptor away from those who come from here on, unless somebody uses it; then `finishClosing` has to
  /// follow. Waits for nobody.
  func beginClosing(evenIfRecent: Bool, evenIfUnflushed: Bool) -> Bool {
    guard evenIfRecent || !isRecent.exchange(false, ordering: .relaxed), evenIfUnflushed || !isUnflushed,
      pthread_mutex_trylock(turn) == 0
    else { return false }
    let open = use.load(ordering: .relaxed)
    if open >> 32 != 0, open & 0xFFFF_FFFF == 0,
      use.compareExchange(expected: open, desired: 0, ordering: .acquiringAndReleasing).exchanged
    {
      return true
    }
    pthread_mutex_unlock(turn)
    return false
  }

  func finishClosing() {
    if let file, isWritten.exchange(false, ordering: .acquiringAndReleasing),
      retrying({ Int(fdatasync(file.raw)) }) != 0
    {
      failure.store(errno, ordering: .releasing)
    }
    file = nil
    FilePool.shared.remove()
    pthread_mutex_unlock(turn)
  }
}
