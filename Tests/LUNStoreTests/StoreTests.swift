import Glibc
import TestSupport
import Testing

@testable import LUNStore

@Suite("A store")
struct StoreTests {
  private let folder = TemporaryFolder()
  private var path: String { folder("store") }

  private func makeStore(_ names: String..., size: String = "1M") throws -> Store {
    let store = try Store.openOrCreate(path).store
    for name in names { try store.createLUN(LUNRequest(name: name, size: size)) }
    return store
  }

  private func mode(_ path: String) -> mode_t {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
  }

  @Test("has what was created in it, in the order of names, and nobody else may look")
  func created() throws {
    let store = try makeStore("b", "a", "é")
    let (luns, problems) = try Store.open(path).list()
    #expect(problems.isEmpty)
    #expect(luns.map(\.name.text) == ["a", "b", "é"])
    #expect(
      luns.allSatisfy { $0.size.bytes == 1 << 20 && $0.blockSize == .bytes512 && $0.allocated.bytes == 0 })
    #expect(Set(luns.map(\.identifier)).count == 3)
    #expect(try Store.open(path).identifier == store.identifier)
    #expect(mode(path) == 0o700)
    #expect(mode("\(path)/luns/a") == 0o700)
    #expect(mode(layerFile("data.0", ofLUN: "a", inStore: path)) == 0o600)
    #expect(mode("\(path)/luns/a/lun") == 0o600)
  }

  @Test("keeps a LUN larger than the space there is, since it is thin")
  func thin() throws {
    let store = try makeStore("big", size: "4T")
    let lun = try #require(try store.list().luns.first)
    #expect(lun.size.bytes == 4 << 40)
    #expect(lun.allocated.bytes == 0)
  }

  @Test("refuses a name that is taken, and keeps the LUN that has it")
  func taken() throws {
    let store = try makeStore("a")
    let before = try store.list().luns
    let error = thrown(StoreError.self) { try store.createLUN(LUNRequest(name: "a", size: "2M")) }
    #expect(error?.kind == .exists)
    #expect(try store.list().luns == before)
  }

  @Test("gives a name to one of many who want it at once")
  func race() async throws {
    let store = try makeStore()
    let request = try LUNRequest(name: "wanted", size: "1M")
    let winners = await withTaskGroup(of: Int.self) { group in
      for index in 0..<12 {
        group.addTask {
          let won = (try? store.createLUN(request)) != nil
          _ = try? store.createLUN(LUNRequest(name: "own-\(index)", size: "1M"))
          return won ? 1 : 0
        }
      }
      return await group.reduce(0, +)
    }
    #expect(winners == 1)
    let (luns, problems) = try store.list()
    #expect(luns.count == 13)
    #expect(problems.isEmpty)
  }

  @Test("forgets what an interrupted creation left behind")
  func leftovers() throws {
    let store = try makeStore("a")
    run("cp", "-r", "\(path)/luns/a", "\(path)/luns/.new-interrupted")
    #expect(try store.list().luns.map(\.name.text) == ["a"])
    #expect(try store.list().problems.isEmpty)
    try store.createLUN(LUNRequest(name: "b", size: "1M"))
    #expect(access("\(path)/luns/.new-interrupted", F_OK) == -1)
  }

  @Test("goes on where an interrupted creation of the store stopped")
  func halfMade() throws {
    mkdir(path, 0o755)
    mkdir("\(path)/luns", 0o700)
    write("half".utf8, to: "\(path)/.new-record")
    let (store, made) = try Store.openOrCreate(path)
    #expect(made == .contents)
    try store.createLUN(LUNRequest(name: "a", size: "1M"))
    #expect(try Store.open(path).list().luns.count == 1)
  }

  @Test("is not made where something else is, and what is there stays")
  func occupied() throws {
    mkdir(path, 0o755)
    write("precious".utf8, to: "\(path)/file")
    let error = thrown(StoreError.self) { try Store.openOrCreate(path) }
    #expect(error?.kind == .notAStore)
    #expect(contents(of: "\(path)/file") == Array("precious".utf8))
    #expect(mode(path) == 0o755)
    #expect(thrown(StoreError.self) { try Store.openOrCreate("\(path)/file") }?.kind == .notAStore)
    #expect(
      thrown(StoreError.self) { try Store.openOrCreate("\(path)/no/where") }?.kind == .system(ENOENT)
    )
    #expect(thrown(StoreError.self) { try Store.openOrCreate("a\0b") }?.kind == .invalidInput)
  }

  @Test("is undone only as far as it was made, and never with a LUN in it")
  func undo() throws {
    let (store, made) = try Store.openOrCreate(path)
    #expect(made == .folderAndContents)
    let lun = try store.createLUN(LUNRequest(name: "a", size: "1M"))
    store.undo(made)
    #expect(try Store.open(path).list().luns == [lun])
    run("sh", "-c", "rm -r '\(path)'/luns/a '\(path)'/layers/*")
    store.undo(.contents)
    #expect(mode(path) == 0o700)
    #expect(thrown(StoreError.self) { try Store.open(path) }?.kind == .notAStore)
    let again = try Store.openOrCreate(path)
    again.store.undo(.folderAndContents)
    #expect(thrown(StoreError.self) { try Store.open(path) }?.kind == .absent)
  }

  /// Each breaks a sound store with the LUNs `a` and `b` in one way.
  enum Damage: String, CaseIterable, Sendable {
    case recordGone, recordEmpty, recordFlipped, recordHuge, recordIsFIFO, recordIsLink, dataGone, dataShort
    case layerRecordGone, layerRecordFlipped, layerGone, layerRenamed
    case dataIsFolder, folderRenamed, folderIsFile, folderIsLink

    func inflict(_ luns: String) {
      let record = "\(luns)/a/lun"
      let data = layerFile("data.0", ofLUN: "a", inStore: luns + "/..")
      let layer = layerFile("layer", ofLUN: "a", inStore: luns + "/..")
      switch self {
      case .recordGone: unlink(record)
      case .recordEmpty: truncate(record, 0)
      case .recordFlipped: patch(record, at: 20, [0])
      case .recordHuge: makeSparse(record, 1 << 40)
      case .recordIsFIFO:
        unlink(record)
        mkfifo(record, 0o600)
      case .recordIsLink:
        unlink(record)
        symlink("../b/lun", record)
      case .dataGone: unlink(data)
      case .dataShort: truncate(data, 1000)
      case .layerRecordGone: unlink(layer)
      case .layerRecordFlipped: patch(layer, at: 30, [0])
      case .layerGone: run("sh", "-c", "rm -r \"$(dirname '\(layer)')\"")
      case .layerRenamed: run("sh", "-c", "mv \"$(dirname '\(layer)')\" '\(luns)/../layers/\(Identifier())'")
      case .dataIsFolder:
        unlink(data)
        mkdir(data, 0o700)
      case .folderRenamed: rename("\(luns)/a", "\(luns)/c")
      case .folderIsFile:
        run("rm", "-r", "\(luns)/a")
        write([], to: "\(luns)/a")
      case .folderIsLink:
        run("rm", "-r", "\(luns)/a")
        symlink("b", "\(luns)/a")
      }
    }
  }

  @Test("with a damaged LUN says which and still lists the others", arguments: Damage.allCases)
  func damaged(_ damage: Damage) throws {
    let store = try makeStore("a", "b")
    damage.inflict("\(path)/luns")
    let (luns, problems) = try store.list()
    #expect(luns.map(\.name.text) == ["b"])
    try #require(problems.count == 1)
    let text = problems[0].description
    #expect(text.contains("/luns/a") || text.contains("/luns/c") || text.contains("'a' needs it"), "\(text)")
  }

  @Test("with a damaged record of its own is refused")
  func damagedStore() throws {
    _ = try makeStore("a")
    let sound = try #require(contents(of: "\(path)/store"))
    patch("\(path)/store", at: 25, [UInt8(ascii: "x")])
    #expect(thrown(StoreError.self) { try Store.open(path) }?.kind == .damaged)
    write(sound, to: "\(path)/store")
    rename("\(path)/luns", "\(path)/elsewhere")
    #expect(thrown(StoreError.self) { try Store.open(path) }?.kind == .damaged)
  }

  @Test("of a later version is refused, and says so")
  func newer() throws {
    _ = try makeStore("a")
    let text = "fuse-lun store 7\nshape cube\n"
    let digits = String(CRC32C.checksum(text.utf8), radix: 16)
    write(
      Array((text + "crc32c " + String(repeating: "0", count: 8 - digits.count) + digits + "\n").utf8),
      to: "\(path)/store")
    let error = thrown(StoreError.self) { try Store.open(path) }
    #expect(error?.kind == .newer)
    #expect(error?.problem.contains("7") == true)
  }

  @Test("is served once at a time, and the second is told by whom and where")
  func served() throws {
    let store = try makeStore("a")
    #expect(try store.holder() == nil)
    let lock = try store.serve(at: "/mnt/with space")
    let error = thrown(StoreError.self) { try Store.open(path).serve(at: "/mnt/other") }
    #expect(error?.kind == .busy)
    #expect(error?.problem.contains("process \(getpid()) at '/mnt/with space'") == true)
    #expect(try store.holder() == StoreHolder(process: getpid(), mountpoint: "/mnt/with space"))
    lock.release()
    #expect(try store.holder() == nil)
    _ = try store.serve(at: "/mnt/third")
  }

  @Test("tells all that is wrong with a request at once, and the sizes that would be right")
  func requests() {
    let problems = thrown(StoreProblems.self) {
      try LUNRequest(name: "a/b", size: "10X", blockSize: "513")
    }
    #expect(problems?.all.count == 3)
    let uneven = thrown(StoreProblems.self) {
      try LUNRequest(name: "a", size: "1000", blockSize: "4096")
    }
    #expect(uneven?.all.first?.remedy?.contains("4096") == true)
    let odd = thrown(StoreProblems.self) { try LUNRequest(name: "a", size: "1025") }
    #expect(odd?.all.first?.remedy?.contains("1024 and 1536") == true)
    #expect(throws: StoreProblems.self) { try LUNRequest(name: "a", size: "0") }
    #expect(throws: StoreProblems.self) { try LUNRequest(name: "a", size: "9223372036854775807") }
  }

  @Test("is read whole by those who do not serve it, while snapshots and LUNs come and go")
  func readWhileChanged() async throws {
    let folder = TemporaryFolder(inMemory: true)
    let path = folder("store")
    try Store.openOrCreate(path).store.createLUN(LUNRequest(name: "a", size: "1M"))
    let changes = Task.detached { () throws in
      let (store, lun) = (try OpenStore(path, at: ""), try LUNName("a"))
      for round in 0..<120 {
        _ = try [1].withUnsafeBytes { try store.lun(lun).write($0, at: Int64(round) * 1024) }
        try store.snapshot(SnapshotName(lun: lun, label: LUNName("s\(round)")))
        let clone = try store.clone(.lun(lun), to: LUNName("c")).name
        if round > 1 { try store.delete(.snapshot(SnapshotName(lun: lun, label: LUNName("s\(round - 2)")))) }
        try store.delete(.lun(clone))
      }
      try store.release()
      try store.store.createLUN(LUNRequest(name: "end", size: "1M"))
    }
    let reader = try Store.open(path)
    while true {
      let (luns, problems) = try reader.list()
      try #require(problems == [])
      try #require(try reader.snapshots(of: LUNName("a")).problems == [])
      if luns.contains(where: { $0.name.text == "end" }) { break }
      await Task.yield()
    }
    try await changes.value
  }

  @Test("calls damaged what is damaged twice in the same way, and not what was just being changed")
  func settled() throws {
    let store = try makeStore()
    func damage(_ place: Int) -> StoreError { StoreError(.damaged, at: "\(place)", "is damaged") }
    var reads = 0
    let result = try store.settled { () throws(StoreError) -> Int in
      reads += 1
      if reads < 4 { throw damage(reads) }
      return reads
    }
    #expect(result == 4)
    reads = 0
    let error = thrown(StoreError.self) {
      try store.settled { () throws(StoreError) in
        reads += 1
        throw damage(0)
      }
    }
    #expect(error == damage(0))
    #expect(reads == 2)
  }

  @Test("knows a snapshot from another one that has its name now")
  func sameSnapshot() throws {
    _ = try makeStore("a")
    let name = try SnapshotName(lun: LUNName("a"), label: LUNName("s"))
    let store = try OpenStore(path, at: "")
    let first = try store.snapshot(name).identifier
    #expect(try store.store.has(name, first))
    try store.delete(.snapshot(name))
    #expect(try !store.store.has(name, first))
    let second = try store.snapshot(name).identifier
    #expect(try !store.store.has(name, first))
    #expect(try store.store.has(name, second))
    try store.delete(.lun(LUNName("a")), withSnapshots: true)
    #expect(try !store.store.has(name, second))
  }

  @Test(
    "stays its owner's when root does something in it", .enabled(if: geteuid() == 0, "only root can be root"))
  func owner() throws {
    _ = try makeStore("a")
    #expect(run("chown", "-R", "65534:65534", path).status == 0)
    let name = try SnapshotName(lun: LUNName("a"), label: LUNName("s"))
    let store = try OpenStore(path, at: "")
    try store.snapshot(name)
    _ = try [1].withUnsafeBytes { try store.lun(name.lun).write($0, at: 0) }
    try store.clone(.lun(name.lun), to: LUNName("b"))
    try store.release()
    try store.store.createLUN(LUNRequest(name: "c", size: "1M"))
    #expect(run("find", path, "-uid", "0", "-o", "-gid", "0").output == "")
  }
}
