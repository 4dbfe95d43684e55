import ArgumentParser
import Glibc
import LUNStore

struct UmountCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "umount",
    abstract: "End a mount, and wait until everything is durable.",
    discussion: """
      Returns when the daemon has made everything durable and has given the store back. Where a client has a file open, \
      nothing is done, and the client is named.

      With --lazy the files are out of sight at once, and the daemon goes on until the last client has closed them; this \
      is not waited for. With --force clients are cut off: what they ask for fails, and what they have not flushed yet \
      is lost. That also takes away a mount whose daemon hangs.
      """)

  @Argument(help: "The store's folder, or the folder where it is mounted.")
  var place: String

  @Flag(name: .shortAndLong, help: "Do not wait for clients, nor for the daemon.")
  var lazy = false

  @Flag(name: .shortAndLong, help: "Cut clients off (root, or where /sys/fs/fuse/connections is mounted).")
  var force = false

  @OptionGroup var output: OutputOptions

  func run() throws {
    let target = try UnmountTarget(place)
    for point in target.points { try Unmounting(point, lazy: lazy, force: force).perform() }
    if lazy {
      try target.sayWhoGoesOn()
    } else {
      try target.waitForDaemon()
    }
    try output.report { UnmountReport(store: target.store?.path, mountpoints: target.points.map(\.point)) }
  }
}

/// What `umount --json` writes.
private struct UnmountReport: Encodable {
  var store: String?
  var mountpoints: [String]
}

/// What is to be unmounted. Finding that out asks nothing of the mount, which may hang.
private struct UnmountTarget {
  /// The last one that was mounted comes first.
  let points: [MountTable.Entry]
  /// `nil` if the mount says another name than the store's.
  let store: Store?
  /// Who serves it.
  let process: Int32?

  init(_ place: String) throws {
    guard let table = MountTable.read() else {
      throw StoreError(
        .system(ENOENT), at: "/proc/self/mountinfo", "cannot be read", remedy: "mount /proc first")
    }
    var path = place
    while path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") { path.removeLast() }
    if let resolved = resolvedPath(path) ?? (path.hasPrefix("/") ? path : nil),
      let top = table.top(at: resolved),
      top.type == Mountpoint.type
    {
      points = [top]
      store = try? Store.open(top.source)
      process = try store?.holder()?.process
      return
    }
    let store: Store
    do throws(StoreError) { store = try Store.open(place) } catch {
      guard error.kind == .notAStore || error.kind == .absent else { throw error }
      throw StoreError(
        error.kind, at: place, "is neither a store nor the place where one is mounted",
        remedy: "'findmnt -t \(Mountpoint.type)' shows what is mounted where")
    }
    let holder = try store.holder().flatMap { $0.mountpoint.isEmpty ? nil : $0 }
    let source = resolvedPath(place) ?? place
    points = table.entries.reversed().filter { entry in
      guard entry.type == Mountpoint.type else { return false }
      return entry.source.utf8.elementsEqual(source.utf8)
        || entry.point == holder?.mountpoint && Mountpoint.isMounted(place, at: entry.point)
    }
    (self.store, process) = (store, holder?.process)
    guard !points.isEmpty || holder != nil else {
      throw StoreError(.invalidInput, at: place, "is not mounted")
    }
  }

  /// The name of the store for messages.
  private var name: String { store?.path ?? points.first?.source ?? "store" }

  /// Waits until the process that served the store has given it back.
  ///
  /// - Throws: why it does not.
  func waitForDaemon() throws {
    guard let store, let process else { return }
    let begin = time(nil)
    var deadline = try Patience.deadline()
    var hasLooked = false
    while let holder = try store.holder(), holder.process == nil || holder.process == process {
      usleep(20_000)
      let state = ProcessState(of: process)?.state
      if state == "R" || state == "S" { deadline = try Patience.deadline() }
      if time(nil) >= deadline { throw StoreError.silent(name, process, "has not given it back") }
      // What was just closed is noticed a moment later.
      guard !hasLooked, time(nil) > begin + 2 else { continue }
      hasLooked = true
      try requireGone()
    }
  }

  /// Sees that there is no other mount of the same file system.
  private func requireGone() throws {
    let devices = Set(points.map(\.device))
    if let left = MountTable.read()?.entries.first(where: { devices.contains($0.device) }) {
      throw StoreError(
        .busy, at: name, "is also mounted at '\(printable(left.point))'",
        remedy: "'fuse-lun umount \(printable(left.point))' as well")
    }
    let others = OtherMount.all(of: points.first?.source ?? name, device: points.first?.device)
    if let problem = OtherMount.problem(others, of: name) { throw problem }
  }

