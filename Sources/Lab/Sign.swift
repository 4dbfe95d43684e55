/// Something that a line shows, of which stages and findings are judged. Each is one fact, not a conclusion.
enum Sign: String, CaseIterable, Sendable {
  // Firmware and option ROM.
  case biosStarts, localDiskBoots, bootFailed, nothingBootable
  case romStarts, romWithoutAddress, romWithoutTarget
  case sanUnreachable, sanLoginRefused, sanWithoutLU, sanRegistered, sanBoots, sanBootFailed, sanUnreadable
  // Boot loader.
  case grubLoads, grubRescue, grubPrompt, grubNoDevice, grubNoFileSystem, grubNoFile, grubAnyKey
  case legacyStarts, legacyMenu, legacyNoDisk, legacyNoFileSystem, legacyNoFile, legacyExplains
  // Kernel.
  case kernelStarts, ibftFound, kernelPanic, tooManyVariables, noRootForKernel
  // Initramfs.
  case initramfsStarts, interfaceMissing, addressSilence, addressGiven, networkNotOnline
  case iscsiTransport, iscsistartRuns, loginTried, sessionUp, iscsidStarts, iscsidDoesNotStart
  case noBootEntry, portalRefuses, targetNotFound, notAdmitted, sessionRefused, chapRefused, noRecords
  case rootNotThere, initqueueTimeout, initramfsShell, dracutEmergency, fileSystemUnknown, noInit
  case partitionBeyondEnd
  // The system's own init.
  case initStarts, emergency, mountFailed, deviceTimedOut, fsckByHand, initHasNothing
  case firewallTouched, up
  // Loss of the session and of the root.
  case pingTimeout, connectionClosed, recoveryTimedOut, deviceReset
  case loggedOut, ioErrors, deviceOffline, journalAborted, remountedReadOnly, unreadable
  case dataModeRefused, corruption
  case networkingTouched, networkServiceStarts, sessionNotBack, rootUnwritable
  // Shutdown.
  case rootClosed, flushing, poweredDown, restarting, frozen, interfaceTakenAtShutdown
  // What the laboratory itself did, as the story asks.
  case outageMade, timedOutAfterOutage, daemonEnded, otherMachineLogsIn, gaveUp, off
  // What follows from several lines: see `Seen.conclude()`.
  case targetDisk, noSession, initiatorInImage, initiatorNotInImage, targetNamedOnCommandLine
  case rootMounted, rootElsewhere, rootNameUnknown, rootDiskAbsent, otherBootCode, sessionDuel

