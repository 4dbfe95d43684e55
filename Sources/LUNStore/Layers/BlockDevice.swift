import Glibc

/// What a LUN is for those above it: bytes that are read, written, discarded and flushed.
///
/// The operations mean what they mean on `LUN`, and may be used from any number of threads at once.
public protocol BlockDevice: AnyObject, Sendable {
  /// The number of bytes; may change while the device is in use.
  var size: Int64 { get }
  /// The number of bytes of a logical block.
  var blockSize: Int64 { get }

  /// Reads into `buffer`, up to the end of the device; returns the number of bytes read.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(IOError) -> Int
  /// Writes `buffer`, up to the end of the device; returns the number of bytes written.
  ///
  /// - Parameter durably: these bytes are durable on return (forced unit access).
  func write(_ buffer: UnsafeRawBufferPointer, at offset: Int64, durably: Bool) throws(IOError) -> Int
  /// Makes durable everything that was acknowledged before the call.
  func flush() throws(IOError)
  /// Gives a range back; it reads as zeros.
  func punchHole(at offset: Int64, length: Int64) throws(IOError)
  /// Makes a range read as zeros, and keeps or gets room for it.
  func zero(at offset: Int64, length: Int64) throws(IOError)
  /// Gets room for a range, the contents of which stay.
  func allocate(at offset: Int64, length: Int64) throws(IOError)
  /// The first byte at or after `offset` that may hold data; `nil` if there are only holes.
  func nextData(from offset: Int64) throws(IOError) -> Int64?
  /// The first byte at or after `offset` that is in a hole or is the end; `nil` past the end.
  func nextHole(from offset: Int64) throws(IOError) -> Int64?
}

extension LUN: BlockDevice {
  /// Writes, and flushes if `durably`: the host has no way to make a part of a file durable.
  public func write(
    _ buffer: UnsafeRawBufferPointer, at offset: Int64, durably: Bool
  ) throws(IOError) -> Int {
    let count = try write(buffer, at: offset)
    if durably { try flush() }
    return count
  }
}
