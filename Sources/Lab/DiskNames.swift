/// Which disk has which sd name, as the kernel's lines and the machine's own answers say.
struct DiskNames {
  private(set) var disks: [String: SeenDisk] = [:]
  /// The partitions that the kernel found on a disk, "sda" to "sda1", "sda2"; a disk that it has not read is not here.
  private(set) var partitions: [String: [String]] = [:]
  /// SCSI host number to what its line says drives it.
  private var hosts: [Int: String] = [:]

  /// Reads a line of the kernel; what names no disk changes nothing.
  mutating func read(kernel text: String) {
    if let rest = text.after("scsi host"), let colon = rest.firstIndex(of: ":"),
      let host = Int(rest[..<colon])
    {
      hosts[host] = rest[rest.index(after: colon)...].trimmed
    } else if text.holds("-byte logical blocks"), let rest = text.after("sd ") {
      attached(rest)
    } else if let rest = text.after("]  sd"), let colon = rest.firstIndex(of: ":"),
      rest[..<colon].allSatisfy(\.isLetter)
    {
      partitions["sd" + rest[..<colon]] = rest[colon...].dropFirst().split(separator: " ").map(String.init)
    } else if text.holds("] Synchronizing SCSI cache"), let name = text.after(": ["),
      let end = name.firstIndex(of: "]")
    {
      // While the machine runs the cache is flushed for the last time when a disk is taken away.
      disks[String(name[..<end])] = nil
    } else if text.holds("USB disconnect"), let rest = text.after("usb "),
      let colon = rest.firstIndex(of: ":")
    {
      let port = "usb-storage \(rest[..<colon]):"
      disks = disks.filter { !$0.value.driver.hasPrefix(port) }
    }
  }

  /// "2:0:0:1: [sda] 3276800 512-byte logical blocks: (1.68 GB/1.56 GiB)"
  private mutating func attached(_ text: Substring) {
    let words = text.split(separator: " ")
    guard words.count > 3 else { return }
    let address = words[0].split(separator: ":").compactMap { Int($0) }
    let name = words[1].dropFirst().dropLast()
    guard address.count == 4, words[1].hasPrefix("[sd") else { return }
    let driver = hosts[address[0]] ?? ""
    let bus: SeenDisk.Bus =
      driver.contains("iSCSI")
      ? .iscsi : driver.contains("usb-storage") || driver.contains("uas") ? .usb : .other
    var disk = SeenDisk(bus: bus, lun: bus == .iscsi ? address[3] : nil, driver: driver)
    if let blocks = Int64(words[2]), let size = Int64(words[3].prefix { $0.isNumber }) {
      disk.bytes = blocks * size
    }
    disks[String(name)] = disk
  }

  /// Reads a line of the marker's report without its first word: "sda 1600MiB iscsi lun=1 target=IQN".
  mutating func read(report text: Substring) {
    let words = text.split(separator: " ").map(String.init)
    guard words.count >= 3 else { return }
    var disk = SeenDisk(bus: SeenDisk.Bus(rawValue: words[2]) ?? .other)
    disk.bytes = Int64(words[1].prefix { $0.isNumber }).map { $0 << 20 }
    for word in words.dropFirst(3) {
      if let lun = word.after("lun=") { disk.lun = Int(lun) }
      if let target = word.after("target=") { disk.target = String(target) }
    }
    disk.driver = disks[words[0]]?.driver ?? ""
    disks[words[0]] = disk
  }

  /// Reads a link of /dev/disk/by-path.
  mutating func read(path: String, to name: String) {
    guard !path.contains("-part") else { return }
    var disk = disks[name] ?? SeenDisk(bus: .other)
    if let rest = path.after("-iscsi-"), let end = rest.firstRange(of: "-lun-") {
      disk.bus = .iscsi
      disk.target = String(rest[..<end.lowerBound])
      disk.lun = Int(rest[end.upperBound...])
    } else if path.contains("-usb-") {
      disk.bus = .usb
    } else {
      return
    }
    disks[name] = disk
  }

  /// Reads the size of a disk that is known by another line already.
  mutating func read(kibibytes: Int64, of name: String) {
    if disks[name]?.bytes == nil { disks[name]?.bytes = kibibytes << 10 }
  }
}
