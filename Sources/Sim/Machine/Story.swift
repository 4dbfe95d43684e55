/// The story's steps, and how boots and shutdowns end.
extension MachineModel {
  func resume(_ s: inout MachineState, _ out: inout Out) -> Bool {
    if settle(&s, &out) { return true }
    var somethingIsToCome = false
    while Int(s.step) < steps.count {
      let index = Int(s.step)
      s.step += 1
      let before = reachableTargets(s)
      let isUnderWay = begin(steps[index], index, &s, &out)
      if case .after = steps[index] { somethingIsToCome = true }
      // An outage may begin with the step, or with the stage that the step enters.
      pathsChanged(from: before, &s, &out)
      if isUnderWay {
        wakeTasks(&s, &out)
        watchDelays(&s, &out)
        return true
      }
    }
    return somethingIsToCome
  }

  /// Nothing is under way any more: whatever has not come to its end by now never will. True: that ended something.
  private func settle(_ s: inout MachineState, _ out: inout Out) -> Bool {
    let before = s.results
    switch s.phase {
    case .off, .stuck: break
    case .up: checkRunning(onlyData: false, &s, &out)
    case .goingDown: hangsAtShutdown(&s, &out)
    case .firmware, .loader, .kernel, .initramfs, .initialising: hangsAtBoot(&s, &out)
    }
    return s.results != before
  }

  /// Begins a step. False: it does nothing (the next one follows at once).
  func begin(_ step: StoryStep, _ index: Int, _ s: inout MachineState, _ out: inout Out) -> Bool {
    switch step {
    case .boot:
      s.tree = withoutShell(s)
      explain("story", "power on", sets: .story, to: &out)
      armOutages(before: index, &s)
      powerOn(&s, &out)
      return true
    case .installer:
      explain("story", "the installation system is booted from its own medium", sets: .story, to: &out)
      powerOn(&s, &out)
      out.cancel(MachineEvent(.tryBoot, 0))
      s.phase = .initialising
      enter(.running, &s, &out)
      s.tree = withConsole(s)
      startProgram(installerProgram(s), &s, &out)
      return true
    case .install(let node):
      guard s.phase == .up, library.files(s.tree).console != nil else { return false }
      explain("story", "the installation begins" + (node.map { " on \($0)" } ?? ""), sets: .story, to: &out)
      startProgram(installProgram(node, index), &s, &out)
      return true
    case .rescue(let lines):
      return beginRescue(lines, index, &s, &out)
    case .menuEntry(let name):
      explain("story", "\(name) will be chosen in the boot menu", sets: .story, to: &out)
      s.menuEntry = UInt8(index + 1)
      return false
    case .shutdown, .reboot:
      guard s.phase == .up else { return false }
      armOutages(before: index, &s)
      explain(
        "story", step == .shutdown ? "the machine is told to power off" : "the machine is told to restart",
        sets: .story, to: &out)
      let followedByBoot = index + 1 < steps.count && steps[index + 1] == .boot
      beginShutdown(reboot: followedByBoot, &s, &out)
      return true
    case .attach(let name):
      guard let disk = inventory.index(ofName: name), !s.attached.has(disk) else { return false }
      s.attached.put(disk)
      explain("story", "\(name) is plugged in", sets: .disk(disk), .story, to: &out)
      // Where its driver is loaded the kernel sees it at once, also during a boot; a driver that comes later finds it.
      if s.phase != .off, driven(disk, s) { announce(disk, &s, &out) }
      return true
    case .detach(let name):
      guard let disk = inventory.index(ofName: name), s.attached.has(disk) else { return false }
      s.attached.drop(disk)
      s.tree = withoutMounts(of: disk, s)
      explain("story", "\(name) is unplugged", sets: .disk(disk), .story, to: &out)
      removeDisk(disk, &s, &out)
      return true
    case .service(let action, let name):
      return command("service \(name) \(action)", index, &s, &out)
    case .kill(let name):
      return command("killall \(name)", index, &s, &out)
    case .run(let line, let asUser):
      return command(line, asUser: asUser, index, &s, &out)
    case .write(let path, let text):
      s.tree = edited(path, text, step: index, s)
      explain("story", "\(path) is edited", sets: .story, to: &out)
      if s.phase == .up { write(&s, &out) }
      return s.phase == .up
    case .panic:
      guard s.phase == .up else { return false }
      explain("story", "the kernel panics", sets: .story, to: &out)
      crash(&s, &out)
      return false
    case .answer(let program, let text):
      explain("story", "\(program) will be told: \(text)", sets: .story, to: &out)
      return false
    case .after(let delay, _):
      out.schedule(
        MachineEvent(.stepBegins, index),
        Window(.microseconds(delay.earliest), .microseconds(delay.latest)))
      return false
    case .targetCrash(let iqn, let length, let at):
      guard at == nil else { return false }
      targetCrashes(iqn, length, step: index, &s, &out)
      return true
    case .targetStart(let iqn):
      targetStarts(iqn, &s, &out)
      return true
    case .powerCut:
      guard s.phase != .off else { return false }
      powerCut(&s, &out)
      return false
    case .otherMachine(let machine):
      otherMachineComes(machine, step: index, &s, &out)
      return true
    case .linkDown(_, _, let at), .targetDown(_, _, let at):
      guard at == nil else { return false }
      s.iscsi.loss = lossCause(of: step).rawValue
      beginOutage(step: index, &s, &out)
      return true
    }
  }

