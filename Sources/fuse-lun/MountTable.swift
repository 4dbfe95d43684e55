import Glibc

/// What is mounted where, as `/proc/self/mountinfo` has it (proc(5)).
struct MountTable {
  struct Entry: Equatable {
    /// Of the file system, as `stat` gives it for files in it (some file systems give another).
    var device: dev_t
    var point: String
    var type: String
    var source: String
    /// Whose process answers for a file system in user space; `nil` for all others.
    var user: uid_t?

    /// Whether its files are what this user or root says. Another user's could be anything: links to other files, or
    /// such as keep whoever opens them waiting.
    var isTrusted: Bool { user == nil || user == 0 || user == geteuid() }
  }

  /// In the order in which they were mounted: of several at one point the last one is seen.
  let entries: [Entry]

  /// - Parameter process: whose mount namespace; this one's if it is not given.
  /// - Returns: `nil` where there is no `/proc`, or it may not be looked into.
  static func read(of process: String = "self") -> MountTable? {
    guard let file = fopen("/proc/\(process)/mountinfo", "re") else { return nil }
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    var entries: [Entry] = []
    while case let length = getline(&line, &capacity, file), length > 0, let line {
      let bytes = UnsafeRawBufferPointer(start: line, count: length)
      if let entry = Entry(line: bytes) { entries.append(entry) }
    }
    return MountTable(entries: entries)
  }

  /// What is seen at a path, if that is a mount point.
  func top(at path: String) -> Entry? { entries.last { $0.point.utf8.elementsEqual(path.utf8) } }
}

extension MountTable.Entry {
  /// `36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
  init?(line: UnsafeRawBufferPointer) {
    let fields = line.split(whereSeparator: { $0 == UInt8(ascii: " ") || $0 == 0x0A })
    guard fields.count > 5, let dash = fields.dropFirst(6).firstIndex(where: { $0.elementsEqual("-".utf8) }),
      dash + 2 < fields.count
    else { return nil }
    let numbers = fields[2].split(separator: UInt8(ascii: ":")).compactMap {
      UInt32(String(decoding: $0, as: UTF8.self))
    }
    guard numbers.count == 2 else { return nil }
    self.init(
      device: deviceNumber(numbers[0], numbers[1]), point: Self.unescaped(fields[4]),
      type: Self.unescaped(fields[dash + 1]), source: Self.unescaped(fields[dash + 2]),
      user: dash + 3 < fields.count ? Self.user(fields[dash + 3]) : nil)
  }

  /// `rw,user_id=1000,group_id=1000,default_permissions`
  private static func user(_ options: Slice<UnsafeRawBufferPointer>) -> uid_t? {
    let key = "user_id="
    for option in options.split(separator: UInt8(ascii: ",")) where option.starts(with: key.utf8) {
      return uid_t(String(decoding: option.dropFirst(key.utf8.count), as: UTF8.self))
    }
    return nil
  }

  /// Space, tab, line feed, backslash and number sign are written as a backslash and three octal digits.
  private static func unescaped(_ field: some Collection<UInt8>) -> String {
    let bytes = Array(field)
    var text: [UInt8] = []
    var index = 0
    while index < bytes.count {
      let digits = bytes[(index + 1)...].prefix(3)
      if bytes[index] == UInt8(ascii: "\\"), digits.count == 3,
        let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
      {
        text.append(value)
        index += 4
      } else {
        text.append(bytes[index])
        index += 1
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}

/// makedev(3), which is a macro.
func deviceNumber(_ major: UInt32, _ minor: UInt32) -> dev_t {
  let (major, minor) = (UInt64(major), UInt64(minor))
  return dev_t((major & 0xFFF) << 8 | (major & ~0xFFF) << 32 | (minor & 0xFF) | (minor & ~0xFF) << 12)
}
