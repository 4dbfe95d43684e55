import Glibc
import Sim

/// The disks of one run: LUNs of the store, clones of the image as the scenario changes it.
struct LabDisks {
  private let folder: LabFolder
  private let plan: LabPlan
  private let variant: String

  init(_ plan: LabPlan, variant: String, folder: LabFolder) {
    self.plan = plan
    self.variant = variant
    self.folder = folder
  }

  /// The LUN of the store that is a LU of a target. The first target's need no name of their own.
  func name(lun: Int, iqn: String) -> String {
    let number = plan.targets.firstIndex { $0.iqn == iqn } ?? 0
    return "\(variant).\(number == 0 ? "" : "t\(number + 1)-")lun\(lun)"
  }

  /// The LUN of the store that is a disk of the machine.
  func name(_ disk: LabPlan.Disk) -> String { "\(variant).\(disk.name)" }

  /// The LUN of the store that the root is on; nil: it is on no LU.
  var root: String? {
    for target in plan.targets {
      if let unit = target.units.first(where: { $0.medium.kept?.contains(2) == true }) {
        return name(lun: unit.lun, iqn: target.iqn)
      }
    }
    return nil
  }

  private var base: String { "\(variant).base" }

  /// All of them: the name, what is on it, its block size.
  private var all: [(name: String, medium: LabPlan.Medium, blockSize: Int?)] {
    plan.targets.flatMap { target in
      target.units.map { (name(lun: $0.lun, iqn: target.iqn), $0.medium, $0.blockSize) }
    } + plan.disks.map { (name($0), $0.medium, nil) }
  }

  /// Makes them, of the image's snapshot.
  func make(from snapshot: String) throws(LabError) {
    remove()
    try folder.lun("clone", folder.store, snapshot, base)
    if !plan.edit.isEmpty {
      let place = "\(folder.run(variant))/edit"
      try plan.edit.write(to: place)
      try Tool.run(["\(folder.recipes)/edit", folder.file(base), place])
    }
    for (name, medium, blockSize) in all {
      if let kept = medium.kept {
        try folder.lun("clone", folder.store, base, name)
        for number in [1, 2]
        where !kept.contains(number) && !medium.made.contains(where: { $0.number == number }) {
          try Tool.run([
            "sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--delete", folder.file(name),
            "\(number)",
          ])
        }
        for partition in medium.made { try remake(partition, on: name) }
        continue
      }
      var words = ["create", folder.store, name, "--size", "\(medium.size)"]
      if let blockSize { words += ["--block-size", "\(blockSize)"] }
      try Tool.run([folder.fuseLun] + words)
      guard !medium.made.isEmpty else { continue }
      try partition(medium, on: name)
    }
    if let rescue = plan.rescue { try setUp(rescue) }
  }

  private func setUp(_ rescue: RescueSetup) throws(LabError) {
    let files = rescue.drives.map { folder.file(name(lun: $0.lun, iqn: $0.iqn)) }
    var words = ["loader=legacy", "root=(hd\(rescue.boot),0)", "setup=\(rescue.onto)"]
    for (number, file) in files.enumerated() { words.append("disk\(number)=\(file)") }
    let place = "\(folder.run(variant))/rescue"
    try Files.write(words.joined(separator: " ") + "\n", to: "\(place)/grub")
    try Tool.run(["\(folder.recipes)/edit", files[rescue.boot], place])
  }

  /// A partition of the image that is there and holds something else, or nothing.
  private func remake(_ partition: PartitionSpec, on name: String) throws(LabError) {
    let start = Self.start(partition.number)
    let size = Self.size(partition.number)
    try Tool.run([
      "dd", "if=/dev/zero", "of=\(folder.file(name))", "bs=1M", "seek=\(start)", "count=\(min(size, 64))",
      "conv=notrunc",
      "status=none",
    ])
    try format(partition, on: name, start: start, size: size)
  }

  /// A partition table of equal parts.
  private func partition(_ medium: LabPlan.Medium, on name: String) throws(LabError) {
    let each = max(1, (Int(medium.size >> 20) - 2) / medium.made.count)
    let script = "\(folder.run(variant))/\(name).sfdisk"
    var lines = ["label: dos"]
    for (place, partition) in medium.made.enumerated() {
      lines.append("\(partition.number) : start=\(1 + place * each)MiB, size=\(each)MiB, type=83")
    }
    try Files.write(lines.joined(separator: "\n") + "\n", to: script)
    try Tool.run([
      "sh", "-c", "exec sfdisk --quiet --no-reread --no-tell-kernel \"$0\" <\"$1\"", folder.file(name),
      script,
    ])
    for (place, partition) in medium.made.enumerated() {
      try format(partition, on: name, start: 1 + place * each, size: each)
    }
  }

  /// Makes a file system, of sizes in MiB.
  private func format(_ partition: PartitionSpec, on name: String, start: Int, size: Int) throws(LabError) {
    guard let kind = partition.fileSystem else { return }
    guard ["ext2", "ext3", "ext4"].contains(kind) else {
      throw LabError("\(name): no \(kind) is made here, only ext2, ext3 and ext4")
    }
    var words = ["mke2fs", "-q", "-t", kind, "-E", "offset=\(start << 20)"]
    if let uuid = partition.uuid { words += ["-U", uuid] }
    if let label = partition.label { words += ["-L", label] }
    try Tool.run(words + [folder.file(name), "\(size)M"])
  }

