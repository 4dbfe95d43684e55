import CLinux
import Glibc
import Synchronization

/// An open LUN: a fixed number of bytes that can be read, written, zeroed and flushed.
///
/// All operations may be used from any number of threads at once. As on a disk, what overlapping operations
/// that run at the same time leave behind is not defined, and what was written is durable only after a later
/// `flush`.
public final class LUN: Sendable {
  /// What a LUN is opened for.
  public enum Access: Sendable { case readOnly, readWrite }

  /// What is fixed about it; `allocated` is as of opening.
  public let description: LUNDescription

  /// Identifies the LUN among those of its store while it exists; never 0 or 1.
  public let number: UInt64

  private let data: Descriptor
  private let flushHasFailed = Mutex(false)
  private let flushesBegun = Atomic<UInt64>(0)

  init(_ description: LUNDescription, number: UInt64, data: Descriptor) {
    self.description = description
    self.number = number
    self.data = data
  }

  /// The number of bytes.
  public var size: Int64 { description.size.bytes }
  /// The number of bytes of a logical block.
  public var blockSize: Int64 { description.blockSize.rawValue }

  /// Reads into `buffer` from byte `offset` on.
  ///
  /// - Returns: the number of bytes read: all, or what there is up to the end of the LUN; 0 at or past the
  ///   end.
  /// - Throws: the host's error if not even one byte could be read; `EIO` where the data file has lost its
  ///   end.
  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(IOError) -> Int {
    let length = try inside(offset, buffer.count)
    return try transfer(length) { done in
      pread(data.raw, buffer.baseAddress! + done, length - done, off_t(offset + Int64(done)))
    }
  }

  /// Writes `buffer` at byte `offset`.
  ///
  /// - Returns: the number of bytes written: all, or fewer at the end of the LUN and where the host had no
  ///   room for more.
  /// - Throws: `ENOSPC` at or past the end, as a block device does; the host's error if not even one byte
  ///   could be written.
  public func write(_ buffer: UnsafeRawBufferPointer, at offset: Int64) throws(IOError) -> Int {
    let length = try inside(offset, buffer.count)
    if length == 0 && buffer.count > 0 { throw IOError(ENOSPC) }
    return try transfer(length) { done in
      pwrite(data.raw, buffer.baseAddress! + done, length - done, off_t(offset + Int64(done)))
    }
  }

  /// Repeats a transfer from where the one before ended, until all is done or the host does no more; fails where it did nothing.
  @inline(__always)
  private func transfer(_ length: Int, _ step: (_ done: Int) -> Int) throws(IOError) -> Int {
    var done = 0
    while done < length {
      let count = retrying { step(done) }
      if count > 0 {
        done += count
      } else if done > 0 {
        break
      } else {
        throw IOError(count < 0 ? errno : EIO)
      }
    }
    return done
  }

  /// Makes durable everything that was written before the call.
  ///
  /// Linux tells of a failed write-back once and then forgets it, with the data. A LUN does not: once a flush
  /// failed, every later one fails too, until the LUN is opened again, so that nobody takes for durable what
  /// is lost.
  ///
  /// - Throws: the host's error the first time, `EIO` from then on.
  public func flush() throws(IOError) {
    // Flushes go one after the other, so that none of them can miss that another one failed. A flush that
    // began after this call came in has done its work as well.
    let begunBefore = flushesBegun.load(ordering: .sequentiallyConsistent)
    let code: Int32 = flushHasFailed.withLock { flushHasFailed in
      if flushHasFailed { return EIO }
      if flushesBegun.load(ordering: .sequentiallyConsistent) > begunBefore { return 0 }
      flushesBegun.add(1, ordering: .sequentiallyConsistent)
      // Size and blocks are what it takes to read the data back; fdatasync has those written too.
      guard retrying({ Int(fdatasync(data.raw)) }) == 0 else {
        let code = errno
        flushHasFailed = true
        return code
      }
      return 0
    }
    guard code == 0 else { throw IOError(code) }
  }

  /// Gives the blocks of a range back to the host; the range then reads as zeros.
  ///
  /// - Throws: `EINVAL` if the range is not inside the LUN, `EOPNOTSUPP` if the host's file system cannot.
  public func punchHole(at offset: Int64, length: Int64) throws(IOError) {
    try change(LINUX_FALLOC_FL_PUNCH_HOLE | LINUX_FALLOC_FL_KEEP_SIZE, offset, length)
  }

