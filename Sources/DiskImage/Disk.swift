import CBlkid
import Glibc

/// Bytes on an open descriptor, and libblkid's view of them. Valid only as long as the descriptor is open.
struct Disk {
  let descriptor: Int32
  let name: String
  let size: Int64

  /// Up to `count` bytes; fewer where the disk ends, none outside of it.
  func bytes(at offset: Int64, count: Int) throws(DiskImageError) -> [UInt8] {
    guard offset >= 0, offset < size else { return [] }
    var buffer = [UInt8](repeating: 0, count: Int(min(Int64(count), size - offset)))
    var done = 0
    while done < buffer.count {
      let read = buffer.withUnsafeMutableBytes {
        pread(descriptor, $0.baseAddress! + done, $0.count - done, off_t(offset) + off_t(done))
      }
      if read > 0 {
        done += read
      } else if read == 0 {
        break
      } else if errno != EINTR {
        throw .system("read", name, code: errno)
      }
    }
    return Array(buffer.prefix(done))
  }

  /// What a range of the disk holds.
  func content(at offset: Int64, length: Int64) throws(DiskImageError) -> Content {
    let length = min(length, size - offset)
    guard offset >= 0, length >= 512 else { return .unknown }
    let probe = try Probe(self, at: offset, length: length)
    blkid_probe_enable_superblocks(probe.raw, 1)
    let values = BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID | BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE
    blkid_probe_set_superblocks_flags(probe.raw, values | BLKID_SUBLKS_VERSION)
    switch blkid_do_safeprobe(probe.raw) {
    case 0:
      guard let type = probe.value("TYPE") else { return .unknown }
      return .fileSystem(
        FileSystemInfo(
          type: type, label: probe.value("LABEL"), uuid: probe.value("UUID"), version: probe.value("VERSION"),
          usage: probe.value("USAGE")))
    case 1:
      return .unknown
    case -2:
      return .ambiguous(types: allTypes(probe))
    default:
      throw .system("look for file systems", name, code: errno == 0 ? EIO : errno)
    }
  }

  /// Every signature that there is, one after the other.
  private func allTypes(_ probe: borrowing Probe) -> [String] {
    blkid_reset_probe(probe.raw)
    var types: [String] = []
    // libblkid knows fewer than a hundred types and visits each once; the limit is for a library that does
    // not.
    while types.count < 256, blkid_do_probe(probe.raw) == 0 {
      if let type = probe.value("TYPE"), !types.contains(type) { types.append(type) }
    }
    return types
  }
}

/// A probe of libblkid over a range of a disk.
struct Probe: ~Copyable {
  let raw: blkid_probe

  init(_ disk: Disk, at offset: Int64, length: Int64) throws(DiskImageError) {
    guard let raw = blkid_new_probe() else { throw .system("probe", disk.name, code: ENOMEM) }
    errno = 0
    guard blkid_probe_set_device(raw, disk.descriptor, blkid_loff_t(offset), blkid_loff_t(length)) == 0 else {
      let code = errno == 0 ? EIO : errno
      blkid_free_probe(raw)
      throw .system("probe", disk.name, code: code)
    }
    self.raw = raw
  }

  deinit { blkid_free_probe(raw) }

  /// A value that the last probing found.
  func value(_ name: String) -> String? {
    var data: UnsafePointer<CChar>?
    guard blkid_probe_lookup_value(raw, name, &data, nil) == 0 else { return nil }
    return data.map { String(cString: $0) }
  }
}
