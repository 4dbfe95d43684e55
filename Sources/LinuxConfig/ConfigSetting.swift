/// A `key = value` of a configuration file, with its place.
public struct ConfigSetting: Sendable, Hashable {
  /// The key as it was written.
  public var key: String
  /// The value without blanks around it.
  public var value: String
  /// The line, counted from 1.
  public var line: Int

  /// Makes a setting.
  public init(key: String, value: String, line: Int) {
    self.key = key
    self.value = value
    self.line = line
  }

  /// Reads `key = value`; `nil` for a line without `=` or without a key.
  init?(_ line: SourceLine) {
    guard let (key, value) = line.text.split(at: 0x3D), !key.trimmed.isEmpty else { return nil }
    self.init(key: key.trimmed, value: value.trimmed, line: line.number)
  }
}

extension Sequence where Element == ConfigSetting {
  /// The value set last for a key, the one that counts; `nil` when the key is absent.
  func last(_ key: String) -> ConfigSetting? {
    var found: ConfigSetting?
    for setting in self where setting.key == key { found = setting }
    return found
  }
}
