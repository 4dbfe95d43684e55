import Glibc

/// The iSCSI targets of one portal, served by tgtd(8) from files of a fuse-lun mount.
final class TargetServer {
  private let network: LabNetwork
  private let targets: [LabPlan.Target]
  /// The file of a LU.
  private let file: (_ lun: Int, _ iqn: String) -> String
  private let folder: String
  private var daemon: Tool?

  /// Of targets that share a portal.
  init(
    _ targets: [LabPlan.Target], network: LabNetwork, folder: String,
    file: @escaping (_ lun: Int, _ iqn: String) -> String
  ) {
    self.targets = targets
    self.network = network
    self.file = file
    self.folder = folder
  }

  deinit { stop() }

  /// Where its log is.
  var log: String { "\(folder)/tgtd.log" }

  /// The targets that it serves.
  var names: [String] { targets.map(\.iqn) }

  /// Starts the daemon; when this returns, initiators can log in.
  func start() throws(LabError) {
    guard daemon == nil, let portal = targets.first else { return }
    let words = ["tgtd", "-f", "-C", "1", "--iscsi", "portal=\(portal.address):\(portal.port)"]
    let daemon = try Tool(network.inside(words), log: log, variables: control)
    self.daemon = daemon
    let limit = monotonic() + 20
    while try admin(["--op", "show", "--mode", "sys"]).status != 0 {
      guard daemon.isRunning, monotonic() < limit else { throw LabError("tgtd does not start; see \(log)") }
      usleep(50_000)
    }
    for (index, target) in targets.enumerated() {
      let number = "\(index + 1)"
      try set("new", "target", number, ["-T", target.iqn])
      if let chap = target.chap {
        try require([
          "--op", "new", "--mode", "account", "--user", chap.username, "--password", chap.password,
        ])
        try require(["--op", "bind", "--mode", "account", "--tid", number, "--user", chap.username])
      }
      for unit in target.units {
        var options = ["--lun", "\(unit.lun)", "-b", file(unit.lun, target.iqn)]
        if let block = unit.blockSize { options += ["--blocksize", "\(block)"] }
        try set("new", "logicalunit", number, options)
        // The caching page of the mode pages (SBC-3, 0x08): its third byte's bit 2 is WCE; tgt's own has it set.
        if !unit.hasWriteCache {
          let page = "mode_page=8:0:18:0x10:0:0xff:0xff:0:0:0xff:0xff:0xff:0xff:0x80:0x14:0:0:0:0:0:0"
          try set("update", "logicalunit", number, ["--lun", "\(unit.lun)", "-P", page])
        }
      }
      try set("bind", "target", number, ["-I", "ALL"])
      for initiator in target.acl ?? [] { try set("bind", "target", number, ["-Q", initiator]) }
    }
  }

  /// The daemon is killed: its connections are closed by the kernel, nothing else is said to anybody.
  func stop() {
    daemon?.kill()
    daemon = nil
  }

  private var control: [String: String] { ["TGT_IPC_SOCKET": "\(folder)/tgtd"] }

  private func set(
    _ operation: String, _ mode: String, _ number: String, _ options: [String]
  ) throws(LabError) {
    try require(["--lld", "iscsi", "--op", operation, "--mode", mode, "--tid", number] + options)
  }

  private func require(_ words: [String]) throws(LabError) {
    let words = words.contains("--lld") ? words : ["--lld", "iscsi"] + words
    let (status, text) = try admin(words)
    guard status == 0 else { throw LabError("tgtadm \(words.joined(separator: " ")): \(text)") }
  }

  private func admin(_ words: [String]) throws(LabError) -> (status: Int32, text: String) {
    let variables = control.map { "\($0.key)=\($0.value)" }
    return try Tool.finish(["env"] + variables + ["tgtadm", "-C", "1"] + words)
  }

  /// The sessions that are up, as tgt shows them.
  func sessions() -> String {
    (try? admin(["--lld", "iscsi", "--op", "show", "--mode", "target"]))?.text ?? ""
  }
}
