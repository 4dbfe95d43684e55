import Glibc

/// One end of a socket of QEMU's: a serial line, or its monitor.
final class SerialLine {
  private(set) var descriptor: Int32
  /// What was received since the last look and is no whole line yet.
  private var rest: [UInt8] = []
  private var filter = TerminalFilter()

  /// Connects to a Unix socket on which somebody listens, or will soon.
  ///
  /// - Parameter isAlive: Whether it is still worth to wait for the listener.
  init(_ path: String, while isAlive: () -> Bool) throws(LabError) {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
      throw LabError("\(path): too long for a socket; choose a shorter folder with BOOTSIM_LAB")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let limit = monotonic() + 20
    while true {
      let candidate = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      let size = socklen_t(MemoryLayout<sockaddr_un>.size)
      let connected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(candidate, $0, size) == 0 }
      }
      if connected {
        descriptor = candidate
        return
      }
      close(candidate)
      guard isAlive(), monotonic() < limit else { throw LabError("\(path): nobody listens") }
      usleep(20_000)
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Sends a text as it is; false: nobody reads any more.
  @discardableResult func send(_ text: String) -> Bool {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0 {
        if errno == EINTR { continue }
        return false
      }
      bytes = bytes.dropFirst(count)
    }
    return true
  }

  /// Takes what has come, without waiting; the whole lines among it, and whether the other end is still there.
  func receive() -> (lines: [String], isOpen: Bool) {
    var lines: [String] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
      if count > 0 {
        for byte in buffer[..<count] {
          guard let byte = filter.pass(byte) else { continue }
          if byte == UInt8(ascii: "\n") {
            lines.append(String(decoding: rest, as: UTF8.self))
            rest.removeAll()
          } else {
            rest.append(byte)
          }
        }
      } else if count < 0, errno == EINTR {
        continue
      } else {
        let isOpen = count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)
        return (lines, isOpen)
      }
    }
  }

  /// The line that is not finished: a prompt, or a message without end.
  var unfinished: String { String(decoding: rest, as: UTF8.self) }

  /// Makes a line of what is not finished.
  func flush() -> String? {
    guard !rest.isEmpty else { return nil }
    defer { rest.removeAll() }
    return unfinished
  }
}

/// Removes what a terminal would act on and not show: escape sequences, returns, backspaces.
struct TerminalFilter {
  private enum State { case text, escape, sequence, charset }
  private var state = State.text

  /// The byte, if it is one to be seen.
  mutating func pass(_ byte: UInt8) -> UInt8? {
    switch state {
    case .text:
      if byte == 0x1B {
        state = .escape
        return nil
      }
      return byte == 0x0A || byte == 0x09 || byte >= 0x20 && byte != 0x7F ? byte : nil
    case .escape:
      switch byte {
      case UInt8(ascii: "["): state = .sequence
      case UInt8(ascii: "("), UInt8(ascii: ")"): state = .charset
      default: state = .text
      }
      return nil
    case .sequence:
      // ECMA-48: parameters and intermediates, then one byte from @ to ~.
      if byte >= 0x40, byte <= 0x7E { state = .text }
      return nil
    case .charset:
      state = .text
      return nil
    }
  }
}
