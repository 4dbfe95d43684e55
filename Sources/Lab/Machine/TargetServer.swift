import Glibc

/// The iSCSI targets of one portal, served from files of a fuse-lun mount: by tgtd(8), or by istgt(1) where sessions are
/// counted, which tgtd does not do.
final class TargetServer {
  private let network: LabNetwork
  private let targets: [LabPlan.Target]
  /// The file of a LU.
  private let file: (_ lun: Int, _ iqn: String) -> String
  private let folder: String
  /// Writes go past the kernel's page cache: what was not flushed is in the LU's own cache only.
  private let isDirect: Bool
  private var daemon: Tool?

  /// Of targets that share a portal.
  init(
    _ targets: [LabPlan.Target], network: LabNetwork, folder: String, isDirect: Bool,
    file: @escaping (_ lun: Int, _ iqn: String) -> String
  ) {
    self.targets = targets
    self.network = network
    self.file = file
    self.folder = folder
    self.isDirect = isDirect
  }

  deinit { stop() }

  /// Where its log is.
  var log: String { "\(folder)/target.log" }

  /// The targets that it serves.
  var names: [String] { targets.map(\.iqn) }

  /// Starts the daemon; when this returns, initiators can log in.
  func start() throws(LabError) {
    guard daemon == nil, let portal = targets.first else { return }
    if targets.contains(where: { $0.maxSessions != nil }) {
      try startCounting(portal)
    } else {
      try startTgt(portal)
    }
  }

  /// The daemon is killed: its connections are closed by the kernel, nothing else is said to anybody.
  func stop() {
    daemon?.kill()
    daemon = nil
  }

  private func wait(_ daemon: Tool, until isReady: () throws(LabError) -> Bool) throws(LabError) {
    self.daemon = daemon
    let limit = monotonic() + 20
    while try !isReady() {
      guard daemon.isRunning, monotonic() < limit else {
        throw LabError("the target does not start; see \(log)")
      }
      usleep(50_000)
    }
  }

  // MARK: istgt

  private func startCounting(_ portal: LabPlan.Target) throws(LabError) {
    let base = portal.iqn.prefix { $0 != ":" }
    var lines = [
      "[Global]", "NodeBase \"\(base)\"", "PidFile \(folder)/pid", "AuthFile \(folder)/auth.conf",
      "Timeout 30",
      "NopInInterval 20", "DiscoveryAuthMethod None", "MaxSessions \(portal.maxSessions ?? 16)",
      "MaxConnections 4",
      "[UnitControl]", "AuthMethod None", "Portal UC1 127.0.0.1:3261", "Netmask 127.0.0.1", "[PortalGroup1]",
      "Portal DA1 \(portal.address):\(portal.port)", "[InitiatorGroup1]", "InitiatorName \"ALL\"",
      "Netmask ALL",
    ]
    for (index, target) in targets.enumerated() {
      lines += [
        "[LogicalUnit\(index + 1)]", "TargetName \(target.iqn.dropFirst(base.count + 1))",
        "Mapping PortalGroup1 InitiatorGroup1", "AuthMethod None", "UnitType Disk",
      ]
      for unit in target.units { lines.append("LUN\(unit.lun) Storage \(file(unit.lun, target.iqn)) Auto") }
    }
    try Files.write(lines.joined(separator: "\n") + "\n", to: "\(folder)/istgt.conf")
    try Files.write("", to: "\(folder)/auth.conf")
    let daemon = try Tool(network.inside(["istgt", "-D", "-c", "\(folder)/istgt.conf"]), log: log)
    try wait(daemon) { () throws(LabError) in
      guard let socket = try network.connect(to: portal.address, port: portal.port) else { return false }
      close(socket)
      return true
    }
  }

  // MARK: tgt

  private func startTgt(_ portal: LabPlan.Target) throws(LabError) {
    let words = ["tgtd", "-f", "-C", "1", "--iscsi", "portal=\(portal.address):\(portal.port)"]
    let daemon = try Tool(network.inside(words), log: log, variables: control)
    try wait(daemon) { () throws(LabError) in try admin(["--op", "show", "--mode", "sys"]).status == 0 }
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
        if isDirect { options += ["--bsoflags", "direct"] }
        try set("new", "logicalunit", number, options)
        // The caching page of the mode pages (SBC-3, 0x08): its third byte's bit 2 is WCE; tgt's own has it set.
        if !unit.hasWriteCache {
          let page = "mode_page=8:0:18:0x10:0:0xff:0xff:0:0:0xff:0xff:0xff:0xff:0x80:0x14:0:0:0:0:0:0"
          try set("update", "logicalunit", number, ["--lun", "\(unit.lun)", "-P", page])
        }
      }
      // An address that is admitted admits every name: either is enough for tgt.
      if let names = target.acl {
        for name in names { try set("bind", "target", number, ["-Q", name]) }
      } else {
        try set("bind", "target", number, ["-I", "ALL"])
      }
    }
  }

  private var control: [String: String] { ["TGT_IPC_SOCKET": "\(folder)/tgtd"] }

  private func set(
    _ operation: String, _ mode: String, _ number: String, _ options: [String]
  ) throws(LabError) {
    try require(["--op", operation, "--mode", mode, "--tid", number] + options)
  }

  private func require(_ words: [String]) throws(LabError) {
    let (status, text) = try admin(["--lld", "iscsi"] + words)
    guard status == 0 else { throw LabError("tgtadm \(words.joined(separator: " ")): \(text)") }
  }

  private func admin(_ words: [String]) throws(LabError) -> (status: Int32, text: String) {
    let variables = control.map { "\($0.key)=\($0.value)" }
    return try Tool.finish(["env"] + variables + ["tgtadm", "-C", "1"] + words)
  }
}
