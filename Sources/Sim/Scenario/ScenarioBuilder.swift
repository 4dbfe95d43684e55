import LinuxConfig

/// Makes the scenario of a draft: looks names up, reads images and folders, and reports what does not fit
/// together.
struct ScenarioBuilder {
  let draft: ScenarioDraft
  /// Where the document begins.
  private let place: SourcePlace
  let resources: ScenarioResources
  let problems: ProblemList
  /// The directories of the tree that partitions hold, with where that was said.
  private var held: [String: SourcePlace] = [:]

  init(draft: ScenarioDraft, place: SourcePlace, resources: ScenarioResources, problems: ProblemList) {
    self.draft = draft
    self.place = place
    self.resources = resources
    self.problems = problems
  }

  mutating func build() -> Scenario {
    let machine = machine()
    let targets = draft.targets.map { target(in: $0) }
    let story = story(of: machine, targets)
    checkLimits(machine, targets)
    checkInstaller(machine, targets)
    return Scenario(
      title: draft.title, sources: draft.sources, profile: draft.profile, machine: machine,
      network: draft.network,
      targets: targets, root: draft.system.root?.value, files: files(), initrds: draft.system.initrds,
      packages: draft.system.packages, installer: draft.system.installer?.value ?? InstallerSpec(),
      story: story, vary: [],
      expect: draft.expect)
  }

  /// What the simulator's state has room for.
  private func checkLimits(_ machine: MachineSpec, _ targets: [TargetSpec]) {
    func check(_ count: Int, _ limit: Int, _ what: String, _ path: String, _ place: SourcePlace?) {
      guard count > limit else { return }
      problems.report(
        "\(count) \(what), and no more than \(limit) can be simulated", at: place ?? self.place, path: path)
    }
    let units = targets.map(\.luns.count).reduce(0, +)
    check(
      machine.disks.count + units, 64, "disks and LUs",
      units > machine.disks.count ? "targets" : "machine.disks", nil)
    check(targets.count, 16, "targets", "targets", nil)
    check(machine.nics.count, 32, "adapters", "machine.nics", draft.machine.nics.last?.place)
    check(draft.story.count, 32, "steps", "story", draft.story.last?.place)
    let boots = draft.story.filter { [.boot, .reboot, .installer].contains($0.value) }
    check(boots.count, 8, "boots", "story", boots.last?.place)
    let downs = draft.story.filter { [.shutdown, .reboot].contains($0.value) }
    check(downs.count, 8, "shutdowns", "story", downs.last?.place)
  }

  /// Media and disks that the installation system names have to be there.
  private func checkInstaller(_ machine: MachineSpec, _ targets: [TargetSpec]) {
    guard let installer = draft.system.installer else { return }
    let local = machine.disks.map(\.name)
    for name in installer.value.media.keys.sorted() where !local.contains(name) {
      problems.report(
        "there is no device \"\(name)\"", at: installer.place, path: "\(installer.path).media",
        hint: Spelling.hint(name, among: local))
    }
    let units = targets.flatMap { target in
      target.luns.map { targets.count == 1 ? "LUN \($0.lun)" : "\(target.iqn) LUN \($0.lun)" }
    }
    if let name = installer.value.firstDisk, !(local + units).contains(name) {
      problems.report(
        "there is no disk \"\(name)\"", at: installer.place, path: "\(installer.path).firstDisk",
        hint: Spelling.hint(name, among: local + units))
    }
  }

  // MARK: Machine

  private mutating func machine() -> MachineSpec {
    var nics: [NICSpec] = []
    for (index, nic) in draft.machine.nics.enumerated() {
      var spec = nic.value
      if spec.mac.isEmpty { spec.mac = Self.usualAddress(index) }
      nics.append(spec)
    }
    let disks = draft.machine.disks.map { disk in
      var spec = disk.value.spec
      (spec.content, spec.size) = content(disk.value.content, path: disk.path)
      return spec
    }
    reportTwins(nics)
    let bootable = nics.filter { $0.optionROM != nil }.map(\.name)
    let fixed = disks.filter { [.ide, .sata, .scsi].contains($0.bus) }.map(\.name)
    let order = draft.machine.bootOrder
    if let order { checkBootOrder(order, devices: nics.map(\.name) + disks.map(\.name)) }
    return MachineSpec(
      bootOrder: order?.map(\.value) ?? bootable + fixed, nics: nics, disks: disks,
      memoryMiB: draft.machine.memoryMiB)
  }

