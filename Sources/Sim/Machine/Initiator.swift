/// What takes a session away; kept to name the finding, explained by the trace.
enum LossCause: UInt8, Sendable {
  case none, interfaceDown, addressRemoved, firewall, cable, target, logout, noRecord
  /// Another machine has taken name and session.
  case reinstated
}

/// The running system's sessions and their timers (FACTS.md 2.4, 2.5).
extension MachineModel {
  /// linux-iscsi (SLES 9) and RHEL 4's iscsi_sfnet log in again from the kernel; open-iscsi needs iscsid for that.
  func recoversByItself(_ s: MachineState) -> Bool {
    KernelModules.selfRecovering.contains { loaded($0, s) }
  }

  /// Are the initiator's modules in the kernel, with those they need?
  private func initiatorReady(_ s: MachineState) -> Bool {
    recoversByItself(s)
      || ["iscsi_tcp", "libiscsi", "scsi_transport_iscsi", "crc32c"].allSatisfy { loaded($0, s) }
  }

  /// One try of an initiator in the initramfs or of `iscsiadm`.
  enum Attempt {
    case loggedIn
    case refused(LoginProblem)
    /// Nothing answers there (yet).
    case silent
  }

  func attempt(_ login: Login, target: Int, _ s: inout MachineState, _ out: inout Out) -> Attempt {
    guard reachableTargets(s).has(target) else { return .silent }
    if s.iscsi.session(target) == .loggedIn { return .loggedIn }
    guard initiatorReady(s) else {
      // Why they are not there may be known already.
      guard s.iscsi.problem != LoginProblem.moduleRefused.rawValue else { return .refused(.moduleRefused) }
      s.iscsi.problem = LoginProblem.unresolvedModules.rawValue
      out.note(.set(.login))
      return .refused(.unresolvedModules)
    }
    if let problem = refusal(login, by: target, asking: .system, s) {
      s.iscsi.problem = problem.rawValue
      out.note(.set(.login))
      return .refused(problem)
    }
    s.iscsi.sessions[target] = InitiatorState.Session.loggedIn.rawValue
    s.iscsi.problem = LoginProblem.none.rawValue
    s.iscsi.watched.set(target, recoversByItself(s))
    s.iscsi.known.set(target, s.iscsi.daemon)
    let iqn = scenario.targets[target].iqn
    say(
      "initiator",
      "Connection1:0 to [target: \(iqn), portal: \(scenario.targets[target].portal)] is operational now", &out
    )
    explain(
      "initiator", "the system logs in to \(iqn) as \(login.initiator ?? "?")", because: [.address, .ibft],
      sets: .session, to: &out)
    for disk in inventory.lus(of: target) { out.note(.set(.disk(disk))) }
    probeLUs(of: target, &s, &out)
    s.targets.danglingSystem.drop(target)
    noteNamesakes(login.initiator, target, &s, &out)
    return .loggedIn
  }

  /// Explains a refusal on the console, as the initiator prints it.
  func report(_ problem: LoginProblem, _ login: Login, part: String, _ out: inout Out) {
    switch problem {
    case .wrongSecret:
      say(part, "Login failed to authenticate with target \(login.target)", &out)
      explain(
        part,
        login.chap == nil
          ? "the target wants CHAP and the initiator has no name and secret for it"
          : "the target wants CHAP and the initiator's name and secret are not the target's",
        because: [.initramfs, .ibft], sets: .login, to: &out)
    case .notAdmitted:
      say(part, "session login rejected: Initiator failed authorization with target (02/02)", &out)
      explain(
        part, "the target does not admit the initiator name \(login.initiator ?? "(none)")",
        because: [.initramfs, .ibft], sets: .login, to: &out)
    case .targetNotFound:
      say(part, "session login rejected: target error - target not found (02/03)", &out)
      explain(
        part,
        "there is no target named \(login.target) at \(login.portal); names are compared letter by letter",
        because: [.initramfs, .ibft], sets: .login, to: &out)
    case .unresolvedModules:
      say(
        part, "iscsistart: can not connect to iSCSI daemon / modprobe: FATAL: Module iscsi_tcp not found",
        &out)
      explain(
        part, "a module that the initiator needs is not in the initramfs", because: [.initramfs],
        sets: .login, to: &out)
    case .sessionLimit:
      say(part, "connection1:0 login rejected: target error (03/02)", &out)
      explain(
        part, "the target admits no further session: the boot ROM's session still counts",
        because: [.romSession, .ibft], sets: .login, to: &out)
    default: break
    }
  }

