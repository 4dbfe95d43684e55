import CFuse
import CURing
import Glibc
import LUNStore
import Synchronization

/// The requests of a mount, where they come by rings that are shared with the kernel (`CURing`), and not by the device.
///
/// Each queue has a thread, which answers small reads and writes that need not wait (`HotPath`). Everything else it hands
/// to the workers, which give it to libfuse as if it had been read from the device; what libfuse writes to the device in
/// answer is caught on its way (`Negotiation`) and goes back to the ring that the request came by, at once or later and
/// from whichever thread. By the device come the start of a session (FUSE_INIT), and what tells that a request is no longer
/// waited for or a file no longer known.
///
/// An entry of a ring belongs to one at a time: the kernel, the queue's thread, a worker or whoever answers for it.
final class Rings: Sendable {
  /// A request that libfuse has, or is about to have.
  private struct Pending {
    let queue: RingQueue
    let entry: Int
    /// Whether libfuse knows it by now.
    var isKnown = false
    /// Whether libfuse was told that nobody waits for it, and did not know it then.
    var isInterrupted = false
  }

  private let pending = Mutex<[UInt64: Pending]>([:])
  private let queues = Mutex<[RingQueue]>([])
  private let workers = Workers()
  private let inUse = Atomic(false)

  /// Whether requests come by rings now.
  var isInUse: Bool { inUse.load(ordering: .relaxed) }

  /// Makes the rings, before the kernel is told that they will be there.
  ///
  /// - Returns: whether there are any: io_uring may be forbidden (`kernel.io_uring_disabled`, seccomp).
  func open(device: Int32, maxWrite: UInt32, maxPages: UInt32) -> Bool {
    let made = (0..<ring_queues()).map { number in
      RingQueue(number, device: device, payloadSize: ring_payload_size(maxWrite, maxPages))
    }
    let rings = made.compactMap(\.self)
    guard rings.count == made.count, !rings.isEmpty else { return false }
    queues.withLock { $0 = rings }
    return true
  }

  /// Takes the rings into use. The kernel has every request of a client wait until all of them are.
  func start(_ mounted: MountedStore) {
    let queues = queues.withLock { $0 }
    guard !queues.isEmpty else { return }
    inUse.store(true, ordering: .relaxed)
    for queue in queues { queue.start(mounted) }
  }

  /// The kernel refused a ring, and sends everything by the device.
  func refused(_ code: Int32) {
    guard inUse.exchange(false, ordering: .relaxed) else { return }
    Log.error("the kernel refuses FUSE over io_uring, and /dev/fuse is used: \(errorText(code))")
  }

  /// Waits for the requests that are being carried out, and lets go of the rings; what comes after that fails. Nothing is
  /// held by layers any more.
  func end() {
    workers.end()
    let queues = queues.withLock { queues in
      defer { queues = [] }
      return queues
    }
    for queue in queues { queue.stop() }
    for queue in queues { queue.close() }
    inUse.store(false, ordering: .relaxed)
  }

  // MARK: Requests for libfuse

  /// Gives a request to libfuse, by a thread that may wait.
  func hand(_ entry: Int, of queue: RingQueue, _ mounted: MountedStore) {
    let unique = queue.request(entry).unique
    pending.withLock { $0[unique] = Pending(queue: queue, entry: entry) }
    workers.submit { [self] in
      guard let message = queue.message(entry) else {
        return _ = answer(unique) { entry, _ in (-EIO, 0) }
      }
      // A read may go to where the kernel takes it from.
      ReadBuffer.lend(queue.payload(entry)) { mounted.kernel.process(message) }
      let isMissed = pending.withLock { pending in
        pending[unique]?.isKnown = true
        return pending[unique]?.isInterrupted ?? false
      }
      if isMissed { interrupt(unique, mounted) }
    }
  }

  /// Takes what libfuse writes to the device, if it is the answer to a request that came by a ring.
  ///
  /// - Returns: the number of bytes, as `writev` would; `nil` if it is for the device.
  func take(_ reply: UnsafeBufferPointer<iovec>, _ mounted: MountedStore) -> Int? {
    guard let first = reply.first, first.iov_len == MemoryLayout<fuse_out_header>.size else { return nil }
    let header = first.iov_base.load(as: fuse_out_header.self)
    if header.unique & 1 == 1, header.error == -EAGAIN { missed(header.unique & ~1, mounted) }
    return answer(header.unique) { queue, entry in
      let payload = queue.payload(entry)
      var count = 0
      for part in reply.dropFirst() where part.iov_len > 0 {
        guard count + part.iov_len <= payload.count else { return (-EIO, 0) }
        // The same place, for a read of what is not in layers.
        if part.iov_base != payload.baseAddress! + count {
          memmove(payload.baseAddress! + count, part.iov_base, part.iov_len)
        }
        count += part.iov_len
      }
      return (header.error, count)
    }.map { _ in reply.reduce(0) { $0 + $1.iov_len } }
  }

  /// - Parameter body: puts the answer into the entry's payload; returns its length, and 0 or the negative error number.
  private func answer(_ unique: UInt64, _ body: (RingQueue, Int) -> (error: Int32, count: Int)) -> Void? {
    guard let request = pending.withLock({ $0.removeValue(forKey: unique) }) else { return nil }
    let (error, count) = body(request.queue, request.entry)
    request.queue.finish(request.entry, error, count)
    return ()
  }

  // MARK: Requests that nobody waits for any more

  // That comes by the device, and may come before the request has: libfuse then waits for one more request, and if that is
  // not it, has the kernel ask again. For requests of rings the kernel does not (fuse_dev_do_write finds none of them).

  private func missed(_ unique: UInt64, _ mounted: MountedStore) {
    let isKnown = pending.withLock { pending in
      pending[unique]?.isInterrupted = true
      return pending[unique]?.isKnown ?? false
    }
    if isKnown { interrupt(unique, mounted) }
  }

  private func interrupt(_ unique: UInt64, _ mounted: MountedStore) {
    struct Message {
      var header = fuse_in_header()
      var body = fuse_interrupt_in()
    }
    var message = Message()
    message.header.len = UInt32(MemoryLayout<Message>.size)
    message.header.opcode = FUSE_INTERRUPT.rawValue
    message.header.unique = unique | 1
    message.body.unique = unique
    withUnsafeMutableBytes(of: &message) { mounted.kernel.process($0) }
  }
}

extension Rings {
  /// Why there can be no rings here, with what to do about it; `nil` if there can.
  static var obstacle: (problem: String, remedy: String)? {
    let parameter = "/sys/module/fuse/parameters/enable_uring"
    switch firstLine(of: parameter)?.first {
    case nil: return ("the kernel has no FUSE over io_uring", "that needs Linux 6.14 or later")
    case "Y", "1": break
    default: return ("FUSE over io_uring is switched off", "as root: echo Y > \(parameter)")
    }
    guard RingQueue(0, device: -1, payloadSize: 8192) == nil else { return nil }
    return ("io_uring cannot be used: \(errorText(errno))", "see sysctl kernel.io_uring_disabled")
  }
}
