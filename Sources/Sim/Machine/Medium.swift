import LinuxConfig

/// What is on the medium under the root, what only a cache behind the network holds, and what has become of it.
///
/// Three places: the machine's page cache (`RootState.dirty`), the LU's volatile write cache, the medium. A write moves
/// from the first to the second when it is acknowledged, and to the third when the LU flushes (SYNCHRONIZE CACHE) or has
/// been idle for a while. All of this but the page cache outlives the machine's power.
struct MediumState: Hashable, Sendable {
  /// Why the file system contradicts itself.
  enum Damage: UInt8 { case none, rolledBack, mountedTwice }

  /// The device (number + 1) whose cache holds acknowledged writes that are not on its medium.
  var volatile: UInt8 = 0
  /// The target lost such writes, and a system that believes them written is still running.
  var rolledBack = false
  var damage: Damage = .none
  /// A program is writing files.
  var writing = false
  /// The journal has the files' metadata, and their data is not on the disk yet.
  var exposed = false
  /// That was so when the disk or the power was lost: files are empty or hold something else.
  var filesLost = false
  /// The device (number + 1) that another machine has mounted for writing.
  var mountedElsewhere: UInt8 = 0
}

/// `data=` of ext3 and ext4: what goes through the journal.
enum JournalMode: String, Sendable, CaseIterable {
  case ordered, writeback, journal

  /// As the kernel names it when it mounts.
  var spoken: String { self == .journal ? "journalled" : rawValue }

  /// The last `data=` among mount options.
  init?(options: [String]) {
    guard let value = options.last(where: { $0.hasPrefix("data=") })?.dropping("data="),
      let mode = JournalMode(rawValue: value)
    else { return nil }
    self = mode
  }
}

extension MachineModel {
  // MARK: - Mount options

  /// What the root is mounted with: `rootflags=` with initramfs-tools; fstab's options, as they were when the image was
  /// made, with mkinitrd.
  func rootMountOptions(_ s: MachineState) -> [String] {
    guard let selection = library.selection(s.firmware.selection) else { return [] }
    let flags = KernelCommandLine(selection.commandLine).last("rootflags")
    let build = build(ofImage: selection.initrdPath, s)
    if flags == nil, maker(of: build.tree) != .initramfsTools {
      return library.parsed("root options \(build.key)") {
        read(Fstab.self, "/etc/fstab", build.tree)?.root?.options ?? []
      }
    }
    return (flags ?? "").split(separator: ",").map(String.init)
  }

  func journalMode(_ s: MachineState) -> JournalMode { JournalMode(options: rootMountOptions(s)) ?? .ordered }

  /// fstab's line of the root.
  func rootLine(_ s: MachineState) -> Fstab.Entry? {
    library.parsed("root line \(s.tree)") { read(Fstab.self, "/etc/fstab", tree(s)).map { [$0.root] } ?? [] }
      .compactMap { $0 }.first
  }

  /// Can the journal name blocks whose data is not written yet?
  ///
  /// Not with data=journal; always with data=writeback; with data=ordered not on ext3, but on ext4, which allocates late
  /// (`delalloc`, the default since 2.6.27), until 2.6.30 began to allocate at a rename over an older file
  /// (`auto_da_alloc`, Linux afd4672d).
  private func journalRunsAhead(_ s: MachineState) -> Bool {
    switch journalMode(s) {
    case .journal: return false
    case .writeback: return true
    case .ordered:
      guard rootPartition(s)?.fileSystem == "ext4" else { return false }
      let options = rootMountOptions(s)
      if options.contains("nodelalloc") { return false }
      return kernelVersion(s) < KernelVersion("2.6.30") || options.contains("noauto_da_alloc")
    }
  }

  /// What the kernel's messages call a file system's driver.
  func driver(of fileSystem: String?) -> String {
    switch fileSystem {
    case "ext2": "EXT2-fs"
    case "ext3": "EXT3-fs"
    case "reiserfs": "ReiserFS"
    case "xfs": "XFS"
    default: "EXT4-fs"
    }
  }

  func rootDriver(_ s: MachineState) -> String { driver(of: rootPartition(s)?.fileSystem) }

  func rootPartition(_ s: MachineState) -> PartitionSpec? {
    guard s.root.disk > 0 else { return nil }
    return inventory.disks[Int(s.root.disk) - 1].content.partitions.first {
      $0.number == Int(s.root.partition)
    }
  }

  // MARK: - Writing

