/// `device.map`: which Linux device GRUB takes for which BIOS drive when it is installed.
///
/// It says nothing about what the firmware will find at the next boot (GRUB manual, "Device map").
public struct DeviceMap: ConfigurationFile, Hashable {
  /// One line: a BIOS drive and a device node.
  public struct Entry: Sendable, Hashable {
    /// The drive.
    public var drive: GrubDevice
    /// The device node, such as `/dev/sda` or `/dev/disk/by-id/…`.
    public var device: String
    /// The line, counted from 1.
    public var line: Int
  }

  /// The lines in order.
  public var entries: [Entry]

  /// Makes a map.
  public init(entries: [Entry] = []) { self.entries = entries }

  /// The node for BIOS disk n; the last line for it, which is the one GRUB keeps.
  public func device(disk: Int) -> String? { entries.last { $0.drive.disk == disk }?.device }

  /// Reads a map.
  public static func parse(_ text: String, file: String) -> Parsed<DeviceMap> {
    var map = DeviceMap()
    var problems = SourceText.carriageReturns(in: text, file: file)
    for line in text.sourceLines {
      let words = line.text.words
      guard let first = words.first, !first.text.starts(withBytes: "#") else { continue }
      func refuse(_ message: String, column: Int, hint: String? = nil) {
        problems.append(
          Problem(.error, file: file, line: line.number, column: column, message: message, hint: hint))
      }
      guard first.text.starts(withBytes: "("), let drive = GrubDevice(first.text, style: .legacy) else {
        refuse(
          "\(first.text.quoted) is no BIOS drive", column: first.column, hint: "for example: (hd0) /dev/sda")
        continue
      }
      guard words.count > 1 else {
        refuse("\(first.text) has no device", column: first.column, hint: "for example: (hd0) /dev/sda")
        continue
      }
      if words.count > 2 {
        refuse("\(words[2].text.quoted) is too much on the line", column: words[2].column)
      }
      if !words[1].text.starts(withBytes: "/") {
        refuse("\(words[1].text.quoted) is no path of a device", column: words[1].column)
      }
      if let earlier = map.entries.first(where: { $0.drive == drive }) {
        refuse("\(first.text) is already given in line \(earlier.line)", column: first.column)
      }
      if let earlier = map.entries.first(where: { $0.device == words[1].text }) {
        problems.append(
          Problem(
            .warning, file: file, line: line.number, column: words[1].column,
            message: "\(words[1].text) is already (\(earlier.drive.name(.legacy))) in line \(earlier.line)"))
      }
      map.entries.append(Entry(drive: drive, device: words[1].text, line: line.number))
    }
    return Parsed(map, problems: problems)
  }
}