  /// What a console, or the shell where that is said, writes: alternatives, each a list of texts that all stand in
  /// one line.
  var wordings: [[String]] {
    switch self {
    case .biosStarts: [["SeaBIOS (version"]]
    case .localDiskBoots: [["Booting from Hard Disk..."]]
    case .bootFailed: [["Boot failed:"]]
    case .nothingBootable: [["No bootable device"]]
    case .romStarts: [["iPXE initialising devices"], ["iPXE", "starting execution"]]
    case .romWithoutAddress:
      [["No configuration methods succeeded"], ["Waiting for link-up on net", "Down (http"]]
    case .romWithoutTarget: [["Nothing to boot:"], ["No root path"]]
    case .sanUnreachable:
      ["Connection reset", "Connection timed out", "Connection refused", "unreachable", "No route"].map {
        ["Could not open SAN device", $0]
      }
    // iPXE's iscsi.c is file 0d6 in the number, scsi.c 704: a status of the login, or what the LU said (lab k, w4).
    case .sanLoginRefused:
      ["Permission denied", "Operation not permitted", "No such device", "org/430d6", "org/1d0d6"].map {
        ["Could not open SAN device", $0]
      }
    case .sanWithoutLU: [["Could not open SAN device", "org/1d704"]]
    case .sanRegistered: [["Registered SAN device"]]
    case .sanBoots: [["Booting from SAN device"]]
    case .sanBootFailed: [["Boot from SAN device", "failed"]]
    case .sanUnreadable: [["Boot from SAN device", "failed", "Input/output error"]]
    case .grubLoads: [["GRUB loading"], ["GRUB Loading stage"], ["Welcome to GRUB"], ["GNU GRUB  version"]]
    case .grubRescue: [["grub rescue>"]]
    case .grubPrompt: [["grub> "]]
    case .grubNoDevice: [["error: no such device"], ["error: disk `", "not found"]]
    case .grubNoFileSystem: [["error: unknown filesystem"], ["error: no such partition"]]
    case .grubNoFile: [["error: file `", "not found"]]
    case .grubAnyKey: [["Press any key to continue"]]
    case .legacyStarts: [["GRUB Loading stage"]]
    case .legacyMenu: [["GNU GRUB  version 0.9"], ["root (hd"]]
    case .legacyNoDisk: [["Error 21"]]
    case .legacyNoFileSystem: [["Error 17"], ["Error 22"]]
    case .legacyNoFile: [["Error 15"]]
    case .legacyExplains: [["Error ", ": "]]
    case .kernelStarts: [["Linux version "]]
    case .ibftFound: [["iBFT found at"]]
    case .kernelPanic: [["Kernel panic - not syncing"]]
    case .tooManyVariables: [["Too many boot env vars"]]
    case .noRootForKernel: [["Unable to mount root fs"]]
    case .initramfsStarts:
      [["Loading, please wait..."], ["(Initramfs)!"], ["Begin: Loading essential drivers"]]
    case .interfaceMissing: [["Network device did not appear"], ["ipconfig: no devices to configure"]]
    case .addressSilence: [["IP-Config: no response after"]]
    case .addressGiven: [["IP-Config:", "complete"]]
    case .networkNotOnline: [["Failed to start", "Wait for Network to be Configured"]]
    case .iscsiTransport: [["iscsi: registered transport (tcp)"]]
    case .iscsistartRuns: [["iscsistart: version"]]
    case .loginTried: [["iscsistart: Logging into"], ["Logging in to [iface"]]
    case .sessionUp: [["is operational now"]]
    case .iscsidStarts: [["Started iscsid.service"]]
    case .iscsidDoesNotStart: [["Failed to start iscsid"]]
    case .noBootEntry: [["Could not get boot entry"]]
    case .portalRefuses:
      [
        ["iscsistart: connect to", "failed ("], ["iscsid: connect to", "failed ("],
        ["iscsistart: connection", "timed out"],
      ]
    case .targetNotFound: [["(02/03)"], ["target not found"]]
    case .notAdmitted: [["(02/02)"], ["Initiator failed authorization"]]
    case .sessionRefused: [["login rejected: target error (03/0"], ["(02/06)"], ["too many connections"]]
    case .chapRefused: [["Login failed to authenticate"], ["Initiator failed authentication"], ["(02/01)"]]
    case .noRecords: [["iscsiadm: No records found"]]
    case .partitionBeyondEnd: [["is beyond EOD, truncated"]]
    case .rootNotThere: [["ALERT!", "does not exist"], ["Warning: /dev/", "does not exist"]]
    case .initqueueTimeout: [["dracut-initqueue: timeout, still waiting"]]
    case .initramfsShell: [["(initramfs)"]]
    case .dracutEmergency: [["Entering emergency mode. Exit the shell"]]
    case .fileSystemUnknown: [["unknown filesystem type"], ["mount: mounting /dev/", "on /root failed"]]
    case .noInit: [["No init found. Try passing init="], ["doesn't have requested /sbin/init"]]
    case .initStarts: [["INIT: version"], ["Welcome to Debian"], ["Welcome to Ubuntu"]]
    case .emergency:
      [
        ["You are in emergency mode"], ["Give root password for maintenance"],
        ["Press Enter for maintenance"],
        ["or press Control-D to continue"], ["root account is locked"],
        ["A maintenance shell will now be started"],
      ]
    case .mountFailed:
      [
        ["Failed to mount "], ["Dependency failed for", "Local File Systems"],
        ["Dependency failed for", "local-fs"],
      ]
    case .deviceTimedOut:
      [
        ["Timed out waiting for device"], ["special device", "does not exist"],
        ["Timed out", "waiting for device"],
      ]
    case .fsckByHand: [["RUN fsck MANUALLY"], ["UNEXPECTED INCONSISTENCY"]]
    case .initHasNothing: [["INIT: no more processes left in this runlevel"]]
    case .firewallTouched: [["iptables"], ["netfilter"], ["FW-SCRIPT"], ["firewall"]]
    case .up: [["==BOOT-OK"]]
    case .pingTimeout: [["detected conn error (1022)"], ["ping timeout of"]]
    case .connectionClosed:
      [["detected conn error (1020)"], ["detected conn error (1021)"], ["detected conn error (1011)"]]
    case .recoveryTimedOut: [["session recovery timed out after"]]
    case .deviceReset: [["Power-on or device reset occurred"]]
    case .loggedOut: [["Logout of [", "successful"]]
    case .ioErrors: [["I/O error, dev sd"]]
    case .deviceOffline: [["device offline error, dev sd"], ["rejecting I/O to offline device"]]
    case .journalAborted: [["Aborting journal on device"]]
    case .remountedReadOnly: [["Remounting filesystem read-only"]]
    case .unreadable: [["Input/output error"], ["Read-only file system"]]
    case .dataModeRefused: [["Cannot change data mode on remount"]]
    case .corruption:
      [
        ["EXT4-fs error", "bad entry in directory"], ["EXT4-fs error", "checksum invalid"],
        ["EXT4-fs error", "bad block bitmap checksum"], ["EXT4-fs error", "deleted inode referenced"],
        ["EXT4-fs error", "bad extent"], ["EXT4-fs error", "iget: bad"], ["EXT4-fs error", "bogus"],
      ]
    case .networkingTouched:
      [["DHCPDISCOVER on"], ["DHCPRELEASE of"], ["Deconfiguring network interfaces..."]]
    case .networkServiceStarts:
      [
        ["Starting systemd-networkd.service"], ["Starting systemd-networkd.…"], ["Starting NetworkManager"],
        ["Starting networking.service"], ["Started systemd-networkd.service"],
        ["Configuring network interfaces"],
      ]
    case .rootClosed:
      [["Mounting root filesystem read-only"], ["Remounting '/' read-only"], ["All filesystems unmounted"]]
    case .flushing: [["] Synchronizing SCSI cache"]]
    case .poweredDown: [["reboot: Power down"], ["reboot: System halted"]]
    case .restarting: [["reboot: Restarting system"]]
    case .frozen: [["Freezing execution"], ["Failed to execute shutdown binary"]]
    case .interfaceTakenAtShutdown:
      [
        ["Deconfiguring network interfaces..."], ["DHCPRELEASE of"], ["networking.service"], ["LINK-DOWN"],
        ["NetworkManager.service"], ["systemd-networkd"],
      ]
    default: []
    }
  }

