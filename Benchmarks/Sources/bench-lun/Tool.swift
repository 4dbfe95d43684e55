import Foundation

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
    let (process, output) = try start(words)
    let text = String(decoding: output.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Failure("\(words.joined(separator: " ")): status \(process.terminationStatus)")
    }
    return text
  }

  /// Starts a program that stays.
  static func start(_ words: [String]) throws -> (process: Process, output: FileHandle) {
    guard let path = path(words[0]) else { throw Failure("\(words[0]) is not installed") }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = Array(words.dropFirst())
    let output = Pipe()
    process.standardOutput = output
    process.standardInput = FileHandle.nullDevice
    try process.run()
    return (process, output.fileHandleForReading)
  }

  /// The first line that a program prints about its version.
  static func version(_ words: [String]) -> String? {
    guard path(words[0]) != nil, let text = try? run(words) else { return nil }
    return text.split(separator: "\n").first.map(String.init)
  }

  /// Waits until something holds.
  static func wait(for what: String, _ condition: () -> Bool) throws {
    for _ in 0..<1000 {
      if condition() { return }
      usleep(10_000)
    }
    throw Failure("waited 10 s in vain for \(what)")
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
