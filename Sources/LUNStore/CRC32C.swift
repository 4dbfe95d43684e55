import CLinux

/// The Castagnoli cyclic redundancy check, as in iSCSI digests and ext4 metadata: reflected polynomial
/// 0x82F63B78, initial value and final inversion all ones (RFC 3720, appendix B.4).
///
/// By the machine's own instruction, or eight bytes a step with eight tables (Kounavis and Berry, "A Systematic
/// Approach to Building High Performance Software-Based CRC Generators", 2005): the map of a large LUN is tens
/// of megabytes, and a write log has every byte that is written.
enum CRC32C {
  /// Table *k* is the effect of a byte that *k* zero bytes follow; one after the other.
  private static let tables: [UInt32] = {
    var tables: [UInt32] = (0..<256).map { (byte: UInt32) -> UInt32 in
      var crc = byte
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
      return crc
    }
    for index in 256..<(8 * 256) {
      let before = tables[index - 256]
      tables.append(tables[Int(before & 0xFF)] ^ before >> 8)
    }
    return tables
  }()

  static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    bytes.withContiguousStorageIfAvailable { checksum(UnsafeRawBufferPointer($0)) }
      ?? Array(bytes).withUnsafeBytes { checksum($0) }
  }

  static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    return linux_crc32c(&crc, bytes.baseAddress, bytes.count) != 0 ? ~crc : checksumByTables(bytes)
  }

  /// The same, on any machine.
  static func checksumByTables(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    tables.withUnsafeBufferPointer { table in
      var crc: UInt32 = 0xFFFF_FFFF
      var index = 0
      while index + 8 <= bytes.count {
        let word =
          UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)) ^ UInt64(crc)
        crc = 0
        for step in 0..<8 {
          crc ^= table[(7 - step) * 256 + Int(word >> (UInt64(step) * 8) & 0xFF)]
        }
        index += 8
      }
      while index < bytes.count {
        crc = table[Int(UInt8(truncatingIfNeeded: crc) ^ bytes[index])] ^ crc >> 8
        index += 1
      }
      return ~crc
    }
  }
}
