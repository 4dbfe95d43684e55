import CFuse
import CLinux
import Glibc
import LUNStore

/// A store that is mounted, from taking its lock to giving it back.
struct Session {
  private let store: Store
  private let place: Mountpoint
  private let options: MountOptions

  /// Opens the store.
  init(store path: String, at place: Mountpoint, options: MountOptions) throws {
    store = try Store.open(path)
    self.place = place
    self.options = options
    if options.transport == .uring, let obstacle = Rings.obstacle {
      throw StoreError(
        .invalidInput, at: "option 'transport=uring'", "cannot be: \(obstacle.problem)",
        remedy: obstacle.remedy)
    }
    try place.requireOutside(store: path)
    if !options.mayHideFiles { try place.requireFree() }
  }

  /// Serves the store until it is unmounted or a signal says to stop; then flushes everything.
  ///
  /// - Parameter whenReady: called once, from another thread, when clients can open the files.
  func run(whenReady: @escaping @Sendable () -> Void) throws {
    let source = resolvedPath(store.path) ?? store.path
    raiseLimit()
    let openStore = try takeStore()
    do {
      try lookForDamage(in: openStore)
      prepareProcess()
      // Where nothing can be written there can be no socket. Commands that only read need nobody to ask.
      let control = openStore.access == .readOnly ? nil : try ControlServer(store: store.path)
      let mounted = MountedStore(openStore, at: place.path, options) { mounted in
        control?.start(StoreServer(openStore, mounted: mounted))
        whenReady()
      }
      try withExtendedLifetime(mounted) { try serve(mounted, control, source: source) }
    } catch {
      try? openStore.release()
      throw error
    }
    do throws(StoreProblems) { try openStore.release() } catch {
      // A daemon's standard error output is nowhere.
      if Log.isInSystemLog { error.all.forEach { Log.error($0.description) } }
      throw error
    }
  }

  /// Sees that all of the store is sound: a LUN that would be missing from the mount is a disk that a machine
  /// does not find. In a degraded mount what is damaged is refused.
  private func lookForDamage(in openStore: OpenStore) throws {
    let all = try openStore.check(repair: false)
    let findings = all.filter { $0.severity == .damage }
    let problems = findings.map { StoreError(.damaged, at: $0.place, $0.problem) }
    guard !problems.isEmpty else {
      // The others can be used.
      return all.filter { $0.severity == .unreachable }.forEach { Log.error($0.description) }
    }
    guard options.isDegraded else {
      let way = StoreError(
        .damaged, at: store.path, "is not mounted: something in it is damaged, see above",
        remedy: "'mount -o degraded' serves what is whole; 'check --repair' mends what can be mended")
      throw StoreProblems(problems + [way])
    }
    var refused: [VolumeName: StoreError] = [:]
    for (finding, problem) in zip(findings, problems) {
      for volume in finding.volumes { if let name = try? VolumeName(volume) { refused[name] = problem } }
      Log.error("\(problem)")
    }
    openStore.refuse(refused)
  }

  /// Takes the right to serve. A holder whose mount is gone already is flushing, and is waited for.
  private func takeStore() throws -> OpenStore {
    let access: LUN.Access = store.isInReadOnlyFileSystem ? .readOnly : .readWrite
    guard access == .readWrite || options.isReadOnly else {
      throw StoreError(
        .system(EROFS), at: store.path, "is in a file system that is read-only",
        remedy: "'mount -o ro' shows its LUNs for reading")
    }
    let deadline = try Patience.deadline()
    while true {
      do throws(StoreError) {
        return try OpenStore(store.path, at: place.path, access, trustsImages: options.trustsImages)
      } catch {
        guard error.kind == .busy else { throw error }
        guard let holder = try store.holder() else { continue }
        if Mountpoint.isMounted(store.path, at: holder.mountpoint) { throw error }
        if time(nil) > deadline { throw Self.stillHeld(by: holder, at: store.path) ?? error }
        usleep(20_000)
      }
    }
  }

  /// - Returns: `nil` if the holder is a command, and not a mount that was taken away.
  private static func stillHeld(by holder: StoreHolder, at store: String) -> StoreError? {
    guard let process = holder.process, !holder.mountpoint.isEmpty else { return nil }
    if let problem = OtherMount.problem(OtherMount.all(of: resolvedPath(store) ?? store), of: store) {
      return problem
    }
    if let state = ProcessState(of: process)?.state, !["R", "S"].contains(state) {
      return .silent(store, process, "has not given it back")
    }
    let clients = OpenClients.inMount(holder.mountpoint)
    let why =
      clients.isEmpty
      ? "a client that cannot be seen from here still has a file of it open, or it is making everything durable"
      : "\(OpenClients.describe(clients)) still uses it"
    return StoreError(
      .busy, at: store,
      "was unmounted from '\(printable(holder.mountpoint))', but process \(process) has not ended: \(why)",
      remedy: "try again when the process has ended; 'fuse-lun info STORE NAME' counts the clients of a LUN")
  }

