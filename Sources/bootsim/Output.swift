import Glibc
import LinuxConfig
import Reports

/// Writes to the standard streams with `write(2)`: whole texts, no buffer that is lost at exit, no trap when
/// nobody reads.
enum Output {
  /// Writes a result to standard output. A reader that went away is no error; a full disk is.
  static func write(_ text: String) {
    switch put(text, to: STDOUT_FILENO) {
    case 0, EPIPE: return
    case let code:
      complain("bootsim: error: standard output: \(message(code))")
      Glibc.exit(Status.badInput.rawValue)
    }
  }

  /// Writes a line to standard error.
  static func complain(_ text: String) {
    _ = put(text.hasSuffix("\n") ? text : text + "\n", to: STDERR_FILENO)
  }

  /// Writes problems to standard error, one after the other.
  static func complain(_ problems: [Problem]) {
    for problem in problems { complain(problem.description) }
  }

  /// Writes a file whole or not at all: to a new name beside it first.
  static func write(_ text: String, toFile path: String) throws(Status) {
    if path == "-" { return write(text) }
    var information = stat()
    let isSpecial = stat(path, &information) == 0 && information.st_mode & S_IFMT != S_IFREG
    let target = isSpecial ? path : "\(path).\(getpid()).tmp"
    let descriptor = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      complain("bootsim: error: \(path): \(message(errno))")
      throw .badInput
    }
    var code = put(text, to: descriptor)
    if close(descriptor) != 0, code == 0 { code = errno }
    if code == 0, !isSpecial, rename(target, path) != 0 { code = errno }
    guard code == 0 else {
      if !isSpecial { unlink(target) }
      complain("bootsim: error: \(path): \(message(code))")
      throw .badInput
    }
  }

  /// Writes all bytes; returns 0 or the error number.
  private static func put(_ text: String, to descriptor: Int32) -> Int32 {
    var text = text
    return text.withUTF8 { bytes in
      var rest = UnsafeRawBufferPointer(bytes)
      while !rest.isEmpty {
        let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
        if count < 0 {
          if errno == EINTR { continue }
          return errno
        }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
      }
      return 0
    }
  }

  /// The system's words for an error number.
  static func message(_ code: Int32) -> String { String(cString: strerror(code)) }

  /// Colour only on a terminal, and not with `NO_COLOR` (no-color.org) or on a terminal that has none.
  static var style: Style {
    let isTerminal = isatty(STDOUT_FILENO) == 1
    let terminal = getenv("TERM").map { String(cString: $0) } ?? "dumb"
    let refused = getenv("NO_COLOR").map { $0.pointee != 0 } ?? false
    var size = winsize()
    let hasSize = isTerminal && ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    return Style(
      isColored: isTerminal && !refused && terminal != "dumb", width: hasSize ? Int(size.ws_col) : 100)
  }

  /// Says how far a long run is, on a terminal only; each line takes the place of the one before.
  struct Progress {
    private let isShown = isatty(STDERR_FILENO) == 1
    private var last = 0

    /// Shows a count when enough was done since the last.
    mutating func show(_ done: Int, of count: Int, _ what: String) {
      guard isShown, done == count || done - last >= max(1, count / 200) else { return }
      last = done
      _ = Output.put("\r\(done) of \(count) \(what)\(done == count ? "\n" : "")", to: STDERR_FILENO)
    }
  }
}
