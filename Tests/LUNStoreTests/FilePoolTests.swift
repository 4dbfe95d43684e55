import Glibc
import Synchronization
import TestSupport
import Testing

@testable import LUNStore

private func put(_ byte: UInt8, _ lun: LUN, at block: Int) throws {
  let bytes = [UInt8](repeating: byte, count: 4096)
  #expect(try bytes.withUnsafeBytes { try lun.write($0, at: Int64(block) << 12) } == 4096)
}

private func byte(_ lun: LUN, at block: Int) throws -> UInt8 {
  var bytes: [UInt8] = [0xEE]
  _ = try bytes.withUnsafeMutableBytes { try lun.read(into: $0, at: Int64(block) << 12) }
  return bytes[0]
}

/// What the pool does when it needs room.
@discardableResult
private func close(_ file: LayerFile) -> Bool {
  guard file.beginClosing(evenIfRecent: true, evenIfUnflushed: true) else { return false }
  file.finishClosing()
  return true
}

/// Files of layers are closed when others need the room. Nobody notices.
@Suite("A file of a layer that is closed in between")
struct FilePoolTests {
  private let folder = TemporaryFolder(inMemory: true)
  private let name: LUNName

  init() throws { name = try LUNName("a") }

  private func makeStore(_ size: String = "1M") throws -> OpenStore {
    try Store.openOrCreate(folder("store")).store.createLUN(LUNRequest(name: "a", size: size))
    return try OpenStore(folder("store"), at: "")
  }

  private func snapshot(_ label: String) throws -> SnapshotName {
    try SnapshotName(lun: name, label: LUNName(label))
  }

  @Test("was flushed before, if it was written to, and can be used as if nothing had happened")
  func flushed() throws {
    let store = try makeStore()
    let lun = try store.lun(name)
    let durable = DurableFolder(folder("store"))
    defer { durable.close() }
    try put(7, lun, at: 3)
    #expect(lun.chain.head.data.isUnflushed && close(lun.chain.head.data))
    try #require(durable.takeStates().last).restore(to: folder("left"))
    let left = try #require(contents(of: layerFile("data.0", ofLUN: "a", inStore: folder("left"))))
    #expect(left[3 << 12] == 7)
    #expect(try byte(lun, at: 3) == 7)
    #expect(close(lun.chain.head.data))
    try put(8, lun, at: 4)
    try lun.flush()
    #expect(try byte(lun, at: 4) == 8)
    try store.release()
  }

  @Test("and could not be flushed then, is what the next flush tells", arguments: [false, true])
  func failed(isLayered: Bool) throws {
    let store = try makeStore()
    let lun = try store.lun(name)
    if isLayered { try store.snapshot(snapshot("s")) }
    try put(7, lun, at: 3)
    let probe = SyncProbe(folder("store"))
    probe.start { _ in EDQUOT }
    #expect(close(lun.chain.head.data))
    probe.stop()
    // Whether or not it was opened since.
    _ = try byte(lun, at: 3)
    #expect(thrown(IOError.self) { try lun.flush() } == IOError(EDQUOT))
    #expect(thrown(IOError.self) { try lun.flush() } == IOError(EIO))
    #expect(!lun.isSealed)
    #expect(thrown(StoreProblems.self) { try store.release() }?.all.first?.kind == .system(EIO))
  }

  @Test("is not one that somebody uses")
  func used() throws {
    let store = try makeStore()
    let file = try store.lun(name).chain.head.data
    let raw = try file.pin()
    #expect(!close(file))
    #expect(fcntl(raw, F_GETFD) >= 0)
    file.unpin()
    #expect(close(file))
    try store.release()
  }

