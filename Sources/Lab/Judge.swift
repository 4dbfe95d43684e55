import Sim

extension Observation {
  /// Judges what was seen: a function of the transcript and of the names of the scenario's disks, and of nothing
  /// else. What was predicted is not known here.
  public init(judging transcript: Transcript, devices: DeviceTable) {
    self.init(boots: [], shutdowns: [])
    var running: Seen?
    var previous: Episode.Kind?
    for episode in Episode.all(in: transcript) {
      let seen = Seen(episode, devices: devices)
      switch episode.kind {
      case .boot:
        // What could not be looked at before a restart, the next boot finds.
        if previous == .shutdown, let last = shutdowns.indices.last, shutdowns[last].fileSystem == nil,
          let found = seen.rootAsFound
        {
          shutdowns[last].fileSystem = found
          if shutdowns[last].outcome == .clean, found != .clean { shutdowns[last].outcome = .lostRoot }
        }
        boots.append(Boot(judging: seen))
        running = seen
      case .shutdown:
        let shutdown = Shutdown(judging: seen, after: running, devices: devices)
        shutdowns.append(shutdown)
        // Nothing is said while it happens: only the check of the file system shows it.
        if shutdown.fileSystem == .damaged, running?.has(.outageMade) == true, let last = boots.indices.last,
          boots[last].outcome == .boots
        {
          (boots[last].outcome, boots[last].stage) = (.fails, .running)
          boots[last].findings = [Finding.Code.mediumRolledBack.rawValue]
        }
      }
      previous = episode.kind
    }
  }
}

extension Observation.Boot {
  init(judging seen: Seen) {
    let end = seen.bootEnd
    outcome = end.stage == nil ? .boots : .fails
    stage = end.stage
    at = seen.seconds(until: end.line)
    rootDevice = seen.rootDevice
    disks = seen.disks
    findings = end.stage == nil ? [] : Signs.findings(of: Signs.boots, in: seen)
    evidence = seen.evidence
  }
}

extension Observation.Shutdown {
  init(judging seen: Seen, after running: Seen?, devices: DeviceTable) {
    let root = devices.root ?? DeviceTable.Place(lun: 1, partition: 2)
    fileSystem = Self.fileSystem(of: root, in: seen.episode)
    let wasLost = running?.rootLost != nil
    let closed =
      fileSystem.map { $0 == .clean } ?? (!wasLost && (seen.has(.rootClosed) || seen.rootLost == nil))
    outcome = !seen.isOff && !seen.episode.isRestart ? .hang : closed ? .clean : .lostRoot
    let end = seen.shutdownEnd
    at = seen.seconds(until: end)
    findings = outcome == .clean ? [] : Signs.findings(of: Signs.shutdowns, in: seen)
    // A root that was lost before the shutdown is not lost to the shutdown.
    if wasLost, let running { findings = Signs.findings(of: Signs.boots, in: running) + findings }
    if outcome == .clean { findings = [] }
    evidence = seen.evidence
  }

  /// What `dumpe2fs` and, after the journal's replay, `e2fsck` said of the root; nil where they were not asked.
  private static func fileSystem(of root: DeviceTable.Place, in episode: Episode) -> FileSystemState? {
    var state: FileSystemState?
    for line in episode.lines {
      switch line.event {
      case .fileSystem(root.lun, root.partition, let text):
        let signs = ["needs_recovery", "with errors", "not clean"]
        state = signs.contains(where: text.holds) ? .needsRecovery : .clean
      // 4: errors left uncorrected (e2fsck(8)); -n corrects none. 8 and more: it could not check.
      case .checked(root.lun, root.partition, let status) where status & 4 != 0: state = .damaged
      default: break
      }
    }
    return state
  }
}

extension Seen {
  /// Where the boot ended, and the line that shows it; no stage: it came up and stayed up.
  var bootEnd: (stage: Stage?, line: Transcript.Line?) {
    if let lost = rootLost ?? rootUnusable {
      // What a machine says after it has come up is said while it runs.
      let isUp = first[.up].map { $0.time <= lost.time } ?? false
      return (isUp ? .running : has(.initStarts) ? .`init` : .rootMount, lost)
    }
    if let up = first[.up] {
      return has(.sessionDuel) ? (.running, last[.connectionClosed]) : (nil, up)
    }
    return (failedStage, failure)
  }

