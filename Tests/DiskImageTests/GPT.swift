import TestSupport

/// Writes a GPT with one partition for blocks of any size, which sfdisk does only to devices that have such
/// blocks (UEFI specification, section 5.3).
func writeGPT(_ path: String, diskSize: Int, blockSize: Int, start: Int, size: Int) {
  let lastBlock = diskSize / blockSize - 1
  let type: [UInt8] = [
    0xAF, 0x3D, 0xC6, 0x0F, 0x83, 0x84, 0x72, 0x47, 0x8E, 0x79, 0x3D, 0x69, 0xD8, 0x47, 0x7D, 0xE4,
  ]
  var entries =
    type + [UInt8](1...16) + little(start / blockSize, 8) + little((start + size) / blockSize - 1, 8)
  entries += [UInt8](repeating: 0, count: 128 * 128 - entries.count)

  func header(checksum: UInt32) -> [UInt8] {
    let revision: [UInt8] = [0, 0, 1, 0]
    let place =
      little(1, 8) + little(lastBlock, 8) + little(2 + 16384 / blockSize, 8) + little(lastBlock - 5, 8)
    return Array("EFI PART".utf8) + revision + little(92, 4) + little(Int(checksum), 4) + little(0, 4) + place
      + [UInt8](17...32) + little(2, 8) + little(128, 4) + little(128, 4) + little(Int(crc32(entries)), 4)
  }
  let protective: [UInt8] = [0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF] + little(1, 4) + little(lastBlock, 4)
  patch(path, at: 446, protective)
  patch(path, at: 510, [0x55, 0xAA])
  patch(path, at: blockSize, header(checksum: crc32(header(checksum: 0))))
  patch(path, at: 2 * blockSize, entries)
}

private func little(_ value: Int, _ count: Int) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

/// The CRC of Ethernet and zlib, which a GPT has.
private func crc32(_ bytes: [UInt8]) -> UInt32 {
  ~bytes.reduce(0xFFFF_FFFF as UInt32) { crc, byte in
    (0..<8).reduce(crc ^ UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
  }
}
