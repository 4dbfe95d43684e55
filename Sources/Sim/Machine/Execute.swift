/// One instruction of a program.
extension MachineModel {
  func execute(_ op: Op, part: String, timedOut: Bool, _ s: inout MachineState, _ out: inout Out) -> Flow {
    switch op {
    case .say(let text):
      say(part, text, &out)
      return .next(Self.instant)
    case .tell(let text, let facts):
      explain(part, text, because: facts, sets: .program, to: &out)
      return .next(Self.instant)
    case .pause(let window):
      return .next(window)
    case .stage(let stage):
      enter(stage, &s, &out)
      return .next(Self.instant)
    case .jump(let target):
      return .to(target, Self.instant)
    case .read(let path, let says, let failTo):
      return executeRead(path, says: says, failTo: failTo, part: part, &s, &out)
    case .modules(let names):
      loadModules(names, &s, &out)
      return .next(Pace.between(20, 150, seen: 60))
    case .insmod(let module):
      return executeInsmod(module, part: part, &s, &out)
    case .needsModules(let names, let failTo):
      return executeNeedsModules(names, failTo: failTo, part: part, &s, &out)
    case .coldplug(let names, let window):
      coldplug(names, window, &s, &out)
      return .next(Self.instant)
    case .settle(let limit):
      return s.scsi.coming.isEmpty || timedOut ? .next(Pace.about(50)) : .wait(limit)
    case .findInterface(let name, let place, let failTo):
      return executeFindInterface(name, place: place, failTo: failTo, part: part, &s, &out)
    case .startRootWait(let window):
      out.schedule(MachineEvent(.rootWaitOver), window)
      return .next(Self.instant)
    case .waitInterface(let limit, let failTo):
      if !s.network.present.isEmpty { return .next(Pace.about(150)) }
      guard timedOut else {
        say(part, "Waiting up to 180 secs for any network device to become available", &out)
        return .wait(limit)
      }
      // A driver that is there and was refused is the better reason.
      let isRefused = s.iscsi.problem == LoginProblem.moduleRefused.rawValue
      if !isRefused { s.iscsi.problem = LoginProblem.noInterface.rawValue }
      say(part, "Network device did not appear in time", &out)
      explain(
        part,
        isRefused
          ? "no network interface appears: the kernel refused the adapter's driver"
          : "no network interface appears: the initramfs has no driver for the adapter",
        because: [.initramfs], sets: .login, to: &out)
      return .to(failTo, Self.instant)
    case .configure(let interface, let source, let limit, let failTo):
      return executeConfigure(
        interface, source, limit: limit, failTo: failTo, timedOut: timedOut, part: part, &s, &out)
    case .link(let interface, let up, let why):
      let chosen =
        interface.map { name in
          scenario.machine.nics.indices.filter { scenario.machine.nics[$0].interface == name }
        }
        ?? Array(scenario.machine.nics.indices)
      let changing = chosen.filter { s.network.present.has($0) && s.network.up.has($0) != up }
      guard !changing.isEmpty else { return .next(Self.instant) }
      for nic in changing { setLink(nic, up: up, &s, &out) }
      if !up { s.iscsi.loss = LossCause.interfaceDown.rawValue }
      explain(part, why, because: [.program], sets: .path, .interface, to: &out)
      return .next(Pace.between(20, 300, seen: 100))
    case .dropAddress(let interface, let why):
      if let nic = nic(interface), s.network.address.has(nic) {
        s.network.address.drop(nic)
        s.iscsi.loss = LossCause.addressRemoved.rawValue
        explain(part, why, because: [.program], sets: .path, .address, to: &out)
      }
      return .next(Pace.between(5, 100, seen: 30))
    case .setAddress(let interface, let why):
      if let nic = nic(interface), s.network.present.has(nic) {
        guard !s.network.up.has(nic) || !s.network.address.has(nic) else {
          return .next(Pace.between(5, 100, seen: 30))
        }
        s.network.up.put(nic)
        s.network.address.put(nic)
        explain(part, why, because: [.program], sets: .path, .address, to: &out)
      }
      return .next(Pace.between(5, 100, seen: 30))
    case .raiseStatic(let interface, let place, let failTo):
      return raiseStatic(interface, place, failTo: failTo, part: part, &s, &out)
    case .unlessRaised(let interface, let target):
      guard let nic = nic(interface), s.network.notRaised.has(nic) else { return .next(Self.instant) }
      say(part, "ifdown: interface \(interface) not configured", &out)
      explain(
        part, "ifdown leaves \(interface) alone: ifup failed, and has no record of it", because: [.interface],
        to: &out)
      return .to(target, Self.instant)
    case .login(let logins, let failTo):
      return executeLogin(logins, failTo: failTo, part: part, &s, &out)
    case .loginFromFirmware(let failTo):
      guard let login = firmwareLogin(s) else {
        s.iscsi.problem = LoginProblem.noIBFT.rawValue
        return .to(failTo, Self.instant)
      }
      return executeLogin([login], failTo: failTo, part: part, &s, &out)
    case .unlessIBFT(let target):
      if s.firmware.ibft > 0 { return .next(Self.instant) }
      s.iscsi.problem = LoginProblem.noIBFT.rawValue
      say(part, "iscsistart: Could not get boot entry. No iBFT detected.", &out)
      explain(
        part, "there is no iBFT: no option ROM logged in to a target on this boot",
        because: [.bootDevice, .ibft], sets: .login, to: &out)
      return .to(target, Self.instant)
    case .noteProblem(let problem, let why):
      s.iscsi.problem = problem.rawValue
      explain(
        part, (why.map { $0 + ": " } ?? "") + problem.reason, because: [.initramfs, .selection],
        sets: .login, to: &out)
      return .next(Self.instant)
    case .waitRoot(let root):
      return executeWaitRoot(root, part: part, timedOut: timedOut, &s, &out)
    case .mountRoot(let root):
      return executeMountRoot(root, part: part, &s, &out)
    case .switchRoot(let path):
      return switchRoot(path, part: part, &s, &out)
    case .remountRoot(let readWrite, let failTo):
      return executeRemount(readWrite: readWrite, failTo: failTo, part: part, &s, &out)
    case .mountEntries(let entries):
      return executeMounts(entries, part: part, timedOut: timedOut, &s, &out)
    case .startDaemon:
      startDaemon(&s, &out)
      return .next(Pace.between(20, 200, seen: 80))
    case .stopDaemon(let why):
      stopDaemon(why, &s, &out)
      return .next(Pace.between(5, 100, seen: 20))
    case .lockFile(let name, let held):
      if let bit = library.serviceBit(name) { s.services.set(bit, held) }
      return .next(Self.instant)
    case .spareDaemon:
      s.iscsi.daemonSpared = true
      return .next(Self.instant)
    case .killAll:
      say(part, "Asking all remaining processes to terminate...done.", &out)
      if s.root.dirty == 0 { write(&s, &out) }  // logs and state files of those that end
      if !s.iscsi.daemonSpared { stopDaemon("all processes are killed, iscsid with them", &s, &out) }
      return .next(Pace.between(500, 6000, seen: 1000))
    case .logout(let names, let keepRoot, let why):
      guard s.iscsi.daemon else {
        say(part, "iscsiadm: initiator reported error (2 - session not found)", &out)
        return .next(Self.instant)
      }
      logout(of: names, keepRoot: keepRoot, part: part, why, &s, &out)
      return .next(Pace.between(50, 200, seen: 100))
    case .loginNodes(let logins):
      for login in logins {
        for target in targets(atPortal: login.portal) where scenario.targets[target].iqn == login.target {
          if s.iscsi.session(target) != .none {
            say(part, "iscsiadm: default: 1 session requested, but 1 already present.", &out)
          } else if case .refused(let problem) = attempt(login, target: target, &s, &out) {
            report(problem, login, part: part, &out)
          }
        }
      }
      return .next(Pace.between(50, 500, seen: 150))
    case .firewall(let drops, let cuts, let why):
      cutConnections(cuts, why, part: part, &s, &out)
      if s.network.dropped != drops {
        let cut = drops.subtracting(s.network.dropped).members
        s.network.dropped = drops
        if cut.contains(where: { s.iscsi.session($0) != .none }) {
          s.iscsi.loss = LossCause.firewall.rawValue
        }
        explain(part, why, because: [.program], sets: .path, to: &out)
      }
      return .next(Pace.between(10, 200, seen: 50))
    case .sync:
      switch rootIO(s) {
      case .blocked:
        guard s.root.dirty > 0 else { return .next(Self.instant) }
        watchBlockedIO(&s, &out)
        return .wait(nil)
      case .fails: return .next(Self.instant)
      case .works:
        if !s.root.aborted { flushed(&s, &out) }
        return .next(Pace.between(10, 500, seen: 100))
      }
    case .write:
      write(&s, &out)
      return .next(Self.instant)
    case .install(let node):
      return executeInstall(node, part: part, &s, &out)
    case .moduleRefused(let why):
      s.iscsi.problem = LoginProblem.moduleRefused.rawValue
      explain(part, why, because: [.story], sets: .login, to: &out)
      return .next(Self.instant)
    case .prompt:
      s.phase = .stuck
      s.prompt = .initramfs
      return .stop
    case .writeFiles(let length, let says):
      return executeWriteFiles(length, says: says, part: part, &s, &out)
    case .endWriting:
      return executeEndWriting(part: part, &s, &out)
    case .waitInVain(let length):
      return timedOut ? .next(Self.instant) : .wait(length)
    case .files(let number):
      return executeFiles(number, part: part, &s, &out)
    case .reservation(let request, let node):
      return executeReservation(request, node: node, part: part, &s, &out)
    case .installGrub(let node, let installation, let says):
      return executeInstallGrub(node, installation, says: says, part: part, &s, &out)
    case .halt(let request):
      return executeHalt(request, part: part, &s, &out)
    case .up:
      comesUp(&s, &out)
      return .next(Self.instant)
    case .noProcessesLeft(let text):
      say(part, text, &out)
      return .stop
    }
  }