  private func lossCause(of step: StoryStep) -> LossCause {
    if case .linkDown = step { .cable } else { .target }
  }

  /// Something is typed; where nothing is up to type at it is not, and nothing changes.
  private func command(
    _ line: String, asUser: Bool = false, _ index: Int, _ s: inout MachineState, _ out: inout Out
  ) -> Bool {
    guard s.phase == .up else { return false }
    explain("story", "\(asUser ? "a user" : "root") types: \(line)", sets: .story, to: &out)
    startProgram(commandProgram(line, asUser: asUser, index, s), &s, &out)
    return true
  }

  /// Outages with a stage, written before a boot or shutdown, happen when it gets there.
  private func armOutages(before index: Int, _ s: inout MachineState) {
    s.armed = 0
    var step = index - 1
    while step >= 0 {
      switch steps[step] {
      case .linkDown(_, _, let at?), .targetDown(_, _, let at?), .targetCrash(_, _, let at?):
        _ = at
        if step < 64 { s.armed |= 1 << UInt64(step) }
      case .boot, .shutdown, .reboot: return
      default: break
      }
      step -= 1
    }
  }

  /// A stage begins.
  func enter(_ stage: Stage, _ s: inout MachineState, _ out: inout Out) {
    s.stage = UInt8(Stage.allCases.firstIndex(of: stage) ?? 0)
    guard s.armed != 0 else { return }
    for index in steps.indices.prefix(64) where s.armed >> UInt64(index) & 1 == 1 {
      switch steps[index] {
      case .linkDown(_, _, stage), .targetDown(_, _, stage):
        s.armed &= ~(1 << UInt64(index))
        s.iscsi.loss = lossCause(of: steps[index]).rawValue
        beginOutage(step: index, &s, &out)
      case .targetCrash(let iqn, let length, stage):
        s.armed &= ~(1 << UInt64(index))
        targetCrashes(iqn, length, step: index, &s, &out)
      default: break
      }
    }
  }

  func stage(_ s: MachineState) -> Stage { Stage.allCases[Int(s.stage)] }

  // MARK: - Ends

  /// A prompt, a panic, or a jump into nothing: the boot ends here.
  func dead(
    _ finding: Finding.Code, _ stage: Stage, because facts: [Fact], _ sentence: @autoclosure () -> String,
    _ s: inout MachineState, _ out: inout Out
  ) {
    explain("verdict", sentence(), because: facts, to: &out)
    endBoot(.fails, stage, finding, &s, &out)
  }

  func endBoot(
    _ outcome: BootOutcome, _ stage: Stage?, _ finding: Finding.Code?, _ s: inout MachineState,
    _ out: inout Out
  ) {
    if outcome == .fails {
      abandonProgram(&s, &out)
      out.cancel(MachineEvent(.rootWaitOver))
      s.phase = .stuck
    }
    let root =
      s.root.disk > 0 && s.root.mount != .none
      ? inventory.disks[Int(s.root.disk) - 1].content.partitions.first { $0.number == Int(s.root.partition) }
        .flatMap { nodeName(Inventory.Location(disk: Int(s.root.disk) - 1, partition: $0), s) }
      : nil
    // A boot that was taken up by hand ends anew.
    out.note(.mark(s.prompt == .rescued ? .bootFailsLater : .bootEnds))
    record(
      BootResult(outcome: outcome, stage: stage, finding: finding, rootDevice: root, letters: s.scsi.letters),
      new: s.prompt != .rescued, &s)
  }

  func record(_ result: BootResult, new: Bool, _ s: inout MachineState) {
    if new, s.results.bootCount < 8 { s.results.bootCount += 1 }
    s.results.boots[Int(s.results.bootCount) - 1] = library.number(result)
  }

  /// What came up has come to a bad end since.
  func failsLater(_ finding: Finding.Code, _ s: inout MachineState, _ out: inout Out) {
    guard s.results.bootCount > 0,
      var result = library.boot(s.results.boots[Int(s.results.bootCount) - 1])
    else { return }
    (result.outcome, result.stage, result.finding) = (.fails, .running, finding)
    result.letters = s.scsi.letters
    out.note(.mark(.bootFailsLater))
    record(result, new: false, &s)
    abandonProgram(&s, &out)
    s.phase = .stuck
  }

