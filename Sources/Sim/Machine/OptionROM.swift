/// The iSCSI boot ROM of an adapter: address, login, one LU as a BIOS drive, iBFT.
extension MachineModel {
  func romAddress(_ nic: Int, _ s: inout MachineState, _ out: inout Out) {
    guard let rom = scenario.machine.nics[nic].optionROM else { return }
    guard scenario.machine.nics[nic].cable, !s.network.unplugged.has(nic) else {
      return romGivesUp(.noLink, nic: nic, &s, &out)
    }
    guard rom.address != nil || scenario.network.dhcp else {
      return romGivesUp(.noAddress, nic: nic, &s, &out)
    }
    say("option ROM", "\(scenario.machine.nics[nic].name): \(rom.address ?? "address by DHCP") ok", &out)
    out.schedule(MachineEvent(.romLogin, nic), Pace.between(20, 300, seen: 120))
  }

  func romLogin(_ nic: Int, _ s: inout MachineState, _ out: inout Out) {
    guard let rom = scenario.machine.nics[nic].optionROM, let iqn = rom.target, let portal = rom.portal else {
      return
    }
    let listening = targets(atPortal: portal).filter { s.network.targets.has($0) }
    guard !listening.isEmpty else { return romGivesUp(.unreachable, nic: nic, &s, &out) }
    guard let target = listening.first(where: { scenario.targets[$0].iqn == iqn }) else {
      return romGivesUp(.targetNotFound, nic: nic, &s, &out)
    }
    let login = Login(initiator: rom.initiator, target: iqn, portal: portal, chap: rom.chap)
    if let problem = refusal(login, by: target, asking: .rom(rom.kind), s) {
      explain(
        "target", "\(iqn) refuses the option ROM's login: \(problem.reason)",
        because: [.leftSessions], sets: .bootDevice, to: &out)
      return romGivesUp(.refused, nic: nic, &s, &out)
    }
    guard let disk = inventory.lu(target: target, lun: rom.lun) else {
      return romGivesUp(.noLU, nic: nic, &s, &out)
    }
    guard inventory.disks[disk].blockSize == 512 else {
      return romGivesUp(.blockSize, nic: nic, &s, &out)
    }
    s.iscsi.romSessions.put(target)
    if rom.kind != .ipxe { s.targets.danglingROM[target] = 0 }
    if rom.ibft { s.firmware.ibft = UInt8(nic + 1) }
    say("option ROM", "Registered SAN device 0x80", &out)
    explain(
      "option ROM",
      "\(rom.kind.title) on \(scenario.machine.nics[nic].name) exposes LUN \(rom.lun) of \(iqn), and only that"
        + (rom.ibft ? "; it leaves an iBFT" : "; it leaves no iBFT"), sets: .ibft, .biosDrives, to: &out)
    bootFrom(disk, entry: bootEntry(of: nic), &s, &out)
  }

  func romGivesUp(_ problem: ROMProblem, nic: Int, _ s: inout MachineState, _ out: inout Out) {
    s.firmware.romProblem = problem.rawValue
    say("option ROM", problem.message, &out)
    explain(
      "option ROM", "the option ROM of \(scenario.machine.nics[nic].name) gives up: \(problem.sentence)",
      because: [.bootDevice], sets: .bootDevice, to: &out)
    tryNext(after: bootEntry(of: nic), &s, &out)
  }

  private func bootEntry(of nic: Int) -> Int {
    scenario.machine.bootOrder.firstIndex(of: scenario.machine.nics[nic].name) ?? 0
  }
}

extension ROMProblem {
  var sentence: String {
    switch self {
    case .none: "no reason"
    case .notConfigured: "it has no initiator name, target or portal"
    case .noLink: "the adapter has no link"
    case .noAddress: "no DHCP server answers"
    case .unreachable: "nothing answers at the portal"
    case .targetNotFound: "the portal has no target of that name"
    case .refused: "the target refuses the login"
    case .noLU: "the target has no LU with that number"
    case .blockSize: "the LU's blocks have 4096 bytes, and a BIOS reads sectors of 512"
    }
  }
}

extension LoginProblem {
  /// In plain words, after a colon.
  var reason: String {
    switch self {
    case .none: "nothing is wrong"
    case .noInitiator: "the initramfs holds no initiator"
    case .daemonDoesNotStart: "iscsid does not start in the initramfs"
    case .noParameters: "nothing tells the initiator which target to log in to"
    case .noIBFT: "the firmware left no iBFT on this boot"
    case .noInterface: "no network interface appeared"
    case .interfaceNotConfigured: "the initramfs configures no interface that is there"
    case .interfaceNotReady: "the initiator ran before the adapter's driver was loaded"
    case .noAddress: "the interface got no address"
    case .unreachable: "the portal does not answer"
    case .targetNotFound: "the portal has no target of that name"
    case .wrongSecret: "CHAP name and secret are not the target's"
    case .notAdmitted: "the target does not admit that initiator name"
    case .sessionLimit: "the target admits no further session"
    case .unresolvedModules: "the initiator's modules could not be loaded"
    case .symbolsUnresolved: "a module that the initiator needs is missing, or is loaded after it"
    case .moduleRefused: "a module was built for another kernel"
    }
  }
}