  /// Says which process goes on, and for whom.
  func sayWhoGoesOn() throws {
    guard let store, let process, try store.holder()?.process == process else { return }
    let clients = points.flatMap { OpenClients.inMount($0.point) }
    let whom =
      clients.isEmpty
      ? "until everything is durable" : "until \(OpenClients.describe(clients)) closes its files"
    try emit("note: process \(process) goes on \(whom)\n", to: 2)
  }
}

/// One mount point that is taken away.
private struct Unmounting {
  private let entry: MountTable.Entry
  private let lazy: Bool
  private let force: Bool

  init(_ entry: MountTable.Entry, lazy: Bool, force: Bool) {
    (self.entry, self.lazy, self.force) = (entry, lazy, force)
  }

  func perform() throws {
    if force { try cutOff() }
    // The kernel tells of a file's closing a moment after the client's close has returned.
    for _ in 0..<50 {
      guard let code = try detach() else { return }
      guard code == EBUSY else { throw failure(code) }
      usleep(20_000)
    }
    throw failure(EBUSY)
  }

  /// 0 becomes `nil`; else the error number.
  private func detach() throws -> Int32? {
    let away = lazy || force
    let point = entry.point
    guard geteuid() == 0 else { return try byHelper(away) }
    let detached = try within("umount") { () -> Int32 in
      umount2(point, away ? Int32(MNT_DETACH) : 0) == 0 ? 0 : errno
    }
    return detached == 0 ? nil : detached
  }

  private func cutOff() throws {
    // The number of the file system, as its connection is called.
    let minor = UInt64(entry.device) & 0xFF | UInt64(entry.device) >> 12 & 0xFFF00
    let control = open("/sys/fs/fuse/connections/\(minor)/abort", O_WRONLY | O_CLOEXEC)
    if control >= 0 {
      defer { close(control) }
      if write(control, "1", 1) == 1 { return }
    }
    guard geteuid() == 0 else {
      throw StoreError(
        .system(EPERM), at: entry.point, "cannot cut its clients off",
        remedy: "as root, or when root has done 'mount -t fusectl none /sys/fs/fuse/connections'")
    }
    // Also cuts off where it then cannot be taken away, which comes next.
    let point = entry.point
    _ = try within("umount") { umount2(point, Int32(MNT_FORCE)) }
  }

  /// Runs what may wait for the daemon: the kernel writes back what it still has of mapped files.
  private func within(_ what: String, _ body: @escaping @Sendable () -> Int32) throws -> Int32 {
    if let result = try inTime(body) { return result }
    throw StoreError(
      .system(ETIMEDOUT), at: entry.point,
      "is not unmounted: the kernel waits for the daemon, to which it has something to write",
      remedy: "see to the daemon, or give --force, which loses that")
  }

  private func byHelper(_ away: Bool) throws -> Int32? {
    let words = ["fusermount3", "-u", "-q"] + (away ? ["-z"] : []) + ["--", entry.point]
    var arguments = words.map { strdup($0) } + [nil]
    defer { arguments.forEach { free($0) } }
    var process = pid_t()
    let failed = posix_spawnp(&process, "fusermount3", nil, nil, &arguments, environ)
    guard failed == 0 else {
      throw StoreError(
        .system(failed), at: "fusermount3", "cannot be started: \(errorText(failed))",
        remedy: "it comes with FUSE (Debian: fuse3)")
    }
    if statusAtEnd(of: process) == 0 { return nil }
    let isThere = MountTable.read()?.entries.contains(entry) ?? true
    return isThere ? EBUSY : nil
  }

  private func failure(_ code: Int32) -> StoreError {
    let point = entry.point
    guard code == EBUSY else {
      return StoreError(.system(code), at: point, "cannot be unmounted: \(errorText(code))")
    }
    let above = MountTable.read()?.entries.filter { $0.point.utf8.starts(with: "\(point)/".utf8) } ?? []
    let who =
      above.first.map { "'\(printable($0.point))' is mounted on it" }
      ?? "it is used by \(OpenClients.describe(OpenClients.inMount(point)))"
    return StoreError(
      .busy, at: point, "is not unmounted: \(who)",
      remedy: "close it there first; --lazy takes the files out of sight until then, --force cuts it off")
  }
}

/// Runs something that may wait for ever, for as long as commands wait.
///
/// - Returns: `nil` if that is over. It then still waits, on a thread of its own.
func inTime<Result: Sendable>(_ body: @escaping @Sendable () -> Result) throws(StoreError) -> Result? {
  let seconds = try Patience.seconds()
  let outcome = Monitor<Result?>(nil)
  startThread {
    let result = body()
    outcome.change { $0 = result }
  }
  outcome.wait(seconds.map(Int.init), until: { $0 != nil })
  return outcome.change { $0 }
}