  private static func usualAddress(_ index: Int) -> String {
    let octets = [UInt8(truncatingIfNeeded: (index + 1) >> 8), UInt8(truncatingIfNeeded: index + 1)]
    return "52:54:00:00:" + octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
  }

  /// Devices share one space of names; interfaces and addresses are each one adapter's.
  private func reportTwins(_ nics: [NICSpec]) {
    var names: [String: String] = [:]
    let devices =
      draft.machine.nics.map { ($0.value.name, $0.place, $0.path) }
      + draft.machine.disks.map { ($0.value.spec.name, $0.place, $0.path) }
    for (name, place, path) in devices {
      let list = String(path.prefix { $0 != "[" })
      if let other = names[name], other != list {
        problems.report("the name \"\(name)\" is also in \(other)", at: place, path: "\(path).name")
      } else {
        names[name] = list
      }
    }
    for (index, nic) in nics.enumerated() {
      let draft = draft.machine.nics[index]
      if nics[..<index].contains(where: { $0.interface == nic.interface }) {
        problems.report(
          "two adapters have the interface \"\(nic.interface)\"", at: draft.place,
          path: "\(draft.path).interface")
      }
      if nics[..<index].contains(where: { $0.mac == nic.mac }) {
        problems.report(
          "two adapters have the address \(nic.mac)", at: draft.place, path: "\(draft.path).mac")
      }
    }
  }

  private func checkBootOrder(_ order: [Located<String>], devices: [String]) {
    for (index, name) in order.enumerated() {
      if !devices.contains(name.value) {
        problems.report(
          "there is no device \"\(name.value)\"", at: name.place, path: name.path,
          hint: Spelling.hint(name.value, among: devices))
      } else if order[..<index].contains(where: { $0.value == name.value }) {
        problems.report("\"\(name.value)\" is there twice", at: name.place, path: name.path)
      }
    }
  }

  // MARK: Disks and LUs

  private mutating func target(in draft: TargetDraft) -> TargetSpec {
    var spec = draft.spec
    let path = "targets[\(spec.iqn)]"
    spec.luns = draft.luns.map { lun in
      var unit = lun.spec
      (unit.content, unit.size) = content(lun.content, path: "\(path).luns[lun=\(unit.lun)]")
      return unit
    }
    return spec
  }

  /// What is on a disk: what an image has is taken from there, whatever a profile or the document says; they complete it.
  private mutating func content(_ draft: ContentDraft, path: String) -> (DiskContent, Int64) {
    // A copy of a directory on another disk is a fact of life (a stick with /boot); twice on one disk is a
    // mistake.
    held = [:]
    var content = DiskContent(bootCode: .none, grub: nil, partitions: [])
    var size = draft.size?.value ?? draft.fallbackSize
    if let image = draft.image {
      do throws(ScenarioResources.Failure) {
        let read = try resources.image(image.value, image.place.file)
        content = read.content
        for note in read.notes { problems.add(.warning, note, at: image.place, path: image.path) }
        size = read.size
        if let said = draft.size, said.place.file == image.place.file, said.value != read.size {
          problems.report(
            "the image has \(Quantity.text(size: read.size))", at: said.place, path: said.path,
            hint: "leave it out")
        }
        if draft.bootCode == .grub || draft.grub != nil, read.content.bootCode != .grub {
          problems.add(
            .warning, "the image's first sector holds no GRUB; the scenario says that it does",
            at: image.place,
            path: image.path)
        }
      } catch {
        problems.report(
          "\(JSONValue(.string(image.value)).text()): \(error.message)", at: image.place, path: image.path,
          hint: error.hint)
      }
    }
    if let grub = draft.grub { content.grub = grub }
    // An image without a boot signature boots nothing, whatever a profile says.
    let isBlank = draft.image != nil && content.bootCode == .none
    if isBlank { content.grub = nil }
    content.bootCode = isBlank ? .none : draft.bootCode ?? (draft.grub != nil ? .grub : content.bootCode)
    if let bootCode = draft.bootCode, bootCode != .grub { content.grub = nil }
    if content.bootCode == .grub, content.grub == nil, let image = draft.image {
      problems.report(
        "its boot code is GRUB's, and where that looks for its files is not read from an image",
        at: image.place,
        path: image.path, hint: "add \"grub\", as { \"version\": \"2\", \"prefix\": \"(hd0,msdos1)\" }")
    }
    for partition in draft.partitions { lay(partition, over: &content, image: draft.image) }
    content.partitions.sort { $0.number < $1.number }
    share(size, among: &content.partitions, draft, path: path)
    return (content, size)
  }

