import Synchronization

/// Where it is said why a client was given an error, when the client can be told no more than a number.
public enum StoreLog {
  private struct State {
    var receiver: (@Sendable (StoreError) -> Void)?
    var last: StoreError?
  }
  private static let state = Mutex(State())

  /// Has what is reported sent to `receiver`; until then nobody is told.
  public static func send(to receiver: @escaping @Sendable (StoreError) -> Void) {
    state.withLock { $0.receiver = receiver }
  }

  /// Reports an error, unless the one before was the same: a disk that is gone is asked thousands of times.
  static func report(_ error: StoreError) {
    let receiver = state.withLock { state in
      defer { state.last = error }
      return state.last == error ? nil : state.receiver
    }
    receiver?(error)
  }
}
