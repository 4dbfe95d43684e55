import Glibc

extension LUN {
  /// Keeps the one file that holds the bytes open until `letGoOfFlatFile`: what somebody writes who has it in hand
  /// (`withFlatFile`) is not seen here, and so neither is when it would have to be flushed.
  ///
  /// - Returns: whether there is such a file, and room for it.
  public func holdFlatFile() -> Bool {
    gate.shared {
      guard chain.isFlat, (try? chain.head.data.pin()) != nil else { return false }
      let file = chain.head.data
      heldFiles.withLock { $0.append(file) }
      return true
    }
  }

  /// Whoever had the file in hand has it no more. To be called as often as `holdFlatFile` said yes.
  public func letGoOfFlatFile() {
    guard let file = heldFiles.withLock({ $0.popLast() }) else { return }
    file.noteWritten()
    file.unpin()
  }

  /// Cuts off what was written behind the end by somebody who had the LUN's one file in hand (`withFlatFile`)
  /// and whom nobody stopped there. It would show when the LUN grows.
  ///
  /// - Throws: the host's error.
  public func cutAtEnd() throws(IOError) {
    try gate.alone { () throws(IOError) in
      guard chain.isFlat, access == .readWrite else { return }
      let pinned = chain.head.data
      let file = try pinned.pin()
      defer { pinned.unpin() }
      var status = stat()
      guard fstat(file, &status) == 0 else { throw IOError(errno) }
      guard Int64(status.st_size) > chain.headRecord.size else { return }
      guard retrying({ Int(ftruncate(file, off_t(chain.headRecord.size))) }) == 0 else {
        throw IOError(errno)
      }
    }
  }
}