  private mutating func lay(
    _ draft: Located<PartitionDraft>, over content: inout DiskContent, image: Located<String>?
  ) {
    let said = draft.value
    let index = content.partitions.firstIndex { $0.number == said.number }
    var partition =
      index.map { content.partitions[$0] }
      ?? PartitionSpec(number: said.number, fileSystem: nil, uuid: nil, label: nil, holds: nil, size: 0)
    let isReal = image != nil && index != nil
    // What a profile says of another disk is not on this one.
    if let image, !isReal, draft.place.file != image.place.file { return }
    if !isReal {
      if let fileSystem = said.fileSystem { partition.fileSystem = fileSystem }
      partition.uuid = said.uuid ?? partition.uuid
      partition.label = said.label ?? partition.label
      partition.size = said.size ?? partition.size
    }
    if let holds = said.holds {
      partition.holds = holds.value
      if let first = held[holds.value] {
        problems.report(
          "\"\(holds.value)\" is held by another partition as well", at: holds.place, path: holds.path,
          hint: "the first is in line \(first.line)")
      } else {
        held[holds.value] = holds.place
      }
      if partition.fileSystem == nil || partition.fileSystem == "swap" {
        problems.report(
          "a partition without a file system cannot hold \"\(holds.value)\"", at: holds.place,
          path: holds.path,
          hint: "add \"fs\", as \"ext4\"")
      }
    } else if partition.fileSystem == nil, said.uuid != nil || said.label != nil {
      problems.report(
        "a UUID or label without a file system", at: draft.place, path: draft.path,
        hint: "add \"fs\", as \"ext4\"")
    }
    if let index { content.partitions[index] = partition } else { content.partitions.append(partition) }
  }

  /// Gives partitions without a size an equal share of what the others leave, less a MiB for the partition
  /// table.
  private func share(
    _ size: Int64, among partitions: inout [PartitionSpec], _ draft: ContentDraft, path: String
  ) {
    let table: Int64 = 1 << 20
    let taken = partitions.reduce(Int64(0)) { $0 + $1.size }
    let open = Int64(partitions.count { $0.size == 0 })
    let left = size - taken
    if left < 0 || (open > 0 && left - table < open * 512) {
      let place = draft.size?.place ?? draft.partitions.first?.place ?? .none
      problems.report(
        "its partitions do not fit into \(Quantity.text(size: size))", at: place, path: path,
        hint: "with their sizes they need more than \(Quantity.text(size: taken))")
      return
    }
    guard open > 0 else { return }
    let each = (left - table) / open
    let rounded = each >= table ? each / table * table : each / 512 * 512
    for index in partitions.indices where partitions[index].size == 0 { partitions[index].size = rounded }
  }

  // MARK: Files

