/// The names Linux gives to disks.
enum DiskNames {
  /// The name of the sd device with an index: 0 is sda, 25 sdz, 26 sdaa, 702 sdaaa (drivers/scsi/sd.c, sd_format_disk_name).
  static func sd(_ index: Int) -> String { "sd" + letters(index) }

  /// IDE disks driven by the old IDE layer have names of their own.
  static func hd(_ index: Int) -> String { "hd" + letters(index) }

  /// Bijective base 26.
  static func letters(_ index: Int) -> String {
    var rest = index
    var out: [Character] = []
    repeat {
      out.append(Character(UnicodeScalar(UInt8(97 + rest % 26))))
      rest = rest / 26 - 1
    } while rest >= 0
    return String(out.reversed())
  }

  /// Splits "sdb2" into its prefix, disk index and partition; nil for any other text.
  static func parse(_ name: String) -> (prefix: String, index: Int, partition: Int?)? {
    for prefix in ["sd", "hd"] where name.hasPrefix(prefix) {
      let rest = name.dropFirst(2)
      let letters = rest.prefix { $0 >= "a" && $0 <= "z" }
      let digits = rest.dropFirst(letters.count)
      guard !letters.isEmpty, letters.count <= 3, digits.allSatisfy(\.isNumber), digits.count <= 3 else {
        return nil
      }
      var index = 0
      for letter in letters.utf8 { index = index * 26 + Int(letter) - 96 }
      guard digits.isEmpty || Int(digits) ?? 0 > 0 else { return nil }
      return (prefix, index - 1, digits.isEmpty ? nil : Int(digits))
    }
    return nil
  }
}
