import Glibc
import Synchronization
import TestSupport
import Testing

@testable import LUNStore

/// Time that passes when a test says so.
final class VirtualScheduler: Scheduler {
  private struct State {
    var now = Instant(nanoseconds: 1_000_000_000)
    var calls: [(at: Instant, body: @Sendable () -> Void)] = []
  }

  private let state = Mutex(State())

  var now: Instant { state.withLock { $0.now } }

  func call(at instant: Instant, _ body: @escaping @Sendable () -> Void) {
    state.withLock { $0.calls.append((instant, body)) }
  }

  /// Does what is due, in the order of the times, until `time` has passed.
  func advance(_ time: Duration) {
    let end = now + time
    while let body = state.withLock({ state -> (@Sendable () -> Void)? in
      let due = state.calls.indices.filter { state.calls[$0].at <= end }
      guard let next = due.min(by: { (state.calls[$0].at, $0) < (state.calls[$1].at, $1) }) else {
        return nil
      }
      let call = state.calls.remove(at: next)
      state.now = max(state.now, call.at)
      return call.body
    }) { body() }
    state.withLock { $0.now = end }
  }
}

/// A real LUN under a stack, on virtual time.
final class StackFixture: Sendable {
  let folder = TemporaryFolder()
  let lun: LUN
  let time = VirtualScheduler()
  let stack: LayerStack

  init(size: String = "1M", blockSize: String = "512") throws {
    let (store, _) = try Store.openOrCreate(folder("store"))
    try store.createLUN(LUNRequest(name: "a", size: size, blockSize: blockSize))
    lun = try store.openLUN(LUNName("a"), .readWrite)
    stack = LayerStack(lun: lun, scheduler: time)
  }

  /// Arms a layer given as on the command line: `delay`, `read=5ms`.
  @discardableResult
  func add(_ kind: String, _ options: String...) throws -> Int {
    switch try NewLayer(kind, settings(options), on: lun) {
    case .request(let layer): try stack.add(layer)
    case .disk(let layer): try stack.add(layer)
    }
  }

  /// Arms a fault rule given as on the command line: `error`, `lba=5`.
  @discardableResult
  func fault(_ kind: String, _ options: String...) throws -> Int {
    guard case .request(let rule) = try NewLayer(fault: kind, settings(options), on: lun) else {
      throw StoreError(.invalidInput, at: kind, "is no rule")
    }
    return try stack.add(rule)
  }

  /// Submits a request.
  func send(_ request: IORequest) -> Sent {
    let sent = Sent(stack.reserve())
    stack.submit(request, as: sent.token) { result in
      sent.results.withLock { $0.append(result) }
    }
    return sent
  }

  func read(_ offset: Int64, _ length: Int64) -> Sent { send(.read(at: offset, length: length)) }
  func write(_ offset: Int64, _ data: [UInt8], durably: Bool = false) -> Sent {
    send(.write(data, at: offset, forceUnitAccess: durably))
  }
  func flush() -> Sent { send(.flush) }
  func discard(_ offset: Int64, _ length: Int64) -> Sent {
    send(.change(.discard, at: offset, length: length))
  }

  /// What the LUN itself holds, without the layers.
  func onDisk(_ offset: Int64, _ length: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0xEE, count: length)
    _ = try bytes.withUnsafeMutableBytes { try lun.read(into: $0, at: offset) }
    return bytes
  }

  func counter(_ id: Int, _ name: String) -> Int64? {
    stack.layers.first { $0.id == id }?.layer.counters.first { $0.name == name }?.value
  }

  func warnings(_ id: Int) -> [String] {
    stack.layers.first { $0.id == id }?.layer.warnings(on: lun) ?? []
  }
}

/// A request that was submitted.
final class Sent: Sendable {
  let token: LayerStack.RequestToken
  let results = Mutex<[Result<IOReply, IOError>]>([])

  init(_ token: LayerStack.RequestToken) { self.token = token }

  /// How it ended: 0 or the error number; `nil` while it waits.
  var code: Int32? {
    results.withLock { results in
      precondition(results.count <= 1, "completed twice")
      return results.first.map { if case .failure(let error) = $0 { error.code } else { 0 } }
    }
  }

  /// What was read.
  var data: [UInt8]? { results.withLock { try? $0.first?.get().data } }
  /// How many bytes were read or written.
  var count: Int? { results.withLock { try? $0.first?.get().count } }
}

func settings(_ options: [String]) -> [LayerSetting] {
  options.map { option in
    let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    return LayerSetting(String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
  }
}

/// Sectors that each say who wrote them.
func sectors(_ mark: UInt8, _ count: Int) -> [UInt8] { [UInt8](repeating: mark, count: count * 512) }