  /// The line with which the root was lost for good.
  var rootLost: Transcript.Line? {
    let disk = rootDevice.map { $0.dropFirst("/dev/".count).prefix { $0.isLetter } }.map(String.init)
    func ofRoot(_ sign: Sign) -> Transcript.Line? {
      guard let line = first[sign] else { return nil }
      guard let disk, sign != .recoveryTimedOut, sign != .unreadable else { return line }
      return episode.lines.first {
        $0.source == .console && $0.text.holds(disk) && sign.isShown(by: $0.text)
      }
    }
    if let line = ofRoot(.journalAborted) ?? ofRoot(.remountedReadOnly) { return line }
    // A root that is mounted read-only has no journal to abort: it cannot be read any more.
    if has(.recoveryTimedOut) || has(.loggedOut) { return ofRoot(.ioErrors) }
    return nil
  }

  /// The line that shows that the root cannot be used as it should, though its disk is there.
  private var rootUnusable: Transcript.Line? {
    first[.dataModeRefused] ?? first[.corruption] ?? first[.rootUnwritable]
  }

  /// In which state the boot found the root that the shutdown before had left; nil: it did not come so far.
  var rootAsFound: FileSystemState? {
    if has(.fsckByHand) { return .damaged }
    let isReplayed = episode.lines.contains { line in
      line.source == .console
        && (line.text.holds("recovering journal") || line.text.holds("recovery complete"))
    }
    return isReplayed ? .needsRecovery : has(.rootMounted) ? .clean : nil
  }

  /// The last thing that a boot which did not come up says.
  private var failure: Transcript.Line? {
    let ends: [Sign] = [
      .initHasNothing, .emergency, .dracutEmergency, .initramfsShell, .rootNotThere, .kernelPanic,
      .grubRescue,
      .grubPrompt, .legacyNoDisk, .legacyNoFile, .legacyNoFileSystem, .grubAnyKey, .nothingBootable, .gaveUp,
    ]
    return ends.lazy.compactMap { first[$0] }.first ?? lastConsoleLine
  }

  /// The stage in which a boot that did not come up ended: how far it had come, and what it lacked there.
  private var failedStage: Stage {
    if has(.initStarts) { return .`init` }
    if has(.initramfsStarts) || has(.rootNotThere) { return initramfsStage }
    if has(.kernelStarts) {
      // Without an initramfs the kernel itself looks for the root.
      return has(.noRootForKernel) ? .rootMount : .kernel
    }
    if has(.sanBootFailed), !has(.grubLoads) { return .optionROM }
    if has(.grubLoads) || has(.sanBoots) { return .bootLoader }
    if has(.otherBootCode) { return .firmware }
    if has(.romStarts), !isLocalBootCodeRunning { return .optionROM }
    return .firmware
  }

  /// The firmware jumped into a local disk and nothing came back.
  private var isLocalBootCodeRunning: Bool {
    guard let jump = last[.localDiskBoots] else { return false }
    return !has(.nothingBootable) && (last[.bootFailed].map { $0.time < jump.time } ?? true)
  }

  private var initramfsStage: Stage {
    if has(.rootMounted) || has(.fileSystemUnknown) || has(.noInit) { return .rootMount }
    if has(.targetDisk) || has(.sessionUp) { return .rootMount }
    if has(.interfaceMissing) || has(.networkNotOnline) { return .initramfsNetwork }
    if has(.addressSilence), !has(.addressGiven) { return .initramfsNetwork }
    return .initramfsISCSI
  }

  /// Whether a shutdown ended: the machine said so, or is off without having been given up.
  var isOff: Bool {
    if has(.poweredDown) || has(.restarting) { return true }
    return has(.off) && !has(.gaveUp) && !has(.frozen) && !has(.initHasNothing)
  }

  /// The line that shows how a shutdown ended.
  var shutdownEnd: Transcript.Line? {
    let ends: [Sign] = isOff ? [.off, .poweredDown, .restarting] : [.frozen, .initHasNothing, .gaveUp]
    return ends.lazy.compactMap { first[$0] }.first ?? lastConsoleLine
  }

  /// Seconds from the beginning of the episode to a line, to hundredths as files have them; 0 without a line.
  func seconds(until line: Transcript.Line?) -> Double {
    guard let line else { return 0 }
    return max(0, ((line.time - episode.start) * 100).rounded() / 100)
  }

  /// The lines that first showed each sign, in order, with their seconds since the episode began.
  var evidence: [Transcript.Line] {
    let telling = first.keys.filter { !Sign.untelling.contains($0) && first[$0]?.source != .lab }
    var shown: [Transcript.Line] = []
    for sign in telling.sorted(by: { order[$0, default: 0] < order[$1, default: 0] }) {
      guard let line = first[sign] else { continue }
      let read = Transcript.Line(time: seconds(until: line), source: line.source, text: line.text.trimmed)
      if !shown.contains(read) { shown.append(read) }
    }
    return shown
  }
}
