import CFuse
import CLinux
import Glibc
import LUNStore

/// A store that is mounted, from taking its lock to giving it back.
struct Session {
  private let store: Store
  private let place: Mountpoint
  private let options: MountOptions

  /// Opens the store and sees that all of it is sound: a LUN that would be missing from the mount is a disk
  /// that a machine does not find.
  init(store path: String, at place: Mountpoint, options: MountOptions) throws {
    store = try Store.open(path)
    self.place = place
    self.options = options
    try place.requireOutside(store: path)
    let problems = try store.list().problems
    guard problems.isEmpty else { throw StoreProblems(problems) }
  }

  /// Serves the store until it is unmounted or a signal says to stop; then flushes everything.
  ///
  /// - Parameter whenReady: called once, from another thread, when clients can open the files.
  func run(whenReady: @escaping @Sendable () -> Void) throws {
    let openStore = try takeStore()
    do {
      try serve(openStore, whenReady)
    } catch {
      try? openStore.release()
      throw error
    }
    do throws(StoreProblems) { try openStore.release() } catch {
      error.all.forEach { Log.error($0.description) }
      throw error
    }
  }

  private func serve(_ openStore: OpenStore, _ whenReady: @escaping @Sendable () -> Void) throws {
    prepareProcess()
    let control = try ControlServer(store: store.path)
    let mounted = MountedStore(openStore, isShared: options.isShared) { mounted in
      control.start(StoreServer(openStore, mounted: mounted))
      whenReady()
    }
    try withExtendedLifetime(mounted) {
      defer { control.stop() }
      try serve(mounted)
    }
  }

  /// Takes the right to serve. A holder whose mount is gone already is flushing, and is waited for.
  private func takeStore() throws -> OpenStore {
    let deadline = time(nil) + 30
    while true {
      do throws(StoreError) {
        return try OpenStore(store.path, at: place.path)
      } catch {
        guard error.kind == .busy else { throw error }
        guard let holder = try store.holder() else { continue }
        let isInUse = holder.process != nil && Mountpoint.isMounted(holder.mountpoint)
        if isInUse || time(nil) > deadline { throw error }
        usleep(20_000)
      }
    }
  }

  private func prepareProcess() {
    var limit = rlimit()
    if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
      limit.rlim_cur = limit.rlim_max
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
    // Where a LUN is under a loop device of this machine, the kernel may want to write to it to get memory
    // that this process is waiting for. Only root may ask not to be made to wait; nothing is lost otherwise.
    _ = linux_set_io_flusher()
  }

  private func serve(_ mounted: MountedStore) throws {
    let userData = Unmanaged.passUnretained(mounted).toOpaque()
    let session = try makeSession(userData)
    defer { fuse_session_destroy(session) }
    // Whoever started this may have left signals blocked, and shells start background jobs with SIGINT
    // ignored, which libfuse would leave so.
    var ends = sigset_t()
    sigemptyset(&ends)
    for end in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&ends, end) }
    pthread_sigmask(SIG_UNBLOCK, &ends, nil)
    signal(SIGINT, SIG_DFL)
    guard fuse_set_signal_handlers(session) == 0 else {
      throw StoreError(.system(EIO), at: place.path, "cannot handle signals")
    }
    defer { fuse_remove_signal_handlers(session) }
    guard fuse_session_mount(session, place.path) == 0 else {
      throw StoreError(
        .system(EBUSY), at: place.path, "cannot mount here; the line above says why",
        remedy: "an ordinary user has to own the folder, and needs fusermount3")
    }
    // A daemon keeps no file system busy.
    chdir("/")
    // Negative for an error, positive for the signal that ended it.
    let result = cfuse_session_loop(session)
    fuse_session_unmount(session)
    if result < 0 {
      throw StoreError(.system(-result), at: place.path, "the mount failed: \(errorText(-result))")
    }
  }

  private func makeSession(_ userData: UnsafeMutableRawPointer) throws -> OpaquePointer {
    let words = ["fuse-lun", "-o", options.argument(store: store.path)]
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