  /// Makes a range read as zeros, and keeps or gets room for it.
  ///
  /// - Throws: `EINVAL` if the range is not inside the LUN, `ENOSPC` if the host has no room for it.
  public func zero(at offset: Int64, length: Int64) throws(IOError) {
    do throws(IOError) {
      try change(LINUX_FALLOC_FL_ZERO_RANGE | LINUX_FALLOC_FL_KEEP_SIZE, offset, length)
    } catch {
      guard error.code == EOPNOTSUPP else { throw error }
      try writeZeros(at: offset, length: length)
    }
  }

  /// Gets room for a range, the contents of which stay as they are: later writes to it do not fail with
  /// `ENOSPC`.
  ///
  /// - Throws: `EINVAL` if the range is not inside the LUN, `ENOSPC` if the host has no room for it.
  public func allocate(at offset: Int64, length: Int64) throws(IOError) {
    try change(LINUX_FALLOC_FL_KEEP_SIZE, offset, length)
  }

  /// The first byte at or after `offset` that may hold data; `nil` if there are only holes from there on.
  public func nextData(from offset: Int64) throws(IOError) -> Int64? {
    try seek(offset, LINUX_SEEK_DATA)
  }

  /// The first byte at or after `offset` that is in a hole or is the end of the LUN; `nil` past the end.
  public func nextHole(from offset: Int64) throws(IOError) -> Int64? {
    try seek(offset, LINUX_SEEK_HOLE)
  }

  /// The attributes of the data file: size, allocated blocks and times are those of the LUN.
  public func status() throws(IOError) -> stat {
    var status = stat()
    guard fstat(data.raw, &status) == 0 else { throw IOError(errno) }
    return status
  }

  /// Sets the times of the last access and the last change; `UTIME_NOW` and `UTIME_OMIT` mean what they mean
  /// for `futimens`.
  public func setTimes(access: timespec, modification: timespec) throws(IOError) {
    guard futimens(data.raw, [access, modification]) == 0 else { throw IOError(errno) }
  }

  /// Hands out the descriptor of the one file that holds the bytes of the LUN in their order, for libraries
  /// that read files. It is valid for the duration of the call and is not to be written to.
  public func withFlatFile<Result, Failure: Error>(
    _ body: (Int32) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    defer { withExtendedLifetime(data) {} }
    return try body(data.raw)
  }

  /// The part of a request that lies inside the LUN.
  private func inside(_ offset: Int64, _ count: Int) throws(IOError) -> Int {
    guard offset >= 0 else { throw IOError(EINVAL) }
    return Int(max(0, min(Int64(count), size - offset)))
  }

  /// `fallocate`, limited as that of a block device is (blkdev_fallocate in the kernel's block/fops.c): a
  /// range that begins inside and ends outside is cut at the end.
  private func change(_ mode: Int, _ offset: Int64, _ length: Int64) throws(IOError) {
    guard offset >= 0, length > 0, offset < size else { throw IOError(EINVAL) }
    let length = min(length, size - offset)
    guard retrying({ Int(linux_fallocate(data.raw, Int32(mode), offset, length)) }) == 0 else {
      throw IOError(errno)
    }
  }

  private func writeZeros(at offset: Int64, length: Int64) throws(IOError) {
    let zeros = [UInt8](repeating: 0, count: 1 << 20)
    var position = offset
    let end = min(offset + min(length, Int64.max - offset), size)
    while position < end {
      let count = Int(min(Int64(zeros.count), end - position))
      let written = zeros.withUnsafeBytes { bytes in
        Result { () throws(IOError) in
          try write(UnsafeRawBufferPointer(rebasing: bytes[..<count]), at: position)
        }
      }
      position += Int64(try written.get())
    }
  }

  private func seek(_ offset: Int64, _ whence: Int) throws(IOError) -> Int64? {
    guard offset >= 0 else { throw IOError(EINVAL) }
    // The offset that the kernel keeps for the descriptor moves; nothing else here uses it.
    let found = lseek(data.raw, off_t(offset), Int32(whence))
    if found >= 0 { return min(Int64(found), size) }
    if errno == ENXIO { return nil }
    throw IOError(errno)
  }
}
