import Glibc
import LUNStore

/// A command that says by its exit status whether a file is sound.
struct ReplayCheck {
  private let command: [String]

  init(_ command: [String]) { self.command = command }

  /// How it ended.
  struct Outcome {
    /// The exit status; 128 and the signal's number if one ended it.
    var status: Int32
    /// The last 64 KiB of what it wrote, on both outputs.
    var output: String
  }

  /// Runs it, and waits for its end.
  ///
  /// - Throws: if it cannot be started.
  func run(on path: String, entry: UInt64, cut: UInt64?) throws(StoreError) -> Outcome {
    var words = command.map { Self.replacing("{}", in: $0, by: path) }
    if words == command { words.append(path) }
    let output = try Self.temporaryFile()
    defer { close(output) }
    var variables = ["FUSE_LUN_ENTRY=\(entry)"]
    if let cut { variables.append("FUSE_LUN_CUT=\(cut)") }
    let process = try Self.start(words, variables, output)
    let status = statusAtEnd(of: process)
    // WIFEXITED and WEXITSTATUS, which are macros.
    let code = status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
    return Outcome(status: code, output: code == 0 ? "" : Self.tail(of: output))
  }

  private static func start(
    _ words: [String], _ variables: [String], _ output: Int32
  ) throws(StoreError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, output, 2)
    // Signals that wait for this process are not to wait for the command.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    let names = variables.compactMap { $0.split(separator: "=").first.map { "\($0)=" } }
    var environment: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) }
    var next = environ
    while let variable = next.pointee {
      if !names.contains(where: { strncmp(variable, $0, $0.utf8.count) == 0 }) {
        environment.append(strdup(variable))
      }
      next += 1
    }
    environment.append(nil)
    var arguments = words.map { strdup($0) } + [nil]
    defer { (arguments + environment).forEach { free($0) } }
    var process = pid_t()
    let failure = posix_spawnp(&process, words[0], &actions, &attributes, &arguments, &environment)
    guard failure == 0 else {
      throw StoreError(
        .invalidInput, at: "command '\(words[0])'", "cannot be run: \(errorText(failure))",
        remedy: "name a program and its arguments after '--'; for a script, sh -c '…'")
    }
    return process
  }

  /// A file without a name.
  private static func temporaryFile() throws(StoreError) -> Int32 {
    let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(folder)/fuse-lun-XXXXXX".utf8CString)
    let file = mkstemp(&template)
    guard file >= 0 else {
      throw StoreError(.system(errno), at: folder, "cannot make a file: \(errorText(errno))")
    }
    _ = fcntl(file, F_SETFD, FD_CLOEXEC)
    unlink(template)
    return file
  }

  private static func tail(of file: Int32) -> String {
    let end = lseek(file, 0, SEEK_END)
    var bytes = [UInt8](repeating: 0, count: Int(min(max(0, end), 1 << 16)))
    let count = pread(file, &bytes, bytes.count, end - off_t(bytes.count))
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
  }

  private static func replacing(_ mark: String, in text: String, by other: String) -> String {
    var (result, rest) = ("", text[...])
    while let found = rest.utf8.firstRange(of: mark.utf8) {
      result += rest[..<found.lowerBound] + other
      rest = rest[found.upperBound...]
    }
    return result + rest
  }
}

/// Keeps the signals that end a program waiting until it has cleared up.
struct DeferredSignals {
  private var ends = sigset_t()

  init() {
    sigemptyset(&ends)
    for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&ends, signal) }
    pthread_sigmask(SIG_BLOCK, &ends, nil)
  }

  /// Whether one of them has come.
  var isPending: Bool {
    var pending = sigset_t()
    sigpending(&pending)
    return [SIGINT, SIGTERM, SIGHUP].contains { sigismember(&pending, $0) == 1 }
  }

  /// Has them do what they do; does not return if one has come.
  func deliver() {
    var ends = ends
    pthread_sigmask(SIG_UNBLOCK, &ends, nil)
  }
}
