/// What targets remember of initiators that are gone, and what a crash makes them forget.
struct TargetState: Hashable, Sendable {
  /// Targets that still count the session of a system that went off without logging out.
  var danglingSystem: Set64 = []
  /// How many sessions of earlier boots' ROMs each target still counts.
  var danglingROM = SIMD16<UInt8>()
  /// Targets that no longer know our session: their host lost power, or another machine took the session's name.
  var forgot: Set64 = []
  /// Other machines that are logged in: bits for the story's steps.
  var others: UInt64 = 0
  /// The LU (device number + 1) that this machine has a key at, and the one it has reserved.
  var registered: UInt8 = 0
  var reserved: UInt8 = 0
  /// How often our session and a namesake's have thrown each other out.
  var reinstated: UInt8 = 0
}

/// Hosts of targets, other machines, and sessions that nobody ended.
extension MachineModel {
  /// Does the story take power from a target's host? If not, nobody can tell what a LU's cache held.
  var crashesTargets: Bool {
    steps.contains { if case .targetCrash = $0.plain { true } else { false } }
  }

  /// The host loses power: all its targets are gone without a word, and what their caches held is lost.
  func targetCrashes(_ iqn: String, _ length: Int64?, step: Int, _ s: inout MachineState, _ out: inout Out) {
    guard let index = scenario.targets.firstIndex(where: { $0.iqn == iqn }) else { return }
    explain(
      "story",
      "the host of the target \(iqn) loses power"
        + (length.map { "; the target is back by itself after \(SimTime.microseconds($0))" }
          ?? "; nobody starts the target"),
      sets: .path, .story, to: &out)
    s.iscsi.loss = LossCause.target.rawValue
    for target in targets(onHostOf: index) where s.network.targets.has(target) {
      s.network.targets.drop(target)
      forgetSessions(target, &s, &out)
      if s.iscsi.session(target) != .none { s.targets.forgot.put(target) }
      if inventory.lus(of: target).contains(Int(s.targets.registered) - 1) {
        s.targets.registered = 0
        s.targets.reserved = 0
      }
      cacheLost(target, &s, &out)
    }
    if let length { out.schedule(MachineEvent(.outageOver, step), Window(.microseconds(length))) }
  }

  /// Targets at the same address are on the same host.
  private func targets(onHostOf target: Int) -> [Int] {
    targets(discoveredAt: Self.host(scenario.targets[target].portal))
  }

  func targetStarts(_ iqn: String, _ s: inout MachineState, _ out: inout Out) {
    guard let index = scenario.targets.firstIndex(where: { $0.iqn == iqn }), !s.network.targets.has(index)
    else { return }
    for target in targets(onHostOf: index) { s.network.targets.put(target) }
    explain("story", "the target \(iqn) is started", sets: .path, .story, to: &out)
  }

  /// A target that stops counts no sessions any more.
  func forgetSessions(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    s.iscsi.romSessions.drop(target)
    out.cancel(MachineEvent(.romSessionGone, target))
    s.targets.danglingSystem.drop(target)
    s.targets.danglingROM[target] = 0
    out.cancel(MachineEvent(.danglingGone, target))
    for other in otherMachines where other.machine.target == scenario.targets[target].iqn {
      s.targets.others &= ~(1 << UInt64(other.step))
    }
  }

  // MARK: - Sessions that nobody ended

  /// The machine goes off: its sessions stay at the targets. Only a target that counts sessions minds.
  func leaveSessionsBehind(_ s: inout MachineState, _ out: inout Out) {
    for target in scenario.targets.indices
    where s.network.targets.has(target) && scenario.targets[target].maxSessions != nil {
      if s.iscsi.romSessions.has(target) {
        // iPXE draws a new ISID for each session; gPXE's is always the same, so that the next login ends the old session.
        let draws = scenario.machine.nics.contains {
          $0.optionROM?.target == scenario.targets[target].iqn && $0.optionROM?.kind == .ipxe
        }
        let count = s.targets.danglingROM[target]
        s.targets.danglingROM[target] = draws ? count &+ (count < 200 ? 1 : 0) : 1
      }
      if s.iscsi.session(target) != .none, !s.targets.forgot.has(target) {
        s.targets.danglingSystem.put(target)
        explain(
          "target",
          "nobody logs out: \(scenario.targets[target].iqn) goes on counting the machine's sessions",
          sets: .leftSessions, to: &out)
      }
    }
    s.iscsi.romSessions = []
    s.targets.forgot = []
  }

  /// The machine is on again: the target learns in its time that nobody is behind the old sessions.
  func danglingSessionsAge(_ out: inout Out, _ s: MachineState) {
    for target in scenario.targets.indices
    where s.targets.danglingSystem.has(target) || s.targets.danglingROM[target] > 0 {
      guard let delay = scenario.targets[target].dropsDeadSessionsAfter else { continue }
      out.cancel(MachineEvent(.danglingGone, target))
      out.schedule(
        MachineEvent(.danglingGone, target),
        Window(.microseconds(delay.earliest), .microseconds(delay.latest)))
    }
  }

  func danglingGone(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    s.targets.danglingSystem.drop(target)
    s.targets.danglingROM[target] = 0
    explain(
      "target", "\(scenario.targets[target].iqn) drops the sessions that the last boot left",
      sets: .romSession, to: &out)
  }

  /// Who asks for a session: a login ends the older session of its own name and ISID, and only that.
  enum Asking { case rom(OptionROMSpec.Kind), system, otherMachine }

