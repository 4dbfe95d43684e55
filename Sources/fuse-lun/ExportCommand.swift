import ArgumentParser
import Glibc
import LUNStore

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write a LUN or a snapshot into an image file.",
    discussion: """
      A raw image has holes where there are zeros. Other formats (qcow2, vmdk, vdi, vhdx, vpc) are written by \
      'qemu-img convert', from qemu-utils.

      A LUN is exported as it is now, whatever is written to it meanwhile: for the time of the export it has a snapshot \
      LUN@export-NUMBER, which is deleted afterwards. The file is there when it is complete, and not before.

      --salvage takes out what can be read of a LUN or a snapshot that is damaged, says what is lost, and exits with 2 if \
      anything is.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "The LUN or the snapshot, LUN or LUN@SNAPSHOT.")
  var name: String

  @Argument(help: "The image file to write.")
  var file: String

  @Option(help: "The format: raw, qcow2, vmdk, vdi, vhdx or vpc.")
  var format: String = "raw"

  @Flag(help: "Replace the file if it is there already.")
  var force = false

  @Flag(help: "Take out what is whole of a volume that is damaged, as a raw image.")
  var salvage = false

  @Flag(
    help: "Export a LUN without writing first what the kernel holds: the image is then as after a crash now.")
  var noSync = false

  @OptionGroup var images: ImageOptions

  @OptionGroup var output: OutputOptions

  private static let formats = ["raw", "qcow2", "vmdk", "vdi", "vhdx", "vpc"]

  func run() throws {
    var problems: [StoreError] = []
    func note<Value>(_ read: () throws(StoreError) -> Value) -> Value? {
      do throws(StoreError) { return try read() } catch { problems.append(error) }
      return nil
    }
    let volume = note { () throws(StoreError) in try VolumeName(name) }
    if !Self.formats.contains(format) {
      problems.append(
        StoreError(
          .invalidInput, at: "format '\(printable(format))'", "is not known",
          remedy: "those are: " + Self.formats.joined(separator: ", ")))
    }
    if salvage && format != "raw" {
      problems.append(
        StoreError(
          .invalidInput, at: "format '\(printable(format))'", "cannot be had with --salvage",
          remedy: "salvage a raw image, and convert that with 'qemu-img convert'"))
    }
    guard let volume, problems.isEmpty else { throw StoreProblems(problems) }
    var losses: [StoreError] = []
    try Interruption.awaited {
      let output = try OutputFile(file, replacing: force)
      switch volume {
      case _ where salvage: losses = try exportWhatIsWhole(volume, to: output)
      case .snapshot(let snapshot): try export(snapshot, to: output)
      case .lun(let lun) where try Store.open(store).isInReadOnlyFileSystem:
        try exportUnchanging(lun, to: output)
      case .lun(let lun): try withSnapshot(of: lun) { try export($0, to: output) }
      }
      try Interruption.requireNone()
      try output.finish()
    }
    try self.output.report { ExportReport(name: volume.description, file: file, format: format) }
    if !losses.isEmpty { throw StoreProblems(losses) }
  }

  /// - Returns: what is lost.
  private func exportWhatIsWhole(_ volume: VolumeName, to output: OutputFile) throws -> [StoreError] {
    let opened = try Store.open(store, trustsImages: images.trustImages)
    // Nobody begins to serve the store meanwhile. Whoever does already serves what is whole, and refuses the rest.
    let lock: StoreLock?
    do throws(StoreError) { lock = try opened.serveReadOnly() } catch {
      guard error.kind == .busy else { throw error }
      lock = nil
      let mount = try StoreClient(store: store).ask(MountInfoRequest(lun: name))
      guard let mount, mount.openCount == 0 else {
        throw StoreError(
          .busy, at: "'\(volume)'", "is in use", remedy: "export what is whole without --salvage")
      }
    }
    defer { lock?.release() }
    let salvage = try Salvage(volume, in: opened)
    try write(size: salvage.size, to: output) { writer, bar throws(StoreError) in
      try salvage.copyData { offset, bytes throws(StoreError) in
        try Interruption.requireNone()
        try writer.write(bytes, at: offset)
        bar.show(offset + Int64(bytes.count), of: salvage.size)
      }
    }
    return salvage.losses
  }

  /// Runs `body` with a snapshot that is gone afterwards.
  private func withSnapshot(of lun: LUNName, _ body: (SnapshotName) throws -> Void) throws {
    let label = try LUNName("export-\(Identifier().description.prefix(8))")
    let snapshot = try SnapshotName(lun: lun, label: label)
    let client = StoreClient(store: store, images)
    _ = try client.perform(SnapshotRequest(name: snapshot.description, syncs: !noSync))
    let delete = { _ = try client.perform(DeleteRequest(name: snapshot.description, withSnapshots: false)) }
    do {
      try body(snapshot)
    } catch {
      try? delete()
      throw error
    }
    try delete()
  }

  /// A LUN of a store that is read-only can have no snapshot, and needs none.
  private func exportUnchanging(_ lun: LUNName, to output: OutputFile) throws {
    guard format == "raw" else {
      let descriptor = try output.open()
      return try withMountedStore(store, trustsImages: images.trustImages) {
        try QemuImg.convert("\($0)/\(lun)", to: descriptor, format: format)
      }
    }
    let openStore: OpenStore
    do throws(StoreError) {
      openStore = try OpenStore(store, at: "", .readOnly, trustsImages: images.trustImages)
    } catch {
      guard error.kind == .busy else { throw error }
      // It became read-only under a mount, which has what could not be written any more.
      return try withMountedStore(store, trustsImages: images.trustImages) { mountpoint in
        let file = try FileBase("\(mountpoint)/\(lun)")
        try write(size: file.size, to: output) { writer, bar throws(StoreError) in
          try file.copy(to: writer, progress: { bar.show($0, of: $1) }) { () throws(StoreError) in
            try Interruption.requireNone()
          }
        }
      }
    }
    try exportRaw(openStore.lun(lun), to: output)
    try openStore.release()
  }

  private func export(_ snapshot: SnapshotName, to output: OutputFile) throws {
    if format == "raw" {
      let opened = try Store.open(store, trustsImages: images.trustImages)
      let view = try opened.openSnapshot(snapshot)
      try exportRaw(view, to: output)
      // Its layers are read without those who serve the store knowing. They leave them as they are as long as there is
      // the snapshot.
      guard try opened.has(snapshot, view.description.identifier) else {
        throw StoreError(
          .absent, at: "snapshot '\(snapshot)'", "was deleted while it was being exported; no file was made")
      }
    } else {
      let descriptor = try output.open()
      try withMountedStore(store, trustsImages: images.trustImages) { mountpoint in
        try QemuImg.convert("\(mountpoint)/\(snapshot)", to: descriptor, format: format)
      }
    }
  }

  private func exportRaw(_ view: LUN, to output: OutputFile) throws {
    let size = view.size
    try write(size: size, to: output) { writer, bar throws(StoreError) in
      try view.copyData { offset, bytes throws(StoreError) in
        try Interruption.requireNone()
        try writer.write(bytes, at: offset)
        bar.show(offset + Int64(bytes.count), of: size)
      }
    }
  }

  /// Makes the file, all a hole, and has it filled.
  private func write(
    size: Int64, to output: OutputFile, _ fill: (ImageWriter, ProgressBar) throws(StoreError) -> Void
  ) throws {
    let descriptor = try output.open()
    guard ftruncate(descriptor, off_t(size)) == 0 else {
      throw StoreError(.system(errno), at: file, "cannot hold \(size) bytes: \(errorText(errno))")
    }
    let bar = ProgressBar()
    defer { bar.erase() }
    try fill(ImageWriter(descriptor, path: file), bar)
  }
}

/// What `export --json` writes.
private struct ExportReport: Encodable {
  var name: String
  var file: String
  var format: String
}

/// QEMU's converter of disk images.
enum QemuImg {
  /// Converts a raw image. Progress is shown where the standard error output is a terminal.
  ///
  /// - Parameters:
  ///   - source: an absolute path.
  ///   - target: an open file. Its name would be looked up several times, and lead elsewhere in a folder of somebody
  ///     else.
  static func convert(_ source: String, to target: Int32, format: String) throws(StoreError) {
    let inherited: Int32 = 3
    let words =
      ["qemu-img", "convert", "-f", "raw", "-O", format] + (isatty(2) == 1 ? ["-p"] : [])
      + ["--", source, "/proc/self/fd/\(inherited)"]
    var arguments = words.map { strdup($0) } + [nil]
    defer { arguments.forEach { free($0) } }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, 2, 1)
    posix_spawn_file_actions_adddup2(&actions, target, inherited)
    var process = pid_t()
    let failure = posix_spawnp(&process, "qemu-img", &actions, nil, &arguments, environ)
    guard failure == 0 else {
      throw StoreError(
        failure == ENOENT ? .absent : .system(failure), at: "qemu-img",
        "cannot be started: \(errorText(failure))",
        remedy: failure == ENOENT ? "install QEMU's tools (Debian: qemu-utils), or export as raw" : nil)
    }
    guard statusAtEnd(of: process) == 0 else {
      throw StoreError(.system(EIO), at: "qemu-img", "has failed; the line above says why")
    }
  }
}
