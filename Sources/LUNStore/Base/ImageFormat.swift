/// A format in which the bytes of a file are not those of the disk.
public struct ImageFormat: Equatable, Sendable {
  /// As QEMU calls it.
  public let name: String
  /// What to do to read such a file.
  public let remedy: String

  /// The format that the first bytes of a file are of; `nil` for a raw image, as far as one can see.
  ///
  /// A raw image can begin like that too, since its first sector is whatever somebody wrote there. So this is a reason
  /// to ask, and never one to read the file as such a format.
  ///
  /// - Parameter head: at least 68 bytes, or the whole file.
  init?(head: [UInt8]) {
    let found = Self.marks.first { head.dropFirst($0.offset).starts(with: $0.bytes) }
    guard let found else { return nil }
    name = found.name
    remedy =
      found.isPacked
      ? "unpack it first"
      : "serve it with 'qemu-nbd --read-only --persistent --format \(found.name) --socket /SOCKET FILE' and give "
        + "--from 'nbd+unix:///?socket=/SOCKET'"
  }

  private static let marks: [(name: String, offset: Int, bytes: [UInt8], isPacked: Bool)] = [
    ("qcow2", 0, Array("QFI".utf8) + [0xFB], false), ("qed", 0, Array("QED\0".utf8), false),
    ("vmdk", 0, Array("KDMV".utf8), false), ("vmdk", 0, Array("# Disk DescriptorFile".utf8), false),
    ("vdi", 64, [0x7F, 0x10, 0xDA, 0xBE], false), ("vhdx", 0, Array("vhdxfile".utf8), false),
    ("vpc", 0, Array("conectix".utf8), false), ("gzip", 0, [0x1F, 0x8B, 0x08], true),
    ("xz", 0, [0xFD] + Array("7zXZ\0".utf8), true), ("zstd", 0, [0x28, 0xB5, 0x2F, 0xFD], true),
    ("bzip2", 0, Array("BZh".utf8), true),
  ]
}

extension FileBase {
  /// The format that the file seems to be in, if its bytes are not those of the disk.
  public var format: ImageFormat? {
    var head = [UInt8](repeating: 0, count: Int(min(size, 512)))
    let isRead = head.withUnsafeMutableBytes { bytes in
      (try? read(into: bytes, at: 0)) != nil
    }
    return isRead ? ImageFormat(head: head) : nil
  }
}