  /// Sessions that count against the target's limit when somebody asks for one.
  func countedSessions(_ target: Int, for asking: Asking, _ s: MachineState) -> Int {
    let alive = s.iscsi.session(target) != .none && !s.targets.forgot.has(target) ? 1 : 0
    let dangling = s.targets.danglingSystem.has(target) ? 1 : 0
    var count = (s.iscsi.romSessions.has(target) ? 1 : 0) + Int(s.targets.danglingROM[target])
    count += otherMachines.count { isThere($0.step, at: target, s) }
    switch asking {
    case .rom(.ipxe): return count + alive + dangling
    case .rom: return count - Int(s.targets.danglingROM[target]) + alive + dangling
    case .system: return count
    case .otherMachine: return count + alive + dangling
    }
  }

  // MARK: - Other machines

  /// The other machines of the story, by the steps in which they come.
  var otherMachines: [(step: Int, machine: OtherMachine)] {
    steps.enumerated().compactMap { index, step in
      if case .otherMachine(let machine) = step.plain { (index, machine) } else { nil }
    }
  }

  /// Another initiator logs in, and mounts its LU for writing.
  func otherMachineComes(_ machine: OtherMachine, step: Int, _ s: inout MachineState, _ out: inout Out) {
    guard let target = scenario.targets.firstIndex(where: { $0.iqn == machine.target }) else { return }
    let login = Login(
      initiator: machine.initiator, target: machine.target, portal: scenario.targets[target].portal,
      chap: machine.chap)
    guard s.network.targets.has(target) else {
      return explain("story", "another machine finds no target \(machine.target)", to: &out)
    }
    let isOurs = isNamesake(step, s)
    if let problem = refusal(login, by: target, asking: isOurs ? .system : .otherMachine, s) {
      return explain(
        "target", "\(machine.target) refuses another machine, \(machine.initiator): \(problem.reason)",
        sets: .otherMachine, to: &out)
    }
    s.targets.others |= 1 << UInt64(step)
    explain(
      "target", "another machine, \(machine.initiator), logs in to \(machine.target)",
      sets: .otherMachine, to: &out)
    if isOurs { throwOut(target, &s, &out) }
    guard machine.mounts, let disk = inventory.lu(target: target, lun: machine.lun) else { return }
    // A namesake is, for the target, this machine.
    guard s.targets.reserved != UInt8(disk + 1) || isOurs else {
      return explain(
        "target",
        "LUN \(machine.lun) is reserved: what the other machine writes is refused (reservation conflict)",
        because: [.otherMachine], sets: .otherMachine, to: &out)
    }
    s.medium.mountedElsewhere = UInt8(disk + 1)
    explain(
      "target", "the other machine mounts LUN \(machine.lun) for writing", because: [.otherMachine],
      sets: .data, to: &out)
    writtenByTwo(&s, &out)
  }

  /// Our login has the name of other machines that are logged in there: it ends their sessions, and they come again.
  func noteNamesakes(_ initiator: String?, _ target: Int, _ s: inout MachineState, _ out: inout Out) {
    for (step, machine) in otherMachines where machine.target == scenario.targets[target].iqn {
      let bit: UInt64 = 1 << UInt64(step)
      if machine.initiator == initiator { s.iscsi.namesakes |= bit } else { s.iscsi.namesakes &= ~bit }
    }
    namesakesReturn(target, &s, &out)
  }

  /// Name and ISID are all that tells sessions apart (RFC 3720, 5.3.5: the new one ends the old one). open-iscsi counts its
  /// ISIDs from the same beginning on every machine.
  private func throwOut(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    guard s.iscsi.session(target) == .loggedIn else { return }
    s.targets.forgot.put(target)
    s.iscsi.loss = LossCause.reinstated.rawValue
    if s.targets.reinstated < 3 { s.targets.reinstated += 1 }
    explain(
      "target", "the new session has name and ISID of the machine's own: the target ends that one",
      because: [.otherMachine], sets: .path, .session, to: &out)
    out.cancel(MachineEvent(.notice, target))
    out.schedule(MachineEvent(.notice, target), Pace.between(0, 100, seen: 20))
  }

  /// After our login: a namesake notices that its session is gone and logs in again, in two to three seconds.
  ///
  /// Then we do, and so for ever. After the third time the duel is not followed from one login to the next: while somebody
  /// logs in again for us, the machine gets at its disks every other second, and is slow.
  func namesakesReturn(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    guard !isContested(target, s) else {
      return explain(
        "initiator", "logging in again ends the other machine's session, and that one ours: so for ever",
        because: [.otherMachine, .path], sets: .session, to: &out)
    }
    namesakesComeAgain(target, &out, s)
  }

  func namesakesComeAgain(_ target: Int, _ out: inout Out, _ s: MachineState) {
    for other in otherMachines where isThere(other.step, at: target, s) && isNamesake(other.step, s) {
      out.schedule(MachineEvent(.namesakeReturns, other.step), Pace.between(200, 3000, seen: 2000))
    }
  }

  func namesakeReturns(_ step: Int, _ s: inout MachineState, _ out: inout Out) {
    guard let machine = otherMachines.first(where: { $0.step == step })?.machine,
      let target = scenario.targets.firstIndex(where: { $0.iqn == machine.target })
    else { return }
    throwOut(target, &s, &out)
  }

  /// Two machines throw each other out, again and again.
  func isContested(_ target: Int, _ s: MachineState) -> Bool {
    s.targets.reinstated >= 3
      && otherMachines.contains { isThere($0.step, at: target, s) && isNamesake($0.step, s) }
  }

  private func isThere(_ step: Int, at target: Int, _ s: MachineState) -> Bool {
    s.targets.others >> UInt64(step) & 1 == 1
      && otherMachines.contains { $0.step == step && $0.machine.target == scenario.targets[target].iqn }
  }

  private func isNamesake(_ step: Int, _ s: MachineState) -> Bool {
    s.iscsi.namesakes >> UInt64(step) & 1 == 1
  }
}