  func executeLogin(_ logins: [Login], failTo: Int, part: String, _ s: inout MachineState, _ out: inout Out)
    -> Flow
  {
    var refused = false
    for login in logins {
      let candidates =
        login.target == "*"
        ? targets(discoveredAt: login.portal)
        : targets(atPortal: login.portal).filter { scenario.targets[$0].iqn == login.target }
      if candidates.isEmpty {
        // A portal where something else listens answers "not found"; where nothing listens nothing answers.
        let answering = targets(atPortal: login.portal).contains { reachableTargets(s).has($0) }
        if answering {
          s.iscsi.problem = LoginProblem.targetNotFound.rawValue
          report(.targetNotFound, login, part: part, &out)
          refused = true
          continue
        }
        s.iscsi.problem = silence(s).rawValue
        explain(
          part, "nothing answers at \(login.portal); the initiator tries again and again",
          because: [.address, .path], sets: .login, to: &out)
        return .wait(nil)
      }
      for target in candidates {
        switch attempt(login, target: target, &s, &out) {
        case .loggedIn: break
        case .refused(.sessionLimit):
          report(.sessionLimit, login, part: part, &out)
          return .wait(nil)
        case .refused(let problem):
          report(problem, login, part: part, &out)
          refused = true
        case .silent:
          s.iscsi.problem = silence(s).rawValue
          say(part, "connect to \(login.portal) failed (Connection refused)", &out)
          explain(
            part, "\(login.portal) does not answer; the initiator tries again and again",
            because: [.address, .path, .interface], sets: .login, to: &out)
          return .wait(nil)
        }
      }
    }
    return refused ? .to(failTo, Pace.about(200)) : .next(Pace.between(250, 700, seen: 400))
  }

  /// Why nobody answers: on this side there may be no adapter, or none with an address.
  private func silence(_ s: MachineState) -> LoginProblem {
    if s.network.present.isEmpty { return .noInterface }
    guard s.network.address.isEmpty else { return .unreachable }
    return s.iscsi.problem == LoginProblem.noAddress.rawValue ? .noAddress : .interfaceNotConfigured
  }

  /// Can a login that waits go on?
  func loginCanGoOn(_ logins: [Login], _ s: MachineState) -> Bool {
    for login in logins {
      let candidates =
        login.target == "*"
        ? targets(discoveredAt: login.portal)
        : targets(atPortal: login.portal).filter { scenario.targets[$0].iqn == login.target }
      if candidates.isEmpty {
        if !targets(atPortal: login.portal).contains(where: { reachableTargets(s).has($0) }) { return false }
        continue
      }
      for target in candidates {
        if !reachableTargets(s).has(target) { return false }
        if refusal(login, by: target, asking: .system, s) == .sessionLimit,
          s.iscsi.session(target) != .loggedIn
        {
          return false
        }
      }
    }
    return true
  }

  // MARK: - Connection lost and found

  func pathLost(_ target: Int, closed: Bool, _ s: inout MachineState, _ out: inout Out) {
    guard s.iscsi.session(target) == .loggedIn else { return }
    if closed {
      out.schedule(MachineEvent(.notice, target), Pace.between(0, 100, seen: 20))
    } else if s.iscsi.watched.has(target) {
      // A NOP-Out every `noop_out_interval`, to be answered within `noop_out_timeout` (5 s and 5 s; seen: 9 to 11 s).
      let timers = timers(of: target, s)
      let interval = Pace.milliseconds(ofSeconds: Int64(max(timers.noopInterval, 1))),
        limit = Pace.milliseconds(ofSeconds: Int64(max(timers.noopTimeout, 1)))
      out.schedule(
        MachineEvent(.notice, target), Pace.between(limit, interval + limit + 1000, seen: interval + limit))
    }
  }

  func pathRestored(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    switch s.iscsi.session(target) {
    case .none: break
    case .loggedIn:
      if s.targets.forgot.has(target) {
        endErrorHandling(target, &s, &out)
        // The target knows nothing of the connection: the next packet of ours is answered with a reset.
        return out.schedule(MachineEvent(.notice, target), Pace.between(0, 5000, seen: 1000))
      }
      guard !s.iscsi.errorHandling.has(target) else { return }
      out.cancel(MachineEvent(.notice, target))
      writingResumes(&s, &out)
    case .failed, .offline:
      if logsInAgain(target, s) {
        out.schedule(MachineEvent(.relogin, target), Pace.between(200, 3000, seen: 2000))
      }
    }
  }