  /// A program begins to write files. Its data goes twice to the disk where it goes through the journal.
  func executeWriteFiles(
    _ length: Window, says: String, part: String, _ s: inout MachineState, _ out: inout Out
  ) -> Flow {
    guard s.root.disk > 0 else { return .next(Self.instant) }
    guard s.root.mount == .readWrite, !s.root.aborted, rootIO(s) != .fails else {
      say(part, "error: Read-only file system", &out)
      return .next(Self.instant)
    }
    if rootIO(s) == .blocked {
      watchBlockedIO(&s, &out)
      return .wait(nil)
    }
    write(&s, &out)
    out.cancel(MachineEvent(.writeback))
    s.medium.writing = true
    // jbd's commit interval; what was written before the first commit is simply not there after a crash.
    out.schedule(MachineEvent(.commit), Window(.seconds(5)))
    let twice = journalMode(s) == .journal
    explain(
      part, says + (twice ? "; data=journal: everything is written twice, which takes twice the time" : ""),
      because: [.story], sets: .journal, to: &out)
    return .next(twice ? Self.twice(length) : length)
  }

  private static func twice(_ window: Window) -> Window {
    Window(
      .microseconds(window.earliest.microseconds * 2), .microseconds(window.latest.microseconds * 2),
      nominal: .microseconds(window.nominal.microseconds * 2))
  }

  /// The program is done; its last writes are in the page cache.
  func executeEndWriting(part: String, _ s: inout MachineState, _ out: inout Out) -> Flow {
    guard s.medium.writing else { return .next(Self.instant) }
    switch rootIO(s) {
    case .blocked:
      watchBlockedIO(&s, &out)
      return .wait(nil)
    case .fails:
      s.medium.writing = false
      say(part, "error: Input/output error", &out)
    case .works:
      s.medium.writing = false
      s.root.dirty = max(s.root.dirty, 1)
      out.cancel(MachineEvent(.writeback))
      out.schedule(MachineEvent(.writeback), Pace.between(5000, 35000, seen: 30000))
    }
    out.cancel(MachineEvent(.commit))
    return .next(Self.instant)
  }

  /// The journal's transaction is committed while a program goes on writing: from now on something of it is always under way.
  func journalCommits(_ s: inout MachineState, _ out: inout Out) {
    guard s.medium.writing, rootIO(s) == .works, !s.root.aborted else { return }
    s.medium.exposed = journalRunsAhead(s)
    if rootHasWriteCache(s) { s.medium.volatile = s.root.disk }
    if s.medium.exposed {
      explain(
        "kernel",
        "the journal has the new files' names and sizes, and their data is still in memory (\(journalMode(s).rawValue) mode)",
        sets: .journal, to: &out)
    }
  }

  /// The page cache was written: acknowledged, but on the medium only where the LU has no volatile cache.
  ///
  /// An idle cache is written back after 5 to 35 s: most such targets are files on a Linux host, and that is its own page
  /// cache (vm.dirty_expire_centisecs, vm.dirty_writeback_centisecs).
  func acknowledged(_ s: inout MachineState, _ out: inout Out) {
    s.root.dirty = 0
    guard !s.medium.writing else { return }
    s.medium.exposed = false
    guard rootHasWriteCache(s), crashesTargets else { return }
    s.medium.volatile = s.root.disk
    out.cancel(MachineEvent(.cacheWritten))
    out.schedule(MachineEvent(.cacheWritten), Pace.between(5000, 35000, seen: 30000))
  }

  /// I/O works again: what waits in the page cache is written soon.
  func writingResumes(_ s: inout MachineState, _ out: inout Out) {
    if s.medium.writing {
      out.cancel(MachineEvent(.commit))
      out.schedule(MachineEvent(.commit), Pace.between(0, 5000, seen: 1000))
    } else if s.root.dirty > 0 {
      out.schedule(MachineEvent(.writeback), Pace.between(0, 5000, seen: 1000))
    }
  }

  func cacheWritten(_ s: inout MachineState, _ out: inout Out) {
    if !s.medium.writing { s.medium.volatile = 0 }
  }

  /// Everything is written, and the LU was told to empty its cache.
  func flushed(_ s: inout MachineState, _ out: inout Out) {
    s.root.dirty = 0
    out.cancel(MachineEvent(.writeback))
    guard !s.medium.writing else { return }
    s.medium.exposed = false
    s.medium.volatile = 0
    out.cancel(MachineEvent(.cacheWritten))
  }

  private func rootHasWriteCache(_ s: MachineState) -> Bool {
    s.root.disk > 0 && inventory.disks[Int(s.root.disk) - 1].writeCache
  }

  // MARK: - Losing

  /// Disk or power is gone: what the journal named and the disk does not have is lost.
  func dataLost(_ s: inout MachineState, _ out: inout Out) {
    if s.medium.exposed {
      s.medium.filesLost = true
      explain(
        "kernel", "files that were being written are in the journal by name, and their data is lost",
        because: [.journal], sets: .data, to: &out)
    }
    s.medium.exposed = false
    s.medium.writing = false
    out.cancel(MachineEvent(.commit))
  }

