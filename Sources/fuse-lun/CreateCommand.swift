import ArgumentParser
import Glibc
import LUNStore

struct CreateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create",
    abstract: "Create a LUN, and the store if there is none yet.",
    discussion: """
      The LUN is all zeros and thin, or with --from a copy: it takes up space only where there is something in it. A \
      store that is mounted may be added to; the new file is in the mount at once.

      --from takes a raw image file or a block device; the URI of an NBD server, so that whatever qemu-nbd or nbdkit \
      reads can be copied (qcow2, VMDK, HTTP, S3, Ceph and more); or a LUN or a snapshot of the same store, LUN or \
      LUN@SNAPSHOT, of which the new LUN is a clone at once. A name without '/' is a LUN if there is one of that name, \
      and a file otherwise.

      With --lazy an image is not copied now: blocks are read from it when they are first needed, and kept. It has to \
      stay where it is, as it is, until 'fuse-lun fetch' has copied the rest.
      """)

  @Argument(help: "The store's folder. Where there is none, or an empty one, a store is made.")
  var store: String

  @Argument(
    help: "The LUN's name, which is its file's name in a mount: at most 255 bytes, no '/' and no '@'.")
  var name: String

  // Unconditional: a negative number is a size that cannot be, and not an option that is not known.
  @Option(
    parsing: .unconditional,
    help: """
      The capacity in bytes, or with a suffix: 10G, 1.5T and 10GiB are powers of 1024, 10GB is one of 1000. With --from \
      that of the original, unless it is to be larger.
      """)
  var size: String?

  @Option(help: "The logical block size, 512 or 4096; the capacity is a multiple of it. (default: 512)")
  var blockSize: String?

  @Option(
    help: ArgumentHelp(
      "What to copy: a raw image file, an NBD URI, a LUN or a snapshot.", valueName: "file|uri|name"))
  var from: String?

  @Flag(help: "Copy the image's blocks when they are first needed.")
  var lazy = false

  @Flag(help: "Take a file as it is, even if it looks like qcow2 or another format.")
  var raw = false

  @Flag(help: "Refuse writes to the LUN.")
  var readOnly = false

  @OptionGroup var identity: IdentityOptions

  @OptionGroup var images: ImageOptions

  @OptionGroup var output: OutputOptions

  func validate() throws {
    if from == nil && lazy { throw ValidationError("--lazy needs --from") }
    if from == nil && raw { throw ValidationError("--raw needs --from") }
    if size == nil && from == nil { throw ValidationError("Missing expected argument '--size <size>'") }
  }

  func run() throws {
    try create()
    try output.report { try VolumeReport(VolumeName(name), in: store) }
  }

  private func create() throws {
    guard let from else {
      let request = try checked {
        try LUNRequest(name: name, size: size ?? "", blockSize: blockSize ?? "512")
      }
      return try inStore { store in try store.createLUN(request, change) }
    }
    if let volume = volume(named: from) { return try clone(volume) }
    try copy(from)
  }

  private var change: LUNProperties.Change { identity.change(isReadOnly: readOnly ? true : nil) }

  /// What is wrong with the identity as well as what `request` throws.
  private func checked<Result>(_ request: () throws -> Result) throws -> Result {
    do {
      let result = try request()
      guard change.problems.isEmpty else { throw StoreProblems(change.problems) }
      return result
    } catch let problems as StoreProblems where problems.all != change.problems {
      throw StoreProblems(problems.all + change.problems)
    }
  }

  private func inStore(_ create: (Store) throws -> Void) throws {
    let (opened, made) = try Store.openOrCreate(store, trustsImages: images.trustImages)
    do {
      try create(opened)
    } catch {
      opened.undo(made)
      throw error
    }
  }
}

// MARK: - A copy

