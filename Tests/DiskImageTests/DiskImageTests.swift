import Glibc
import LUNStore
import TestSupport
import Testing

@testable import DiskImage

/// Tools that make the images; without them there is nothing to compare with.
private let haveTools = hasTools("sfdisk", "mkfs.ext4", "mkfs.xfs", "mkswap", "blkid", "mkfs.vfat")

@Suite(
  "A disk image",
  .enabled(if: haveTools, "needs sfdisk, mkfs.ext4, mkfs.xfs, mkfs.vfat, mkswap and blkid"),
  .timeLimit(.minutes(60)))
struct DiskImageTests {
  private let folder = TemporaryFolder()

  /// A sparse file with the partition table that a script of sfdisk describes.
  private func image(_ script: String, size: Int = 512 << 20, name: String = "disk.img") throws -> String {
    let path = folder(name)
    makeSparse(path, size)
    let outcome = run("sh", "-c", "printf '\(script)' | sfdisk -q --no-reread '\(path)'")
    try #require(outcome.status == 0, "\(outcome)")
    return path
  }

  /// Makes a file system in a file of its own and puts it into the image.
  private func fill(_ image: String, at offset: Int64, size: Int64, _ words: String...) throws {
    let part = folder("part-\(offset)")
    makeSparse(part, Int(size))
    let made = run(words + [part])
    try #require(made.status == 0, "\(made)")
    let copied = run(
      "dd", "if=\(part)", "of=\(image)", "bs=1M", "seek=\(offset >> 20)", "conv=notrunc,sparse")
    try #require(copied.status == 0, "\(copied)")
    unlink(part)
  }

  /// What the program `blkid` says of a range: the referee.
  private func blkid(_ image: String, at offset: Int64 = 0, size: Int64? = nil) -> [String: String] {
    var words = ["blkid", "-p", "-o", "export", "-O", String(offset)]
    if let size { words += ["-S", String(size)] }
    var values: [String: String] = [:]
    for line in run(words + [image]).output.split(separator: "\n") {
      let parts = line.split(separator: "=", maxSplits: 1)
      if parts.count == 2 { values[String(parts[0])] = String(parts[1]) }
    }
    return values
  }

  private func expect(_ content: Content, is expected: [String: String], _ place: String) {
    #expect(content.fileSystem?.type == expected["TYPE"], "\(place)")
    #expect(content.fileSystem?.uuid == expected["UUID"], "\(place)")
    #expect(content.fileSystem?.label == expected["LABEL"], "\(place)")
    #expect(content.fileSystem?.version == expected["VERSION"], "\(place)")
    #expect(content.fileSystem?.usage == expected["USAGE"], "\(place)")
  }

  @Test("with an MBR has the partitions that sfdisk made, logical ones too, and what blkid finds in them")
  func mbr() throws {
    let path = try image(
      "label: dos\\nlabel-id: 0x12345678\\nx1 : size=64M,type=83,bootable\\nx2 : size=32M,type=82\\n"
        + "x3 : size=400M,type=5\\nx5 : size=300M,type=83\\nx6 : size=90M,type=83\\n")
    try fill(path, at: 1 << 20, size: 64 << 20, "mkfs.ext4", "-q", "-L", "boot")
    try fill(path, at: 65 << 20, size: 32 << 20, "mkswap", "-q", "-L", "paging")
    let disk = try DiskImage.open(path: path)
    let table = try #require(disk.partitionTable)
    #expect(table.kind == "dos" && table.identifier == "12345678" && table.damage == nil)
    #expect(disk.logicalBlockSize == 512 && disk.size == 512 << 20)
    #expect(disk.hasBootSignature && !disk.hasBootCode)
    #expect(disk.wholeDisk == nil)
    #expect(disk.partitions.map(\.number) == [1, 2, 3, 5, 6])
    #expect(disk.partitions.map(\.role) == [.primary, .primary, .extended, .logical, .logical])
    #expect(disk.partitions.map(\.type) == ["0x83", "0x82", "0x5", "0x83", "0x83"])
    #expect(disk.partitions.map(\.isActive) == [true, false, false, false, false])
    #expect(disk.partitions.map(\.uuid) == [1, 2, 3, 5, 6].map { "12345678-0\($0)" })
    #expect(disk.partitions.map(\.start) == sfdiskStarts(path))
    for partition in disk.partitions where partition.role != .extended {
      #expect(!partition.exceedsDisk)
      expect(
        partition.content, is: blkid(path, at: partition.start, size: partition.size),
        "partition \(partition.number)")
    }
    #expect(disk.partitions[0].fileSystem?.label == "boot")
    #expect(disk.partitions[1].fileSystem?.type == "swap")
  }

  /// Where sfdisk says that partitions start, in bytes.
  private func sfdiskStarts(_ path: String) -> [Int64] {
    run("sfdisk", "-d", path).output.split(separator: "\n").compactMap { line in
      guard let range = line.firstRange(of: "start=") else { return nil }
      return Int64(line[range.upperBound...].drop { $0 == " " }.prefix { $0.isNumber }).map { $0 * 512 }
    }
  }

