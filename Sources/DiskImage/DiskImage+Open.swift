import CLinux
import Glibc
import LUNStore

extension DiskImage {
  /// Opens a raw image, a block device, or a LUN that is written as `STORE:NAME`.
  ///
  /// A file that has this very name comes first. A LUN is read from its store; it need not be mounted, and
  /// may be.
  public static func open(path: String) throws(DiskImageError) -> DiskImage {
    guard !path.utf8.contains(0) else {
      throw DiskImageError(.notAnImage, at: "image", "its name has a NUL byte")
    }
    // Not to wait for a writer, should it be a FIFO.
    let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      let code = errno
      if let (store, name) = splitAtStore(path) { return try open(store: store, lun: name) }
      throw .system("open", path, code: code)
    }
    defer { close(descriptor) }
    let (size, blockSize) = try geometry(of: descriptor, path)
    return try read(descriptor, name: path, size: size, logicalBlockSize: blockSize)
  }

  /// Opens a LUN of a store, or a snapshot: `NAME` or `NAME@LABEL`.
  public static func open(store: String, lun name: String) throws(DiskImageError) -> DiskImage {
    let result: Result<DiskImage, DiskImageError>
    do throws(StoreError) {
      let lun = try Store.open(store).open(VolumeName(name))
      let examine = { (descriptor: Int32) in
        Result { () throws(DiskImageError) in
          try read(
            descriptor, name: "\(store):\(name)", size: lun.size, logicalBlockSize: Int(lun.blockSize))
        }
      }
      // libblkid reads files, and several layers are none.
      result = if let flat = lun.withFlatFile(examine) { flat } else { try lun.withCopy(examine) }
    } catch {
      throw DiskImageError(error)
    }
    return try result.get()
  }

  /// The first way to read `STORE:NAME` in which STORE is a folder; both may have colons in them.
  private static func splitAtStore(_ path: String) -> (store: String, name: String)? {
    for colon in path.utf8.indices where path.utf8[colon] == UInt8(ascii: ":") {
      let store = String(path[..<colon])
      var status = stat()
      if stat(store, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR {
        return (store, String(path[path.utf8.index(after: colon)...]))
      }
    }
    return nil
  }

  /// Size in bytes, and the logical block size where it is known for sure.
  private static func geometry(
    of descriptor: Int32, _ path: String
  ) throws(DiskImageError) -> (size: Int64, blockSize: Int?) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system("read the attributes", path, code: errno) }
    switch status.st_mode & S_IFMT {
    case S_IFREG:
      return (Int64(status.st_size), nil)
    case S_IFBLK:
      var bytes: UInt64 = 0
      var blockSize: Int32 = 0
      guard linux_block_device_size(descriptor, &bytes) == 0,
        linux_block_device_logical_block_size(descriptor, &blockSize) == 0
      else { throw .system("read the size", path, code: errno) }
      return (Int64(clamping: bytes), Int(blockSize))
    case S_IFDIR:
      guard let store = try? Store.open(path) else {
        throw DiskImageError(
          .notAnImage, at: path, "is a folder", remedy: "name a raw image, or STORE:NAME for a LUN")
      }
      let names = ((try? store.names()) ?? []).prefix(5).map { "\(path):\($0)" }.joined(separator: ", ")
      throw DiskImageError(
        .notAnImage, at: path, "is a store of LUNs", remedy: "name one of its LUNs: \(names)")
    default:
      throw DiskImageError(.notAnImage, at: path, "is neither a file nor a block device")
    }
  }

  private static func read(
    _ descriptor: Int32, name: String, size: Int64, logicalBlockSize: Int?
  ) throws(DiskImageError) -> DiskImage {
    guard size >= 512 else {
      throw DiskImageError(
        .tooSmall, at: name, "has \(size) bytes, and a disk has at least one sector of 512")
    }
    let disk = Disk(descriptor: descriptor, name: name, size: size)
    let head = try disk.bytes(at: 0, count: 4096 + 8)
    if logicalBlockSize == nil, let format = wrapping(head) {
      let unpack =
        format.isDisk
        ? "'qemu-img convert -O raw' makes one that can be read" : "unpack it with '\(format.name)'"
      throw DiskImageError(
        .notRaw(format: format.name), at: name, "is no raw image: it begins as \(format.name) does",
        remedy: unpack)
    }
    let blockSize =
      logicalBlockSize ?? (hasGPTHeader(head, at: 4096) && !hasGPTHeader(head, at: 512) ? 4096 : 512)
    let (table, partitions) = try PartitionReader(disk: disk, blockSize: blockSize, firstSector: head).read()
    return DiskImage(
      name: name, size: size, logicalBlockSize: blockSize, partitionTable: table, partitions: partitions,
      content: try disk.content(at: 0, length: size), bootSector: BootSector(head))
  }

  private static func hasGPTHeader(_ head: [UInt8], at offset: Int) -> Bool {
    head.dropFirst(offset).starts(with: Array("EFI PART".utf8))
  }

  /// The format of an image that is not raw, by its first bytes. None of them can begin a disk that a BIOS
  /// boots.
  private static func wrapping(_ head: [UInt8]) -> (name: String, isDisk: Bool)? {
    let formats: [(magic: [UInt8], name: String, isDisk: Bool)] = [
      ([0x51, 0x46, 0x49, 0xFB], "qcow2", true), (Array("KDMV".utf8), "vmdk", true),
      (Array("vhdxfile".utf8), "vhdx", true), (Array("conectix".utf8), "vpc", true),
      ([0x1F, 0x8B, 0x08], "gzip", false), ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], "xz", false),
      ([0x28, 0xB5, 0x2F, 0xFD], "zstd", false),
    ]
    return formats.first { head.starts(with: $0.magic) }.map { ($0.name, $0.isDisk) }
  }
}
