extension ScenarioFormat {
  private enum GrubVersion: String, CaseIterable, Sendable {
    case legacy
    case two = "2"
  }

  static let grub = Format<GrubInstallation>.object(
    "grub", "Where the boot code of a disk looks for the rest of GRUB."
  ) { object in
    let version = object.value("version", choice(GrubVersion.self), "Which GRUB.", default: .two, "\"2\"")
    let embedded = object.value(
      "embedded", boolean,
      "GRUB legacy: stage 1.5 is embedded after the MBR; false: a block list of stage 2.",
      default: true, "true")
    let prefix = object.optional(
      "prefix", grubDevice, "The partition it takes its files from, as \"(hd0,0)\" or \"(hd0,msdos1)\".")
    let searchUUID = object.optional(
      "searchUUID", nonEmpty, "GRUB 2: the file system that core.img searches for (search.fs_uuid).")
    if version == .legacy, searchUUID != nil {
      object.report("GRUB legacy cannot search a file system", field: "searchUUID", hint: "use \"prefix\"")
    }
    return GrubInstallation(
      legacy: version == .legacy, embedded: embedded, prefix: prefix, searchUUID: searchUUID)
  }

  /// GRUB's name of a drive or partition, in its parentheses.
  static let grubDevice = text(pattern: #"^\([a-z]+[0-9]*(,[a-z]*[0-9]+)*\)"#) {
    (text: String) throws(Quantity.Failure) -> String in
    guard text.hasPrefix("("), let end = text.firstIndex(of: ")"), end > text.index(after: text.startIndex)
    else {
      throw Quantity.Failure(
        message: "\(JSONValue(.string(JSONParser.shortened(text))).text()) is no device of GRUB",
        hint: "in parentheses, as \"(hd0,0)\" for GRUB legacy or \"(hd0,msdos1)\" for GRUB 2")
    }
    return text
  }

  static let partition = Format<PartitionDraft>.object("partition", "A partition and its file system.") {
    object in
    let number = object.always("number", integer(1...128), "Its number, as in sda1.")
    let fileSystem = object.optional(
      "fs", name, "Its file system, as \"ext4\", \"ext3\", \"reiserfs\", \"swap\", \"vfat\".",
      fallback: "none, or what the image has")
    let uuid = object.optional("uuid", nonEmpty, "The UUID of its file system.")
    let label = object.optional("label", nonEmpty, "The label of its file system.")
    let holds = object.optional(
      "holds", absolutePath.located,
      "The directory of the system's tree that it holds, as \"/\" or \"/boot\".")
    let size = object.optional(
      "size", ScenarioFormat.size, "Its size.", fallback: "an equal share of what is left")
    guard let number else { return nil }
    return PartitionDraft(
      number: number, fileSystem: fileSystem.map { .some($0) }, uuid: uuid, label: label, holds: holds,
      size: size)
  }

  /// The fields that say what is on a disk or LU, the same for both.
  static func contentFields(_ object: inout ObjectReader, fallbackSize: Int64) -> ContentDraft {
    let size = object.optional(
      "size", ScenarioFormat.size.located, "Its size.",
      fallback: "the image's, or \"\(Quantity.text(size: fallbackSize))\"")
    let image = object.optional(
      "image", nonEmpty.located,
      "An image file, or STORE:NAME for a LUN of fuse-lun: its partitions and file systems are read from it.")
    let bootCode = object.optional(
      "bootCode", choice(DiskContent.BootCode.self), "What is in its first sector.",
      fallback: "\"grub\" with grub, what the image has, or \"none\"")
    let grub = object.optional("grub", ScenarioFormat.grub, "Where its boot code looks for the rest of GRUB.")
    let partitions = object.value(
      "partitions", partition.located.list(identity: "number"), "Its partitions.", default: [],
      "the image's, or []")
    if bootCode == .grub, grub == nil, image == nil {
      object.report(
        "boot code \"grub\" needs to know where its files are", field: "bootCode", hint: "add \"grub\"")
    }
    if let bootCode, bootCode != .grub, grub != nil {
      object.report(
        "\"grub\" is given, but the boot code is \"\(bootCode.rawValue)\"", field: "grub",
        hint: "leave one of them out")
    }
    return ContentDraft(
      image: image, size: size, fallbackSize: fallbackSize, bootCode: bootCode, grub: grub,
      partitions: partitions)
  }

