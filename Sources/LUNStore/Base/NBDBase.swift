import CNbd
import Glibc
import Synchronization

/// An export of an NBD server, read through libnbd: whatever qemu-nbd and nbdkit can open is an image.
///
/// There is one connection, and requests take turns on it. A connection that broke is made anew by the next request. A
/// server that says nothing for `patience` is taken for gone, since threads of a mount wait here; so that they do not
/// wait one after the other, requests fail at once for a moment after that.
public final class NBDBase: BaseSource {
  /// How to find the image again.
  public let reference: BaseReference

  /// How long an answer may take, in seconds; TCP itself would wait for a quarter of an hour.
  static let patience = 30
  /// How long nobody asks after that, in seconds.
  static let pause = 2

  private struct State {
    var connection: Connection?
    /// Seconds of the monotonic clock before which a server that was silent is not asked again.
    var silentUntil = 0
    var problem = ""
  }

  private let uri: String
  private let state: Mutex<State>

  private struct Weak {
    weak var base: NBDBase?
  }
  private static let opened = Mutex<[BaseReference: Weak]>([:])

  /// The connection that this process has already, or a new one: LUNs with the same base share it, since a server may
  /// take no second one (`qemu-nbd` does not without `--shared`).
  static func shared(_ uri: String, expecting reference: BaseReference) throws(StoreError) -> NBDBase {
    if let base = opened.withLock({ $0[reference]?.base }) { return base }
    let base = try NBDBase(uri, expecting: reference)
    opened.withLock { $0[reference] = Weak(base: base) }
    return base
  }

  /// Whether a text that was given as an image is a URI and not a path.
  public static func isURI(_ text: String) -> Bool {
    ["nbd", "nbds", "nbd+unix", "nbds+unix", "nbd+vsock", "nbds+vsock"].contains { text.hasPrefix("\($0):") }
  }

  /// Connects to an export.
  ///
  /// - Parameters:
  ///   - uri: as nbd_connect_uri(3) has it.
  ///   - reference: what it has to be; `nil` for what it is.
  /// - Throws: what libnbd says, with the URI; `baseChanged` if the export has another size.
  public init(_ uri: String, expecting reference: BaseReference? = nil) throws(StoreError) {
    let connection: Connection
    do throws(Connection.Failure) {
      connection = try Connection(uri)
    } catch {
      throw error.asStoreError(uri, "cannot connect")
    }
    guard connection.size > 0 else {
      throw StoreError(.invalidInput, at: uri, "is empty: there is no image in it")
    }
    let found = BaseReference(.nbd(uri: uri), size: connection.size)
    if let reference { try found.require(reference) }
    (self.uri, self.reference) = (uri, reference ?? found)
    state = Mutex(State(connection: connection))
  }

  /// The length of the image, in bytes, as it was when the image was first opened.
  public var size: Int64 { reference.size }

  /// Fills all of `buffer`; as `BaseSource` has it.
  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(IOError) {
    try perform { connection throws(Connection.Failure) in
      var done = 0
      while done < buffer.count {
        let part = min(connection.maximumRequest, buffer.count - done)
        try connection.read(buffer.baseAddress! + done, part, at: offset + Int64(done))
        done += part
      }
    }
  }

  /// The next range that is not known to be zeros; as `BaseSource` has it.
  public func nextData(from offset: Int64) throws(IOError) -> Range<Int64>? {
    try perform { connection throws(Connection.Failure) in
      var position = offset
      while position < size {
        let extent = try connection.extent(at: position)
        if extent.isData { return position..<extent.end }
        position = extent.end
      }
      return nil
    }
  }

  /// An error in words; as `BaseSource` has it.
  public func explain(_ error: IOError) -> StoreError {
    let problem = state.withLock { $0.problem }
    return StoreError(
      .system(error.code), at: uri, "cannot read: \(problem.isEmpty ? errorText(error.code) : problem)")
  }

  /// Runs requests on the connection, once more on a new one if it is broken.
  private func perform<Result: Sendable>(
    _ requests: (borrowing Connection) throws(Connection.Failure) -> Result
  ) throws(IOError) -> Result {
    let outcome: Swift.Result<Result, IOError> = state.withLock { state in
      guard monotonicSeconds() >= state.silentUntil else { return .failure(IOError(EIO)) }
      for attempt in 1...2 {
        do throws(Connection.Failure) {
          if state.connection == nil { state.connection = try reconnected() }
          return .success(try requests(state.connection!))
        } catch {
          state.problem = printable(error.text)
          let isUsable = state.connection?.isUsable ?? false
          if !isUsable || error.isSilence { state.connection = nil }
          if error.isSilence { state.silentUntil = monotonicSeconds() + Self.pause }
          if isUsable || error.isSilence || attempt == 2 { return .failure(IOError(error.code)) }
        }
      }
      return .failure(IOError(EIO))
    }
    return try outcome.get()
  }

  private func reconnected() throws(Connection.Failure) -> Connection {
    let connection = try Connection(uri)
    guard connection.size == size else {
      throw Connection.Failure(
        code: EIO, text: "the export has \(bytesText(connection.size)) now, and had \(size)")
    }
    return connection
  }
}

private func monotonicSeconds() -> Int {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return now.tv_sec
}
