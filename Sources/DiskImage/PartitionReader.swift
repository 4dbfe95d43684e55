import CBlkid
import Glibc

/// Reads the partition table of a disk with libblkid.
struct PartitionReader {
  let disk: Disk
  let blockSize: Int
  let firstSector: [UInt8]

  /// The table and its entries; no table is no error, and neither is a damaged one.
  func read() throws(DiskImageError) -> (PartitionTable?, [Partition]) {
    let probe = try Probe(disk, at: 0, length: disk.size)
    blkid_probe_set_sectorsize(probe.raw, UInt32(blockSize))
    blkid_probe_enable_superblocks(probe.raw, 0)
    blkid_probe_enable_partitions(probe.raw, 1)
    // The list belongs to the probe.
    guard let list = blkid_probe_get_partitions(probe.raw), let table = blkid_partlist_get_table(list) else {
      return (damagedTable(), [])
    }
    let kind = text(blkid_parttable_get_type(table)) ?? "unknown"
    var partitions: [Partition] = []
    for index in 0..<max(0, blkid_partlist_numof_partitions(list)) {
      guard let entry = blkid_partlist_get_partition(list, index) else { continue }
      partitions.append(try partition(entry, tableKind: kind))
    }
    return (
      PartitionTable(kind: kind, identifier: text(blkid_parttable_get_id(table)), damage: nil), partitions
    )
  }

  private func partition(_ entry: blkid_partition, tableKind: String) throws(DiskImageError) -> Partition {
    // libblkid counts in 512 bytes whatever the block size.
    let start = bytes(blkid_partition_get_start(entry))
    let size = bytes(blkid_partition_get_size(entry))
    let isExtended = blkid_partition_is_extended(entry) == 1
    let isLogical = blkid_partition_is_logical(entry) == 1
    let (end, overflow) = start.addingReportingOverflow(size)
    let number = "0x" + String(UInt32(bitPattern: blkid_partition_get_type(entry)), radix: 16)
    return Partition(
      number: Int(blkid_partition_get_partno(entry)), start: start, size: size,
      type: text(blkid_partition_get_type_string(entry)) ?? number,
      role: isExtended ? .extended : isLogical ? .logical : .primary,
      uuid: text(blkid_partition_get_uuid(entry)), label: text(blkid_partition_get_name(entry)),
      flags: blkid_partition_get_flags(entry), exceedsDisk: overflow || end > disk.size,
      // An extended partition holds partitions.
      content: isExtended ? .unknown : try disk.content(at: start, length: size),
      bootSector: BootSector(try disk.bytes(at: start, count: 512)))
  }

  /// A disk whose MBR says that there is a table, which libblkid cannot read.
  private func damagedTable() -> PartitionTable? {
    guard firstSector.count >= 512, firstSector[510] == 0x55, firstSector[511] == 0xAA else { return nil }
    let types = (0..<4).map { firstSector[446 + 16 * $0 + 4] }
    guard types.contains(0xEE) else { return nil }
    return PartitionTable(
      kind: "gpt", identifier: nil,
      damage:
        "the protective MBR announces a GPT, but neither its header in block 1 nor the backup in the last "
        + "block is valid: the image is cut off, or made for blocks of another size than \(blockSize) bytes")
  }

  private func bytes(_ sectors: blkid_loff_t) -> Int64 {
    let (bytes, overflow) = Int64(sectors).multipliedReportingOverflow(by: 512)
    return overflow || bytes < 0 ? Int64.max : bytes
  }

  private func text(_ string: UnsafePointer<CChar>?) -> String? {
    guard let string, string.pointee != 0 else { return nil }
    return String(cString: string)
  }
}
