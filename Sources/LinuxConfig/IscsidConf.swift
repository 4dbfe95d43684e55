/// `/etc/iscsi/iscsid.conf` of open-iscsi.
///
/// It is read when a node record is made; changing it changes no record that exists.
public struct IscsidConf: ConfigurationFile, Hashable {
  /// The settings in order, unknown ones too.
  public var settings: [ConfigSetting]
  /// The timers a node record made from this file gets.
  public var timers: ISCSITimers

  /// A file without settings.
  public init() {
    settings = []
    timers = ISCSITimers()
  }

  /// Keys that open-iscsi 2.0 to 2.1 reads, besides the timers; what is in brackets may be any number.
  static let otherKeys: [String] = [
    "iscsid.startup", "iscsid.safe_logout", "node.startup", "node.leading_login",
    "node.session.auth.authmethod",
    "node.session.auth.chap_algs", "node.session.auth.username", "node.session.auth.password",
    "node.session.auth.username_in", "node.session.auth.password_in", "node.session.cmds_max",
    "node.session.queue_depth", "node.session.xmit_thread_priority", "node.session.nr_sessions",
    "node.session.scan",
    "node.session.iscsi.InitialR2T", "node.session.iscsi.ImmediateData",
    "node.session.iscsi.FirstBurstLength",
    "node.session.iscsi.MaxBurstLength", "node.session.iscsi.FastAbort",
    "node.session.iscsi.DefaultTime2Wait",
    "node.session.iscsi.DefaultTime2Retain", "node.session.iscsi.MaxConnections", "node.session.iscsi.ERL",
    "node.conn[0].iscsi.MaxRecvDataSegmentLength", "node.conn[0].iscsi.MaxXmitDataSegmentLength",
    "node.conn[0].iscsi.HeaderDigest", "node.conn[0].iscsi.DataDigest", "node.conn[0].iscsi.IFMarker",
    "node.conn[0].iscsi.OFMarker", "node.conn[0].startup", "node.conn[0].tcp.window_size",
    "node.conn[0].tcp.type_of_service", "node.session.sess_reopen_log_freq",
    "discovery.sendtargets.auth.authmethod", "discovery.sendtargets.auth.username",
    "discovery.sendtargets.auth.password", "discovery.sendtargets.auth.username_in",
    "discovery.sendtargets.auth.password_in", "discovery.sendtargets.timeo.login_timeout",
    "discovery.sendtargets.timeo.auth_timeout", "discovery.sendtargets.timeo.active_timeout",
    "discovery.sendtargets.timeo.idle_timeout", "discovery.sendtargets.timeo.ping_timeout",
    "discovery.sendtargets.reopen_max", "discovery.sendtargets.use_discoveryd",
    "discovery.sendtargets.discoveryd_poll_inval", "discovery.sendtargets.iscsi.MaxRecvDataSegmentLength",
    "discovery.isns.use_discoveryd", "discovery.isns.discoveryd_poll_inval", "isns.address", "isns.port",
    "node.session.initial_cmdsn", "node.session.auth.chap_algs", "node.conn[0].timeo.auth_timeout",
    "node.conn[0].timeo.active_timeout", "node.conn[0].timeo.idle_timeout", "node.conn[0].timeo.ping_timeout",
  ]

  /// Reads a file.
  public static func parse(_ text: String, file: String) -> Parsed<IscsidConf> {
    var conf = IscsidConf()
    var problems = SourceText.carriageReturns(in: text, file: file)
    let known = ISCSITimers.keys.map(\.key) + otherKeys
    for line in text.sourceLines {
      let trimmed = line.text.trimmed
      if trimmed.isEmpty || trimmed.starts(withBytes: "#") { continue }
      guard let setting = ConfigSetting(line) else {
        problems.append(
          Problem(
            .warning, file: file, line: line.number, message: "\(trimmed.quoted) is not understood",
            hint: "a line has the form key = value"))
        continue
      }
      if !known.contains(setting.key) {
        let near = SourceText.nearest(to: setting.key, among: known)
        problems.append(
          Problem(
            .warning, file: file, line: line.number, message: "the key \(setting.key.quoted) is not known",
            hint: near.map { "did you mean '\($0)'?" }))
      }
      conf.settings.append(setting)
    }
    problems += conf.timers.apply(conf.settings, file: file)
    return Parsed(conf, problems: problems.sorted { $0.line < $1.line })
  }

  /// The value set last for a key; `nil` when the file does not set it.
  public func value(_ key: String) -> String? { settings.last(key)?.value }

  /// `node.startup` of the records made from this file; open-iscsi's default is `manual`.
  public var startup: String { value("node.startup") ?? "manual" }

  /// The initiator's CHAP name and secret, and those asked of the target; each `nil` when it is not set. Without
  /// `node.session.auth.authmethod = CHAP` open-iscsi 2.0 and later send the name and secret all the same.
  public var credentials: (username: String?, password: String?, usernameIn: String?, passwordIn: String?) {
    (
      value("node.session.auth.username"), value("node.session.auth.password"),
      value("node.session.auth.username_in"), value("node.session.auth.password_in")
    )
  }
}