  @Test("with a GPT has names, GUIDs and attributes, and a boot signature of its protective MBR")
  func gpt() throws {
    let path = try image(
      "label: gpt\\nsize=64M,type=U,name=\"EFI System\"\\n"
        + "size=400M,name=root,uuid=A1B2C3D4-0000-4000-8000-0123456789AB,attrs=LegacyBIOSBootable\\n")
    try fill(path, at: 1 << 20, size: 64 << 20, "mkfs.vfat", "-n", "ESP")
    try fill(path, at: 65 << 20, size: 400 << 20, "mkfs.xfs", "-q", "-f", "-L", "rootfs")
    let disk = try DiskImage.open(path: path)
    #expect(disk.partitionTable?.kind == "gpt" && disk.partitionTable?.damage == nil)
    #expect(disk.partitions.map(\.number) == [1, 2])
    #expect(disk.partitions.map(\.label) == ["EFI System", "root"])
    #expect(disk.partitions[0].type == "c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
    #expect(disk.partitions[1].uuid == "a1b2c3d4-0000-4000-8000-0123456789ab")
    #expect(disk.partitions[1].flags == 4)
    #expect(disk.partitions[0].bootSector.hasSignature && disk.partitions[0].bootSector.hasCode)
    #expect(!disk.partitions[1].bootSector.hasSignature)
    #expect(disk.hasBootSignature && !disk.hasBootCode)
    for partition in disk.partitions {
      expect(
        partition.content, is: blkid(path, at: partition.start, size: partition.size),
        "partition \(partition.number)")
    }
    #expect(disk.partitions.compactMap(\.fileSystem?.type) == ["vfat", "xfs"])
  }

  @Test("without a partition table holds a file system itself", arguments: ["ext4", "xfs", "swap"])
  func wholeDisk(_ type: String) throws {
    let path = folder("disk.img")
    makeSparse(path, 512 << 20)
    let tool = type == "swap" ? ["mkswap"] : ["mkfs.\(type)", "-q"]
    try #require(run(tool + ["-L", "whole", path]).status == 0)
    let disk = try DiskImage.open(path: path)
    #expect(disk.partitionTable == nil && disk.partitions.isEmpty)
    #expect(disk.wholeDisk?.type == type && disk.wholeDisk?.label == "whole")
    expect(disk.content, is: blkid(path), type)
  }

  @Test("has boot code if there is any in the first 440 bytes, and a signature if the sector ends with it")
  func bootCode() throws {
    let path = try image("label: dos\\nsize=10M\\n")
    #expect(try !DiskImage.open(path: path).hasBootCode)
    patch(path, at: 440, [1, 2, 3, 4])
    #expect(try !DiskImage.open(path: path).hasBootCode)
    patch(path, at: 439, [0xF4])
    #expect(try DiskImage.open(path: path).hasBootCode)
    patch(path, at: 510, [0, 0])
    let disk = try DiskImage.open(path: path)
    #expect(!disk.hasBootSignature && disk.partitions.isEmpty)
  }

  @Test("for blocks of 4096 bytes is read as such")
  func largeBlocks() throws {
    let path = folder("disk.img")
    makeSparse(path, 512 << 20)
    writeGPT(path, diskSize: 512 << 20, blockSize: 4096, start: 1 << 20, size: 100 << 20)
    let disk = try DiskImage.open(path: path)
    #expect(disk.logicalBlockSize == 4096)
    #expect(disk.partitionTable?.kind == "gpt")
    #expect(disk.partitions.map(\.start) == [1 << 20])
    #expect(disk.partitions.map(\.size) == [100 << 20])
  }

  @Test("is read from a LUN of a store, mounted or not, with the LUN's block size")
  func lun() throws {
    let path = try image("label: dos\\nsize=64M,type=83\\n", size: 128 << 20)
    try fill(path, at: 1 << 20, size: 64 << 20, "mkfs.ext4", "-q", "-L", "in-lun")
    let store = try Store.openOrCreate(folder("a:store")).store
    try store.createLUN(LUNRequest(name: "iqn.2004-10.org.example:disk", size: "128M"))
    try store.createLUN(LUNRequest(name: "large", size: "1M", blockSize: "4096"))
    try #require(
      run("cp", path, layerFile("data.0", ofLUN: "iqn.2004-10.org.example:disk", inStore: folder("a:store")))
        .status == 0)
    let fromFile = try DiskImage.open(path: path)
    let fromLUN = try DiskImage.open(path: folder("a:store:iqn.2004-10.org.example:disk"))
    #expect(fromLUN == (try DiskImage.open(store: folder("a:store"), lun: "iqn.2004-10.org.example:disk")))
    #expect(fromLUN.partitions == fromFile.partitions)
    #expect(fromLUN.partitions.first?.fileSystem?.label == "in-lun")
    #expect(try DiskImage.open(path: folder("a:store:large")).logicalBlockSize == 4096)
  }

  @Test("with two signatures is ambiguous, as blkid has it")
  func ambiguous() throws {
    let path = folder("disk.img")
    makeSparse(path, 512 << 20)
    try #require(run("mkfs.xfs", "-q", path).status == 0)
    let superblock = try #require(contents(of: path)?.prefix(512))
    try #require(run("mkfs.ext4", "-q", "-F", path).status == 0)
    patch(path, at: 0, Array(superblock))
    guard case .ambiguous(let types) = try DiskImage.open(path: path).content else {
      Issue.record("not ambiguous")
      return
    }
    #expect(Set(types) == ["ext4", "xfs"])
    #expect(run("blkid", "-p", path).status == 8)
  }

  /// What this thread has read so far (proc(5), `rchar`).
  private func bytesRead() throws -> Int {
    let text = String(decoding: try #require(contents(of: "/proc/thread-self/io")), as: UTF8.self)
    return try #require(text.split(separator: "\n").first.flatMap { Int($0.drop { !$0.isNumber }) })
  }

  @Test("of zeros has nothing, and little of it is read")
  func zeros() throws {
    let path = folder("zeros.img")
    makeSparse(path, 1 << 30)
    let before = try bytesRead()
    let disk = try DiskImage.open(path: path)
    #expect(try bytesRead() - before < 16 << 20)
    #expect(disk.partitionTable == nil && disk.partitions.isEmpty && disk.content == .unknown)
    #expect(!disk.hasBootSignature && !disk.hasBootCode)
  }
}
