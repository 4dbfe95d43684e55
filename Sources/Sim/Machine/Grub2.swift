import LinuxConfig

/// grub.cfg, executed against the drives that the BIOS shows.
extension MachineModel {
  struct Grub2Result {
    var selection: BootSelection
    /// Seconds that the menu waits.
    var timeout: Int64
  }

  /// GRUB asks, the machine answers.
  private struct Drives: GrubDelegate {
    let model: MachineModel
    let state: MachineState
    var failed: LoaderError?
    var kernel: (path: String, disk: Int, line: String)?
    var initrd: String?

    mutating func search(_ search: GrubSearch) -> String? {
      let device: GrubDevice? =
        switch search.kind {
        case .fileSystemUUID:
          model.searchDrives({ $0.uuid?.lowercased() == search.value.lowercased() }, state)
        case .label: model.searchDrives({ $0.label == search.value }, state)
        case .file: fileDevice(search.value)
        }
      if device == nil, failed == nil {
        failed = LoaderError(
          finding: .bootFilesNotVisible, console: "error: no such device: \(search.value).",
          sentence:
            "line \(search.line) of grub.cfg looks for \(search.value), and \(model.filesSeen(state)), which do not hold it"
        )
      }
      return device.map { Self.bare($0.name(.grub2)) }
    }

    private func fileDevice(_ path: String) -> GrubDevice? {
      for (number, disk) in model.drives(state).enumerated() {
        for part in model.inventory.disks[disk].content.partitions {
          let device = GrubDevice(.disk(number), partition: part.number)
          if case .found = model.driveFile(device, path, state) { return device }
        }
      }
      return nil
    }

    static func bare(_ name: String) -> String { name.filter { $0 != "(" && $0 != ")" } }

    mutating func node(device: String, path: String) -> FileNode? {
      guard let device = GrubDevice(device, style: .grub2),
        case .found(let full, _) = model.driveFile(device, path, state)
      else { return nil }
      return model.tree(state).node(full)
    }

    /// grubenv: a comment, then name=value lines, then `#` up to 1024 bytes.
    mutating func environmentBlock(device: String, path: String) -> [String: String]? {
      guard case .file(let bytes)? = node(device: device, path: path) else { return nil }
      var block: [String: String] = [:]
      for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where !line.hasPrefix("#") {
        guard let equals = line.firstIndex(of: "=") else { continue }
        block[String(line[..<equals])] = String(line[line.index(after: equals)...])
      }
      return block
    }

    mutating func run(_ call: GrubCall) -> Bool {
      switch call.name {
      case "linux", "linux16", "linuxefi":
        guard let file = call.target else { return false }
        guard let (full, disk) = locate(file, call) else { return false }
        let arguments = call.arguments.drop { $0 != file.deviceText.map { "\($0)\(file.path)" } ?? file.path }
          .dropFirst()
        kernel = (full, disk, arguments.joined(separator: " "))
        return true
      case "initrd", "initrd16", "initrdefi":
        guard let file = call.target, let (full, _) = locate(file, call) else { return false }
        initrd = full
        return true
      default:
        return true
      }
    }

    private mutating func locate(_ file: GrubFile, _ call: GrubCall) -> (String, Int)? {
      let device = file.device ?? GrubDevice(call.root, style: .grub2)
      let result = device.map { model.driveFile($0, file.path, state) } ?? .noDrive
      if case .found(let full, let disk) = result { return (full, disk) }
      let place = "\(call.file):\(call.line)"
      if failed == nil || call.name == "linux" {
        switch result {
        case .noDrive:
          failed = LoaderError(
            finding: .menuDriveMissing, console: "error: no such device: \(call.root).",
            sentence: "\(place) reads \(file.path) from \(call.root), and \(model.filesSeen(state))")
        case .noFileSystem:
          failed = LoaderError(
            finding: .bootFilesNotVisible, console: "error: unknown filesystem.",
            sentence: "\(place) reads \(file.path) from \(call.root), where there is no file system")
        default:
          let exists = model.tree(state).exists("/boot" + file.path)
          failed = LoaderError(
            finding: exists ? .bootFilesNotVisible : .kernelFileMissing,
            console: "error: file `\(file.path)' not found.",
            sentence: "\(place): \(file.path) is not on \(call.root); \(model.filesSeen(state))")
        }
      }
      return nil
    }
  }

  func evaluateGrub2(_ text: String, _ path: String, _ prefix: GrubDevice, _ s: MachineState) -> Result<
    Grub2Result, LoaderError
  > {
    let config = library.parsed("grub.cfg \(s.tree) \(path)") { GrubConfig.parse(text, file: path).value }
    let device = Drives.bare(prefix.name(.grub2))
    var evaluator = GrubEvaluator(
      delegate: Drives(model: self, state: s), root: device, prefix: "(\(device))\(grubDirectory(prefix, s))")
    evaluator.run(config, file: path)
    evaluator.delegate.failed = nil
    if let chosen = chosenEntry(s) { evaluator.variables["default"] = chosen }
    guard evaluator.bootDefault() != nil else {
      return .failure(
        LoaderError(
          finding: .menuMissing, console: "grub>", sentence: "\(path) has no entry that could be booted"))
    }
    // The entries to try where the default could not be booted (normal/menu.c, grub_menu_execute_with_fallback).
    for name in (evaluator.variables["fallback"] ?? "").split(separator: " ")
    where evaluator.delegate.kernel == nil {
      if let index = evaluator.entryIndex(String(name)) { _ = evaluator.boot(evaluator.entries[index]) }
    }
    guard let kernel = evaluator.delegate.kernel else {
      return .failure(
        evaluator.delegate.failed
          ?? LoaderError(
            finding: .kernelFileMissing, console: "error: you need to load the kernel first.",
            sentence: "the default entry of \(path) loads no kernel"))
    }
    let selection = BootSelection(
      kernelPath: kernel.path, kernelVersion: Self.version(ofKernel: kernel.path),
      initrdPath: evaluator.delegate.initrd,
      commandLine: kernel.line, disk: kernel.disk,
      missesInitrd: evaluator.delegate.initrd == nil && evaluator.delegate.failed != nil)
    return .success(
      Grub2Result(selection: selection, timeout: max(0, Int64(evaluator.variables["timeout"] ?? "0") ?? 0)))
  }
}
