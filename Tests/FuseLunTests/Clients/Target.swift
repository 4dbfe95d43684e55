import Glibc
import TestSupport
import Testing

/// Whether tgtd can be run here.
let whyNoTarget: String? = {
  if let whyNoMount { return whyNoMount }
  guard isRoot, hasTools("tgtd", "tgtadm", "tgt-admin") else { return "an iSCSI target needs root and tgt" }
  guard hasTools("iscsi-inq", "iscsi-ls", "iscsi-readcapacity16", "iscsi-test-cu") else {
    return "initiators of libiscsi-bin are needed"
  }
  return nil
}()

/// A tgtd with a control port of its own, listening on this machine only.
final class Target: Sendable {
  private let server: Server
  private let control: String
  private let port: Int

  init() throws {
    // Both numbers are the test's own until it has ended: nobody else gets the port while this socket has it, and tgtd
    // listens beside it.
    let (port, reservation) = try freePort()
    defer { close(reservation) }
    // At most 32767; ports that the kernel chooses are above that, and so no two of them come out the same.
    let control = String(port & 0x7FFF)
    let started = Server(["tgtd", "-f", "-C", control, "--iscsi", "portal=127.0.0.1:\(port)"]) {
      run("tgtadm", "-C", control, "--mode", "target", "--op", "show").status == 0
    }
    server = try #require(started, "tgtd does not start")
    (self.control, self.port) = (control, port)
  }

  deinit {
    server.stop()
    for file in ["socket.\(control)", "socket.\(control).lock"] { unlink("/var/run/tgtd/\(file)") }
  }

  /// Takes over a targets.conf.
  func load(_ configuration: String) -> Outcome { run("tgt-admin", "-C", control, "-c", configuration, "-e") }

  /// What tgtd says of its targets.
  var targets: String { run("tgtadm", "-C", control, "--mode", "target", "--op", "show").output }

  /// Makes a target of files, from LUN 1 on.
  func serve(_ files: String..., as name: String) throws {
    try command("--op", "new", "--mode", "target", "--targetname", name)
    for (index, file) in files.enumerated() {
      let lun = String(index + 1)
      try command("--op", "new", "--mode", "logicalunit", "--lun", lun, "--backing-store", file)
      try command(
        "--op", "update", "--mode", "logicalunit", "--lun", lun, "--params", "thin_provisioning=1")
    }
    try command("--op", "bind", "--mode", "target", "--initiator-address", "127.0.0.1")
  }

  /// Runs a command of fuse-lun's advice, with this target's control port, target 1 and a LUN.
  func follow(_ advice: String, lun: Int) -> Outcome {
    let words = advice.split(separator: " ").map { word -> String in
      switch word {
      case "tgtadm": "tgtadm -C \(control)"
      case "TID": "1"
      case "LUN": String(lun)
      default: String(word)
      }
    }
    return run("sh", "-c", words.joined(separator: " "))
  }

  private func command(_ words: String...) throws {
    let outcome = run(["tgtadm", "-C", control, "--lld", "iscsi", "--tid", "1"] + words)
    try #require(outcome.status == 0, "\(outcome)")
  }

  /// For the initiators of libiscsi.
  var portal: String { "iscsi://127.0.0.1:\(port)" }
}

/// A TCP port that nobody else has, and the socket that keeps it so.
private func freePort() throws -> (port: Int, socket: Int32) {
  let reservation = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
  var yes: Int32 = 1
  setsockopt(reservation, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let bound = withUnsafeMutablePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(reservation, $0, length) == 0 && getsockname(reservation, $0, &length) == 0
    }
  }
  try #require(bound, "no free port")
  return (Int(UInt16(bigEndian: address.sin_port)), reservation)
}
