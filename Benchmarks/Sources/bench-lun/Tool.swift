import Foundation
import Synchronization

/// What stops the benchmark.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Programs that the benchmark runs.
enum Tool {
  /// Where a program is; `nil` if it is not installed.
  static func path(_ name: String) -> String? {
    if name.contains("/") { return access(name, X_OK) == 0 ? name : nil }
    return ["/usr/local/bin/", "/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/"].map { $0 + name }.first {
      access($0, X_OK) == 0
    }
  }

  /// Runs a program to its end.
  ///
  /// - Returns: what it wrote on its standard output.
  @discardableResult
  static func run(_ words: [String]) throws -> String {
    let program = try Running(words)
    let status = program.wait()
    guard status == 0 else {
      throw Failure("\(words.joined(separator: " ")): status \(status)\n\(program.output)")
    }
    return program.output
  }

  /// The first line that a program prints about its version.
  static func version(_ words: [String]) -> String? {
    guard path(words[0]) != nil, let text = try? run(words) else { return nil }
    return text.split(separator: "\n").first.map(String.init)
  }

  /// Waits until something holds.
  static func wait(for what: String, seconds: Int = 10, _ condition: () -> Bool) throws {
    for _ in 0..<(seconds * 100) {
      if condition() { return }
      usleep(10_000)
    }
    throw Failure("waited \(seconds) s in vain for \(what)")
  }
}

/// A program that was started. Its output goes to a file: a daemon that it leaves behind makes nobody wait, as it would
/// with a pipe, and with `Process` of Foundation, which waits for a socket to be closed that the daemon has inherited.
final class Running {
  private let process: pid_t
  private let file: FileHandle
  private var status: Int32?
  private static let alive = Mutex<Set<pid_t>>([])

  /// Asks all that were started and not waited for to end.
  static func terminateAll() { alive.withLock { $0.forEach { kill($0, SIGTERM) } } }

  init(_ words: [String]) throws {
    guard let program = Tool.path(words[0]) else { throw Failure("\(words[0]) is not installed") }
    var template = Array("/tmp/bench-lun-XXXXXX".utf8CString)
    let output = mkstemp(&template)
    guard output >= 0 else { throw Failure("cannot make a temporary file") }
    unlink(template)
    _ = fcntl(output, F_SETFD, FD_CLOEXEC)
    file = FileHandle(fileDescriptor: output, closeOnDealloc: true)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    var arguments = words.map { strdup($0) } + [nil]
    defer { arguments.forEach { free($0) } }
    var process = pid_t()
    let failure = posix_spawn(&process, program, &actions, nil, &arguments, environ)
    guard failure == 0 else { throw Failure("cannot start \(program): error \(failure)") }
    self.process = process
    Self.alive.withLock { _ = $0.insert(process) }
  }

  /// Waits for its end.
  ///
  /// - Returns: the exit status; 128 and the signal's number if one killed it.
  @discardableResult
  func wait() -> Int32 {
    if let status { return status }
    var raw: Int32 = 0
    while waitpid(process, &raw, 0) == -1 && errno == EINTR {}
    Self.alive.withLock { _ = $0.remove(process) }
    let ended = raw & 0x7F == 0 ? raw >> 8 & 0xFF : 128 + raw & 0x7F
    status = ended
    return ended
  }

  func terminate() { kill(process, SIGTERM) }

  /// What it has written so far.
  var output: String {
    try? file.seek(toOffset: 0)
    return String(decoding: (try? file.readToEnd()) ?? Data(), as: UTF8.self)
  }
}

/// A quantity in `/proc/PID/status`, in bytes.
func memory(_ key: String, of process: Int32) -> Int? {
  guard let text = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8) else { return nil }
  for line in text.split(separator: "\n") where line.hasPrefix(key + ":") {
    return line.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) }.map { $0 * 1024 }
  }
  return nil
}