  /// What the root shell shows as well as the console.
  static let ofShell: Set<Sign> = [.frozen, .loggedOut, .unreadable]

  /// Every sign that a line of the console shows.
  static func inConsole(_ text: String) -> [Sign] {
    worded.filter { $0.isShown(by: text) }
  }

  /// Whether a line of the console shows this.
  func isShown(by text: String) -> Bool { isIn(text) && !isMistaken(text) }

  /// Every sign that a line of the root shell shows.
  static func inShell(_ text: String) -> [Sign] { ofShell.filter { $0.isIn(text) } }

  private static let worded = allCases.filter { !$0.wordings.isEmpty }

  private func isIn(_ text: String) -> Bool {
    wordings.contains { $0.allSatisfy { text.holds($0) } }
  }

  /// Signs whose lines say nothing to people who look for what decided, or are another sign's too.
  static let untelling: Set<Sign> = [
    .biosStarts, .romStarts, .legacyExplains, .iscsiTransport, .targetDisk, .noSession, .initiatorInImage,
    .initiatorNotInImage, .targetNamedOnCommandLine, .rootElsewhere, .rootNameUnknown, .rootDiskAbsent,
    .sessionDuel, .sessionNotBack, .networkServiceStarts, .rootUnwritable, .gaveUp, .off,
  ]

  /// Lines that have the words and mean something else.
  private func isMistaken(_ text: String) -> Bool {
    switch self {
    // The initrd's systemd has a welcome of its own.
    case .initStarts: text.holds("(Initramfs)")
    // The kernel gives up at once when it is going down itself: no recovery was waited for.
    case .recoveryTimedOut: text.holds("after 0 secs")
    case .legacyExplains: !text.trimmed.hasPrefix("Error ")
    case .legacyNoDisk, .legacyNoFileSystem, .legacyNoFile: !text.trimmed.hasPrefix("Error ")
    case .grubPrompt: !text.trimmed.hasPrefix("grub>") && text.trimmed != "grub>"
    default: false
    }
  }
}