  @Test("is closed and opened under those who read, write and flush")
  func busy() async throws {
    let store = try makeStore("4M")
    let lun = try store.lun(name)
    for block in stride(from: 0, to: 1024, by: 2) { try put(9, lun, at: block) }
    try store.snapshot(snapshot("s"))
    let files = lun.chain.layers.map(\.data)
    let closed = try await withThrowingTaskGroup(of: Int.self) { group in
      for writer in 0..<4 {
        group.addTask {
          var closed = 0
          for round in 1...200 {
            let block = 4 * (round * 37 % 256) + writer
            try put(UInt8(round), lun, at: block)
            for file in files where close(file) { closed += 1 }
            if round % 16 == writer { try lun.flush() }
            if try byte(lun, at: block) != UInt8(round) { Issue.record("block \(block), round \(round)") }
            _ = try byte(lun, at: (block + 2) % 1024)
          }
          return closed
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(closed > 0)
    try lun.flush()
    let view = try store.snapshotView(snapshot("s"))
    for block in 0..<1024 { #expect(try byte(view, at: block) == (block % 2 == 0 ? 9 : 0)) }
    try store.release()
  }

  @Test("may have lost its name to a merge: those who read it from before read on")
  func merged() throws {
    let store = try makeStore()
    let lun = try store.lun(name)
    for round in 1...6 {
      try put(UInt8(round), lun, at: round)
      try store.snapshot(snapshot("\(round)"))
    }
    let last = try store.snapshotView(snapshot("6"))
    for round in [3, 1, 4, 2] {
      try store.delete(.snapshot(snapshot("\(round)")))
      for layer in lun.chain.layers + last.chain.layers { close(layer.data) }
      for block in 1...6 { #expect(try byte(last, at: block) == UInt8(block)) }
      for block in 1...6 { #expect(try byte(lun, at: block) == UInt8(block)) }
    }
    #expect(last.depth == 2)
    try store.release()
  }
}

@Suite("A store of many LUNs")
struct ManyLUNsTests {
  private let folder = TemporaryFolder(inMemory: true)

  private func makeStore(_ count: Int) throws -> OpenStore {
    let store = try Store.openOrCreate(folder("store")).store
    for number in 0..<count { try store.createLUN(LUNRequest(name: "l\(number)", size: "64K")) }
    return try OpenStore(folder("store"), at: "")
  }

  @Test("has few of them open when nobody has them, and nothing that was written to them is lost")
  func letGo() throws {
    let store = try makeStore(300)
    let probe = SyncProbe(folder("store"))
    var failed: LUN?
    for number in 0..<300 {
      let lun = try store.lun(LUNName("l\(number)"))
      #expect(try [UInt8(number & 0xFF)].withUnsafeBytes { try lun.write($0, at: 5) } == 1)
      if number % 3 == 0 { try store.snapshot(SnapshotName(lun: LUNName("l\(number)"), label: LUNName("s"))) }
      guard number == 20 else { continue }
      probe.start { _ in EIO }
      #expect(thrown(IOError.self) { try lun.flush() } == IOError(EIO))
      probe.stop()
      failed = lun
    }
    #expect(store.openVolumes.count < 200)
    for number in 0..<300 where number != 20 {
      var byte: [UInt8] = [0xEE]
      let lun = try store.lun(LUNName("l\(number)"))
      _ = try byte.withUnsafeMutableBytes { try lun.read(into: $0, at: 5) }
      #expect(byte == [UInt8(number & 0xFF)])
    }
    // One that has lost something says so until the end.
    weak let lost = failed
    failed = nil
    #expect(try lost === store.lun(LUNName("l20")))
    #expect(thrown(StoreProblems.self) { try store.release() }?.all.count == 1)
  }

  @Test("tells of those that are not open what it tells of those that are, after each change")
  func status() throws {
    let store = try makeStore(1)
    let name = try LUNName("l0")
    func label(_ text: String) throws -> SnapshotName { try SnapshotName(lun: name, label: LUNName(text)) }
    func compare(_ what: String) throws {
      let volumes = try store.volumes()
      for volume in volumes {
        let open = try store.volume(volume)
        try open.flush()
        let known = try store.status(of: volume)
        store.letGoOfIdle()
        _ = consume open
        store.letGoOfIdle()
        #expect(!store.openVolumes.contains { $0.volume == volume })
        let looked = try store.status(of: volume)
        let same =
          known.attributes.st_size == looked.attributes.st_size
          && known.attributes.st_blocks == looked.attributes.st_blocks
          && known.attributes.st_mtim.tv_nsec == looked.attributes.st_mtim.tv_nsec
          && known.isReadOnly == looked.isReadOnly
        #expect(same, "\(what): \(volume)")
      }
    }
    func write(_ count: Int) throws {
      let lun = try store.lun(name)
      let bytes = [UInt8](repeating: 5, count: count)
      #expect(try bytes.withUnsafeBytes { try lun.write($0, at: 0) } == count)
    }
    try write(8192)
    try compare("flat")
    try store.snapshot(label("a"))
    try write(4096)
    try compare("snapshot")
    try store.clone(.snapshot(label("a")), to: LUNName("clone"))
    try store.resize(name, to: 1 << 20)
    try compare("grown")
    #expect(try store.status(of: .lun(name)).attributes.st_size == 1 << 20)
    try store.rollback(label("a"))
    try compare("rolled back")
    #expect(try store.status(of: .lun(name)).attributes.st_size == 1 << 16)
    try store.setProperties(name, LUNProperties.Change(isReadOnly: true))
    try compare("read-only")
    try store.delete(.snapshot(label("a")))
    try compare("merged")
    #expect(throws: StoreError.self) { try store.status(of: .snapshot(label("a"))) }
    try store.release()
  }

  @Test("and of hundreds of layers is opened, described, read and removed")
  func deep() throws {
    let store = try makeStore(1)
    let name = try LUNName("l0")
    for number in 0..<600 {
      let lun = try store.lun(name)
      let byte = [UInt8(number & 0xFF)]
      #expect(try byte.withUnsafeBytes { try lun.write($0, at: Int64(number % 16) << 12) } == 1)
      try store.snapshot(SnapshotName(lun: name, label: LUNName("\(number)")))
    }
    for number in stride(from: 0, to: 600, by: 60) {
      let view = try store.snapshotView(SnapshotName(lun: name, label: LUNName("\(number)")))
      var byte: [UInt8] = [0xEE]
      _ = try byte.withUnsafeMutableBytes { try view.read(into: $0, at: Int64(number % 16) << 12) }
      #expect(byte == [UInt8(number & 0xFF)] && view.depth == number + 1)
    }
    let (luns, problems) = try store.store.list()
    #expect(luns.count == 1 && luns[0].layers == 601 && problems.isEmpty)
    #expect(try store.check(repair: false) == [])
    let flushes = Mutex(0)
    let probe = SyncProbe(folder("store"))
    probe.start { _ in
      flushes.withLock { $0 += 1 }
      return 0
    }
    try store.delete(.lun(name), withSnapshots: true)
    probe.stop()
    #expect(flushes.withLock { $0 } == 2, "one for the LUN, one for all its layers")
    #expect(try Descriptor.open(path: folder("store/layers"), O_RDONLY | O_DIRECTORY).entries() == [])
    try store.release()
  }
}
