/// The timers of an open-iscsi session, in seconds unless they count.
///
/// The values and what reads them: `etc/iscsid.conf`, `usr/iscsi_settings.h` and `usr/iscsistart.c` of open-iscsi 2.1.
public struct ISCSITimers: Sendable, Hashable {
  /// `node.session.timeo.replacement_timeout`: how long I/O waits for a lost session; 0 fails at once, less waits
  /// for ever.
  public var replacementTimeout = 120
  /// `node.conn[0].timeo.login_timeout`.
  public var loginTimeout = 30
  /// `node.conn[0].timeo.logout_timeout`.
  public var logoutTimeout = 15
  /// `node.conn[0].timeo.noop_out_interval`: silence before a ping; 0 never pings.
  public var noopInterval = 5
  /// `node.conn[0].timeo.noop_out_timeout`: how long the answer may take.
  public var noopTimeout = 5
  /// `node.session.initial_login_retry_max`: how often the first login is tried.
  public var initialLoginRetryMax = 4
  /// `node.session.reopen_max`: how often a lost session is reopened; 0 is for ever.
  public var reopenMax = 0
  /// `node.session.err_timeo.abort_timeout`.
  public var abortTimeout = 15
  /// `node.session.err_timeo.lu_reset_timeout`.
  public var luResetTimeout = 30
  /// `node.session.err_timeo.tgt_reset_timeout`.
  public var targetResetTimeout = 30
  /// `node.session.err_timeo.host_reset_timeout`.
  public var hostResetTimeout = 60

  /// What is compiled in, used where no file says otherwise.
  public init() {}

  /// What a node record gets from the `iscsid.conf` that open-iscsi ships.
  public static var shippedFile: ISCSITimers {
    var timers = ISCSITimers()
    timers.loginTimeout = 15
    timers.initialLoginRetryMax = 8
    return timers
  }

  /// What `iscsistart` uses in an initramfs unless told otherwise: no pings, and 30 tries to log in.
  public static var iscsistart: ISCSITimers {
    var timers = ISCSITimers()
    timers.noopInterval = 0
    timers.noopTimeout = 0
    timers.initialLoginRetryMax = 30
    return timers
  }

  /// How long iscsid tries the first login before it gives up: retries times the login time-out
  /// (`iscsi_retry_initial_login` in usr/initiator.c).
  public var initialLoginSeconds: Int {
    let (product, overflow) = initialLoginRetryMax.multipliedReportingOverflow(by: loginTimeout)
    return overflow ? Int.max : product
  }

  /// The keys of the timers, in `iscsid.conf` and in node records, with the property each one sets.
  static var keys: [(key: String, path: WritableKeyPath<ISCSITimers, Int>)] {
    [
      ("node.session.timeo.replacement_timeout", \.replacementTimeout),
      ("node.conn[0].timeo.login_timeout", \.loginTimeout),
      ("node.conn[0].timeo.logout_timeout", \.logoutTimeout),
      ("node.conn[0].timeo.noop_out_interval", \.noopInterval),
      ("node.conn[0].timeo.noop_out_timeout", \.noopTimeout),
      ("node.session.initial_login_retry_max", \.initialLoginRetryMax),
      ("node.session.reopen_max", \.reopenMax),
      ("node.session.err_timeo.abort_timeout", \.abortTimeout),
      ("node.session.err_timeo.lu_reset_timeout", \.luResetTimeout),
      ("node.session.err_timeo.tgt_reset_timeout", \.targetResetTimeout),
      ("node.session.err_timeo.host_reset_timeout", \.hostResetTimeout),
    ]
  }

  /// Takes over the timers among some settings; what is no number leaves the value as it is and is a problem.
  mutating func apply(_ settings: [ConfigSetting], file: String) -> [Problem] {
    var problems: [Problem] = []
    let paths = Dictionary(uniqueKeysWithValues: Self.keys.map { ($0.key, $0.path) })
    for setting in settings {
      guard let path = paths[setting.key] else { continue }
      if let number = Int(setting.value) {
        self[keyPath: path] = number
      } else {
        problems.append(
          Problem(
            .error, file: file, line: setting.line, message: "'\(setting.key)' is \(setting.value.quoted)",
            hint: "a number"))
      }
    }
    return problems
  }
}
