import DiskImage
import Sim

extension ScenarioResources.Image {
  /// Looks into an image file, a block device, or a LUN given as STORE:NAME.
  init(path: String) throws(ScenarioResources.Failure) {
    let disk: DiskImage
    do throws(DiskImageError) {
      disk = try DiskImage.open(path: path)
    } catch {
      throw ScenarioResources.Failure(error.problem, hint: error.remedy)
    }
    var notes: [String] = []
    if let damage = disk.partitionTable?.damage {
      notes.append("its partition table cannot be used: \(damage)")
    }
    if let whole = disk.wholeDisk, disk.partitionTable == nil {
      notes.append(
        "it is one \(whole.type) without a partition table, and a scenario's file systems are in partitions")
    }
    // An extended partition is only a box for the logical ones.
    let partitions = disk.partitions.filter { $0.role != .extended }.map { partition in
      if partition.exceedsDisk {
        notes.append("partition \(partition.number) ends beyond the end of the image")
      }
      if case .ambiguous(let types) = partition.content {
        notes.append(
          "partition \(partition.number) has the signatures of \(types.joined(separator: " and "))")
      }
      return PartitionSpec(
        number: partition.number, fileSystem: partition.fileSystem?.type, uuid: partition.fileSystem?.uuid,
        label: partition.fileSystem?.label, holds: nil, size: partition.size)
    }
    let content = DiskContent(bootCode: Self.bootCode(disk.bootSector), grub: nil, partitions: partitions)
    self.init(size: disk.size, content: content, notes: notes)
  }

  /// What a BIOS finds in the first sector. Code that is not GRUB's is a partitioning tool's, which starts
  /// nothing here: no installed system's own loader is told from it by its bytes alone.
  private static func bootCode(_ sector: BootSector) -> DiskContent.BootCode {
    if !sector.hasSignature { return .none }
    return sector.isGRUB ? .grub : .signatureOnly
  }
}
