import Glibc
import Synchronization

extension WriteLog {
  /// The layer that records: it stands right before the LUN and logs what the LUN has done, before the client
  /// hears of it.
  ///
  /// Changes go one at a time through the LUN and into the log, since the log is worth nothing if its order
  /// is not that of the LUN. A flush waits for the LUN and for the log, and keeps nobody waiting.
  public final class Recorder: DiskLayer {
    /// What it is called on the command line.
    public var kind: String { "log" }
    /// The log is that of the LUN, whatever other layers keep from it.
    public var staysNextToLUN: Bool { true }
    private let writer: Writer
    private let turn = Mutex(State())
    private let whenFailed: @Sendable (StoreError) -> Void

    private struct State {
      /// Why nothing is recorded any more.
      var failure: IOError?
      var hasEnded = false
      var changes: Int64 = 0
      var bytes: Int64 = 0
      var flushes: Int64 = 0
    }

    /// Records from now on.
    ///
    /// - Parameter whenFailed: called once if the log cannot be written. The LUN works on; the log ends with
    ///   what it has.
    public init(_ writer: Writer, whenFailed: @escaping @Sendable (StoreError) -> Void) {
      self.writer = writer
      self.whenFailed = whenFailed
    }

    /// What the log is about.
    public var header: Header { writer.header }

    /// How much it has recorded.
    public var counters: [LayerCounter] {
      let state = turn.withLock { $0 }
      return [
        LayerCounter("changes", state.changes), LayerCounter("bytes written", state.bytes),
        LayerCounter("flushes", state.flushes),
      ]
    }

    /// That the log could not be written, if so.
    public func warnings(on device: any BlockDevice) -> [String] {
      turn.withLock { $0.failure }.map {
        ["the log could not be written, and ends with entry \(writer.last): \(errorText($0.code))"]
      } ?? []
    }

    /// Writes, and logs as much as the LUN took.
    public func write(
      _ buffer: UnsafeRawBufferPointer, at offset: Int64, durably: Bool, to below: any BlockDevice
    ) throws(IOError) -> Int {
      let buffer = UnsafeRawBufferPointer(rebasing: buffer.prefix(WriteLog.longestWrite))
      // The longest part of the work; nobody waits for it here.
      let checksum = CRC32C.checksum(buffer)
      let (count, number) = try change((checksum, buffer.count)) { () throws(IOError) in
        let count = try below.write(buffer, at: offset, durably: false)
        let written = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        return (count, count > 0 ? .write(offset..<(offset + Int64(count))) : nil, written)
      }
      if durably {
        try below.flush()
        if let number { try noteDurable(number..<(number + 1)) }
      }
      return count
    }

    /// Gives a range back, and logs it.
    public func punchHole(
      at offset: Int64, length: Int64, in below: any BlockDevice
    ) throws(IOError) {
      _ = try change { () throws(IOError) in
        try below.punchHole(at: offset, length: length)
        return (0, .discard(offset..<(offset + min(length, below.size - offset))), nil)
      }
    }

    /// Zeroes a range, and logs it.
    public func zero(at offset: Int64, length: Int64, in below: any BlockDevice) throws(IOError) {
      _ = try change { () throws(IOError) in
        try below.zero(at: offset, length: length)
        return (0, .zero(offset..<(offset + min(length, below.size - offset))), nil)
      }
    }

    /// Makes the LUN durable, and the log with it.
    public func flush(_ below: any BlockDevice) throws(IOError) {
      // What has not been logged by now is not acknowledged, and no flush promises anything for that.
      let last = turn.withLock { _ in writer.last }
      try below.flush()
      try noteDurable(1..<(last + 1))
    }

    /// Adds a remark, which is durable on return.
    ///
    /// - Throws: the host's error, if the log could not be written now or earlier.
    public func mark(_ text: String) throws(IOError) {
      try writer.append(.mark(text))
      try writer.synchronize()
    }

    /// Ends the log; what comes after is not recorded.
    ///
    /// - Throws: the host's error, if the log could not be written now or earlier.
    public func end(_ reason: String) throws(IOError) {
      let (isFirst, failure) = turn.withLock { state in
        defer { state.hasEnded = true }
        return (!state.hasEnded, state.failure)
      }
      guard isFirst else { return }
      if let failure { throw failure }
      try writer.end(reason)
    }

    /// Ends the log. A log that cannot be written any more does not keep the layer.
    public func detach(from below: any BlockDevice) throws(IOError) {
      do throws(IOError) {
        try end("by the end of the mount, or by 'layer clear'")
      } catch {
        turn.withLock { fail(error, &$0) }
      }
    }

    /// Has the LUN do something, and logs what it did.
    ///
    /// - Parameter whole: the checksum and the length of the data, if the LUN takes all of it.
    private func change(
      _ whole: (checksum: UInt32, length: Int)? = nil,
      _ work: () throws(IOError) -> (Int, Entry.Operation?, UnsafeRawBufferPointer?)
    ) throws(IOError) -> (Int, number: UInt64?) {
      let outcome: Result<(Int, UInt64?), IOError> = turn.withLock { state in
        do throws(IOError) {
          let (count, operation, data) = try work()
          guard let operation, state.failure == nil, !state.hasEnded else { return .success((count, nil)) }
          state.changes += 1
          state.bytes += Int64(count)
          do throws(IOError) {
            let data = data ?? UnsafeRawBufferPointer(start: nil, count: 0)
            let checksum = whole?.length == data.count ? whole?.checksum : nil
            return .success((count, try writer.append(operation, data, checksum: checksum)))
          } catch {
            fail(error, &state)
            return .success((count, nil))
          }
        } catch {
          return .failure(error)
        }
      }
      return try outcome.get()
    }

    private func noteDurable(_ numbers: Range<UInt64>) throws(IOError) {
      let isRecording = turn.withLock { state in
        state.flushes += 1
        return state.failure == nil && !state.hasEnded
      }
      guard isRecording else { return }
      do throws(IOError) {
        try writer.append(.flush(numbers))
        try writer.synchronize()
      } catch {
        // A flush that comes too late for the log has failed nobody.
        turn.withLock { if !$0.hasEnded { fail(error, &$0) } }
      }
    }

    private func fail(_ error: IOError, _ state: inout State) {
      guard state.failure == nil else { return }
      state.failure = error
      whenFailed(
        StoreError(
          .system(error.code), at: "log of LUN '\(header.lun)'",
          "cannot be written, and ends with entry \(writer.last): \(errorText(error.code))"))
    }
  }
}
