import Glibc

/// Runs `body` on a thread of its own, which takes no signals.
func startThread(_ body: @escaping @Sendable () -> Void) {
  // No memory for a thread: late is better than never.
  guard let thread = JoinableThread(body) else { return body() }
  thread.detach()
}

/// A thread that somebody waits for; it takes no signals.
struct JoinableThread: Sendable {
  private let thread: pthread_t

  private final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  /// - Returns: `nil` if there is no memory for it.
  init?(_ body: @escaping @Sendable () -> Void) {
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    let box = Unmanaged.passRetained(Box(body))
    var thread = pthread_t()
    let failure = pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
        return nil
      }, box.toOpaque())
    guard failure == 0 else {
      box.release()
      return nil
    }
    self.thread = thread
  }

  /// Waits for its end; once.
  func join() { pthread_join(thread, nil) }

  /// Nobody will wait for it.
  fileprivate func detach() { pthread_detach(thread) }
}

/// State that threads change and wait for: a mutex with a condition variable.
final class Monitor<State>: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var state: State

  init(_ state: State) {
    self.state = state
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    condition.deallocate()
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  /// Works on the state, and then has those who wait look again.
  func change<Result, Failure: Error>(_ body: (inout State) throws(Failure) -> Result) throws(Failure)
    -> Result
  {
    pthread_mutex_lock(mutex)
    defer {
      pthread_cond_broadcast(condition)
      pthread_mutex_unlock(mutex)
    }
    return try body(&state)
  }

  /// Waits until `isMet`, and then works on the state in the same moment.
  ///
  /// - Parameter seconds: for how long at most; `nil` for as long as it takes.
  /// - Returns: whether it came to that.
  @discardableResult
  func wait(
    _ seconds: Int? = nil, until isMet: (State) -> Bool, then body: (inout State) -> Void = { _ in }
  ) -> Bool {
    var deadline = timespec()
    clock_gettime(CLOCK_MONOTONIC, &deadline)
    deadline.tv_sec += seconds ?? 0
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while !isMet(state) {
      if seconds == nil {
        pthread_cond_wait(condition, mutex)
      } else if pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT, !isMet(state) {
        return false
      }
    }
    body(&state)
    pthread_cond_broadcast(condition)
    return true
  }
}