  func sessionNotices(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    guard s.iscsi.session(target) == .loggedIn else { return }
    if s.iscsi.errorHandling.has(target) {
      endErrorHandling(target, &s, &out)
      say("kernel", "connection1:0: detected conn error (1021)", &out)
      say("kernel", "Device offlined - not ready after error recovery", &out)
      explain(
        "kernel", "no NOPs watch the connection: the SCSI layer's own time-outs and error handling run out",
        because: [.path, .daemon], sets: .session, to: &out)
      goOffline(target, &s, &out)
      return
    }
    s.iscsi.sessions[target] = InitiatorState.Session.failed.rawValue
    if s.network.targets.has(target) != s.targets.forgot.has(target) {
      say(
        "kernel",
        "connection1:0: ping timeout of \(timers(of: target, s).noopTimeout) secs expired, recv timeout \(timers(of: target, s).noopInterval)",
        &out)
      say("kernel", "connection1:0: detected conn error (1022)", &out)
    } else {
      say("kernel", "connection1:0: detected conn error (1020)", &out)
    }
    explain(
      "initiator", "the session is gone; commands wait in their queue", because: [.path], sets: .session,
      to: &out)
    startRecovery(target, &s, &out)
  }

  func startRecovery(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    if let timeout = recoveryTimeout(of: target, s) {
      out.schedule(MachineEvent(.recoveryTimeout, target), timeout)
    }
    // A connection that was cut: with its end the path is there for the next one, which pathRestored sees to.
    if reachableTargets(s).has(target), !s.network.cut.has(target), logsInAgain(target, s) {
      out.schedule(MachineEvent(.relogin, target), Pace.between(200, 3000, seen: 2000))
    }
  }

  func recoveryTimedOut(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    guard s.iscsi.session(target) == .failed else { return }
    say("kernel", "session1: session recovery timed out after \(recoverySeconds(of: target, s)) secs", &out)
    let nobody =
      s.iscsi.daemon ? "iscsid has no record of the session" : "iscsid does not run"
    explain(
      "initiator",
      logsInAgain(target, s)
        ? "the path did not come back in time: the kernel gives the devices up"
        : "nobody logs in again, because \(nobody): the kernel gives the devices up",
      because: [.path, .daemon, .session], sets: .session, to: &out)
    goOffline(target, &s, &out)
  }

  func goOffline(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    s.iscsi.sessions[target] = InitiatorState.Session.offline.rawValue
    out.cancel(MachineEvent(.relogin, target))
    if reachableTargets(s).has(target), s.iscsi.daemon, logsInAgain(target, s) {
      out.schedule(MachineEvent(.relogin, target), Pace.between(200, 3000, seen: 2000))
    }
    rootDeviceGone(target, &s, &out)
  }

  func relogin(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    guard reachableTargets(s).has(target),
      s.iscsi.session(target) == .failed || s.iscsi.session(target) == .offline,
      logsInAgain(target, s)
    else { return }
    s.iscsi.sessions[target] = InitiatorState.Session.loggedIn.rawValue
    s.iscsi.known.set(target, s.iscsi.daemon)
    s.network.cut.drop(target)
    s.targets.forgot.drop(target)
    out.cancel(MachineEvent(.recoveryTimeout, target))
    say("kernel", "sd \(firstAddress(of: target)): Power-on or device reset occurred", &out)
    explain(
      "initiator", "\(recoversByItself(s) ? "the kernel" : "iscsid") logs in again",
      because: [.path, .daemon], sets: .session, to: &out)
    writingResumes(&s, &out)
    goesOn(target, &s, &out)
    namesakesReturn(target, &s, &out)
  }

  // MARK: - The daemon

  func startDaemon(_ s: inout MachineState, _ out: inout Out) {
    guard !s.iscsi.daemon else { return }
    s.iscsi.daemon = true
    explain("initiator", "iscsid starts", sets: .daemon, to: &out)
    guard !recoversByItself(s) else { return }
    for target in scenario.targets.indices {
      switch s.iscsi.session(target) {
      case .loggedIn: out.schedule(MachineEvent(.daemonSync, target), Pace.between(1500, 2500, seen: 2000))
      case .failed, .offline:
        if reachableTargets(s).has(target), logsInAgain(target, s) {
          out.schedule(MachineEvent(.relogin, target), Pace.between(200, 3000, seen: 2000))
        }
      case .none: break
      }
    }
  }