  static let lun = Format<LUNDraft>.object("lun", "A logical unit.") { object in
    let lun = object.always("lun", integer(0...16383), "Its logical unit number.")
    let writeCache = object.value(
      "writeCache", boolean, "It has a volatile write cache (WCE).", default: true, "true")
    let blockSize = object.value(
      "blockSize", ScenarioFormat.blockSize,
      "Bytes of its logical blocks, 512 or 4096; what is on it was written for 512.", default: 512, "512")
    let content = contentFields(&object, fallbackSize: 8 << 30)
    guard let lun else { return nil }
    let empty = DiskContent(bootCode: .none, grub: nil, partitions: [])
    return LUNDraft(
      spec: LUNSpec(lun: lun, size: 0, writeCache: writeCache, blockSize: blockSize, content: empty),
      content: content)
  }

  private static let blockSize = Format<Int>(.integer(512...4096)) { value, path, problems in
    if case .number(let text) = value.kind, let size = Int(text), size == 512 || size == 4096 { return size }
    problems.report(
      "a block has 512 or 4096 bytes, not \(JSONParser.shortened(value.text()))", at: value.place, path: path)
    return nil
  }

  /// A delay, or "never".
  private static let deadSessions = Format<Delay?>(.anyOf([.choice(["never"]), delay.shape()])) {
    value, path, problems in
    if case .string("never") = value.kind { return .some(nil) }
    return delay.read(value, path, problems).map { .some($0) }
  }

  static let target = Format<TargetDraft>.object("target", "An iSCSI target and what it allows.") { object in
    let name = object.always("name", iscsiName, "Its iSCSI name.")
    let portal = object.needed("portal", ScenarioFormat.portal, "Where it listens, as \"10.0.2.2:3260\".")
    let maxSessions = object.optional(
      "maxSessions", integer(1...65535), "Sessions at one time.", fallback: "no limit")
    let dropsDead = object.value(
      "dropsDeadSessionsAfter", deadSessions,
      "How long it still counts a session whose initiator went without logging out, as boot ROMs do.",
      default: Delay(earliest: 0, latest: 10_000_000), "[\"0s\", \"10s\"]")
    let chap = object.optional("chap", credentials, "What it wants from an initiator.", fallback: "no CHAP")
    let acl = object.optional(
      "acl", nonEmpty.list(), "The initiator names it admits.", fallback: "all of them")
    let running = object.value("running", boolean, "It runs when the story begins.", default: true, "true")
    let luns = object.value(
      "luns", lun.list(identity: "lun"), "Its logical units.", default: [], "[]")
    guard let name, let portal else { return nil }
    let spec = TargetSpec(
      iqn: name, portal: portal, maxSessions: maxSessions, dropsDeadSessionsAfter: dropsDead, chap: chap,
      acl: acl, running: running, luns: [])
    return TargetDraft(spec: spec, luns: luns)
  }

  static let network = Format<NetworkSpec>.object("network", "The network between machine and targets.") {
    object in
    let dhcp = object.value("dhcp", boolean, "A DHCP server answers.", default: true, "true")
    let usual = Delay(earliest: 100_000, latest: 1_000_000)
    let delay = object.value(
      "dhcpDelay", ScenarioFormat.delay, "How long it takes to answer.", default: usual, "[\"100ms\", \"1s\"]"
    )
    return NetworkSpec(dhcp: dhcp, dhcpDelay: delay)
  }
}
