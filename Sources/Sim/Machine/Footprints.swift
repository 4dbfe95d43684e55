/// Which parts of the state an event's handling may read and write, for the explorer's reduction.
///
/// Most of a boot is one thread, so most events depend on each other. Two kinds do not: the target forgetting the boot
/// ROM's session, and a disk getting its name while nobody asks for names. Declared here, checked by running both orders
/// (`FootprintCheck`, in the tests).
extension MachineModel {
  private enum Part {
    /// Programs, phases, file system, network, sessions.
    static let machine: UInt64 = 1
    /// sd names, and what is settling.
    static let names: UInt64 = 2
    /// What targets still count of the boot ROM's sessions.
    static let romSessions: UInt64 = 4
  }

  func footprint(of event: MachineEvent) -> Footprint {
    switch event.kind {
    case .romSessionGone:
      // A target without a limit counts nothing, so nobody asks.
      return limitsSessions(Int(event.a))
        ? .all : Footprint(reads: Part.romSessions, writes: Part.romSessions)
    case .diskReady:
      return Footprint(reads: Part.names, writes: Part.names)
    case .task, .timeout:
      guard let program = library.program(event.c), program.tasks.indices.contains(Int(event.a)),
        program.tasks[Int(event.a)].ops.indices.contains(Int(event.b))
      else { return Footprint(reads: Part.machine, writes: Part.machine) }
      // What follows in the same instant is handled with it; only a pause is sure to end that.
      var whole = Footprint(reads: Part.machine, writes: Part.machine)
      for op in program.tasks[Int(event.a)].ops[Int(event.b)...] {
        if case .pause = op, whole != .all { return whole }
        whole = whole.union(footprint(of: op))
        if whole == .all { return whole }
      }
      // The task's end starts others; they are events of their own.
      return whole
    case .notice, .retransmit, .relogin, .daemonSync, .writeback, .commit, .cacheWritten:
      return Footprint(reads: Part.machine, writes: Part.machine)
    default:
      return .all
    }
  }

  private func limitsSessions(_ target: Int) -> Bool { scenario.targets[target].maxSessions != nil }

  private func footprint(of op: Op) -> Footprint {
    switch op {
    case .say, .tell, .pause, .jump, .read, .link, .dropAddress, .setAddress, .raiseStatic,
      .unlessRaised, .noteProblem, .remountRoot,
      .startDaemon, .stopDaemon,
      .spareDaemon, .lockFile, .killAll, .firewall, .sync, .write, .writeFiles, .endWriting, .waitInVain,
      .startRootWait,
      .waitInterface:
      return Footprint(reads: Part.machine, writes: Part.machine)
    case .unlessIBFT:
      return Footprint(reads: Part.machine, writes: Part.machine)
    case .configure:
      return Footprint(reads: Part.machine | Part.romSessions, writes: Part.machine | Part.romSessions)
    default:
      return .all
    }
  }

  /// Whatever happens may lead to anything later; only a target that forgets a session nobody asks about leads to nothing.
  func reach(of event: MachineEvent) -> Footprint {
    event.kind == .romSessionGone ? footprint(of: event) : .all
  }
}
