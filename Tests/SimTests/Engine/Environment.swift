import Foundation

/// Settings of the tests from outside.
enum Environment {
  /// The number in an environment variable, if there is one.
  static func number(_ name: String) -> Int? {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
  }
}
