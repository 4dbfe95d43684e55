/// A disk or partition as GRUB names it.
///
/// The two GRUBs count partitions differently: `(hd0,0)` of GRUB legacy is `(hd0,1)` of GRUB 2. Here a partition
/// always has the number Linux gives it, from 1; disks count from 0 in both.
public struct GrubDevice: Sendable, Hashable {
  /// Which GRUB's way of counting to read or write.
  public enum Style: Sendable, Hashable {
    /// GRUB 0.9x: partitions from 0.
    case legacy
    /// GRUB 1.9x and 2: partitions from 1, with an optional scheme (`msdos1`, `gpt2`).
    case grub2
  }

  /// What kind of drive it is.
  public enum Drive: Sendable, Hashable {
    /// BIOS hard disk number n: INT 13h drive 0x80 + n.
    case disk(Int)
    /// BIOS floppy number n: INT 13h drive n.
    case floppy(Int)
    /// The CD-ROM booted from, or GRUB 2's `cdN`.
    case cdrom
    /// The network: `nd`, `pxe`, `tftp`, `http`.
    case network
    /// Any other name: `memdisk`, `lvm/vg-root`, `mduuid/…`.
    case named(String)
  }

  /// The drive.
  public var drive: Drive
  /// The partition, counted from 1 as Linux does; `nil` for the whole drive.
  public var partition: Int?
  /// The scheme GRUB 2 writes before the number: `msdos`, `gpt`, `bsd`, …
  public var scheme: String?
  /// What follows the partition: a BSD slice (`a` in `(hd0,0,a)`) or a nested partition (`bsd1`).
  public var slice: String?

  /// Makes a device from its parts; `partition` counts from 1.
  public init(_ drive: Drive, partition: Int? = nil, scheme: String? = nil, slice: String? = nil) {
    self.drive = drive
    self.partition = partition
    self.scheme = scheme
    self.slice = slice
  }

  /// Reads a name, with or without the parentheses around it; `nil` when it is none.
  ///
  /// `device.map` of GRUB legacy may also say `(0x80)` or `(128)`, the BIOS number of a drive.
  public init?(_ text: String, style: Style) {
    var name = text.trimmed
    if name.starts(withBytes: "(") {
      guard let inner = name.dropping(prefix: "(")?.dropping(suffix: ")") else { return nil }
      name = inner
    }
    let parts = name.utf8.split(separator: 0x2C, omittingEmptySubsequences: false).map { String(bytes: $0) }
    guard let drive = parts.first.flatMap({ Self.drive($0, style: style) }), parts.count <= 3 else {
      return nil
    }
    self.drive = drive
    slice = parts.count == 3 ? parts[2] : nil
    guard parts.count > 1 else { return }
    let digits = parts[1].utf8.reversed().prefix { $0.isDigit }.count
    let scheme = String(bytes: parts[1].utf8.dropLast(digits))
    let number = String(bytes: parts[1].utf8.suffix(digits)).decimal
    switch style {
    case .legacy:
      if scheme.isEmpty, let number, number < Int.max {
        partition = number + 1
      } else if digits == 0, slice == nil, let letter = scheme.utf8.first, scheme.utf8.count == 1,
        (0x61...0x68).contains(letter)
      {
        slice = scheme  // (hd0,a): a BSD slice without a partition table
      } else {
        return nil
      }
    case .grub2:
      guard let number, number > 0 else { return nil }
      partition = number
      self.scheme = scheme.isEmpty ? nil : scheme
    }
  }

  private static func drive(_ name: String, style: Style) -> Drive? {
    if let number = name.dropping(prefix: "hd")?.decimal { return .disk(number) }
    if let number = name.dropping(prefix: "fd")?.decimal { return .floppy(number) }
    if name == "cd" || name.dropping(prefix: "cd")?.decimal != nil { return .cdrom }
    let networks = ["nd", "pxe", "tftp", "http"]
    if networks.contains(name) { return .network }
    switch style {
    case .legacy:
      let number = name.dropping(prefix: "0x").map { Int($0, radix: 16) } ?? name.decimal
      guard let number, (0...255).contains(number) else { return nil }
      return number >= 0x80 ? .disk(number - 0x80) : .floppy(number)
    case .grub2:
      guard !name.isEmpty, !name.utf8.contains(where: { $0.isSpace || $0 == 0x28 || $0 == 0x29 }) else {
        return nil
      }
      return .named(name)
    }
  }

  /// The number of the BIOS disk; `nil` when it is no hard disk.
  public var disk: Int? {
    if case .disk(let number) = drive { return number }
    return nil
  }

  /// The name as a GRUB writes it, without parentheses.
  public func name(_ style: Style) -> String {
    var text: String
    switch drive {
    case .disk(let number): text = "hd\(number)"
    case .floppy(let number): text = "fd\(number)"
    case .cdrom: text = "cd"
    case .network: text = style == .legacy ? "nd" : "pxe"
    case .named(let name): text = name
    }
    if let partition {
      text += style == .legacy ? ",\(partition - 1)" : ",\(scheme ?? "")\(partition)"
    }
    if let slice { text += ",\(slice)" }
    return text
  }
}

/// A file as GRUB names it: an optional device and a path on it.
public struct GrubFile: Sendable, Hashable {
  /// The device written before the path; `nil` means GRUB's current root.
  public var device: GrubDevice?
  /// The device prefix as it was written, also when it could not be read as a device; `nil` when there is none.
  public var deviceText: String?
  /// The path on the device, or a block list such as `+1`.
  public var path: String

  /// Splits `(hd0,0)/vmlinuz` into its device and its path.
  public init(_ text: String, style: GrubDevice.Style) {
    if text.starts(withBytes: "("), let close = text.utf8.firstIndex(of: 0x29) {
      let end = text.utf8.index(after: close)
      let prefix = String(Substring(text.utf8[..<end]))
      deviceText = prefix
      device = GrubDevice(prefix, style: style)
      path = String(Substring(text.utf8[end...]))
    } else {
      path = text
    }
  }

  /// Whether the path is a list of blocks (`+1`, `0+1`), not a file.
  public var isBlockList: Bool {
    guard let first = path.utf8.first, first == 0x2B || first.isDigit else { return false }
    return path.utf8.contains(0x2B) && path.utf8.allSatisfy { $0.isDigit || $0 == 0x2B || $0 == 0x2C }
  }
}
