import Synchronization

/// A value that one thread at a time may use.
final class Locked<Value: Sendable>: Sendable {
  private let mutex: Mutex<Value>

  init(_ value: Value) { mutex = Mutex(value) }

  func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
    mutex.withLock { value in
      var copy = value
      let result = body(&copy)
      value = copy
      return result
    }
  }
}
