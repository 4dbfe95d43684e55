/// What is on a disk: its partition table, and what each partition and the disk as a whole hold.
///
/// Read once, when the image is opened, with libblkid, the library that `mount`, udev and initramfs scripts
/// identify file systems with: what it finds here under a UUID is what they would find. Nothing is mounted
/// and no privilege is needed.
public struct DiskImage: Equatable, Sendable {
  /// The image, as it was named.
  public let name: String
  /// In bytes.
  public let size: Int64
  /// In bytes: that of the LUN or the block device; for a file, the one that its GPT is laid out for, or else
  /// 512.
  public let logicalBlockSize: Int
  /// `nil` if there is none.
  public let partitionTable: PartitionTable?
  /// In the order of the table, with extended and logical partitions.
  public let partitions: [Partition]
  /// What the disk holds outside of any partition: a file system without a partition table, a RAID member, …
  public let content: Content
  /// The first sector, which a BIOS starts.
  public let bootSector: BootSector

  /// The file system on the whole disk, if there is exactly one.
  public var wholeDisk: FileSystemInfo? { content.fileSystem }
  /// Whether the first sector ends with 55 AA; without it a BIOS goes on to the next device.
  public var hasBootSignature: Bool { bootSector.hasSignature }
  /// Whether any of the first 440 bytes, where an MBR has its code, is not zero.
  public var hasBootCode: Bool { bootSector.hasCode }
}

/// A partition table.
public struct PartitionTable: Equatable, Sendable {
  /// As libblkid names it: `dos` for an MBR, `gpt`, `bsd`, `mac`, `sun`, …
  public let kind: String
  /// The disk identifier: eight hexadecimal digits for `dos`, a GUID for `gpt`.
  public let identifier: String?
  /// What is wrong with the table, if it cannot be used.
  public let damage: String?
}

/// An entry of a partition table.
public struct Partition: Equatable, Sendable {
  /// Where an entry of an MBR stands.
  public enum Role: Equatable, Sendable { case primary, extended, logical }

  /// As Linux counts: the `2` of `sda2`. Logical partitions begin with 5.
  public let number: Int
  /// In bytes from the beginning of the disk.
  public let start: Int64
  /// In bytes.
  public let size: Int64
  /// `0x83` and the like for an MBR, a GUID in small letters for a GPT.
  public let type: String
  /// Always `primary` but in an MBR.
  public let role: Role
  /// What `root=PARTUUID=` names.
  public let uuid: String?
  /// The name in a GPT, which `root=PARTLABEL=` names.
  public let label: String?
  /// The attribute bits of a GPT, or the boot indicator of an MBR (0x80: active).
  public let flags: UInt64
  /// Whether it ends after the end of the disk: the image is cut off, or the table is wrong.
  public let exceedsDisk: Bool
  /// What it holds.
  public let content: Content
  /// Its first sector, which the code in an MBR starts.
  public let bootSector: BootSector

  /// Its file system, if there is exactly one.
  public var fileSystem: FileSystemInfo? { content.fileSystem }
  /// Whether an MBR's code would start it.
  public var isActive: Bool { type.hasPrefix("0x") && flags & 0x80 != 0 }
}

/// What a partition or a whole disk holds, as far as libblkid knows it.
public enum Content: Equatable, Sendable {
  /// No signature that is known.
  case unknown
  /// Exactly one.
  case fileSystem(FileSystemInfo)
  /// The signatures of several types, none of which can be trusted: neither `mount` nor udev would touch it.
  case ambiguous(types: [String])

  /// The one that there is.
  public var fileSystem: FileSystemInfo? {
    if case .fileSystem(let info) = self { return info }
    return nil
  }
}

/// A file system, or what else libblkid identifies: swap space, a RAID member, an LVM volume, …
public struct FileSystemInfo: Equatable, Sendable {
  /// As `blkid` prints it: `ext4`, `xfs`, `swap`, `LVM2_member`, …
  public let type: String
  /// What `root=LABEL=` names.
  public let label: String?
  /// What `root=UUID=` names.
  public let uuid: String?
  /// The version of the format, where there are several.
  public let version: String?
  /// `filesystem`, `raid`, `crypto` or `other`.
  public let usage: String?
}

/// The first 512 bytes of a disk or a partition.
public struct BootSector: Equatable, Sendable {
  /// 55 AA at bytes 510 and 511.
  public let hasSignature: Bool
  /// Any of the bytes 0 to 439 is not zero.
  public let hasCode: Bool
  /// The code is GRUB's, of either version: it carries the text that both print first.
  public let isGRUB: Bool

  init(_ bytes: some Collection<UInt8>) {
    let sector = Array(bytes.prefix(512))
    hasSignature = sector.count == 512 && sector[510] == 0x55 && sector[511] == 0xAA
    let code = sector.prefix(440)
    hasCode = code.contains { $0 != 0 }
    let mark = Array("GRUB ".utf8)
    isGRUB = code.indices.contains { code[$0...].starts(with: mark) }
  }
}
