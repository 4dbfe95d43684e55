import Glibc
import LUNStore

/// How long commands wait for a process that says nothing.
enum Patience {
  static let variable = "FUSE_LUN_TIMEOUT"
  private static let usual: Int32 = 30

  /// In seconds; `nil` for ever.
  static func seconds() throws(StoreError) -> Int32? {
    guard let value = getenv(variable).map({ String(cString: $0) }) else { return usual }
    guard let seconds = Int32(value), seconds >= 0 else {
      throw StoreError(
        .invalidInput, at: "\(variable) '\(printable(value))'", "is not a number of seconds",
        remedy: "as in \(variable)=60; 0 is to wait for ever")
    }
    return seconds == 0 ? nil : seconds
  }

  /// A moment from which on waiting has taken too long.
  static func deadline() throws(StoreError) -> time_t { try seconds().map { time(nil) + time_t($0) } ?? .max }
}

/// What the kernel says of a process (`/proc/PID/stat`, proc(5)).
struct ProcessState {
  let process: Int32
  let name: String
  /// `R` runs, `S` sleeps, `D` waits and cannot be interrupted, `T` stopped, `t` stopped by a debugger, `Z` ended.
  let state: Character

  /// - Returns: `nil` if there is no such process, as far as one can see from here.
  init?(of process: Int32) {
    guard let line = firstLine(of: "/proc/\(process)/stat"), let open = line.firstIndex(of: "("),
      let close = line.lastIndex(of: ")"), let state = line[close...].dropFirst(2).first
    else { return nil }
    (self.process, self.state) = (process, state)
    name = String(line[line.index(after: open)..<close])
  }

  /// What is the matter with a process that does not answer, and what helps.
  var trouble: (problem: String, remedy: String) {
    switch state {
    case "T": return ("it is stopped (state T)", "'kill -CONT \(process)' lets it go on")
    case "t":
      let tracer = firstField("TracerPid").flatMap { Int32($0) }.flatMap(ProcessState.init)
      let who = tracer.map { "\($0.name) \($0.process)" } ?? "a debugger"
      return ("\(who) has stopped it (state t)", "let \(who) go on with it, or detach")
    case "D":
      let place = firstLine(of: "/proc/\(process)/wchan").flatMap {
        $0.isEmpty || $0 == "0" ? nil : " in \($0)"
      }
      return (
        "it waits for the kernel and cannot be interrupted (state D\(place ?? ""))",
        "see to the disk or the network file system that the store is on; 'dmesg' may name it"
      )
    case "Z", "X": return ("it has ended, and its threads have not yet", "try again")
    default:
      return (
        "it runs (state \(state)), and does not get to it",
        "the machine may be overloaded, or the process hangs: the system log may say more; \(Patience.variable)=SECONDS "
          + "waits longer"
      )
    }
  }

  private func firstField(_ key: String) -> Substring? {
    guard let file = fopen("/proc/\(process)/status", "re") else { return nil }
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while getline(&line, &capacity, file) > 0, let line {
      let fields = String(cString: line).split(whereSeparator: \.isWhitespace)
      if fields.count > 1, fields[0] == "\(key):" { return fields[1] }
    }
    return nil
  }
}

extension StoreError {
  /// A process that has the store says nothing.
  ///
  /// - Parameters:
  ///   - process: `nil` if it is not known which.
  ///   - what: what has to be said first: "has not answered for 30 seconds".
  ///   - hasBegun: whether it may still do what it was asked for.
  static func silent(
    _ store: String, _ process: Int32?, _ what: String, hasBegun: Bool = false
  ) -> StoreError {
    let state = process.flatMap(ProcessState.init)
    let trouble =
      state?.trouble ?? ("it cannot be seen from here", "it may be in another container: look there")
    let who =
      process.map { "process \($0)" + (state.map { " (\(printable($0.name)))" } ?? "") } ?? "the process"
    return StoreError(
      .system(ETIMEDOUT), at: store, "\(who), which has the store, \(what): \(trouble.0)",
      remedy: trouble.1
        + (hasBegun ? "; what it was asked to do has begun, and may still be done when it goes on" : ""))
  }
}
