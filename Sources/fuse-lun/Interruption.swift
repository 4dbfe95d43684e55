import Glibc
import LUNStore
import Synchronization

/// Ends long work at Ctrl-C, SIGTERM and SIGHUP with nothing left half done.
///
/// The first signal makes the work fail where it next asks, so that it takes back what it made. A second one ends the
/// process on the spot.
enum Interruption {
  private static let received = Atomic<Int32>(0)

  /// Runs `body`, which calls `requireNone` now and then. If a signal came, the process ends by it after that, as it
  /// would have without this.
  static func awaited<Result>(_ body: () throws -> Result) throws -> Result {
    for end in [SIGINT, SIGTERM, SIGHUP] {
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { Interruption.received.store($0, ordering: .relaxed) }
      action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND))
      sigaction(end, &action, nil)
    }
    defer {
      for end in [SIGINT, SIGTERM, SIGHUP] { signal(end, SIG_DFL) }
      let signal = received.load(ordering: .relaxed)
      if signal != 0 { kill(getpid(), signal) }
    }
    return try body()
  }

  /// - Throws: if a signal has come.
  static func requireNone() throws(StoreError) {
    guard received.load(ordering: .relaxed) == 0 else {
      throw StoreError(.system(EINTR), at: "fuse-lun", "was told to stop; nothing has changed")
    }
  }
}
