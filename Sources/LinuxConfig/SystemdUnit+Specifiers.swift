extension SystemdUnit {
  /// Replaces the specifiers in all values, as systemd does when it loads the unit `name` (systemd.unit(5), SPECIFIERS).
  ///
  /// Those that ask the running machine (`%H`, `%m`, `%b` …) stay as they are.
  mutating func expandSpecifiers(of name: String) {
    guard settings.contains(where: { $0.value.utf8.contains(0x25) }) else { return }
    // Without its type.
    let whole = name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
    let (prefix, instance) = whole.split(at: 0x40) ?? (whole, "")
    // What the system's manager has; a user's has others.
    let known: [Character: String] = [
      "n": name, "N": whole, "p": prefix, "P": Self.unescaped(prefix), "i": instance,
      "I": Self.unescaped(instance),
      "t": "/run", "S": "/var/lib", "C": "/var/cache", "L": "/var/log", "E": "/etc", "T": "/tmp",
      "V": "/var/tmp",
      "%": "%",
    ]
    for index in settings.indices { settings[index].value = Self.expanded(settings[index].value, known) }
  }

  private static func expanded(_ value: String, _ known: [Character: String]) -> String {
    var result = ""
    var rest = value[...]
    while let sign = rest.firstIndex(of: "%") {
      result += rest[..<sign]
      rest = rest[sign...].dropFirst()
      guard let letter = rest.first, let replacement = known[letter] else {
        result.append("%")
        continue
      }
      result += replacement
      rest = rest.dropFirst()
    }
    return result + rest
  }

  /// What systemd-escape(1) was given: `-` stands for `/`, `\x2d` for the character with that number.
  private static func unescaped(_ text: String) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == 0x5C, rest.count >= 3, rest.first == 0x78,
        let code = UInt8(String(decoding: rest.dropFirst().prefix(2), as: UTF8.self), radix: 16)
      {
        bytes.append(code)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte == 0x2D ? 0x2F : byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
