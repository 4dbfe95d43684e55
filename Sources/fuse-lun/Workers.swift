import Dispatch
import Synchronization

/// Threads that do what may have to wait; as many as there is work for, up to a limit.
final class Workers: Sendable {
  typealias Job = @Sendable () -> Void

  private struct State {
    var jobs: [Job] = []
    var threads: [JoinableThread] = []
    /// How many of them have nothing to do.
    var idle = 0
    var isEnding = false
  }

  private let state = Mutex(State())
  private let work = DispatchSemaphore(value: 0)

  /// Those that wait for a slow disk keep others from theirs, and more that copy are no faster.
  private static let limit = 16

  /// Has a job done, unless the end has come.
  func submit(_ job: @escaping Job) {
    let isForThem = state.withLock { state in
      if state.isEnding { return true }
      if state.jobs.count >= state.idle, state.threads.count < Self.limit,
        let thread = JoinableThread({ [self] in run() })
      {
        state.threads.append(thread)
        state.idle += 1
      }
      guard !state.threads.isEmpty else { return false }
      state.jobs.append(job)
      work.signal()
      return true
    }
    // No memory for a single thread: the caller's has to do.
    if !isForThem { job() }
  }

  private func run() {
    while true {
      work.wait()
      let job = state.withLock { state -> Job? in
        if state.isEnding || state.jobs.isEmpty { return nil }
        state.idle -= 1
        return state.jobs.removeFirst()
      }
      guard let job else { return }
      job()
      state.withLock { $0.idle += 1 }
    }
  }

  /// Waits until every job that has begun is done; the others are not done any more.
  func end() {
    let threads = state.withLock { state in
      state.isEnding = true
      state.jobs = []
      defer { state.threads = [] }
      return state.threads
    }
    for _ in threads { work.signal() }
    for thread in threads { thread.join() }
  }
}
