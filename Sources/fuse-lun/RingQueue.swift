import CFuse
import CURing
import Glibc
import LUNStore
import Synchronization

/// One queue of a mount's rings: the requests of the clients on one processor.
final class RingQueue: @unchecked Sendable {
  // `ring` is the thread's alone, but for its bell and for the buffers of an entry, which are whose turn it is.
  private let ring = UnsafeMutablePointer<fuse_ring>.allocate(capacity: 1)
  private let number: UInt32
  private var thread: JoinableThread?

  private struct Mail {
    /// What others have answered: entries, and the lengths of the answers.
    var answers: [(entry: Int, count: Int)] = []
    var isEnding = false
  }

  private let mail = Mutex(Mail())

  /// What a hanging LUN holds is held in entries; there are more as soon as they become few, up to this many.
  private static let capacity: UInt32 = 1024

  /// For how long memory of large requests is kept when nothing comes, in nanoseconds.
  private static let patience: UInt64 = 1_000_000_000

  /// - Returns: `nil`, and `errno`, if it cannot be made.
  init?(_ number: UInt32, device: Int32, payloadSize: Int) {
    self.number = number
    guard ring_open(ring, device, UInt16(number), Self.capacity, payloadSize) == 0 else {
      let code = errno
      ring.deallocate()
      errno = code
      return nil
    }
  }

  deinit {
    ring_close(ring)
    ring.deallocate()
  }

  // MARK: The buffers of an entry, for whose turn it is

  func request(_ entry: Int) -> fuse_in_header {
    UnsafeRawPointer(ring.pointee.entry[entry].header).load(as: fuse_in_header.self)
  }

  func payload(_ entry: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: ring.pointee.entry[entry].payload, count: ring.pointee.payload_size)
  }

  /// The request in one piece, as a read of the device would have given it.
  func message(_ entry: Int) -> UnsafeMutableRawBufferPointer? {
    var size = 0
    return ring_message(ring.pointee.entry + entry, &size).map {
      UnsafeMutableRawBufferPointer(start: $0, count: size)
    }
  }

  /// Answers with what is in the entry's payload. From any thread but the queue's.
  ///
  /// - Parameter error: 0, or the negative error number.
  func finish(_ entry: Int, _ error: Int32, _ count: Int) {
    let length = error == 0 ? count : 0
    setReply(entry, error, length)
    let isFirst = mail.withLock { mail in
      mail.answers.append((entry, length))
      return mail.answers.count == 1
    }
    if isFirst { ring_wake(ring) }
  }

  @inline(__always)
  private func setReply(_ entry: Int, _ error: Int32, _ count: Int) {
    let place = UnsafeMutableRawPointer(ring.pointee.entry[entry].header!)
    let reply = fuse_out_header(
      len: UInt32(MemoryLayout<fuse_out_header>.size + count), error: error,
      unique: place.load(as: fuse_in_header.self).unique)
    place.storeBytes(of: reply, as: fuse_out_header.self)
  }

  // MARK: The thread

  func start(_ mounted: MountedStore) {
    thread = JoinableThread { [self] in run(mounted) }
    if thread == nil { mounted.rings.refused(EAGAIN) }
  }

  /// Has the thread end.
  func stop() {
    mail.withLock { $0.isEnding = true }
    ring_wake(ring)
  }

  /// Waits for the thread's end, with which the kernel lets go of the ring.
  func close() { thread?.join() }

  private func run(_ mounted: MountedStore) {
    // A client's request is answered on the processor that it runs on, while it waits.
    _ = ring_pin(number)
    ring_grow(ring)
    ring_grow(ring)
    guard ring_start(ring) == 0 else { return mounted.rings.refused(errno) }
    var hasServed = false
    // Whether memory has been used that is to be given back.
    var isLarge = false
    while true {
      if deliver() { return _ = ring_submit(ring) }
      growIfNeeded(mounted)
      if ring_wait(ring, isLarge ? Self.patience : 0) != 0 {
        guard errno == ETIME else { return Log.error("io_uring: \(errorText(errno))") }
        ring_trim(ring)
        isLarge = false
      }
      while case let entry = Int(ring_next(ring)), entry != RING_EMPTY {
        switch entry {
        case Int(RING_BELL): break
        case Int(RING_ENDED):
          // The end of the mount, or that the kernel does not want this ring.
          if !hasServed, errno != ENOTCONN, errno != ECONNABORTED { mounted.rings.refused(errno) }
        default:
          hasServed = true
          if !answerAtOnce(entry, &isLarge) { mounted.rings.hand(entry, of: self, mounted) }
        }
      }
    }
  }

  /// Passes on what others have answered.
  ///
  /// - Returns: whether the thread is to end.
  private func deliver() -> Bool {
    let (answers, isEnding) = mail.withLock { mail in
      defer { mail.answers.removeAll(keepingCapacity: true) }
      return (mail.answers, mail.isEnding)
    }
    for answer in answers { ring_commit(ring, UInt32(answer.entry), UInt32(answer.count)) }
    return isEnding
  }

  private func growIfNeeded(_ mounted: MountedStore) {
    let available = ring.pointee.available
    guard available < UInt32(RING_BATCH), ring_grow(ring) == 0, available == 0 else { return }
    // There may be requests waiting in the kernel that found no entry. It looks after them when a request is answered:
    // so there has to be another one.
    ring_submit(ring)
    startThread { [number, point = mounted.point] in
      _ = ring_pin(number)
      var status = stat()
      lstat(point, &status)
    }
  }

  /// Answers a small read or write that need not wait.
  @inline(__always)
  private func answerAtOnce(_ entry: Int, _ isLarge: inout Bool) -> Bool {
    let place = ring.pointee.entry[entry]
    let arguments = UnsafeRawPointer(place.header) + MemoryLayout.offset(of: \ring_header.arguments)!
    let payload = UnsafeMutableRawPointer(place.payload!)
    let length: Int
    switch UnsafeRawPointer(place.header).load(as: fuse_in_header.self).opcode {
    case FUSE_READ.rawValue:
      let wanted = arguments.load(as: fuse_read_in.self)
      if wanted.size > HotPath.largest { isLarge = true }
      let buffer = UnsafeMutableRawBufferPointer(start: payload, count: ring.pointee.payload_size)
      guard let count = HotPath.read(wanted, into: buffer) else { return false }
      length = count
    case FUSE_WRITE.rawValue:
      let wanted = arguments.load(as: fuse_write_in.self)
      if wanted.size > HotPath.largest { isLarge = true }
      let data = UnsafeRawBufferPointer(start: payload, count: Int(place.header.pointee.entry.payload_size))
      guard let count = HotPath.write(wanted, data) else { return false }
      payload.storeBytes(of: fuse_write_out(size: UInt32(count), padding: 0), as: fuse_write_out.self)
      length = MemoryLayout<fuse_write_out>.size
    default: return false
    }
    setReply(entry, 0, length)
    ring_commit(ring, UInt32(entry), UInt32(length))
    return true
  }
}
