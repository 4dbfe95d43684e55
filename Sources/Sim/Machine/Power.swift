/// Power that goes while the system runs.
extension MachineModel {
  /// So often the boot loader tries to read, at most (`readFails`).
  private static let longestBootRead = 10

  /// What the story does "after" some time.
  func stepBegins(_ index: Int, _ s: inout MachineState, _ out: inout Out) {
    guard case .after(_, let step) = steps[index] else { return }
    _ = begin(step, index, &s, &out)
  }

  /// The machine loses its power: what it had in memory is gone; whatever is outside of it goes on.
  func powerCut(_ s: inout MachineState, _ out: inout Out) {
    explain("story", "the machine loses its power", sets: .story, .path, to: &out)
    if s.phase == .up { checkRunning(onlyData: true, &s, &out) }
    for entry in scenario.machine.bootOrder.indices { out.cancel(MachineEvent(.tryBoot, entry + 1)) }
    out.cancel(MachineEvent(.tryBoot, 0))
    for nic in scenario.machine.nics.indices {
      out.cancel(MachineEvent(.romAddress, nic))
      out.cancel(MachineEvent(.romLogin, nic))
    }
    for disk in inventory.disks.indices {
      for reads in 0...Self.longestBootRead { out.cancel(MachineEvent(.loader, disk, reads)) }
    }
    out.cancel(MachineEvent(.kernel))
    out.cancel(MachineEvent(.rootWaitOver))
    nothingRunsAnyMore(&s, &out)
    s.phase = .off
  }

  /// Power off, reset or a halt without an end: memory is lost, timers stop, sessions stay at the targets.
  func nothingRunsAnyMore(_ s: inout MachineState, _ out: inout Out) {
    abandonProgram(&s, &out)
    for target in scenario.targets.indices { cancelTimers(of: target, &out) }
    for disk in inventory.disks.indices { stopProbing(disk, &s, &out) }
    out.cancel(MachineEvent(.writeback))
    out.cancel(MachineEvent(.coldplugged))
    out.cancel(MachineEvent(.heldUp))
    s.delay.waits = false
    dataLost(&s, &out)
    leaveSessionsBehind(&s, &out)
    s.scsi = SCSIState()
    s.iscsi = InitiatorState()
    s.root = RootState(needsRecovery: s.root.needsRecovery)
  }
}
