import CFuse
import Glibc
import Synchronization

/// Where a mounted store says what its clients cannot be told: the standard error output in the foreground,
/// the system log as a daemon.
enum Log {
  private static let toSystemLog = Atomic(false)

  /// From here on there is no terminal.
  static func useSystemLog() {
    cfuse_use_syslog()
    toSystemLog.store(true, ordering: .relaxed)
  }

  static var isInSystemLog: Bool { toSystemLog.load(ordering: .relaxed) }

  static func error(_ message: String) {
    if toSystemLog.load(ordering: .relaxed) {
      cfuse_syslog(LOG_ERR, message)
    } else {
      try? emitLine("fuse-lun: \(message)", to: 2)
    }
  }
}
