import Sim

/// What must have been seen for a finding to hold, and what must not have been.
///
/// The table knows nothing of what was predicted. A finding may be in it several times: any of its entries will do.
/// One that is not in it cannot be told by what a laboratory sees.
struct Signs {
  let finding: Finding.Code
  /// Of each group at least one was seen.
  let seen: [[Sign]]
  /// None of these was seen.
  let without: [Sign]

  init(_ finding: Finding.Code, _ seen: [Sign]..., without: [Sign] = []) {
    self.finding = finding
    self.seen = seen
    self.without = without
  }

  private func hold(in seen: Seen) -> Bool {
    self.seen.allSatisfy { $0.contains(where: seen.has) } && !without.contains(where: seen.has)
  }

  /// The findings whose signs were seen, in the order of the table, each once.
  static func findings(of table: [Signs], in seen: Seen) -> [String] {
    var found: [String] = []
    for signs in table where signs.hold(in: seen) && !found.contains(signs.finding.rawValue) {
      found.append(signs.finding.rawValue)
    }
    return found
  }

  /// Whether a finding can be told of a boot, or of a shutdown.
  static func canTell(_ finding: String, of table: [Signs]) -> Bool {
    table.contains { $0.finding.rawValue == finding }
  }

  /// Signs of boots that did not come up, or did not stay up.
  static let boots = [
    // Firmware and option ROM.
    Signs(.noBootableDevice, [.nothingBootable], without: [.romStarts]),
    Signs(.bootedOtherMedium, [.otherBootCode], without: [.kernelStarts, .sanBoots]),
    Signs(.bootedOtherMedium, [.localDiskBoots], [.kernelStarts], without: [.sanBoots]),
    Signs(
      .bootSectorHangs, [.gaveUp], [.localDiskBoots, .sanBoots],
      without: [.grubLoads, .kernelStarts, .otherBootCode, .nothingBootable]),
    Signs(.optionROMNoAddress, [.romWithoutAddress], without: [.sanRegistered]),
    Signs(.optionROMNotConfigured, [.romWithoutTarget], without: [.sanRegistered, .romWithoutAddress]),
    Signs(.optionROMTargetUnreachable, [.sanUnreachable], without: [.sanRegistered]),
    Signs(.optionROMLoginRefused, [.sanLoginRefused], without: [.sanRegistered, .sanUnreachable]),
    Signs(.optionROMNoLU, [.sanWithoutLU], without: [.sanRegistered]),
    Signs(.optionROMBlockSize, [.sanRegistered], [.sanUnreadable], without: [.grubLoads]),
    // Boot loader.
    Signs(.bootFilesNotVisible, [.grubRescue], [.grubNoDevice, .grubNoFileSystem]),
    Signs(
      .bootFilesNotVisible, [.legacyStarts], [.legacyNoDisk, .legacyNoFileSystem], without: [.legacyMenu]),
    Signs(.menuMissing, [.grubPrompt], without: [.kernelStarts]),
    Signs(.menuDriveMissing, [.legacyMenu], [.legacyNoDisk], [.legacyExplains]),
    Signs(.menuDriveMissing, [.grubNoDevice], without: [.grubRescue, .kernelStarts]),
    Signs(.kernelFileMissing, [.legacyMenu], [.legacyNoFile], [.legacyExplains]),
    Signs(.kernelFileMissing, [.grubNoFile], without: [.grubRescue, .initramfsStarts]),
    // Kernel and initramfs.
    Signs(.bootVariablesOverflow, [.kernelPanic], [.tooManyVariables]),
    Signs(
      .initiatorNotInInitramfs, [.rootNotThere, .initqueueTimeout], [.initiatorNotInImage],
      without: [.iscsistartRuns, .sessionUp]),
    // Where nobody asked for the program itself, silence may mean that it is not there or that it knows no target.
    Signs(
      .initiatorNotInInitramfs, [.rootNotThere], [.noSession],
      without: [
        .iscsistartRuns, .iscsiTransport, .initiatorInImage, .sessionUp, .interfaceMissing, .noBootEntry,
      ]),
    Signs(.initiatorNotInInitramfs, [.noRootForKernel], without: [.initramfsStarts, .grubNoFile]),
    Signs(
      .initiatorNotConfigured, [.rootNotThere], [.noSession],
      without: [
        .iscsistartRuns, .loginTried, .sessionUp, .interfaceMissing, .noBootEntry, .targetNamedOnCommandLine,
        .initiatorNotInImage, .addressSilence,
      ]),
    Signs(
      .initiatorNotConfigured, [.initqueueTimeout], [.iscsiTransport],
      without: [
        .iscsidStarts, .iscsidDoesNotStart, .loginTried, .targetDisk, .noRecords, .networkNotOnline,
        .targetNamedOnCommandLine,
      ]),
    Signs(.initiatorDoesNotStart, [.iscsidDoesNotStart], without: [.targetDisk, .networkNotOnline]),
    Signs(.noIBFT, [.noBootEntry], without: [.ibftFound, .sessionUp]),
    Signs(.nicDriverMissing, [.interfaceMissing], without: [.sessionUp]),
    Signs(.interfaceNotConfigured, [.networkNotOnline], without: [.targetDisk, .interfaceMissing]),
    Signs(.noAddress, [.addressSilence], without: [.addressGiven, .sessionUp]),
    Signs(.targetUnreachable, [.portalRefuses], without: [.sessionUp]),
    Signs(.targetNameUnknown, [.targetNotFound], without: [.sessionUp]),
    Signs(.initiatorNotAdmitted, [.notAdmitted], without: [.sessionUp]),
    // tgtd says so of an initiator that it does not admit; that there is such a target the option ROM has shown.
    Signs(.initiatorNotAdmitted, [.targetNotFound], [.sanRegistered], without: [.sessionUp]),
    Signs(.sessionLimit, [.sessionRefused], without: [.sessionUp]),
    Signs(.chapRefused, [.chapRefused], without: [.sessionUp]),
    Signs(
      .rootDiskMissing, [.rootNotThere, .initqueueTimeout], [.rootDiskAbsent], without: [.partitionBeyondEnd]),
    Signs(.fileSystemDriverMissing, [.fileSystemUnknown], without: [.initStarts]),
    Signs(
      .rootDeviceRenamed, [.rootNotThere, .initqueueTimeout, .noInit, .noRootForKernel], [.rootElsewhere]),
    Signs(.partitionTableMisread, [.rootNotThere, .initqueueTimeout], [.partitionBeyondEnd]),
    Signs(
      .rootNotFoundByName, [.rootNotThere, .initqueueTimeout], [.rootNameUnknown],
      without: [.partitionBeyondEnd]),
    // The system's own init.
    Signs(
      .fstabDeviceRenamed, [.initStarts], [.mountFailed, .deviceTimedOut], [.emergency],
      without: [.fsckByHand]),
    Signs(.fstabDeviceMissing, [.initStarts], [.deviceTimedOut], [.emergency]),
    Signs(.fileSystemDamaged, [.fsckByHand]),
    Signs(.fileSystemDamaged, [.corruption]),
    Signs(.rootStaysReadOnly, [.dataModeRefused]),
    Signs(.mediumRolledBack, [.corruption], [.outageMade]),
    // The root is lost.
    Signs(
      .firewallCutsRoot, [.pingTimeout], [.recoveryTimedOut, .sessionNotBack], [.firewallTouched],
      without: [.outageMade, .loggedOut]),
    Signs(
      .networkTakenFromRoot, [.pingTimeout, .recoveryTimedOut], [.networkingTouched],
      without: [.outageMade, .firewallTouched, .loggedOut]),
    Signs(
      .networkTakenFromRoot, [.initStarts], [.sessionNotBack], [.networkServiceStarts],
      without: [.up, .outageMade, .firewallTouched, .loggedOut]),
    Signs(
      .outageTooLong, [.recoveryTimedOut], [.outageMade],
      without: [.daemonEnded, .timedOutAfterOutage, .loggedOut]),
    // The way was free again, and nobody took it.
    Signs(.nobodyLogsInAgain, [.timedOutAfterOutage], without: [.loggedOut]),
    Signs(
      .nobodyLogsInAgain, [.pingTimeout, .connectionClosed], [.daemonEnded],
      [.recoveryTimedOut, .rootUnwritable], without: [.loggedOut]),
    Signs(.sessionLoggedOut, [.loggedOut], [.ioErrors, .deviceOffline, .journalAborted]),
    Signs(.initiatorNameTwice, [.sessionDuel]),
  ]

  /// Signs of shutdowns that did not end, or did not close the root.
  static let shutdowns = [
    Signs(
      .networkDownAtShutdown, [.pingTimeout], [.recoveryTimedOut],
      without: [.outageMade, .loggedOut, .firewallTouched]),
    Signs(.outageTooLong, [.recoveryTimedOut], [.outageMade], without: [.loggedOut]),
    Signs(.sessionLoggedOut, [.loggedOut], [.ioErrors, .deviceOffline, .journalAborted, .unreadable]),
    Signs(
      .initiatorNameTwice, [.otherMachineLogsIn], [.connectionClosed], [.recoveryTimedOut],
      without: [.outageMade, .loggedOut]),
    Signs(
      .finalFlushBlocked, [.flushing], [.gaveUp],
      without: [.poweredDown, .restarting, .frozen, .initHasNothing]),
    Signs(
      .rootNotUnmounted, [.poweredDown, .restarting, .off],
      without: [.rootClosed, .recoveryTimedOut, .loggedOut, .gaveUp]),
  ]
}