  /// May a waiting instruction go on?
  func canGoOn(_ op: Op, _ s: MachineState) -> Bool {
    switch op {
    case .read, .remountRoot, .sync, .writeFiles, .endWriting: return rootIO(s) != .blocked
    case .waitInVain: return false
    case .waitInterface: return !s.network.present.isEmpty
    case .settle: return s.scsi.coming.isEmpty
    case .configure(let interface, let source, _, _):
      guard let nic = nic(interface) else { return false }
      return linkUp(nic, s) && (effective(source, s) == .fixed || scenario.network.dhcp)
    case .login(let logins, _): return loginCanGoOn(logins, s)
    case .loginFromFirmware: return firmwareLogin(s).map { loginCanGoOn([$0], s) } ?? true
    case .waitRoot(let root): return rootThere(root, s)
    case .mountEntries(let entries):
      return rootIO(s) != .blocked && entries.allSatisfy { $0.optional || resolve($0.device, s) != nil }
    case .halt: return haltCanGoOn(s)
    default: return true
    }
  }

  /// The login that the iBFT describes: all of it, CHAP secret included (lab k2).
  func firmwareLogin(_ s: MachineState) -> Login? {
    guard s.firmware.ibft > 0, let rom = scenario.machine.nics[Int(s.firmware.ibft) - 1].optionROM,
      let target = rom.target,
      let portal = rom.portal
    else { return nil }
    return Login(initiator: rom.initiator, target: target, portal: portal, chap: rom.chap)
  }

  /// The machine is up: the boot has come to a good end.
  private func comesUp(_ s: inout MachineState, _ out: inout Out) {
    s.phase = .up
    enter(.running, &s, &out)
    say("login", "login:", &out)
    explain("init", "the system is up", because: [.root, .program], sets: .program, to: &out)
    write(&s, &out)
    let (outcome, stage, finding) = outcomeOfBoot(s)
    endBoot(outcome, stage, finding, &s, &out)
  }
}
