/// Reads and writes of the root file system, and what is left on the medium.
extension MachineModel {
  enum IO { case works, blocked, fails }

  /// What a read of the root's device does now.
  func rootIO(_ s: MachineState) -> IO {
    guard s.root.disk > 0 else { return .works }
    let disk = inventory.disks[Int(s.root.disk) - 1]
    guard let target = disk.target else { return s.attached.has(Int(s.root.disk) - 1) ? .works : .fails }
    switch s.iscsi.session(target) {
    case .none, .offline: return .fails
    case .failed: return .blocked
    case .loggedIn:
      // What was sent into the void comes through when TCP sends it again, not when the path is back.
      return reachableTargets(s).has(target) && !s.iscsi.errorHandling.has(target) ? .works : .blocked
    }
  }

  /// Something waits for the disk: without NOPs nobody would notice a silent peer, but the SCSI layer's command timer runs
  /// (30 s, 15 s for the abort, 30 s for each reset; seen: 46 s, 76 s and 137 s until the connection is given up).
  /// linux-iscsi waits for ever.
  func watchBlockedIO(_ s: inout MachineState, _ out: inout Out) {
    guard s.root.disk > 0, let target = inventory.disks[Int(s.root.disk) - 1].target,
      s.iscsi.session(target) == .loggedIn, !s.iscsi.watched.has(target), !s.iscsi.errorHandling.has(target),
      s.network.targets.has(target) || s.targets.forgot.has(target), !recoversByItself(s)
    else { return }
    startErrorHandling(target, Pace.between(45_000, 140_000, seen: 77_000), &s, &out)
  }

  /// The SCSI layer waits for an answer on a connection that nothing watches, and gives the device up in the end.
  func startErrorHandling(_ target: Int, _ limit: Window, _ s: inout MachineState, _ out: inout Out) {
    s.iscsi.errorHandling.put(target)
    s.iscsi.retransmissions[target] = 0
    out.schedule(MachineEvent(.notice, target), limit)
    out.schedule(MachineEvent(.retransmit, target), Self.retransmissionTimeout(0))
  }

  /// TCP's timer: 0.2 s, doubled each time, up to 120 s (include/net/tcp.h, TCP_RTO_MIN and TCP_RTO_MAX).
  private static func retransmissionTimeout(_ count: UInt8) -> Window {
    Window(.milliseconds(min(200 << Int64(min(count, 10)), 120_000)))
  }

  /// TCP sends again: if the path is there, that is answered, and all goes on.
  func retransmit(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    guard s.iscsi.errorHandling.has(target) else { return }
    guard reachableTargets(s).has(target) else {
      s.iscsi.retransmissions[target] &+= 1
      return out.schedule(
        MachineEvent(.retransmit, target), Self.retransmissionTimeout(s.iscsi.retransmissions[target]))
    }
    explain("kernel", "TCP sends again what was lost, and it is answered", because: [.path], to: &out)
    endErrorHandling(target, &s, &out)
    writingResumes(&s, &out)
  }

  func endErrorHandling(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    s.iscsi.errorHandling.drop(target)
    s.iscsi.retransmissions[target] = 0
    out.cancel(MachineEvent(.notice, target))
    out.cancel(MachineEvent(.retransmit, target))
  }

  /// The device under the root is gone for good: what was not written is lost, and a journal that is written to aborts.
  func rootDeviceGone(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    guard s.root.disk > 0, inventory.disks[Int(s.root.disk) - 1].target == target, s.root.mount != .none
    else { return }
    let name = deviceName(Int(s.root.disk) - 1, s) ?? "sda"
    say("kernel", "sd: rejecting I/O to offline device", &out)
    if s.root.lostTo == 0 {
      let finding = lossFinding(s, at: s.phase == .goingDown ? .shutdown : .running)
      s.root.lostTo = finding.number
    }
    s.root.lost = s.root.lost &+ s.root.dirty
    s.root.dirty = 0
    out.cancel(MachineEvent(.writeback))
    dataLost(&s, &out)
    if s.root.mount == .readWrite && !s.root.aborted {
      s.root.aborted = true
      say("kernel", "Aborting journal on device \(name)\(s.root.partition).", &out)
      say("kernel", "\(rootDriver(s)) (\(name)\(s.root.partition)): Remounting filesystem read-only", &out)
      explain(
        "kernel", "the root file system is lost: its journal is aborted and stays so until the next boot",
        because: [.session], sets: .journal, .root, to: &out)
    } else {
      explain(
        "kernel", "the root file system can no longer be read", because: [.session], sets: .root, to: &out)
    }
  }

  /// The running system has written something that is only in the page cache.
  func write(_ s: inout MachineState, _ out: inout Out) {
    guard s.root.mount == .readWrite, !s.root.aborted else { return }
    if s.root.dirty == 0 { out.schedule(MachineEvent(.writeback), Pace.between(5000, 35000, seen: 30000)) }
    if s.root.dirty < 15 { s.root.dirty += 1 }
  }

  func writeBack(_ s: inout MachineState, _ out: inout Out) {
    if rootIO(s) == .works, s.root.dirty > 0, !s.root.aborted {
      acknowledged(&s, &out)
    } else if rootIO(s) == .blocked {
      watchBlockedIO(&s, &out)
    }
  }

  /// What a mount would find on the medium.
  func fileSystemState(_ s: MachineState) -> FileSystemState {
    s.medium.damage != .none ? .damaged : s.root.needsRecovery ? .needsRecovery : .clean
  }

  func executeRemount(readWrite: Bool, failTo: Int, part: String, _ s: inout MachineState, _ out: inout Out)
    -> Flow
  {
    switch rootIO(s) {
    case .blocked:
      watchBlockedIO(&s, &out)
      return .wait(nil)
    case .fails: return .to(failTo, Self.instant)
    case .works: break
    }
    guard !s.root.aborted else { return .to(failTo, Self.instant) }
    if readWrite {
      if let flow = fsckComplains(part: part, &s, &out) { return flow }
      if remountRefused(part: part, &s, &out) { return .to(failTo, Self.instant) }
    }
    s.root.mount = readWrite ? .readWrite : .readOnly
    s.root.needsRecovery = readWrite
    if readWrite {
      say("kernel", "\(rootDriver(s)): re-mounted. Opts: rw", &out)
      writtenByTwo(&s, &out)
    } else {
      flushed(&s, &out)
      say(part, "Mounting root filesystem read-only...done.", &out)
      explain(
        part, "all data is written and the root is read-only: nothing can be lost any more", sets: .root,
        to: &out)
    }
    return .next(Pace.about(200))
  }

  /// A program or script is loaded from the root.
  func executeRead(
    _ path: String, says: String, failTo: Int, part: String, _ s: inout MachineState, _ out: inout Out
  ) -> Flow {
    guard s.root.disk > 0 else { return .next(Self.instant) }
    if let bit = library.cacheBit(path), s.root.cached.has(bit) {
      return .next(Pace.between(5, 60, seen: 20))
    }
    switch rootIO(s) {
    case .works:
      if let bit = library.cacheBit(path) { s.root.cached.put(bit) }
      return .next(Pace.between(10, 200, seen: 60))
    case .blocked:
      explain(
        part, "\(path) has to be read from the disk, and the disk does not answer",
        because: [.path, .session], sets: .program, to: &out)
      watchBlockedIO(&s, &out)
      return .wait(nil)
    case .fails:
      say(part, says, &out)
      explain(part, "\(path) cannot be read any more", because: [.root, .session], sets: .program, to: &out)
      return .to(failTo, Pace.between(1, 20, seen: 5))
    }
  }
}
