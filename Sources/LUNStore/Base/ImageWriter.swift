import Glibc

/// Writes an image into a file that is all a hole, and leaves holes where the image is zeros.
public struct ImageWriter {
  private let file: Int32
  private let path: String
  /// What is zeros is left out in pieces of this many bytes. Smaller ones would save space here and there, and scatter
  /// the file over the disk.
  private static let piece = 64 * 1024

  /// - Parameters:
  ///   - file: open for writing.
  ///   - path: for messages.
  public init(_ file: Int32, path: String) { (self.file, self.path) = (file, path) }

  /// Writes what is not zeros.
  ///
  /// - Parameter offset: where in the file; a multiple of 64 KiB makes for the most holes.
  /// - Throws: the failing system call.
  public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StoreError) {
    var begin = 0
    while begin < bytes.count {
      var end = begin
      while end < bytes.count, !isZero(bytes, end) { end = min(bytes.count, end + Self.piece) }
      if end > begin {
        let part = UnsafeRawBufferPointer(rebasing: bytes[begin..<end])
        try writeAll(part, to: file, at: offset + Int64(begin), path: path)
      }
      begin = end
      while begin < bytes.count, isZero(bytes, begin) { begin = min(bytes.count, begin + Self.piece) }
    }
  }

  private func isZero(_ bytes: UnsafeRawBufferPointer, _ begin: Int) -> Bool {
    let count = min(Self.piece, bytes.count - begin)
    let first = bytes.baseAddress! + begin
    // Each byte is the same as the one before, and the first is 0: as fast as memory.
    return bytes[begin] == 0 && memcmp(first, first + 1, count - 1) == 0
  }
}

extension BaseSource {
  /// Copies all of the image into a file that is all a hole.
  ///
  /// - Parameters:
  ///   - writer: the file.
  ///   - progress: called after each piece, with how far into the image it is.
  ///   - requireGoingOn: called before each piece; what it throws ends the copy.
  /// - Throws: what reading and writing throw.
  public func copy(
    to writer: ImageWriter, progress: Progress, requireGoingOn: () throws(StoreError) -> Void
  ) throws(StoreError) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    func reading<Value>(_ step: () throws(IOError) -> Value) throws(StoreError) -> Value {
      do throws(IOError) { return try step() } catch { throw explain(error) }
    }
    var position: Int64 = 0
    while let data = try reading({ () throws(IOError) in try nextData(from: position) }) {
      position = data.lowerBound
      while position < data.upperBound {
        try requireGoingOn()
        // Up to a multiple of the buffer's size, so that pieces of zeros are found where they are.
        let end = min(data.upperBound, (position / Int64(buffer.count) + 1) * Int64(buffer.count))
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(end - position)])
        try reading { () throws(IOError) in try read(into: part, at: position) }
        try writer.write(UnsafeRawBufferPointer(part), at: position)
        position = end
        progress(position, size)
      }
    }
    progress(size, size)
  }
}
