import CSyncProbe
import Glibc
import Synchronization

/// Sees what is flushed in one folder, of the many that this process has.
final class SyncProbe: Sendable {
  private static let all = Mutex<[SyncProbe]>([])

  private let path: String
  private let body = Mutex<@Sendable (Int32) -> Int32>({ _ in 0 })

  /// - Parameter path: of the folder.
  init(_ path: String) { self.path = path }

  /// Calls `body` after each flush that succeeded, with the descriptor, until `stop`. It returns 0, or the error
  /// number that the flush then fails with all the same.
  func start(_ body: @escaping @Sendable (_ file: Int32) -> Int32) {
    self.body.withLock { $0 = body }
    Self.all.withLock { $0.append(self) }
    sync_probe_set { file in
      let path = SyncProbe.path(of: file)
      let probe = SyncProbe.all.withLock { all in
        all.first { path == $0.path || path.hasPrefix("\($0.path)/") }
      }
      return probe?.body.withLock { $0 }(file) ?? 0
    }
  }

  func stop() { Self.all.withLock { all in all.removeAll { $0 === self } } }

  private static func path(of file: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/fd/\(file)", &buffer, buffer.count)
    return String(decoding: buffer.prefix(max(0, length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
