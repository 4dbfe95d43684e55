import CFuse
import Glibc
import LUNStore

/// Small reads and writes that need not wait, answered by the thread that receives them, before libfuse sees them.
///
/// libfuse has up to ten threads, and all of them wait at the device. That is as it has to be where requests wait for a
/// disk, and a waste where they do not: the kernel wakes these threads in turn, and each request finds one that has been
/// asleep. So only a few at a time are let to the device. One that gets a request which may take long — a flush, a read
/// of what is not in memory, a large transfer — lets the next one go there before it turns to that request. `make
/// bench-lun` has the figures.
final class HotPath: Sendable {
  /// How many threads receive requests.
  private nonisolated(unsafe) let places: UnsafeMutablePointer<sem_t>

  init() {
    places = .allocate(capacity: 1)
    sem_init(places, 0, UInt32(Self.readers))
  }

  deinit {
    sem_destroy(places)
    places.deallocate()
  }

  /// Not one: with it a lone client is half as fast as with two. On two processors three to ten were alike, 10 to 25 %
  /// ahead of requests that all go through libfuse when there are several clients, and no slower for a single one.
  private static let readers = max(4, min(8, sysconf(Int32(_SC_NPROCESSORS_ONLN)) / 2))

  /// Copying more than this takes longer than it takes to have another thread receive the next request.
  static let largest: UInt32 = 64 << 10

  /// Receives requests, and answers those that it can.
  ///
  /// - Returns: as `read(2)`: the length of a request that is left to libfuse, or -1 and `errno`.
  func receive(from device: Int32, _ buffer: UnsafeMutableRawPointer, _ size: Int) -> Int {
    guard sem_wait(places) == 0 else { return -1 }
    while true {
      // libfuse cancels its threads in the end; that must not hit one that has a request.
      var before: Int32 = 0
      pthread_setcancelstate(Int32(PTHREAD_CANCEL_ENABLE), &before)
      let count = Glibc.read(device, buffer, size)
      pthread_setcancelstate(Int32(PTHREAD_CANCEL_DISABLE), &before)
      if count > 0, answer(UnsafeRawBufferPointer(start: buffer, count: count), to: device) { continue }
      let code = errno
      sem_post(places)
      errno = code
      return count
    }
  }

  @inline(__always)
  private func answer(_ request: UnsafeRawBufferPointer, to device: Int32) -> Bool {
    guard request.count >= MemoryLayout<fuse_in_header>.size else { return false }
    switch request.load(as: fuse_in_header.self).opcode {
    case FUSE_READ.rawValue: return read(request, device)
    case FUSE_WRITE.rawValue: return write(request, device)
    default: return false
    }
  }

  private func read(_ request: UnsafeRawBufferPointer, _ device: Int32) -> Bool {
    guard request.count >= MemoryLayout<fuse_in_header>.size + MemoryLayout<fuse_read_in>.size else {
      return false
    }
    let wanted = request.load(fromByteOffset: MemoryLayout<fuse_in_header>.size, as: fuse_read_in.self)
    guard wanted.size <= Self.largest else { return false }
    let buffer = ReadBuffer.ofThisThread(atLeast: Int(wanted.size))
    guard let count = Self.read(wanted, into: buffer) else { return false }
    reply(to: request, device, buffer.baseAddress, count)
    return true
  }

  private func write(_ request: UnsafeRawBufferPointer, _ device: Int32) -> Bool {
    let start = MemoryLayout<fuse_in_header>.size + MemoryLayout<fuse_write_in>.size
    guard request.count >= start else { return false }
    let wanted = request.load(fromByteOffset: MemoryLayout<fuse_in_header>.size, as: fuse_write_in.self)
    guard let count = Self.write(wanted, UnsafeRawBufferPointer(rebasing: request[start...])) else {
      return false
    }
    var written = fuse_write_out(size: UInt32(count), padding: 0)
    reply(to: request, device, &written, MemoryLayout<fuse_write_out>.size)
    return true
  }

  /// The client may have gone meanwhile; then there is nobody to tell.
  @inline(__always)
  private func reply(
    to request: UnsafeRawBufferPointer, _ device: Int32, _ body: UnsafeMutableRawPointer?, _ count: Int
  ) {
    var header = fuse_out_header(
      len: UInt32(MemoryLayout<fuse_out_header>.size + count), error: 0,
      unique: request.load(as: fuse_in_header.self).unique)
    withUnsafeMutableBytes(of: &header) { header in
      var parts = (
        iovec(iov_base: header.baseAddress, iov_len: header.count), iovec(iov_base: body, iov_len: count)
      )
      withUnsafePointer(to: &parts) { parts in
        parts.withMemoryRebound(to: iovec.self, capacity: 2) { _ = writev(device, $0, 2) }
      }
    }
  }
}

// MARK: - Whatever way the requests come

extension HotPath {
  /// Reads what is small and need not be waited for.
  ///
  /// - Returns: the length; `nil` if that is not so, or if it failed.
  @inline(__always)
  static func read(_ wanted: fuse_read_in, into buffer: UnsafeMutableRawBufferPointer) -> Int? {
    guard wanted.size <= largest, buffer.count >= Int(wanted.size), let node = node(wanted.fh),
      node.stack.beginDirect()
    else { return nil }
    defer { node.stack.endDirect() }
    return node.lun.readAtOnce(
      into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(wanted.size)]),
      at: Int64(bitPattern: wanted.offset))
  }

  /// Writes what is small and need not be waited for.
  ///
  /// - Returns: the length; `nil` if that is not so, or if it failed.
  @inline(__always)
  static func write(_ wanted: fuse_write_in, _ data: UnsafeRawBufferPointer) -> Int? {
    guard wanted.size <= largest, data.count == Int(wanted.size),
      Int32(bitPattern: wanted.flags) & O_DSYNC == 0,
      let node = node(wanted.fh), node.stack.beginDirect()
    else { return nil }
    defer { node.stack.endDirect() }
    return node.lun.writeAtOnce(data, at: Int64(bitPattern: wanted.offset))
  }

  /// What `open` gave to the kernel, and `release` has not taken back.
  @inline(__always)
  private static func node(_ handle: UInt64) -> Node? {
    UnsafeRawPointer(bitPattern: UInt(handle)).map { Unmanaged<Node>.fromOpaque($0).takeUnretainedValue() }
  }
}
