import Dispatch
import Glibc
import Synchronization

/// The layers of one LUN, and the requests that are in them.
///
/// With no layer armed a request does not come here: `beginDirect` says so, and the caller goes straight to the
/// LUN. Otherwise a request passes the request layers, in order; then, if none of them ended it, it is carried
/// out on the disk layers and the LUN by the thread that brought it or, after a wait, by one of the scheduler.
/// A request that waits is a value in a table and occupies no thread, so that a LUN that hangs does not keep
/// others waiting. What is held is what clients have under way, no more.
public final class LayerStack: Sendable {
  /// Tells the requests of one stack apart.
  public typealias RequestToken = UInt64
  /// Called once for each request, from any thread and with no lock held; must not change the layers.
  public typealias Completion = @Sendable (Result<IOReply, IOError>) -> Void

  /// The LUN under the layers.
  public let lun: any BlockDevice
  let scheduler: any Scheduler
  let state: Mutex<State>
  /// One change of the layers at a time.
  let changes = Mutex(())
  private let direct = Atomic<Int>(0)
  private static let armedBit = Int.min
  private static let lastToken = Atomic<UInt64>(0)

  /// A stack with no layer.
  public init(lun: any BlockDevice, scheduler: any Scheduler = SystemScheduler()) {
    self.lun = lun
    self.scheduler = scheduler
    state = Mutex(State(device: lun))
  }

  // MARK: Requests that need no layer

  /// Whether the caller may use the LUN itself because no layer is armed; then `endDirect` has to follow.
  @inline(__always)
  public func beginDirect() -> Bool {
    guard !isDiverted else { return false }
    if direct.add(1, ordering: .sequentiallyConsistent).oldValue >= 0 { return true }
    endDirect()
    return false
  }

  /// The use of the LUN that `beginDirect` permitted is over.
  @inline(__always)
  public func endDirect() {
    if direct.subtract(1, ordering: .sequentiallyConsistent).newValue == Self.armedBit {
      wakeWhoWaitsForQuiet()
    }
  }

  /// From here on `beginDirect` says no.
  func divert() {
    direct.bitwiseOr(Self.armedBit, ordering: .sequentiallyConsistent)
  }

  /// Lets requests go straight to the LUN again.
  func undivert() { direct.bitwiseAnd(Int.max, ordering: .sequentiallyConsistent) }

  var isDiverted: Bool { direct.load(ordering: .sequentiallyConsistent) < 0 }

  var isQuietOutside: Bool { direct.load(ordering: .sequentiallyConsistent) == Self.armedBit }

  private func wakeWhoWaitsForQuiet() { settle { _ in } }

  // MARK: Requests

  /// Names a request that is about to be submitted, so that it can be cancelled from then on.
  public func reserve() -> RequestToken {
    let token = Self.lastToken.add(1, ordering: .relaxed).newValue
    state.withLock { $0.requests[token] = .announced }
    return token
  }

  /// Sends a request through the layers. It is completed before or after the return, in the latter case by
  /// another thread.
  public func submit(
    _ request: IORequest, as token: RequestToken? = nil, completion: @escaping Completion
  ) {
    let token = token ?? reserve()
    var request = request
    request.number = token
    let now = scheduler.now
    settle(runningHere: token) { state in
      if case .cancelled? = state.requests[token] {
        state.end(token, completion, .failure(IOError(EINTR)))
      } else {
        let waiting = UnderWay(request: request, completion: completion, powerCuts: state.powerCuts)
        state.advance(token, waiting, from: 0, at: now)
      }
    }
  }

  /// The client no longer waits for a request: if it is held, it ends with `EINTR` and leaves no trace.
  ///
  /// - Returns: whether this stack has the request.
  @discardableResult
  public func cancel(_ token: RequestToken) -> Bool {
    settle { state in
      switch state.requests[token] {
      case .announced: state.requests[token] = .cancelled
      case .held(let waiting, _), .parked(let waiting):
        state.end(token, waiting, .failure(IOError(EINTR)), at: scheduler.now)
      case .running, .cancelled: break
      case nil: return false
      }
      return true
    }
  }

  /// Changes the state, and then does what follows from the change without the lock: answers, and requests that
  /// can be carried out. `runningHere` is carried out by the calling thread, all others by the scheduler's.
  @discardableResult
  func settle<Outcome>(
    runningHere own: RequestToken? = nil, _ change: (inout sending State) throws -> Outcome
  ) rethrows -> Outcome {
    let (outcome, work, alarm, waiter) = try state.withLock { state in
      let outcome = try change(&state)
      let waiter = state.isQuiet && isQuietOutside ? state.waiterForQuiet : nil
      if waiter != nil { state.waiterForQuiet = nil }
      return (outcome, state.takeWork(), state.takeAlarm(), waiter)
    }
    waiter?.signal()
    if let alarm { scheduler.call(at: alarm) { [self] in wake() } }
    for item in work {
      switch item {
      case .answer(let completion, let result):
        completion(result)
        // Only now: who waits for quiet at the end takes apart what completions use.
        settle { $0.answersDue -= 1 }
      case .run(let token, let request, let device):
        if token == own {
          run(token, request, device)
        } else {
          scheduler.call(at: scheduler.now) { [self] in run(token, request, device) }
        }
      case .cutPower(let cut): fail(cut)
      }
    }
    return outcome
  }

  private func run(_ token: RequestToken, _ request: IORequest, _ device: any BlockDevice) {
    let result = request.perform(on: device)
    if let cut = request.mishap.powerCut { fail(cut) }
    settle { $0.finish(token, result, at: scheduler.now) }
  }

  private func wake() {
    settle { $0.release(upTo: scheduler.now) }
  }

  /// Tells the disk layers, from the top, that the power is gone.
  private func fail(_ cut: PowerCut) {
    var device = state.withLock { $0.device }
    while let layered = device as? LayeredDevice {
      layered.layer.powerFailed(cut, above: layered.below)
      device = layered.below
    }
  }
}
