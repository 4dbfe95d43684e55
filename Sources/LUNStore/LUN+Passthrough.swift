import Glibc

extension LUN {
  /// Cuts off what was written behind the end by somebody who had the LUN's one file in hand (`withFlatFile`)
  /// and whom nobody stopped there. It would show when the LUN grows.
  ///
  /// - Throws: the host's error.
  public func cutAtEnd() throws(IOError) {
    try gate.alone { () throws(IOError) in
      guard chain.isFlat, access == .readWrite else { return }
      let file = chain.head.data.raw
      var status = stat()
      guard fstat(file, &status) == 0 else { throw IOError(errno) }
      guard Int64(status.st_size) > chain.headRecord.size else { return }
      guard retrying({ Int(ftruncate(file, off_t(chain.headRecord.size))) }) == 0 else {
        throw IOError(errno)
      }
    }
  }
}
