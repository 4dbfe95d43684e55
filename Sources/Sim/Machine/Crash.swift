import LinuxConfig

/// A kernel panic while the system runs: what happens to the memory dump, and the machine being switched off afterwards.
extension MachineModel {
  /// A crashed kernel has no processes, no interrupts and no network stack of the usual kind: a dump to disk is written by
  /// the disk's own driver in polling mode, one over the network by the adapter's.
  func crash(_ s: inout MachineState, _ out: inout Out) {
    say("kernel", "Kernel panic - not syncing", &out)
    let locks = locks(s)
    let isWritten = [
      locks.contains("diskdump") && dumpsToDisk(s, &out),
      locks.contains("netdump") && dumpsOverNetwork(s, &out), dumpsAsSUSEDoes(s, &out),
    ].contains(true)
    if !isWritten {
      explain("verdict", "the crash leaves no vmcore", because: [.program, .path, .story], to: &out)
      out.note(.mark(.bootFailsLater))
      if s.results.bootCount > 0, var result = library.boot(s.results.boots[Int(s.results.bootCount) - 1]) {
        result.outcome = .fails
        result.stage = .running
        result.finding = .dumpNotWritten
        record(result, new: false, &s)
      }
    }
    powerCut(&s, &out)
  }

  /// Drivers that can write without interrupts (README of diskdumputils, "Supported Drivers", RHEL 4).
  private static let dumpDrivers: Set<String> = [
    "aic7xxx", "aic79xx", "ipr", "megaraid", "mptspi", "sym53c8xx", "sata_promise", "ata_piix", "cciss",
  ]

  private func dumpsToDisk(_ s: MachineState, _ out: inout Out) -> Bool {
    let path = "/etc/sysconfig/diskdump"
    return dumps(to: read(ShellVariables.self, path, tree(s))?["DEVICE"] ?? "", path, s, &out)
  }

  private func dumps(to name: String, _ path: String, _ s: MachineState, _ out: inout Out) -> Bool {
    guard let place = resolve(RootName(name), s) else {
      explain("kernel", "\(path): \"\(name)\" names no device: the dump has nowhere to go", to: &out)
      return false
    }
    let drivers = kernelModules.indices.filter { s.scsi.modules.has($0) }.map { kernelModules[$0] }
      .filter { drives($0, place.disk) }
    guard inventory.disks[place.disk].target == nil, drivers.contains(where: Self.dumpDrivers.contains) else {
      say("kernel", "dump: \(name): no dump function in the adapter's driver", &out)
      explain(
        "kernel",
        inventory.disks[place.disk].target == nil
          ? "\(name) is \(inventory.disks[place.disk].name), whose driver cannot write in a crashed kernel"
          : "\(name) is \(inventory.disks[place.disk].name), behind the network: the initiator cannot write in a crashed kernel",
        because: [.letter(place.disk), .session], to: &out)
      return false
    }
    say("kernel", "start dumping ... done", &out)
    explain("kernel", "the memory is dumped to \(name), \(inventory.disks[place.disk].name)", to: &out)
    return true
  }

  /// LKCD of SLES 9, by /etc/sysconfig/dump: DUMPDEV is a partition, or the interface that netdump sends over.
  private func dumpsAsSUSEDoes(_ s: MachineState, _ out: inout Out) -> Bool {
    let path = "/etc/sysconfig/dump"
    guard let settings = read(ShellVariables.self, path, tree(s)), settings["DUMP_ACTIVE"] == "1",
      let device = settings["DUMPDEV"]
    else { return false }
    guard let index = scenario.machine.nics.firstIndex(where: { $0.interface == device }) else {
      return dumps(to: device, path, s, &out)
    }
    return sends(to: settings["TARGET_HOST"], over: index, path, s, &out)
  }

  private func dumpsOverNetwork(_ s: MachineState, _ out: inout Out) -> Bool {
    let path = "/etc/sysconfig/netdump"
    let settings = read(ShellVariables.self, path, tree(s))
    return sends(to: settings?["NETDUMPADDR"], over: nic(settings?["DEV"] ?? "eth0"), path, s, &out)
  }

  /// A server, and an interface that is up, whatever became of the sessions over it.
  private func sends(
    to server: String?, over index: Int?, _ path: String, _ s: MachineState, _ out: inout Out
  ) -> Bool {
    guard let server, !server.isEmpty, let index, linkUp(index, s), s.network.address.has(index) else {
      explain(
        "kernel", "\(path): no server, or no interface that is up: netdump sends nothing",
        because: [.address, .path], to: &out)
      return false
    }
    say("kernel", "< netdump activated - performing handshake with the server. >", &out)
    explain(
      "kernel",
      "the memory is sent to the netdump server \(server) over \(scenario.machine.nics[index].interface)",
      to: &out)
    return true
  }
}