  func stopDaemon(_ why: String, _ s: inout MachineState, _ out: inout Out) {
    guard s.iscsi.daemon else { return }
    s.iscsi.daemon = false
    s.iscsi.known = []
    explain("initiator", why, sets: .daemon, to: &out)
    guard !recoversByItself(s) else { return }
    for target in scenario.targets.indices {
      out.cancel(MachineEvent(.relogin, target))
      out.cancel(MachineEvent(.daemonSync, target))
      // The other machine has been logged in to for the last time.
      if isContested(target, s), s.iscsi.session(target) == .loggedIn { namesakesComeAgain(target, &out, s) }
    }
  }

  /// A starting iscsid takes over each session it finds by redoing its login (usr/initiator.c, iscsi_sync_session; seen 2 s after its start);
  /// from then on NOPs watch the connection, also after the daemon's death.
  func daemonSyncs(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    guard s.iscsi.daemon, s.iscsi.session(target) == .loggedIn else { return }
    if dropsUnknownSession(target, s) { return dropUnknownSession(target, &s, &out) }
    s.iscsi.timersTree = s.tree + 1
    s.iscsi.known.put(target)
    s.iscsi.watched.set(target, timers(of: target, s).noopInterval > 0)
    say("kernel", "sd \(firstAddress(of: target)): Power-on or device reset occurred", &out)
    explain("initiator", "iscsid takes the session over and redoes its login", because: [.daemon], to: &out)
    if reachableTargets(s).has(target), s.targets.forgot.has(target) {
      s.targets.forgot.drop(target)
      out.cancel(MachineEvent(.notice, target))
      goesOn(target, &s, &out)
    }
    if reachableTargets(s).has(target) {
      // A new connection has none of the old one's timers.
      if s.iscsi.errorHandling.has(target) {
        endErrorHandling(target, &s, &out)
        writingResumes(&s, &out)
      }
      namesakesReturn(target, &s, &out)
    } else {
      s.iscsi.sessions[target] = InitiatorState.Session.failed.rawValue
      endErrorHandling(target, &s, &out)
      explain(
        "initiator", "the login cannot be redone: the target is out of reach", because: [.path, .daemon],
        sets: .session, to: &out)
      startRecovery(target, &s, &out)
    }
  }

  /// `iscsiadm --logout`: the devices go at once, whoever uses them.
  ///
  /// An iscsid that has just been started knows nothing of a session yet: it refuses (lab i, where the socket starts it).
  func logout(
    of names: [String]?, keepRoot: Bool, part: String, _ why: String, _ s: inout MachineState,
    _ out: inout Out
  ) {
    let rootTarget = s.root.disk > 0 ? inventory.disks[Int(s.root.disk) - 1].target : nil
    for target in scenario.targets.indices where s.iscsi.session(target) != .none {
      if keepRoot && target == rootTarget { continue }
      if let names, !names.contains(scenario.targets[target].iqn) { continue }
      guard recoversByItself(s) || s.iscsi.known.has(target) else {
        say(part, "iscsiadm: initiator reported error (2 - session not found)", &out)
        continue
      }
      say("kernel", "Logging out of session [sid: 1, target: \(scenario.targets[target].iqn)]", &out)
      explain("initiator", why, because: [.program], sets: .session, .path, to: &out)
      if target == rootTarget { s.iscsi.loss = LossCause.logout.rawValue }
      s.iscsi.errorHandling.drop(target)
      cancelTimers(of: target, &out)
      rootDeviceGone(target, &s, &out)
      s.iscsi.sessions[target] = InitiatorState.Session.none.rawValue
      for disk in inventory.lus(of: target) {
        stopProbing(disk, &s, &out)
        s.scsi.letters[disk] = 0
      }
    }
  }

  /// Whatever was to happen to a session by itself.
  func cancelTimers(of target: Int, _ out: inout Out) {
    for event in [MachineEvent.Kind.notice, .retransmit, .recoveryTimeout, .relogin, .daemonSync] {
      out.cancel(MachineEvent(event, target))
    }
  }
}
