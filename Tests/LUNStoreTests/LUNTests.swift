import Glibc
import TestSupport
import Testing

@testable import LUNStore

@Suite("A LUN")
struct LUNTests {
  private let folder = TemporaryFolder()
  private static let size: Int64 = 1 << 20

  private func makeLUN() throws -> LUN {
    let store = try Store.openOrCreate(folder("store")).store
    try store.createLUN(LUNRequest(name: "lun", size: String(Self.size)))
    return try store.openLUN(LUNName("lun"), .readWrite)
  }

  private func read(_ lun: LUN, _ offset: Int64, _ count: Int) throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0xEE, count: count)
    let length = try buffer.withUnsafeMutableBytes { try lun.read(into: $0, at: offset) }
    return Array(buffer.prefix(length))
  }

  private func write(_ lun: LUN, _ offset: Int64, _ bytes: [UInt8]) throws -> Int {
    try bytes.withUnsafeBytes { try lun.write($0, at: offset) }
  }

  private func code(_ body: () throws -> Void) -> Int32 {
    do { try body() } catch let error as IOError { return error.code } catch { return -1 }
    return 0
  }

  @Test("reads as zeros until it is written to, and then as it was written")
  func contents() throws {
    let lun = try makeLUN()
    #expect(try read(lun, 12_345, 3) == [0, 0, 0])
    #expect(try write(lun, 12_345, [1, 2, 3]) == 3)
    #expect(try read(lun, 12_344, 5) == [0, 1, 2, 3, 0])
    try lun.flush()
  }

  @Test("ends where it ends: short at the end, nothing to read behind it, and no space to write")
  func boundaries() throws {
    let lun = try makeLUN()
    let size = Self.size
    #expect(try write(lun, size - 2, [7, 8]) == 2)
    #expect(try write(lun, size - 1, [9, 9, 9]) == 1)
    #expect(try read(lun, size - 2, 100) == [7, 9])
    #expect(try read(lun, size, 1).isEmpty)
    #expect(try read(lun, Int64.max, 1).isEmpty)
    #expect(code { _ = try write(lun, size, [1]) } == ENOSPC)
    #expect(code { _ = try write(lun, Int64.max, [1, 2]) } == ENOSPC)
    #expect(code { _ = try write(lun, -1, [1]) } == EINVAL)
    #expect(code { _ = try read(lun, Int64.min, 1) } == EINVAL)
    #expect(try write(lun, size, []) == 0)
    #expect(try Int64(lun.status().st_size) == size)
  }

  @Test("gives blocks back, zeroes ranges and allocates without changing what else there is")
  func allocation() throws {
    let lun = try makeLUN()
    _ = try write(lun, 0, [UInt8](repeating: 5, count: 65536))
    try lun.flush()
    let full = try lun.status().st_blocks
    #expect(full >= 128)
    try lun.punchHole(at: 4096, length: 32768)
    #expect(try lun.status().st_blocks <= full - 64)
    #expect(try read(lun, 4095, 2) == [5, 0])
    #expect(try read(lun, 36863, 2) == [0, 5])
    try lun.zero(at: 60_000, length: 10)
    #expect(try read(lun, 59_999, 12) == [5] + [UInt8](repeating: 0, count: 10) + [5])
    let before = try lun.status().st_blocks
    try lun.allocate(at: 1 << 19, length: 65536)
    #expect(try lun.status().st_blocks >= before + 128)
    #expect(try read(lun, 1 << 19, 2) == [0, 0])
  }

  @Test("limits ranges as a block device does")
  func ranges() throws {
    let lun = try makeLUN()
    let size = Self.size
    for change in [lun.punchHole, lun.zero, lun.allocate] {
      #expect(code { try change(size, 512) } == EINVAL)
      #expect(code { try change(-512, 512) } == EINVAL)
      #expect(code { try change(0, 0) } == EINVAL)
      #expect(code { try change(0, -1) } == EINVAL)
      #expect(code { try change(size - 512, Int64.max) } == 0)
      #expect(try Int64(lun.status().st_size) == size)
    }
  }

  @Test("finds data and holes, and the end")
  func seeking() throws {
    let lun = try makeLUN()
    _ = try write(lun, 65536, [UInt8](repeating: 1, count: 4096))
    #expect(try lun.nextData(from: 0) == 65536)
    #expect(try lun.nextHole(from: 65536) == 69632)
    #expect(try lun.nextData(from: 70_000) == nil)
    #expect(try lun.nextHole(from: 0) == 0)
    #expect(try lun.nextHole(from: Self.size) == nil)
    #expect(code { _ = try lun.nextData(from: -1) } == EINVAL)
  }

  @Test("does not take for durable what an earlier flush failed to make so")
  func failedFlush() throws {
    let whole = try makeLUN()
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    // A pipe cannot be flushed: the first flush has the host's error, and the later ones do not ask it again.
    let head = whole.chain.head
    let pipe = LayerFile(in: head.folder, "pipe", O_RDONLY, as: Descriptor(raw: ends[0], path: "pipe"))
    let layer = Layer(record: head.record, folder: head.folder, data: pipe)
    let lun = LUN(whole.volume, whole.record, try Chain([layer], .readWrite, .own), .readWrite)
    #expect(code { try lun.flush() } == EINVAL)
    #expect(code { try lun.flush() } == EIO)
    #expect(thrown(StoreError.self) { try lun.seal() }?.kind == .system(EIO))
    close(ends[1])
  }

  @Test("flushes for many at once")
  func manyFlushes() async throws {
    let lun = try makeLUN()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<32 {
        group.addTask {
          _ = try [UInt8(index)].withUnsafeBytes { try lun.write($0, at: Int64(index)) }
          try lun.flush()
        }
      }
      try await group.waitForAll()
    }
    #expect(try read(lun, 0, 32) == Array(0..<32))
  }

  @Test("whose data file loses its end fails to read there, and does not invent zeros")
  func truncated() throws {
    let lun = try makeLUN()
    truncate(layerFile("data.0", ofLUN: "lun", inStore: folder("store")), 4096)
    #expect(try read(lun, 4000, 200).count == 96)
    #expect(code { _ = try read(lun, 8192, 1) } == EIO)
  }
}