extension CreateCommand {
  private func copy(_ text: String) throws {
    let blockSize = blockSize ?? "512"
    let source: any BaseSource
    do {
      source = try BaseReference.find(text)
      if !raw { try requireRaw(source) }
      if lazy { try requireOutsideOwnMount(source.reference) }
    } catch let error as StoreError {
      // With whatever else is wrong.
      _ = try checked { try LUNRequest(name: name, size: size ?? "4096", blockSize: blockSize, also: error) }
      throw error
    }
    let unit = BlockSize(parsing: blockSize)?.rawValue ?? 512
    let rest = source.size % unit
    // What no LUN can have is refused as it is.
    let (rounded, overflow) = source.size.addingReportingOverflow(rest > 0 ? unit - rest : 0)
    let request = try checked {
      try LUNRequest(
        name: name, size: size ?? String(overflow ? source.size - rest : rounded), blockSize: blockSize,
        atLeast: source)
    }
    guard !lazy else {
      return try inStore { store in try store.createLUN(request, change, base: source.reference) }
    }
    let bar = ProgressBar()
    defer { bar.erase() }
    try Interruption.awaited {
      try inStore { store in
        try store.createLUN(request, change) { file throws(StoreError) in
          try source.copy(to: ImageWriter(file, path: store.path)) {
            bar.show($0, of: $1)
          } requireGoingOn: { () throws(StoreError) in
            try Interruption.requireNone()
          }
        }
      }
    }
  }

  /// A qcow2 that is taken for a raw image makes a disk with nothing on it that anybody can read.
  private func requireRaw(_ source: any BaseSource) throws(StoreError) {
    guard let format = (source as? FileBase)?.format else { return }
    throw StoreError(
      .invalidInput, at: "\(source.reference)",
      "looks like \(format.name), and not like the raw image of a disk",
      remedy: "\(format.remedy); or take it as it is with --raw")
  }

  /// A file of the store's own mount would have the daemon wait for itself.
  private func requireOutsideOwnMount(_ reference: BaseReference) throws {
    guard case .file(let path, _) = reference.location, let holder = try? Store.open(store).holder(),
      !holder.mountpoint.isEmpty, path.utf8.starts(with: "\(holder.mountpoint)/".utf8)
    else { return }
    throw StoreError(
      .invalidInput, at: path, "is a LUN of this store itself",
      remedy: "give --from \(path.dropFirst(holder.mountpoint.count + 1)): that is a clone, and there at once"
    )
  }
}

// MARK: - A clone

extension CreateCommand {
  /// The LUN or the snapshot of the store that is meant, if one is.
  private func volume(named text: String) -> VolumeName? {
    guard !text.contains("/"), !NBDBase.isURI(text), let volume = try? VolumeName(text),
      let opened = try? Store.open(store), let names = try? opened.names()
    else { return nil }
    // A snapshot that is not there is missed as a snapshot, and not as a file.
    return names.contains(volume) || text.contains("@") && access(text, F_OK) != 0 ? volume : nil
  }

  private func clone(_ volume: VolumeName) throws {
    if lazy || raw {
      throw StoreError(
        .invalidInput, at: "option '\(lazy ? "--lazy" : "--raw")'",
        "is for images, and '\(volume)' is in the store",
        remedy: "leave it out: a clone is there at once; for a file of that name write ./\(volume)")
    }
    // Its block size has to be the original's.
    let original = try Store.open(store).describe(.lun(volume.lun))
    let unit = String(original.blockSize.rawValue)
    if let blockSize, blockSize != unit {
      throw StoreError(
        .invalidInput, at: "block size '\(blockSize)'",
        "'\(volume)' has blocks of \(unit) bytes, and so has its clone")
    }
    _ = try checked { try LUNRequest(name: name, size: size ?? unit, blockSize: unit) }
    let bytes = try size.map { text in try ByteCount(parsing: text).bytes }
    _ = try StoreClient(store: store, images).perform(
      CloneIntoRequest(source: volume.description, name: name, size: bytes, change: change))
  }
}

/// A clone that differs from its original in size or identity.
struct CloneIntoRequest: StoreRequest {
  static let name = "clone-into"
  var source: String
  var name: String
  /// In bytes; `nil` for the original's.
  var size: Int64?
  var change: LUNProperties.Change

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Done {
    let (source, name) = try (VolumeName(source), LUNName(name))
    if let size {
      let original = try server.openStore.volume(source).size
      guard size >= original else { throw LUNRequest.tooSmall(size, for: source.description, of: original) }
    }
    let openStore = server.openStore
    let clone = {
      _ = try openStore.clone(source, to: name, change)
      guard let size else { return }
      do { try openStore.resize(name, to: size) } catch {
        try openStore.delete(.lun(name))
        throw error
      }
    }
    switch source {
    case .lun(let lun): try server.withStill(lun, "a clone", syncs: true, clone)
    case .snapshot: try clone()
    }
    return Done()
  }
}