  /// A target host lost what its cache held.
  func cacheLost(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    guard s.medium.volatile > 0, inventory.disks[Int(s.medium.volatile) - 1].target == target else { return }
    s.medium.volatile = 0
    out.cancel(MachineEvent(.cacheWritten))
    s.medium.rolledBack = true
    explain(
      "target",
      "its write cache held data that it had acknowledged: that is lost, the medium is as it was before",
      because: [.story], sets: .data, to: &out)
  }

  /// The session is back. A system that goes on with a medium that has lost what it believes written destroys its file system:
  /// nothing in the protocol tells it so; only a journal replay, that is a new mount, would put things right (S-59).
  func goesOn(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    guard s.medium.rolledBack, s.root.disk > 0, inventory.disks[Int(s.root.disk) - 1].target == target,
      s.root.mount == .readWrite, !s.root.aborted
    else { return }
    s.medium.rolledBack = false
    s.medium.damage = .rolledBack
    explain(
      "kernel",
      "the file system goes on with a disk that has lost what it was told was written: without a replay of the journal it is damaged from here on",
      because: [.data, .session], sets: .root, .data, to: &out)
  }

  /// Two systems write to one file system, each with its own cache and its own journal.
  func writtenByTwo(_ s: inout MachineState, _ out: inout Out) {
    guard s.medium.mountedElsewhere > 0, s.medium.mountedElsewhere == s.root.disk,
      s.root.mount == .readWrite, !s.root.aborted, s.medium.damage == .none
    else { return }
    s.medium.damage = .mountedTwice
    explain(
      "kernel",
      "two machines write to one file system, each with a cache and a journal that know nothing of the other: it is destroyed",
      because: [.otherMachine, .data], sets: .root, .data, to: &out)
  }

  /// The journal is replayed by the mount: metadata is whole again, whatever the target had lost.
  func journalReplayed(_ name: String, _ s: inout MachineState, _ out: inout Out) {
    guard s.root.needsRecovery else { return }
    say("kernel", "\(rootDriver(s)) (\(name)): recovery complete", &out)
    s.root.needsRecovery = false
    guard s.medium.rolledBack else { return }
    s.medium.rolledBack = false
    explain(
      "kernel",
      "the journal is replayed: what the target had lost is written again from it, or was never promised",
      because: [.data], sets: .root, to: &out)
  }

  // MARK: - What init finds

  /// fsck of the root before it is mounted for writing; nil: nothing to complain about.
  func fsckComplains(part: String, _ s: inout MachineState, _ out: inout Out) -> Flow? {
    guard s.phase == .initialising, s.medium.damage != .none, (rootLine(s)?.pass ?? 0) > 0 else { return nil }
    let name = deviceName(Int(s.root.disk) - 1, s).map { "/dev/\($0)\(s.root.partition)" } ?? "/dev/root"
    say(part, "\(name): UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.", &out)
    say(
      part,
      part == "systemd"
        ? "You are in emergency mode. After logging in, type \"journalctl -xb\" to view"
        : "fsck died with exit status 4: A maintenance shell will now be started.", &out)
    dead(
      .fileSystemDamaged, .`init`, because: [.data, .root],
      "the check of the root file system finds what it cannot mend by itself", &s, &out)
    return .stop
  }

  /// A remount takes fstab's options, and `data=` cannot be changed by it (fs/ext4/super.c).
  func remountRefused(part: String, _ s: inout MachineState, _ out: inout Out) -> Bool {
    guard let line = rootLine(s), let wanted = JournalMode(options: line.options), wanted != journalMode(s)
    else { return false }
    let type = rootPartition(s)?.fileSystem?.uppercased() ?? "EXT4"
    say("kernel", "\(type)-fs: Cannot change data mode on remount", &out)
    say(part, "mount: / not mounted already, or bad option", &out)
    s.root.refusesWriting = true
    explain(
      part,
      "/etc/fstab:\(line.line) wants data=\(wanted.rawValue), and the root was mounted with data=\(journalMode(s).rawValue): the remount is refused, the root stays read-only",
      because: [.selection], sets: .data, to: &out)
    return true
  }

  /// What is wrong with the data of a system that runs; nil: nothing.
  func dataFinding(_ s: MachineState) -> (Finding.Code, String)? {
    switch s.medium.damage {
    case .rolledBack: return (.mediumRolledBack, "the machine runs on a damaged file system")
    case .mountedTwice: return (.mountedTwice, "two machines have destroyed the file system")
    case .none: break
    }
    if s.medium.filesLost {
      return (
        .dataLostBehindJournal, "the file system is whole, and files in it (dpkg's database) are not"
      )
    }
    if s.root.refusesWriting { return (.rootStaysReadOnly, "the machine is up, and can write nothing") }
    return nil
  }
}