  private func files() -> MemoryFileTree {
    var tree = MemoryFileTree()
    if let root = draft.system.root {
      do throws(ScenarioResources.Failure) {
        tree = try resources.folder(root.value, root.place.file)
      } catch {
        problems.report(
          "\(JSONValue(.string(root.value)).text()): \(error.message)", at: root.place, path: root.path,
          hint: error.hint)
      }
    }
    let texts = Dictionary(
      draft.system.files.compactMap { file in
        if case .text = file.entry.value { (file.path, file.entry.place) } else { nil }
      }, uniquingKeysWith: { first, _ in first })
    for file in draft.system.files {
      var above = TreePath.parent(file.path)
      while above != "/" {
        if texts[above] != nil, !isAbsent(file.entry.value) {
          problems.report(
            "\"\(above)\" is a file, so nothing can be below it", at: file.entry.place, path: file.entry.path)
        }
        above = TreePath.parent(above)
      }
      switch file.entry.value {
      case .text(let text): tree.write(text, to: file.path)
      case .link(let target): tree.link(file.path, to: target)
      case .absent: tree.remove(file.path)
      }
    }
    return tree
  }

  private func isAbsent(_ entry: SystemDraft.Entry) -> Bool {
    if case .absent = entry { true } else { false }
  }

  // MARK: Story

  private func story(of machine: MachineSpec, _ targets: [TargetSpec]) -> [StoryStep] {
    var isOn = false
    var isInstalling = false
    var attached = Dictionary(
      machine.disks.map { ($0.name, $0.attached) }, uniquingKeysWith: { first, _ in first })
    return draft.story.map { step in
      func report(_ message: String, hint: String? = nil) {
        problems.report(message, at: step.place, path: step.path, hint: hint)
      }
      func resolved(_ value: StoryStep) -> StoryStep {
        switch value {
        case .boot, .installer:
          isOn = true
          isInstalling = value == .installer
        case .install:
          if !isInstalling { report("no installation system runs", hint: "\"installer\" comes first") }
        case .powerCut:
          isOn = false
        case .shutdown, .reboot, .service, .kill, .run, .rescue:
          if !isOn { report("the machine is off", hint: "\"boot\" comes first") }
          if value == .shutdown { isOn = false }
          if value == .shutdown || value == .reboot { isInstalling = false }
        case .attach(let name), .detach(let name):
          let wanted = value == .attach(name)
          if let now = attached[name] {
            if now == wanted { report("\"\(name)\" is \(now ? "attached" : "not attached") already") }
            attached[name] = wanted
          } else {
            let names = machine.disks.map(\.name)
            report("there is no disk or USB device \"\(name)\"", hint: Spelling.hint(name, among: names))
          }
        case .linkDown(let name, let time, let stage):
          if let nic = machine.nics.first(where: { $0.name == name || $0.interface == name }) {
            return .linkDown(nic: nic.name, microseconds: time, at: stage)
          }
          let names = machine.nics.map(\.name)
          report("there is no adapter \"\(name)\"", hint: Spelling.hint(name, among: names))
        case .targetDown(let name, _, _), .targetCrash(let name, _, _), .targetStart(let name):
          if !targets.contains(where: { $0.iqn == name }) {
            let names = targets.map(\.iqn)
            report("there is no target \"\(name)\"", hint: Spelling.hint(name, among: names))
          }
        case .otherMachine(let other):
          return .otherMachine(resolved(other))
        case .after(let delay, let inner):
          // Whether the machine is on in the steps that follow is only known when it happens.
          let wasOn = isOn
          defer { isOn = wasOn }
          return .after(delay, resolved(inner))
        case .panic:
          if !isOn { report("the machine is off", hint: "\"boot\" comes first") }
          isOn = false
        case .write, .answer, .menuEntry: break
        }
        return value
      }
      func resolved(_ other: OtherMachine) -> OtherMachine {
        var other = other
        let names = targets.map(\.iqn)
        if other.target.isEmpty, let first = names.first { other.target = first }
        guard let target = targets.first(where: { $0.iqn == other.target }) else {
          report(
            "there is no target \"\(other.target)\"", hint: Spelling.hint(other.target, among: names))
          return other
        }
        let luns = target.luns.map(\.lun)
        guard let first = luns.min() else {
          report("\(target.iqn) has no LU", hint: "another machine uses one")
          return other
        }
        if other.lun == OtherMachine.firstLUN { other.lun = first }
        if !luns.contains(other.lun) {
          report(
            "\(target.iqn) has no LU \(other.lun)",
            hint: "it has \(luns.map(String.init).joined(separator: ", "))")
        }
        return other
      }
      return resolved(step.value)
    }
  }
}
