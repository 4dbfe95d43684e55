/// udev in an initramfs: it loads the drivers of what it finds, in its own time.
extension MachineModel {
  /// `udevadm trigger`: returns at once; the drivers come a little later.
  func coldplug(_ names: [String], _ window: Window, _ s: inout MachineState, _ out: inout Out) {
    let modules = names.compactMap(moduleBit).filter { !s.scsi.modules.has($0) && !s.scsi.coming.has($0) }
    guard !modules.isEmpty else { return }
    for bit in modules { s.scsi.coming.put(bit) }
    out.schedule(MachineEvent(.coldplugged), window)
  }

  func coldplugged(_ s: inout MachineState, _ out: inout Out) {
    let names = s.scsi.coming.members.map { kernelModules[$0] }
    s.scsi.coming = []
    explain("udev", "udev has loaded the drivers of what it found", sets: .interface, to: &out)
    loadModules(names, &s, &out)
  }

  /// An interface that is not there now is not waited for.
  func executeFindInterface(
    _ name: String?, place: String, failTo: Int, part: String, _ s: inout MachineState, _ out: inout Out
  ) -> Flow {
    let index = nic(name)
    if let index, s.network.present.has(index) { return .next(Self.instant) }
    let shown = name ?? "network"
    let problem: LoginProblem
    let reason: String
    if let index {
      let driver = scenario.machine.nics[index].driver
      let isComing = moduleBit(driver).map { s.scsi.coming.has($0) } ?? false
      problem = isComing ? .interfaceNotReady : .noInterface
      reason =
        isComing
        ? "udev has not loaded its driver \(driver) yet" : "nothing has loaded its driver \(driver)"
    } else {
      problem = .interfaceNotConfigured
      reason = "no adapter has that name in the initramfs"
    }
    s.iscsi.problem = problem.rawValue
    say(part, "ipconfig: \(shown): SIOCGIFINDEX: No such device", &out)
    say(part, "ipconfig: no devices to configure", &out)
    explain(
      part, "\(place): there is no \(shown) to configure: \(reason)", because: [.initramfs, .interface],
      sets: .login, to: &out)
    return .to(failTo, Self.instant)
  }
}
