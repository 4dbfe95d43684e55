import Glibc
import LUNStore
import TestSupport
import Testing

@testable import DiskImage

@Suite("A damaged disk image", .timeLimit(.minutes(60)))
struct DamagedImageTests {
  private let folder = TemporaryFolder()

  /// One entry of a partition table in an MBR or an EBR.
  private func entry(type: UInt8, start: UInt32, count: UInt32) -> [UInt8] {
    let number = { (value: UInt32) in (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    return [0, 0, 0, 0, type, 0, 0, 0] + number(start) + number(count)
  }

  private func table(_ entries: [UInt8]...) -> [UInt8] {
    let bytes = entries.flatMap { $0 }
    return bytes + [UInt8](repeating: 0, count: 64 - bytes.count) + [0x55, 0xAA]
  }

  private func disk(size: Int = 64 << 20) -> String {
    makeSparse(folder("disk.img"), size)
    return folder("disk.img")
  }

  @Test("whose extended partitions go round in a circle is read to an end")
  func loop() throws {
    let path = disk()
    patch(path, at: 446, table(entry(type: 5, start: 2048, count: 100_000)))
    // The first EBR has a logical partition and points to the second, which points to the first.
    patch(
      path, at: 2048 * 512 + 446,
      table(entry(type: 0x83, start: 63, count: 1000), entry(type: 5, start: 4096, count: 4096)))
    patch(
      path, at: (2048 + 4096) * 512 + 446,
      table(entry(type: 0x83, start: 63, count: 1000), entry(type: 5, start: 0, count: 4096)))
    let image = try DiskImage.open(path: path)
    #expect(image.partitions.contains { $0.role == .extended })
    #expect(image.partitions.count <= 256)
  }

  @Test("whose extended partition points at itself, or out of the disk, keeps its primary partitions")
  func strayChains() throws {
    let path = disk()
    for next in [0, 1, 0xFFFF_FFFF, 130_000] as [UInt32] {
      patch(
        path, at: 446,
        table(entry(type: 0x83, start: 64, count: 1000), entry(type: 0x0F, start: 2048, count: 100_000)))
      patch(
        path, at: 2048 * 512 + 446,
        table(entry(type: 0x83, start: 63, count: 1000), entry(type: 0x0F, start: next, count: 1000)))
      let image = try DiskImage.open(path: path)
      #expect(image.partitions.first?.number == 1, "\(next)")
      #expect(image.partitions.first?.start == Int64(32768), "\(next)")
    }
  }

  @Test(
    "whose extended partition lies outside of it keeps its primary partitions, or says that it cannot be read"
  )
  func extendedOutside() throws {
    let path = disk()
    patch(
      path, at: 446,
      table(entry(type: 0x83, start: 64, count: 1000), entry(type: 5, start: 0xFFFF_0000, count: 0xFFFF)))
    let image = try DiskImage.open(path: path)
    #expect(image.partitionTable?.kind == "dos")
    #expect(image.partitions.first?.number == 1 || image.partitionTable?.damage != nil)
  }

  @Test("that was cut off shows which partitions are not all there")
  func cutOff() throws {
    let path = disk(size: 1 << 20)
    patch(
      path, at: 446,
      table(
        entry(type: 0x83, start: 64, count: 1000), entry(type: 0x83, start: 1064, count: 100_000),
        entry(type: 0x83, start: 0xFFFF_FFFF, count: 0xFFFF_FFFF)))
    let image = try DiskImage.open(path: path)
    #expect(image.partitions.map(\.exceedsDisk) == [false, true, true])
    #expect(image.partitions.map(\.content) == [.unknown, .unknown, .unknown])
  }

  @Test("whose GPT lost both its headers says so", .enabled(if: hasTools("sfdisk"), "needs sfdisk"))
  func gptGone() throws {
    let path = disk()
    try #require(
      run("sh", "-c", "printf 'label: gpt\\nsize=10M\\n' | sfdisk -q --no-reread '\(path)'").status == 0)
    #expect(try DiskImage.open(path: path).partitions.count == 1)
    patch(path, at: 512, [UInt8](repeating: 0, count: 512))
    // The backup in the last block is as good.
    #expect(try DiskImage.open(path: path).partitions.count == 1)
    patch(path, at: (64 << 20) - 512, [UInt8](repeating: 0, count: 512))
    let image = try DiskImage.open(path: path)
    #expect(image.partitions.isEmpty)
    #expect(image.partitionTable?.kind == "gpt")
    #expect(image.partitionTable?.damage?.contains("GPT") == true)
  }

  @Test("of random bytes with a boot signature is read to an end, each time")
  func random() throws {
    var state: UInt64 = 42
    func next() -> UInt8 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 33)
    }
    let path = disk(size: 4 << 20)
    for _ in 0..<200 {
      patch(path, at: 0, (0..<2048).map { _ in next() })
      patch(path, at: 510, [0x55, 0xAA])
      // Half of the time types that lead on, so that chains are followed.
      patch(path, at: 450, [[5, 0x0F, 0x83, 0xEE, 0xA5, 0x82].randomElement() ?? 5])
      let image = try DiskImage.open(path: path)
      #expect(image.hasBootSignature)
      #expect(image.partitions.count <= 512)
    }
  }
}

@Suite("What is no disk image")
struct NoImageTests {
  private let folder = TemporaryFolder()

  private func refuse(_ path: String) -> DiskImageError? {
    thrown(DiskImageError.self) { try DiskImage.open(path: path) }
  }

  @Test("is refused with what it is")
  func kinds() throws {
    #expect(refuse(folder("absent"))?.kind == .absent)
    #expect(refuse(folder("absent:lun"))?.kind == .absent)
    #expect(refuse("")?.kind == .absent)
    #expect(refuse("a\0b")?.kind == .notAnImage)
    #expect(refuse(folder.path)?.kind == .notAnImage)
    #expect(refuse("/dev/null")?.kind == .notAnImage)
    mkfifo(folder("fifo"), 0o600)
    #expect(refuse(folder("fifo"))?.kind == .notAnImage)
    makeSparse(folder("empty"), 0)
    #expect(refuse(folder("empty"))?.kind == .tooSmall)
    makeSparse(folder("short"), 511)
    #expect(refuse(folder("short"))?.kind == .tooSmall)
    #expect(refuse(String(repeating: "x", count: 100_000))?.kind == .system(ENAMETOOLONG))
  }

  @Test(
    "is refused with how to unpack it", arguments: [("qcow2", "QFI\u{FB}"), ("gzip", "\u{1F}\u{8B}\u{08}")])
  func wrapped(_ format: String, _ magic: String) {
    write(
      magic.unicodeScalars.map { UInt8($0.value) } + [UInt8](repeating: 0, count: 4096), to: folder("image"))
    let error = refuse(folder("image"))
    #expect(error?.kind == .notRaw(format: format))
    #expect(error?.remedy != nil)
  }

  @Test("in a store is refused with what the store has")
  func stores() throws {
    let store = try Store.openOrCreate(folder("store")).store
    try store.createLUN(LUNRequest(name: "disk0", size: "1M"))
    #expect(refuse(folder("store"))?.remedy?.contains("store:disk0") == true)
    #expect(refuse(folder("store:other"))?.kind == .absent)
    #expect(refuse(folder("store:../disk0"))?.kind == .store(.invalidInput))
    #expect(refuse("/usr:disk0")?.kind == .store(.notAStore))
    truncate(layerFile("data.0", ofLUN: "disk0", inStore: folder("store")), 5)
    #expect(refuse(folder("store:disk0"))?.kind == .store(.damaged))
  }
}