  /// What is on the disks after the machine is off: the state of each file system, and what e2fsck says of a copy whose
  /// journal was replayed.
  func look(_ report: (LabEvent) -> Void) throws(LabError) {
    for target in plan.targets {
      for unit in target.units where unit.medium.kept != nil {
        let name = name(lun: unit.lun, iqn: target.iqn)
        let copy = "\(variant).copy"
        let lines = try Tool.run(["\(folder.recipes)/fsck", folder.file(name)]).split(separator: "\n")
        for line in lines {
          let words = line.split(separator: " ", maxSplits: 1)
          guard words.count == 2, let number = Int(words[0].dropFirst()) else { continue }
          report(.fileSystem(lun: unit.lun, partition: number, state: String(words[1])))
        }
        _ = try? folder.lun("delete", folder.store, copy)
        try folder.lun("clone", folder.store, name, copy)
        for number in unit.medium.kept ?? [] {
          report(
            .checked(lun: unit.lun, partition: number, status: Int(try Self.check(folder.file(copy), number)))
          )
        }
        try folder.lun("delete", folder.store, copy)
      }
    }
  }

  /// Replays the journal of a partition's file system, as the next mount would, and gives the status of e2fsck(8) for what
  /// there is then: 0 is clean, 4 is damaged.
  private static func check(_ disk: String, _ number: Int) throws(LabError) -> Int32 {
    let device =
      try Tool.run([
        "losetup", "--find", "--show", "--offset", "\(start(number) << 20)", "--sizelimit",
        "\(size(number) << 20)", disk,
      ]).split(separator: "\n").first.map(String.init) ?? ""
    defer { _ = try? Tool.run(["losetup", "--detach", device]) }
    try Tool.run(["e2fsck", "-y", "-E", "journal_only", device], allowing: [0, 1, 2, 4])
    return try Tool.finish(["e2fsck", "-f", "-n", device]).status
  }

  /// Where a partition of the image begins, and how large it is, in MiB.
  private static func start(_ number: Int) -> Int { number == 1 ? 1 : 200 }
  private static func size(_ number: Int) -> Int { number == 1 ? 199 : 1399 }

  /// Deletes them.
  func remove() {
    for name in all.map(\.name) + [base, "\(variant).copy"] where access(folder.file(name), F_OK) == 0 {
      _ = try? folder.lun("delete", folder.store, name, "--snapshots")
    }
  }
}

extension ImageEdit {
  /// Writes it down as the program `edit` reads it.
  func write(to folder: String) throws(LabError) {
    try Tool.run(["rm", "-rf", folder])
    try Files.makeFolder("\(folder)/files")
    if !removed.isEmpty { try Files.write(removed.joined(separator: "\n") + "\n", to: "\(folder)/remove") }
    var script: [String] = []
    for (path, file) in files {
      let place = "\(folder)/files\(Self.merged(path))"
      switch file {
      case .text(let text): try Files.write(text, to: place, isExecutable: text.hasPrefix("#!"))
      case .link(let target):
        try Files.makeFolder(String(place[..<(place.lastIndex(of: "/") ?? place.endIndex)]))
        try Tool.run(["ln", "-s", "--", target, place])
      case .presence:
        let folder = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
        script.append("[ -e '\(path)' ] || { mkdir -p '\(folder)'; : >'\(path)'; }")
      }
    }
    let hooks = "\(folder)/files/etc/initramfs-tools/hooks"
    if !addedModules.isEmpty {
      script.append("printf '%s\\n' \(addedModules.joined(separator: " ")) >>/etc/initramfs-tools/modules")
    }
    if !omittedModules.isEmpty {
      let removal = omittedModules.map { "find \"$DESTDIR\" -name '\($0).ko*' -delete" }
      let prelude = ["#!/bin/sh", "[ \"$1\" != prereqs ] || exit 0"]
      try Files.write(
        (prelude + removal).joined(separator: "\n") + "\n", to: "\(hooks)/zz-omitted", isExecutable: true)
    }
    if !script.isEmpty {
      try Files.write(
        "set -e\n" + script.joined(separator: "\n") + "\n", to: "\(folder)/script", isExecutable: true)
    }
    if rebuilds { try Files.write("", to: "\(folder)/rebuild") }
    if let words = bootCodeWords { try Files.write(words + "\n", to: "\(folder)/grub") }
  }

  /// The boot code that has to be installed, as `edit` reads it; nil: the image's own is right.
  private var bootCodeWords: String? {
    switch bootCode {
    case .none: return "loader=none"
    case .signatureOnly: return "loader=signature-only"
    case .grub, .other: break
    }
    guard let grub else { return nil }
    if grub.legacy {
      let root = grub.prefix ?? "(hd0,0)"
      // Installed when a second disk was there, which has the same on it.
      return "loader=legacy root=\(root)" + (root.hasPrefix("(hd1") ? " disk1=self" : "")
    }
    if let search = grub.searchUUID { return "loader=grub2 search=\(search) prefix=/grub" }
    return "loader=grub2 prefix=\(grub.prefix ?? "(hd0,msdos1)")/grub"
  }

  /// Where a path leads on a system whose /usr is merged, as Debian's has been since 12.
  private static func merged(_ path: String) -> String {
    for folder in ["/bin/", "/sbin/", "/lib/", "/lib64/"] where path.hasPrefix(folder) {
      return "/usr\(path)"
    }
    return path
  }
}
