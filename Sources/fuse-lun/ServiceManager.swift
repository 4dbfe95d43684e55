import Glibc

/// Tells the service manager that started this process how it stands: sd_notify(3), without its library.
enum ServiceManager {
  private static let variable = "NOTIFY_SOCKET"

  /// Says that clients can open the files.
  static func sayReady(_ status: String) { send("READY=1\nSTATUS=\(status)") }

  /// Says that nothing is served any more, though the process has yet to make everything durable.
  static func sayStopping() { send("STOPPING=1\nSTATUS=Making everything durable") }

  /// Sends a datagram to the socket that `NOTIFY_SOCKET` names, if anything does. Nobody is told of a failure: the
  /// service manager will notice that it hears nothing.
  private static func send(_ state: String) {
    guard let path = getenv(variable).map({ String(cString: $0) }), path.hasPrefix("/") || path.hasPrefix("@")
    else { return }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let room = MemoryLayout.size(ofValue: address.sun_path)
    // A name that begins with @ is in the abstract namespace, where a zero byte is in its place (unix(7)).
    let bytes = path.hasPrefix("@") ? [0] + path.utf8.dropFirst() : Array(path.utf8) + [0]
    guard bytes.count <= room else { return }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let length = socklen_t(MemoryLayout<sockaddr_un>.size - room + bytes.count)

    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        let text = Array(state.utf8)
        while sendto(descriptor, text, text.count, Int32(MSG_NOSIGNAL), address, length) < 0, errno == EINTR {
        }
      }
    }
  }
}
