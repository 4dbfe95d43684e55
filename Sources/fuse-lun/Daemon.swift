import ArgumentParser
import Glibc
import LUNStore

/// A process in the background that the one in the foreground waits for until it is of use.
enum Daemon {
  /// Forks. The child runs `body`, which calls its argument when it is ready; the parent returns then. If the
  /// child ends before that, it has said why, and the parent ends with the same status.
  ///
  /// Has to be called while there is one thread only.
  static func run(_ body: (_ becomeReady: @escaping @Sendable () -> Void) throws -> Void) throws {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw StoreError(.system(errno), at: "pipe", errorText(errno)) }
    let (reading, writing) = (ends[0], ends[1])
    // Not for fusermount3, which the child will start.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    fflush(nil)
    let child = fork()
    guard child >= 0 else { throw StoreError(.system(errno), at: "fork", errorText(errno)) }
    guard child == 0 else {
      close(writing)
      var ready: UInt8 = 0
      while true {
        let count = read(reading, &ready, 1)
        if count == 1 { return }
        if count == 0 || errno != EINTR { break }
      }
      throw ExitCode(status(ofEnded: child))
    }
    close(reading)
    setsid()
    try body {
      // Whoever waits for the end of our output must not wait for the end of the mount.
      let null = open("/dev/null", O_RDWR | O_CLOEXEC)
      if null >= 0 {
        for standard in 0...2 as ClosedRange<Int32> { dup2(null, standard) }
        close(null)
      }
      var ready: UInt8 = 1
      _ = write(writing, &ready, 1)
      close(writing)
    }
  }

  private static func status(ofEnded child: pid_t) -> Int32 {
    let status = statusAtEnd(of: child)
    // WIFEXITED and WEXITSTATUS, which are macros.
    return status & 0x7F == 0 ? status >> 8 & 0xFF : 1
  }
}