  /// The entry that the story chose for this boot.
  func chosenEntry(_ s: MachineState) -> String? {
    guard s.menuEntry > 0, case .menuEntry(let name) = steps[Int(s.menuEntry) - 1] else { return nil }
    return name
  }

  /// The machine came up; nothing is under way: has it lost its root since, or what is on it?
  func checkRunning(onlyData: Bool, _ s: inout MachineState, _ out: inout Out) {
    guard s.results.bootCount > 0, s.root.disk > 0,
      var result = library.boot(s.results.boots[Int(s.results.bootCount) - 1]),
      result.outcome != .fails
    else { return }
    result.letters = s.scsi.letters
    let io = rootIO(s)
    let data = dataFinding(s)
    let contested = inventory.disks[Int(s.root.disk) - 1].target.map { isContested($0, s) } ?? false
    guard !onlyData && (s.root.aborted || io != .works || contested) || data != nil else {
      return record(result, new: false, &s)
    }
    result.outcome = .fails
    result.stage = .running
    result.finding = data?.0 ?? lossFinding(s, at: .running)
    explain(
      "verdict",
      data?.1
        ?? (contested && !s.root.aborted
          ? "the root is lost and found again, every few seconds"
          : io == .works
            ? "the disk is back, the file system is not: it stays read-only"
            : "the machine runs without its root"),
      because: data == nil
        ? [.journal, .root, .session, .path] : [.data], to: &out)
    out.note(.mark(.bootFailsLater))
    record(result, new: false, &s)
  }

  func lossFinding(_ s: MachineState, at stage: Stage) -> Finding.Code {
    if let finding = Finding.Code.numbered(s.root.lostTo) { return finding }
    switch LossCause(rawValue: s.iscsi.loss) ?? .none {
    case .logout: return .sessionLoggedOut
    case .interfaceDown, .addressRemoved:
      return stage == .shutdown ? .networkDownAtShutdown : .networkTakenFromRoot
    case .firewall: return .firewallCutsRoot
    case .reinstated: return .initiatorNameTwice
    case .noRecord: return .sessionWithoutRecord
    case .cable, .target, .none:
      return s.iscsi.daemon || recoversByItself(s) ? .outageTooLong : .nobodyLogsInAgain
    }
  }

  /// Something waits for what never comes.
  private func hangsAtBoot(_ s: inout MachineState, _ out: inout Out) {
    let at = stage(s)
    switch waitingOp(s) {
    case .login?, .loginFromFirmware?:
      let problem = LoginProblem(rawValue: s.iscsi.problem) ?? .unreachable
      dead(
        problem.finding, problem.stage, because: [.login],
        "the initiator never gets in: \(problem.reason); the boot waits for ever", &s, &out)
    default:
      if s.root.disk > 0 && rootIO(s) != .works {
        dead(
          lossFinding(s, at: at), at, because: [.program, .root, .session, .path],
          "the machine waits for a root that does not answer any more", &s, &out)
      } else {
        dead(.bootHangs, at, because: [.program], "the boot does not go on", &s, &out)
      }
    }
  }

  private func hangsAtShutdown(_ s: inout MachineState, _ out: inout Out) {
    explain("verdict", "the machine never powers off", because: [.program, .root, .session, .path], to: &out)
    let flushing: Bool = if case .halt? = waitingOp(s) { true } else { false }
    endShutdown(off: false, finding: flushing ? .finalFlushBlocked : lossFinding(s, at: .shutdown), &s, &out)
    s.phase = .stuck
  }

  func endShutdown(off: Bool, finding: Finding.Code?, _ s: inout MachineState, _ out: inout Out) {
    out.note(.mark(.shutdownEnds))
    let lost = Int(s.root.lost) + Int(s.root.dirty)
    let state = fileSystemState(s)
    let finding = finding ?? (off && !s.root.aborted && s.root.lostTo == 0 ? .rootNotUnmounted : nil)
    let outcome: ShutdownOutcome = !off ? .hang : (state == .clean && lost == 0 ? .clean : .lostRoot)
    let result = ShutdownResult(
      outcome: outcome, finding: outcome == .clean ? nil : finding ?? lossFinding(s, at: .shutdown),
      lostWrites: lost, fileSystem: state)
    if s.results.shutdownCount < 8 { s.results.shutdownCount += 1 }
    s.results.shutdowns[Int(s.results.shutdownCount) - 1] = library.number(result)
    nothingRunsAnyMore(&s, &out)
    s.phase = off ? .off : .stuck
  }
}
