import Glibc
import Sim

/// Another machine's initiator: it logs in to a target, and logs in again whenever it is thrown out.
///
/// Its session has the ISID that open-iscsi gives to the first session of a machine (00 02 3d 00 00 01, as seen in the
/// login requests of open-iscsi 2.1.8), so that a target takes it for a session of any other machine of the same
/// initiator name: RFC 7143, 6.3.5, session reinstatement.
final class OtherInitiator {
  private let machine: OtherMachine
  private let address: String
  private let port: Int
  private let network: LabNetwork
  private var socket: Int32?
  private var nextTry = 0.0
  /// How often the target has taken its login.
  private(set) var logins = 0

  init(_ machine: OtherMachine, at target: LabPlan.Target, network: LabNetwork) {
    self.machine = machine
    self.network = network
    (address, port) = (target.address, target.port)
  }

  deinit { if let socket { close(socket) } }

  /// Logs in if it is not logged in; to be called again and again.
  ///
  /// - Returns: what has happened, for people; nil: nothing.
  func turn() throws(LabError) -> String? {
    if let socket {
      var byte: UInt8 = 0
      let count = recv(socket, &byte, 1, Int32(MSG_DONTWAIT) | Int32(MSG_PEEK))
      guard count == 0 || count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR else {
        if count > 0 { answerPings(socket) }
        return nil
      }
      close(socket)
      self.socket = nil
      nextTry = monotonic() + 2
      return "\(machine.initiator) of the other machine is thrown out"
    }
    guard monotonic() >= nextTry else { return nil }
    // open-iscsi waits two seconds between two attempts.
    nextTry = monotonic() + 2
    guard let socket = try network.connect(to: address, port: port) else { return nil }
    let request = loginRequest
    guard send(socket, request, request.count, Int32(MSG_NOSIGNAL)) == request.count,
      let answer = header(socket)
    else {
      close(socket)
      return nil
    }
    // Status class and detail (RFC 7143, 11.13.5).
    guard answer[36] == 0 else {
      close(socket)
      return "the target refuses the other machine's login: \(answer[36])/\(answer[37])"
    }
    self.socket = socket
    logins += 1
    return "the other machine is logged in as \(machine.initiator)"
  }

  /// A login request that goes from operational negotiation to the full-feature phase (RFC 7143, 11.12).
  private var loginRequest: [UInt8] {
    let keys = [
      "InitiatorName=\(machine.initiator)", "TargetName=\(machine.target)", "SessionType=Normal",
      "HeaderDigest=None",
      "DataDigest=None",
    ]
    var data: [UInt8] = []
    for key in keys { data += Array(key.utf8) + [0] }
    var bytes = [UInt8](repeating: 0, count: 48)
    bytes[0] = 0x43  // immediate, login
    bytes[1] = 0x87  // transit from stage 1 to stage 3
    (bytes[5], bytes[6], bytes[7]) = (
      UInt8(data.count >> 16), UInt8(data.count >> 8 & 0xFF), UInt8(data.count & 0xFF)
    )
    bytes.replaceSubrange(8..<14, with: [0x00, 0x02, 0x3D, 0x00, 0x00, 0x01])
    let padding = (4 - data.count % 4) % 4
    bytes += data
    bytes += Array(repeating: 0, count: padding)
    return bytes
  }

  /// Reads a PDU's header and drops its data.
  private func header(_ socket: Int32) -> [UInt8]? {
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var header = [UInt8](repeating: 0, count: 48)
    guard recv(socket, &header, 48, Int32(MSG_WAITALL)) == 48 else { return nil }
    let length = Int(header[5]) << 16 | Int(header[6]) << 8 | Int(header[7])
    var rest = [UInt8](repeating: 0, count: (length + 3) & ~3)
    guard rest.isEmpty || recv(socket, &rest, rest.count, Int32(MSG_WAITALL)) == rest.count else {
      return nil
    }
    return header
  }

  /// A target that asks whether anybody is there (NOP-In with a target transfer tag) gets its answer.
  private func answerPings(_ socket: Int32) {
    guard var header = header(socket), header[0] & 0x3F == 0x20, header[20..<24] != [0xFF, 0xFF, 0xFF, 0xFF]
    else { return }
    header[0] = 0x40
    header.replaceSubrange(5..<8, with: [0, 0, 0])
    header.replaceSubrange(16..<20, with: [0xFF, 0xFF, 0xFF, 0xFF])
    _ = send(socket, header, 48, Int32(MSG_NOSIGNAL))
  }
}
