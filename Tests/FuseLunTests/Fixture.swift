import Glibc
import LUNStore
import TestSupport
import Testing

@testable import fuse_lun

/// The program under test: built beside the tests.
let fuseLun: String = {
  var buffer = [CChar](repeating: 0, count: 4096)
  let length = readlink("/proc/self/exe", &buffer, buffer.count)
  let path = String(decoding: buffer.prefix(max(0, length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
  return path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    + "/fuse-lun"
}()

/// Why nothing can be mounted here, or `nil`.
let whyNoMount: String? = {
  guard access("/dev/fuse", R_OK | W_OK) == 0 else { return "/dev/fuse is absent or may not be used" }
  guard getuid() == 0 || hasTools("fusermount3") else { return "only root mounts without fusermount3" }
  return nil
}()

let isRoot = getuid() == 0

/// What way requests come to the mounts of the tests: `uring` or `device`; where the environment does not say, what the
/// kernel has.
let transport = getenv("FUSE_LUN_TRANSPORT").map { String(cString: $0) } ?? "auto"

/// The kernel's switch for FUSE over io_uring. It counts when a mount begins, and is turned for that moment only: it is
/// the whole machine's.
enum RingSwitch {
  private static let parameter = "/sys/module/fuse/parameters/enable_uring"
  private struct State {
    var isOn = false
    var users = 0
    var before: [UInt8] = []
  }
  private static let state = Monitor(State())

  /// Why it cannot be turned, or `nil`.
  static let obstacle: String? = {
    if let whyNoMount { return whyNoMount }
    guard access(parameter, F_OK) == 0 else { return "FUSE over io_uring needs Linux 6.14" }
    return access(parameter, W_OK) == 0 ? nil : "only root may write \(parameter)"
  }()

  /// Runs `body` with the switch in this position.
  static func turned<Result>(_ isOn: Bool, _ body: () throws -> Result) rethrows -> Result {
    state.wait(until: { $0.users == 0 || $0.isOn == isOn }) { state in
      state.users += 1
      guard state.users == 1 else { return }
      (state.isOn, state.before) = (isOn, contents(of: parameter) ?? [])
      write(Array((isOn ? "Y" : "N").utf8), to: parameter)
    }
    defer {
      state.change { state in
        state.users -= 1
        if state.users == 0 { write(state.before, to: parameter) }
      }
    }
    return try body()
  }
}

/// Runs a command that mounts, with the transport that the environment says.
func runMounting(_ words: [String]) -> Outcome {
  guard transport == "uring" else { return run(words + ["-o", "transport=\(transport)"]) }
  return RingSwitch.turned(true) { run(words + ["-o", "transport=uring"]) }
}

/// Why nothing can be done as an ordinary user, or mounted by root, or `nil`.
let whyNotTwoUsers: String? = {
  if let whyNoMount { return whyNoMount }
  guard isRoot, hasTools("setpriv", "fusermount3") else {
    return "becoming nobody needs root, setpriv and fusermount3"
  }
  return run(asNobody("test", "-x", fuseLun)).status == 0 ? nil : "nobody may not execute \(fuseLun)"
}()

/// Why an ordinary user cannot mount here, or `nil`.
let whyNoUser: String? = {
  if let whyNotTwoUsers { return whyNotTwoUsers }
  return run(asNobody("test", "-w", "/dev/fuse")).status == 0 ? nil : "nobody may not use /dev/fuse"
}()

/// A command as the user `nobody`.
func asNobody(_ words: String...) -> [String] {
  ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] + words
}

/// A store and a place to mount it, unmounted and removed when the last reference goes.
final class Mount: Sendable {
  let folder: TemporaryFolder
  var store: String { folder("store") }
  var point: String { folder("mnt") }

  /// - Parameter inMemory: in a file system in memory, where files may be larger than on the disk.
  init(inMemory: Bool = false, _ luns: (name: String, size: String)...) throws {
    folder = TemporaryFolder(inMemory: inMemory)
    mkdir(point, 0o755)
    for lun in luns { try create(lun.name, lun.size) }
  }

  deinit { run("fusermount3", "-u", "-z", "-q", point) }

  func callAsFunction(_ lun: String) -> String { "\(point)/\(lun)" }

  func create(_ name: String, _ size: String, _ more: String...) throws {
    let outcome = run([fuseLun, "create", store, name, "--size", size] + more)
    try #require(outcome.status == 0, "\(outcome)")
  }

  /// Runs a command on the store: its name, and its arguments after the store.
  @discardableResult
  func command(_ name: String, _ arguments: String...) -> Outcome {
    run([fuseLun, name, store] + arguments)
  }

  /// A part of what a LUN or a snapshot has in the store, past any mount.
  func stored(_ name: String, _ offset: Int64, _ count: Int) throws -> [UInt8] {
    let volume = try Store.open(store).open(VolumeName(name))
    var bytes = [UInt8](repeating: 0xEE, count: count)
    let length = try bytes.withUnsafeMutableBytes { buffer in
      try Result { () throws(IOError) in try volume.read(into: buffer, at: offset) }.get()
    }
    return Array(bytes.prefix(length))
  }

  func mount(_ options: String...) throws {
    let outcome = runMounting([fuseLun, "mount", store, point] + options)
    try #require(outcome.status == 0, "\(outcome)")
  }

  /// Mounts with a process that may have so many files open at once.
  func mount(files: Int) throws {
    let limited = ["bash", "-c", "ulimit -n \(files); exec \"$@\"", "-"]
    let outcome = run(limited + [fuseLun, "mount", store, point])
    try #require(outcome.status == 0, "\(outcome)")
  }

  /// Unmounts, and waits for the daemon: it makes everything durable after the mount is gone, and only then says
  /// in logs that it ended and gives the store back.
  func unmount() throws {
    try detach()
    try #require(eventually { (try? Store.open(store).holder()) == .some(nil) })
  }

  /// Unmounts as users do it, who wait for nothing.
  func detach() throws {
    // Tests that run beside this one start programs: until such a child has called exec it holds a copy of every
    // descriptor of this process, and the mount is busy for that moment.
    var outcome = run("fusermount3", "-u", point)
    _ = eventually {
      if outcome.status == 0 || !"\(outcome)".contains("busy") { return true }
      outcome = run("fusermount3", "-u", point)
      return false
    }
    try #require(outcome.status == 0, "\(outcome)")
  }

  /// The process that serves the store, if there is one.
  func server() throws -> pid_t? { try Store.open(store).holder()?.process }

  var isMounted: Bool { isMountpoint(point) }
}

/// Whether something is mounted at a path.
func isMountpoint(_ path: String) -> Bool {
  String(decoding: contents(of: "/proc/self/mountinfo") ?? [], as: UTF8.self).contains(" \(path) ")
}

/// A store of the user `nobody` with a LUN `a`, mounted by that user; unmounted and removed when the last reference goes.
final class NobodysMount: Sendable {
  private let folder = TemporaryFolder()
  let store: String
  let point: String

  init(_ size: String, _ options: String...) throws {
    let home = folder.folder("home")
    chown(home, 65534, 65534)
    (store, point) = ("\(home)/store", "\(home)/mnt")
    run(asNobody("mkdir", point))
    try #require(run(asNobody(fuseLun, "create", store, "a", "--size", size)).status == 0)
    let mounted = runMounting(asNobody(fuseLun, "mount", store, point) + options)
    try #require(mounted.description == "status 0\n\n")
  }

  deinit { run("fusermount3", "-u", "-z", "-q", point) }

  /// Runs `body` while a client of that user has the LUN open.
  func whileOpen(_ body: () throws -> Void) throws {
    let client = try #require(start(asNobody("tail", "-f", "\(point)/a")))
    defer {
      kill(client.process, SIGKILL)
      _ = client.wait()
    }
    #expect(eventually { run(asNobody(fuseLun, "info", store, "a")).output.contains("once\n") })
    try body()
  }
}

/// An open file, closed when the last reference goes.
final class File: Sendable {
  let descriptor: Int32

  init(_ path: String, _ flags: Int32 = O_RDWR) throws {
    descriptor = open(path, flags | O_CLOEXEC)
    let code = errno
    try #require(descriptor >= 0, "\(path): \(errorText(code))")
  }

  deinit { close(descriptor) }

  var status: stat {
    var status = stat()
    fstat(descriptor, &status)
    return status
  }

  func read(_ offset: Int, _ count: Int) throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0xEE, count: count)
    let length = pread(descriptor, &buffer, count, off_t(offset))
    let code = errno
    try #require(length >= 0, "read at \(offset): \(errorText(code))")
    return Array(buffer.prefix(length))
  }

  /// The number of bytes written, or the negative error number.
  func write(_ offset: Int, _ bytes: [UInt8]) -> Int {
    let length = pwrite(descriptor, bytes, bytes.count, off_t(offset))
    return length >= 0 ? length : -Int(errno)
  }

  /// 0, or the error number.
  func flush() -> Int32 { fsync(descriptor) == 0 ? 0 : errno }
}

/// Bytes that differ from block to block and from seed to seed.
func pattern(_ seed: Int, _ count: Int) -> [UInt8] {
  var state = UInt64(truncatingIfNeeded: seed) &* 0x9E37_79B9_7F4A_7C15 | 1
  let words = (0..<(count + 7) / 8).map { _ in
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state.byteSwapped
  }
  return words.withUnsafeBytes { Array($0.prefix(count)) }
}
