import Glibc

/// How a program ended.
public struct Outcome: Sendable, CustomStringConvertible {
  /// The exit status; 128 and the signal's number if one killed it; 127 if it could not be started.
  public let status: Int32
  /// What it wrote on the standard output.
  public let output: String
  /// What it wrote on the standard error output.
  public let errors: String

  /// All of it, for the message of a failed expectation.
  public var description: String { "status \(status)\n\(output)\n\(errors)" }
}

/// A program that was started and not yet waited for.
public final class Running: Sendable {
  /// Its process number.
  public let process: pid_t
  private let output: Int32
  private let errors: Int32

  fileprivate init(process: pid_t, output: Int32, errors: Int32) {
    (self.process, self.output, self.errors) = (process, output, errors)
  }

  deinit {
    close(output)
    close(errors)
  }

  /// Waits for its end.
  public func wait() -> Outcome {
    var status: Int32 = 0
    while waitpid(process, &status, 0) == -1 {
      if errno != EINTR { return Outcome(status: 127, output: "", errors: "waitpid: \(errno)") }
    }
    let code = status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
    return Outcome(status: code, output: text(output), errors: text(errors))
  }

  private func text(_ file: Int32) -> String {
    var bytes = [UInt8](repeating: 0, count: Int(lseek(file, 0, SEEK_END)))
    let count = pread(file, &bytes, bytes.count, 0)
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
  }
}

/// Runs a program that is found in `PATH` or in the folders of system administrators, and waits for it.
///
/// Its output goes to files and not to pipes: a daemon that it leaves behind cannot make anybody wait.
@discardableResult
public func run(_ program: String, _ arguments: String...) -> Outcome { run([program] + arguments) }

/// Runs a program with its arguments in a list.
@discardableResult
public func run(_ words: [String]) -> Outcome {
  guard let started = start(words) else {
    return Outcome(status: 127, output: "", errors: "cannot start \(words)")
  }
  return started.wait()
}

/// Starts a program.
public func start(_ words: [String]) -> Running? {
  guard let program = pathOfTool(words[0]) else { return nil }
  let output = unnamedFile()
  let errors = unnamedFile()
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
  posix_spawn_file_actions_adddup2(&actions, output, 1)
  posix_spawn_file_actions_adddup2(&actions, errors, 2)
  // The threads that tests run on block all signals, and programs inherit that.
  var attributes = posix_spawnattr_t()
  posix_spawnattr_init(&attributes)
  defer { posix_spawnattr_destroy(&attributes) }
  var signals = sigset_t()
  sigemptyset(&signals)
  posix_spawnattr_setsigmask(&attributes, &signals)
  posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
  var process = pid_t()
  var arguments = words.map { strdup($0) } + [nil]
  let variables = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
  var environment = variables.map { strdup($0) } + [nil]
  defer { (arguments + environment).forEach { free($0) } }
  guard posix_spawn(&process, program, &actions, &attributes, &arguments, &environment) == 0 else {
    close(output)
    close(errors)
    return nil
  }
  return Running(process: process, output: output, errors: errors)
}

private func unnamedFile() -> Int32 {
  var template = Array("/tmp/fuse-lun-output-XXXXXX".utf8CString)
  let file = mkstemp(&template)
  precondition(file >= 0, "mkstemp: errno \(errno)")
  _ = fcntl(file, F_SETFD, FD_CLOEXEC)
  unlink(template)
  return file
}

/// Where a tool is; `nil` if it is not installed.
public func pathOfTool(_ name: String) -> String? {
  if name.contains("/") { return access(name, X_OK) == 0 ? name : nil }
  return ["/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"].map { $0 + name }.first { access($0, X_OK) == 0 }
}

/// Whether all of these are installed.
public func hasTools(_ names: String...) -> Bool { names.allSatisfy { pathOfTool($0) != nil } }

/// Waits until something holds, at most for five minutes: hundreds of tests run beside this one and make the disk
/// durable, and a limit is there to end a test that hangs, not to measure.
///
/// - Returns: whether it came to hold.
public func eventually(_ condition: () -> Bool) -> Bool {
  let limit = ContinuousClock.now + .seconds(300)
  while ContinuousClock.now < limit {
    if condition() { return true }
    usleep(10_000)
  }
  return condition()
}

/// Whether a process that is not a child of this one has ended, though nobody may have asked for its status yet.
public func hasEnded(_ process: pid_t) -> Bool {
  guard let line = contents(of: "/proc/\(process)/stat"), !line.isEmpty else { return true }
  // What follows the name, which is in parentheses and may have any character in it: the state is the first, the
  // number of threads the 18th (proc(5)). A first thread that has ended may leave others, and they what is open.
  let text = String(decoding: line, as: UTF8.self)
  let fields = text[text.index(after: text.lastIndex(of: ")")!)...].split(separator: " ")
  return ["Z", "X"].contains(fields[0]) && (Int(fields[17]) ?? 0) <= 1
}

/// The processes that the first thread of a process has started and not yet waited for.
public func children(of process: pid_t) -> [pid_t] {
  let line = contents(of: "/proc/\(process)/task/\(process)/children") ?? []
  return String(decoding: line, as: UTF8.self).split(separator: " ").compactMap { pid_t($0) }
}

/// The error that `body` throws, if it throws one of this type; `#expect(throws:)` gives it back only from
/// Swift 6.1 on.
public func thrown<Failure: Error, Result>(_: Failure.Type, _ body: () throws -> Result) -> Failure? {
  do { _ = try body() } catch let error as Failure { return error } catch { return nil }
  return nil
}

/// A thread of its own: for what blocks, which must not occupy the threads that tests run on.
public final class TestThread: Sendable {
  private let handle: pthread_t

  /// Starts it.
  public init(_ body: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
      let body: @Sendable () -> Void
      init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var handle = pthread_t()
    let failure = pthread_create(
      &handle, nil,
      { pointer in
        Unmanaged<Box>.fromOpaque(pointer!).takeRetainedValue().body()
        return nil
      }, Unmanaged.passRetained(Box(body)).toOpaque())
    precondition(failure == 0, "pthread_create: \(failure)")
    self.handle = handle
  }

  /// Waits for its end.
  public func join() { pthread_join(handle, nil) }
}
