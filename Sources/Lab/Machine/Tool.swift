import Glibc

/// Why the laboratory could not do its work: nothing was learned about the scenario.
public struct LabError: Error, CustomStringConvertible, Equatable {
  /// What failed, and where that is known what would help.
  public var message: String

  /// An error with its message.
  public init(_ message: String) { self.message = message }

  /// The message.
  public var description: String { message }
}

/// A program that runs beside this one and ends with it, however that ends.
final class Tool {
  private let process: pid_t
  private var status: Int32?

  /// Starts a program found in `PATH`.
  ///
  /// - Parameters:
  ///   - log: The file that its output is appended to; nil: nobody reads it.
  ///   - variables: Environment variables besides this program's own.
  init(_ words: [String], log: String? = nil, variables: [String: String] = [:]) throws(LabError) {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, log ?? "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0o644)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // setpriv(1): the kernel kills the program when this one is gone, even by kill -9.
    var arguments = (["setpriv", "--pdeathsig", "KILL", "--"] + words).map { strdup($0) } + [nil]
    let settings = variables.map { "\($0.key)=\($0.value)" } + Self.environment
    var environment = settings.map { strdup($0) } + [nil]
    defer { (arguments + environment).forEach { free($0) } }
    var process = pid_t()
    let failure = posix_spawnp(&process, "setpriv", &actions, nil, &arguments, &environment)
    guard failure == 0 else {
      throw LabError("\(words[0]) cannot be started: \(String(cString: strerror(failure)))")
    }
    self.process = process
  }

  /// What programs see: this one's environment, with the folders of system administrators and plain messages.
  private static let environment: [String] = {
    var lines: [String] = []
    var place = environ
    while let line = place.pointee {
      let text = String(cString: line)
      if !text.hasPrefix("PATH="), !text.hasPrefix("LC_ALL=") { lines.append(text) }
      place += 1
    }
    let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
    return lines + ["PATH=\(path):/usr/sbin:/sbin", "LC_ALL=C.UTF-8"]
  }()

  deinit { kill() }

  /// Whether a program is in one of the folders that programs are looked for in.
  static func exists(_ name: String) -> Bool {
    let path = environment.last { $0.hasPrefix("PATH=") }?.dropFirst("PATH=".count) ?? ""
    return path.split(separator: ":").contains { access("\($0)/\(name)", X_OK) == 0 }
  }

  /// Whether it has not ended yet.
  var isRunning: Bool {
    reap(WNOHANG)
    return status == nil
  }

  /// Waits for its end; the exit status, or 128 and the number of the signal that ended it.
  @discardableResult func wait() -> Int32 {
    reap(0)
    return status ?? 127
  }

  /// Ends it at once.
  func kill(_ signal: Int32 = SIGKILL) {
    guard isRunning else { return }
    Glibc.kill(process, signal)
    wait()
  }

  private func reap(_ options: Int32) {
    guard status == nil else { return }
    var raw: Int32 = 0
    var ended: pid_t
    repeat { ended = waitpid(process, &raw, options) } while ended == -1 && errno == EINTR
    guard ended != 0 else { return }
    status = ended == -1 ? 127 : raw & 0x7F == 0 ? raw >> 8 & 0xFF : 128 + raw & 0x7F
  }

  /// Runs a program to its end.
  ///
  /// - Returns: What it wrote, the error output among it.
  /// - Throws: if its status is not among those that are fine.
  @discardableResult
  static func run(_ words: [String], allowing fine: Set<Int32> = [0]) throws(LabError) -> String {
    let (status, text) = try finish(words)
    guard fine.contains(status) else {
      let said = text.split(separator: "\n").suffix(4).joined(separator: " | ")
      throw LabError(
        "`\(words.joined(separator: " "))` ended with status \(status)\(said.isEmpty ? "" : ": \(said)")")
    }
    return text
  }

  /// Runs a program to its end and gives its status with what it wrote.
  static func finish(_ words: [String]) throws(LabError) -> (status: Int32, text: String) {
    var name = Array("/tmp/bootsim-lab-XXXXXX".utf8CString)
    let file = mkstemp(&name)
    guard file >= 0 else { throw LabError("/tmp: no file can be made: \(String(cString: strerror(errno)))") }
    let path = name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    defer {
      close(file)
      unlink(path)
    }
    let status = try Tool(words, log: path).wait()
    var bytes = [UInt8](repeating: 0, count: Int(max(0, lseek(file, 0, SEEK_END))))
    let count = pread(file, &bytes, bytes.count, 0)
    return (status, String(decoding: bytes.prefix(max(0, count)), as: UTF8.self))
  }
}

/// Seconds on a clock that nobody sets.
func monotonic() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
