/// The end: what `halt` and systemd-shutdown do, and what the kernel does on its way out.
extension MachineModel {
  /// The process that halts is in memory: it needs the disk no more, only the kernel's own flush does.
  ///
  /// `halt` without -n syncs first; -i takes the interfaces down; then the kernel sends SYNCHRONIZE CACHE to every LU with
  /// a write cache (drivers/scsi/sd.c, sd_shutdown) and powers off.
  func executeHalt(_ request: HaltRequest, part: String, _ s: inout MachineState, _ out: inout Out) -> Flow {
    if s.phase == .goingDown && !s.program.haltBegun {
      s.program.haltBegun = true
      say(part, "+ \(request.commandLine)", &out)
      if request.sync, rootIO(s) == .works, s.root.dirty > 0, !s.root.aborted {
        flushed(&s, &out)
      }
      if request.interfacesDown {
        for nic in scenario.machine.nics.indices where s.network.up.has(nic) {
          setLink(nic, up: false, &s, &out)
        }
        s.iscsi.loss = LossCause.interfaceDown.rawValue
        explain(
          part, "`\(request.commandLine)` takes all interfaces down before it halts", because: [.program],
          sets: .path, to: &out)
      }
      return .to(Int(s.program.counters[haltTask(s)]), Pace.between(10, 300, seen: 100))
    }
    for disk in inventory.disks.indices {
      guard let target = inventory.disks[disk].target, inventory.disks[disk].writeCache,
        s.scsi.letters[disk] > 0
      else { continue }
      switch s.iscsi.session(target) {
      case .none, .offline: continue
      case .loggedIn where reachableTargets(s).has(target): continue
      case .loggedIn where s.iscsi.watched.has(target) && !recoversByItself(s), .failed:
        guard recoversByItself(s) || s.iscsi.session(target) == .loggedIn else {
          // The kernel is going down: recovery gets no time at all (seen: "timed out after 0 secs").
          s.iscsi.sessions[target] = InitiatorState.Session.offline.rawValue
          say("kernel", "session1: session recovery timed out after 0 secs", &out)
          say(
            "kernel",
            "[\(deviceName(disk, s) ?? "sda")] Synchronize Cache(10) failed: Result: hostbyte=DID_NO_CONNECT",
            &out)
          out.cancel(MachineEvent(.recoveryTimeout, target))
          continue
        }
        return waitForFlush(disk, &s, &out)
      case .loggedIn:
        watchBlockedFlush(target, &s, &out)
        return waitForFlush(disk, &s, &out)
      }
    }
    say("kernel", request.reboot ? "reboot: Restarting system" : "reboot: Power down", &out)
    explain(
      "kernel", request.reboot ? "the machine restarts" : "the machine is off", because: [.root, .program],
      to: &out)
    endShutdown(off: true, finding: nil, &s, &out)
    return .stop
  }

  private func haltTask(_ s: MachineState) -> Int {
    (0..<Program.taskLimit).first {
      s.program.started >> UInt32($0) & 1 == 1 && s.program.done >> UInt32($0) & 1 == 0
    } ?? 0
  }

  private func waitForFlush(_ disk: Int, _ s: inout MachineState, _ out: inout Out) -> Flow {
    say("kernel", "[\(deviceName(disk, s) ?? "sda")] Synchronizing SCSI cache", &out)
    explain(
      "kernel", "the LU has a write cache: the kernel wants to flush it, and the network is gone",
      because: [.path], sets: .program, to: &out)
    return .wait(nil)
  }

  private func watchBlockedFlush(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    guard !s.iscsi.errorHandling.has(target), !recoversByItself(s) else { return }
    startErrorHandling(target, Pace.between(45_000, 140_000, seen: 110_000), &s, &out)
  }

  /// The final flush waits for nothing any more.
  func haltCanGoOn(_ s: MachineState) -> Bool {
    for disk in inventory.disks.indices {
      guard let target = inventory.disks[disk].target, inventory.disks[disk].writeCache,
        s.scsi.letters[disk] > 0
      else { continue }
      switch s.iscsi.session(target) {
      case .none, .offline: continue
      case .failed: if recoversByItself(s) { return false }
      case .loggedIn:
        if !reachableTargets(s).has(target) || s.iscsi.errorHandling.has(target) { return false }
      }
    }
    return true
  }

  func beginShutdown(reboot: Bool, _ s: inout MachineState, _ out: inout Out) {
    out.note(.mark(.shutdownBegins))
    s.phase = .goingDown
    enter(.shutdown, &s, &out)
    write(&s, &out)
    startProgram(shutdownProgram(reboot: reboot, s), &s, &out, after: Pace.between(50, 500, seen: 200))
  }
}
