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
      locks.contains("netdump") && dumpsOverNetwork(s, &out),
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
    let name = read(ShellVariables.self, path, tree(s))?["DEVICE"] ?? ""
    guard let place = resolve(RootName(name), s) else {
      explain("kernel", "\(path): DEVICE=\(name) names no device: diskdump has nowhere to write", to: &out)
      return false
    }
    let drivers = kernelModules.indices.filter { s.scsi.modules.has($0) }.map { kernelModules[$0] }
      .filter { drives($0, place.disk) }
    guard inventory.disks[place.disk].target == nil, drivers.contains(where: Self.dumpDrivers.contains) else {
      say("kernel", "diskdump: \(name): no dump function in the adapter's driver", &out)
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

  private func dumpsOverNetwork(_ s: MachineState, _ out: inout Out) -> Bool {
    let settings = read(ShellVariables.self, "/etc/sysconfig/netdump", tree(s))
    let device = settings?["DEV"] ?? "eth0"
    guard let server = settings?["NETDUMPADDR"], !server.isEmpty, let index = nic(device), linkUp(index, s),
      s.network.address.has(index)
    else {
      explain(
        "kernel", "/etc/sysconfig/netdump: no server, or \(device) is not up: netdump sends nothing",
        because: [.address, .path], to: &out)
      return false
    }
    say("kernel", "< netdump activated - performing handshake with the server. >", &out)
    explain("kernel", "the memory is sent to the netdump server \(server) over \(device)", to: &out)
    return true
  }
}
