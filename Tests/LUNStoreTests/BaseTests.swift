import Glibc
import TestSupport
import Testing

@testable import LUNStore

@Suite("A base image", .timeLimit(.minutes(60)))
struct BaseTests {
  private let folder = TemporaryFolder()

  private func bytes(_ base: any BaseSource, _ offset: Int64, _ count: Int) throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0xEE, count: count)
    let read = buffer.withUnsafeMutableBytes { raw in
      Result { () throws(IOError) in try base.read(into: raw, at: offset) }
    }
    try read.get()
    return buffer
  }

  /// All ranges that may hold data.
  private func data(_ base: any BaseSource) throws -> [Range<Int64>] {
    var found: [Range<Int64>] = []
    while let next = try base.nextData(from: found.last?.upperBound ?? 0) { found.append(next) }
    return found
  }

  /// 3 MiB and a bit: data in the second MiB, and in the last bytes.
  private func sparseImage() -> String {
    let path = folder("image")
    makeSparse(path, 3 << 20 | 512)
    patch(path, at: 1 << 20, [UInt8](repeating: 7, count: 1 << 20))
    patch(path, at: 3 << 20, [UInt8](repeating: 9, count: 512))
    return path
  }

  private func expectSparseImage(_ base: any BaseSource) throws {
    #expect(base.size == 3 << 20 | 512)
    #expect(try bytes(base, 1 << 20 - 1, 3) == [0, 7, 7])
    #expect(try bytes(base, 2 << 20 - 1, 2) == [7, 0])
    #expect(try bytes(base, 3 << 20, 512).allSatisfy { $0 == 9 })
    #expect(try data(base) == [1 << 20..<2 << 20, 3 << 20..<3 << 20 | 512])
  }

  @Test("in a file is read with its holes")
  func file() throws {
    let path = sparseImage()
    try expectSparseImage(FileBase(path))
    let again = try #require(BaseReference(recorded: FileBase(path).reference.recorded))
    try expectSparseImage(again.open(with: .own))
  }

  @Test("that is a link, or named relatively, is found again from anywhere")
  func links() throws {
    let path = sparseImage()
    symlink("image", folder("link"))
    #expect(try FileBase(folder("link")).reference == FileBase(path).reference)
    #expect(try FileBase(folder("./link")).reference.description == path)
  }

  @Test(
    "served over NBD is read with its holes",
    .enabled(if: hasTools("nbdkit", "nbdinfo"), "needs nbdkit and libnbd-bin"))
  func nbdkit() throws {
    let server = try #require(NBDServer(nbdkit: "file", sparseImage()))
    let base = try NBDBase(server.uri)
    try expectSparseImage(base)
    try expectSparseImage(try #require(BaseReference(recorded: base.reference.recorded)).open(with: .own))
  }

  @Test(
    "in one of QEMU's formats is read through qemu-nbd", arguments: ["qcow2", "vmdk", "vdi"])
  func qemu(_ format: String) throws {
    guard hasTools("qemu-nbd", "qemu-img", "nbdinfo") else { return }
    let image = folder("image.\(format)")
    let made = run("qemu-img", "convert", "-f", "raw", "-O", format, sparseImage(), image)
    try #require(made.status == 0, "\(made)")
    let server = try #require(NBDServer(qemu: image, format: format))
    let base = try NBDBase(server.uri)
    #expect(base.size >= 3 << 20 | 512)
    #expect(try bytes(base, 1 << 20 - 1, 3) == [0, 7, 7])
    #expect(try bytes(base, 3 << 20, 512).allSatisfy { $0 == 9 })
    let ranges = try data(base)
    #expect(ranges.contains { $0.contains(1 << 20) } && ranges.contains { $0.contains(3 << 20) })
    // The first MiB is a hole in each of these formats, whatever their clusters are.
    #expect(!ranges.contains { $0.contains(0) })
  }

  @Test(
    "whose server sends fixed bytes comes over to the byte",
    .enabled(if: hasTools("nbdkit", "nbdinfo"), "needs nbdkit and libnbd-bin"))
  func pattern() throws {
    // Each 8 bytes are their own offset, big-endian.
    let server = try #require(NBDServer(nbdkit: "pattern", "5G"))
    let base = try NBDBase(server.uri)
    #expect(base.size == 5 << 30)
    let offset: Int64 = 4 << 30 | 0x1234_5678
    let words = try bytes(base, offset, 4 << 20)
    let wrong = words.withUnsafeBytes { raw in
      raw.bindMemory(to: UInt64.self).enumerated().first { index, word in
        UInt64(bigEndian: word) != UInt64(offset) + UInt64(index * 8)
      }
    }
    #expect(wrong == nil)
    #expect(
      try data(base).map(\.upperBound).last == 5 << 30 && data(base).reduce(0) { $0 + $1.count } == 5 << 30)
  }

  @Test(
    "keeps a fragmented image's extents apart",
    .enabled(if: hasTools("nbdkit", "nbdinfo"), "needs nbdkit and libnbd-bin"))
  func fragments() throws {
    let path = folder("image")
    makeSparse(path, 64 << 20)
    for index in 0..<512 { patch(path, at: index << 17, [UInt8](repeating: 1, count: 4096)) }
    let server = try #require(NBDServer(nbdkit: "file", path))
    #expect(try data(NBDBase(server.uri)) == data(FileBase(path)))
    #expect(try data(NBDBase(server.uri)).count == 512)
  }

  @Test(
    "that cannot be one is refused with its name", arguments: ["/dev/null", "/", "/nowhere/image", "empty"])
  func wrongFiles(_ name: String) {
    let path = name == "empty" ? folder("empty") : name
    if name == "empty" { makeSparse(path, 0) }
    let error = thrown(StoreError.self) { try FileBase(path) }
    #expect(error?.place == path)
    #expect(error?.kind == (name.contains("nowhere") ? .absent : .invalidInput))
  }

  @Test(
    "on a server that is not there, or with a URI that is none, is refused with libnbd's words",
    arguments: [
      ("nbd+unix:///?socket=/nowhere/nbd.sock", "No such file"), ("nbd://127.0.0.1:1/", "refused"),
      ("nbd+unix:///", "socket"), ("nbd://[", "URI"),
    ])
  func wrongServers(_ uri: String, _ reason: String) throws {
    let error = try #require(thrown(StoreError.self) { try NBDBase(uri) })
    #expect(error.place == uri && error.problem.contains(reason), "\(error)")
  }

  @Test(
    "that the server fails to read is the error that the server gave",
    .enabled(if: hasTools("nbdkit", "nbdinfo"), "needs nbdkit and libnbd-bin"))
  func serverError() throws {
    let script =
      "case \"$1\" in get_size) echo 1M;; pread) echo 'ENOSPC the tape is off' >&2; exit 1;; *) exit 2;; esac"
    write(Array("#!/bin/sh\n\(script)\n".utf8), to: folder("plugin"))
    chmod(folder("plugin"), 0o755)
    let server = try #require(NBDServer(nbdkit: "sh", folder("plugin")))
    let base = try NBDBase(server.uri)
    let error = try #require(thrown(IOError.self) { try bytes(base, 0, 512) })
    #expect(error == IOError(ENOSPC))
    let told = base.explain(error)
    #expect(told.place == server.uri && told.problem.contains("No space left"), "\(told)")
  }

  @Test(
    "is read on after its server was away, and is refused when it came back with another size",
    .enabled(if: hasTools("nbdkit", "nbdinfo"), "needs nbdkit and libnbd-bin"))
  func restart() throws {
    let path = sparseImage()
    let socket = folder("nbd.sock")
    func serve(_ words: String...) -> Server? {
      unlink(socket)
      return Server(["nbdkit", "--foreground", "--unix", socket] + words) {
        run("nbdinfo", "--size", "nbd+unix:///?socket=\(socket)").status == 0
      }
    }
    var server = try #require(serve("file", path))
    let base = try NBDBase("nbd+unix:///?socket=\(socket)")
    #expect(try bytes(base, 1 << 20, 1) == [7])
    server.stop()
    #expect(thrown(IOError.self) { try bytes(base, 1 << 20, 1) } != nil)
    server = try #require(serve("file", path))
    #expect(try bytes(base, 1 << 20, 1) == [7])
    server.stop()
    server = try #require(serve("memory", "1M"))
    let error = try #require(thrown(IOError.self) { try bytes(base, 0, 1) })
    #expect(base.explain(error).problem.contains("1048576 bytes now"))
    let refused = thrown(StoreError.self) { try base.reference.open(with: .own) }
    #expect(refused?.kind == .baseChanged && refused?.problem.contains("1048576") == true)
  }

  @Test("that vanished, shrank, grew or was written to is refused with its name and what is different")
  func changed() throws {
    let path = sparseImage()
    let reference = try FileBase(path).reference
    func problem() -> StoreError? { thrown(StoreError.self) { try reference.open(with: .own) } }
    rename(path, folder("elsewhere"))
    #expect(problem()?.kind == .baseChanged && problem()?.problem == "is gone")
    rename(folder("elsewhere"), path)
    #expect(problem() == nil)
    patch(path, at: 0, [1])
    #expect(problem()?.kind == .baseChanged)
    for size in [1 << 20, 4 << 20] {
      truncate(path, off_t(size))
      #expect(problem()?.kind == .baseChanged && problem()?.problem.contains("\(size) bytes now") == true)
    }
    #expect(problem()?.place == path)
  }

  @Test("that changes while it is open gives no more bytes, and says why")
  func changesWhileOpen() throws {
    let path = sparseImage()
    let base = try FileBase(path)
    #expect(try bytes(base, 1 << 20, 1) == [7])
    patch(path, at: 0, [1])
    let error = try #require(thrown(IOError.self) { try bytes(base, 1 << 20, 1) })
    #expect(error == IOError(EIO) && base.explain(error).problem.contains("was changed"))
    truncate(path, 4096)
    #expect(thrown(IOError.self) { try bytes(base, 1 << 20, 1) } == IOError(EIO))
  }

  @Test(
    "is recorded as one line and read back",
    arguments: [
      "file 1048576 1700000000123456789 /images/a b.raw", "file 512 - /dev/vg/lv",
      "file 512 -5 /odd%0a%25name", "nbd 5368709120 nbd+unix:///root?socket=/run/nbd.sock",
      "nbd 1 nbds://alice@example.com:1234/x?tls-certificates=/etc/pki",
    ])
  func recorded(_ text: String) {
    #expect(BaseReference(recorded: text)?.recorded == text)
  }

  @Test(
    "whose line is damaged is none",
    arguments: [
      "", "file", "nbd", "file 1", "file 1 2", "file x 2 /a", "file 1 x /a", "file 0 2 /a", "file -1 2 /a",
      "file 1 2 a", "file 1 2 ", "file 01 2 /a", "file 1 +2 /a", "file 1 2 /a%", "file 1 2 /a%0",
      "file 1 2 /a%zz",
      "file 1 2 /a%61", "file 1 2 /a%ff", "nbd 1", "nbd 1 ", "nbd  nbd://x", "ftp 1 ftp://x", "file  1 2 /a",
    ])
  func damagedRecords(_ text: String) {
    #expect(BaseReference(recorded: text) == nil)
  }
}