  /// As many files as the system lets this process have open.
  private func raiseLimit() {
    var limit = rlimit()
    if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
      limit.rlim_cur = limit.rlim_max
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
  }

  private func prepareProcess() {
    // Where a LUN is under a loop device of this machine, the kernel may want to write to it to get memory
    // that this process is waiting for. Only root may ask not to be made to wait; nothing is lost otherwise.
    _ = linux_set_io_flusher()
    StoreLog.send { Log.error($0.description) }
    // Clients that go away are told by the errors of writing to them.
    signal(SIGPIPE, SIG_IGN)
  }

  private func serve(_ mounted: MountedStore, _ control: ControlServer?, source: String) throws {
    let session = try makeSession(Unmanaged.passUnretained(mounted).toOpaque(), source: source)
    defer { fuse_session_destroy(session) }
    let ending = Ending(session, mounted)
    guard fuse_session_mount(session, place.path) == 0 else {
      control?.stop()
      throw StoreError(
        .system(EBUSY), at: place.path, "cannot mount here; the line above says why",
        remedy: "an ordinary user has to own the folder, and needs fusermount3")
    }
    mounted.kernel.attach(session)
    let failure = Negotiation.attach(to: session)
    // A daemon keeps no file system busy.
    chdir("/")
    // Negative for an error.
    let result = failure == 0 ? cfuse_session_loop(session) : failure
    ending.loopHasEnded()
    ServiceManager.sayStopping()
    mounted.closeLayers()
    mounted.rings.end()
    // Nobody answers the kernel any more: what a command has asked of it has to fail before commands are waited
    // for.
    fuse_session_unmount(session)
    control?.stop()
    mounted.kernel.detach()
    if result < 0 {
      throw StoreError(.system(-result), at: place.path, "the mount failed: \(errorText(-result))")
    }
  }

  private func makeSession(_ userData: UnsafeMutableRawPointer, source: String) throws -> OpaquePointer {
    let words = ["fuse-lun", "-o", options.argument(store: source)]
    var arguments = words.map { strdup($0) } + [nil]
    defer { arguments.forEach { free($0) } }
    var operations = fuseOperations()
    let session = arguments.withUnsafeMutableBufferPointer { buffer in
      var parsed = cfuse_args(Int32(buffer.count - 1), buffer.baseAddress)
      defer { fuse_opt_free_args(&parsed) }
      return cfuse_session_new(&parsed, &operations, userData)
    }
    guard let session else {
      throw StoreError(
        .system(EIO), at: place.path, "libfuse refused to make a session; the line above says why")
    }
    return session
  }
}

/// Ends a session when a signal says so, with nothing lost: the kernel writes back the pages of shared mappings
/// while there still is somebody to take them, and only then the loop is told to end.
///
/// libfuse's own handlers end the loop at once.
private final class Ending: @unchecked Sendable {
  private let session: OpaquePointer
  private let mounted: MountedStore
  private let hasEnded = Monitor(false)
  private let loop = pthread_self()
  private static let signals = [SIGINT, SIGTERM, SIGHUP]

  /// To be made by the thread that will run the loop, before there are others: they do not take the signals.
  init(_ session: OpaquePointer, _ mounted: MountedStore) {
    self.session = session
    self.mounted = mounted
    // Shells start background jobs with SIGINT ignored.
    for ending in Self.signals { signal(ending, SIG_DFL) }
    var blocked = sigset_t()
    sigemptyset(&blocked)
    for ending in Self.signals { sigaddset(&blocked, ending) }
    pthread_sigmask(SIG_BLOCK, &blocked, nil)
    // Does nothing, but what the loop waits in returns.
    var waking = sigaction()
    waking.__sigaction_handler.sa_handler = { _ in }
    sigaction(SIGUSR1, &waking, nil)
    var none = sigset_t()
    sigemptyset(&none)
    sigaddset(&none, SIGUSR1)
    pthread_sigmask(SIG_UNBLOCK, &none, nil)
    startThread { [self, blocked] in
      var signals = blocked
      var received: Int32 = 0
      while sigwait(&signals, &received) != 0 {}
      endLoop()
    }
  }

  /// Tells the loop to end, unless it has. It looks when a signal wakes it, and one that comes between its
  /// looking and its going to sleep is lost; so until it has ended there is another one.
  private func endLoop() {
    mounted.closeLayers()
    mounted.writeBack()
    var isOver = false
    while !isOver {
      isOver = hasEnded.change { hasEnded in
        if hasEnded { return true }
        fuse_session_exit(session)
        pthread_kill(loop, SIGUSR1)
        return false
      }
      usleep(10_000)
    }
  }

  /// From here on the session may be taken apart.
  func loopHasEnded() { hasEnded.change { $0 = true } }
}
