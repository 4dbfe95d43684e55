import TestSupport
import Testing

@testable import LUNStore

@Suite("Records")
struct RecordTests {
  private let record = Record(kind: .lun, fields: [("name", "disk 0 \u{301}"), ("size", "512")])

  @Test(
    "have the checksum that iSCSI and ext4 have",
    arguments: [
      // RFC 3720, appendix B.4, and the check value of the CRC catalogue.
      ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
      (Array(0..<32), 0x46DD_794E), (Array("123456789".utf8), 0xE306_9283), ([], 0),
    ] as [([UInt8], UInt32)])
  func checksum(_ bytes: [UInt8], _ expected: UInt32) {
    #expect(CRC32C.checksum(bytes) == expected)
    #expect(bytes.withUnsafeBytes { CRC32C.checksumByTables($0) } == expected)
    // Without storage of its own.
    #expect(CRC32C.checksum(bytes.lazy.map { $0 }) == expected)
  }

  @Test("are read as they were written")
  func roundTrip() throws {
    #expect(try Record(decoding: record.encoded, as: .lun, path: "p") == record)
  }

  @Test("with any one byte changed are refused as damaged, never as newer")
  func everyByte() {
    let bytes = record.encoded
    for index in bytes.indices {
      for mask in [1, 2, 4, 16, 128, 255] as [UInt8] {
        var damaged = bytes
        damaged[index] ^= mask
        let error = thrown(StoreError.self) {
          try Record(decoding: damaged, as: .lun, path: "p")
        }
        #expect(error?.kind == .damaged, "byte \(index) xor \(mask)")
      }
    }
  }

  @Test("that were cut off anywhere are refused as damaged")
  func everyLength() {
    let bytes = record.encoded
    for length in bytes.indices {
      let error = thrown(StoreError.self) {
        try Record(decoding: Array(bytes.prefix(length)), as: .lun, path: "p")
      }
      #expect(error?.kind == .damaged, "\(length) bytes")
    }
  }

  @Test(
    "that are sound but not of this version, kind or form are refused with the reason",
    arguments: [
      ("fuse-lun LUN 3\nname a\n", StoreError.Kind.newer, "version 3"),
      ("fuse-lun LUN 0\nname a\n", .damaged, "no version"),
      ("fuse-lun LUN 99999999999999999999\n", .damaged, "no version"),
      ("fuse-lun store 1\nuuid a\n", .damaged, "does not begin"),
      ("fuse-lun LUN 2\nname\n", .damaged, "without a key"),
      ("fuse-lun LUN 2\n name\n", .damaged, "without a key"),
      ("fuse-lun LUN 2\n\n", .damaged, "without a key"),
      ("fuse-lun LUN 2\nname a\nname b\n", .damaged, "twice"),
    ])
  func sound(_ text: String, _ kind: StoreError.Kind, _ reason: String) {
    let digits = String(CRC32C.checksum(text.utf8), radix: 16)
    let line = "crc32c \(String(repeating: "0", count: 8 - digits.count))\(digits)\n"
    let error = thrown(StoreError.self) {
      try Record(decoding: Array((text + line).utf8), as: .lun, path: "p")
    }
    #expect(error?.kind == kind)
    #expect(error?.problem.contains(reason) == true, "\(error as Any)")
  }
}
