import Glibc
import Sim

/// QEMU's monitor, by the QEMU Machine Protocol (qemu-qmp-ref(7)): a JSON object a line.
final class Monitor {
  private let line: SerialLine

  /// Connects and leaves the negotiation mode.
  init(_ path: String, while isAlive: () -> Bool) throws(LabError) {
    line = try SerialLine(path, while: isAlive)
    try execute("qmp_capabilities")
  }

  /// Does a command and waits until it is done.
  func execute(_ command: String, _ arguments: JSONValue = [:]) throws(LabError) {
    let request: JSONValue = ["execute": JSONValue(.string(command)), "arguments": arguments]
    line.send(request.text(indented: false) + "\n")
    let limit = monotonic() + 20
    while monotonic() < limit {
      let (lines, isOpen) = line.receive()
      for answer in lines {
        if answer.hasPrefix("{\"return\"") { return }
        if answer.hasPrefix("{\"error\"") { throw LabError("QEMU refuses \(command): \(answer)") }
      }
      guard isOpen else { throw LabError("QEMU ended at \(command)") }
      var ready = pollfd(fd: line.descriptor, events: Int16(POLLIN), revents: 0)
      poll(&ready, 1, 200)
    }
    throw LabError("QEMU does not answer \(command)")
  }

  /// Plugs or unplugs the cable of an adapter.
  func setLink(_ adapter: String, up: Bool) throws(LabError) {
    try execute("set_link", ["name": JSONValue(.string(adapter)), "up": JSONValue(.bool(up))])
  }
}
