import Glibc
import TestSupport
import Testing

@testable import LUNStore

/// What a store should hold: the bytes of every LUN and every snapshot.
struct StoreModel {
  var luns: [LUNName: [UInt8]] = [:]
  var snapshots: [SnapshotName: [UInt8]] = [:]
  /// What LUNs held since they were last flushed, without what they hold now: each byte of that may be there again after
  /// a power cut.
  var unflushed: [LUNName: [[UInt8]]] = [:]

  /// All there is.
  var volumes: [VolumeName: [UInt8]] {
    let all =
      luns.map { (VolumeName.lun($0.key), $0.value) } + snapshots.map { (.snapshot($0.key), $0.value) }
    return Dictionary(uniqueKeysWithValues: all)
  }
}

/// A store and a model of it, to which the same is done.
struct ModelledStore {
  static let unit = 512
  var store: OpenStore
  var model = StoreModel()
  var dice: SplitMix64
  let path: String

  init(_ path: String, seed: UInt64) throws {
    self.path = path
    dice = SplitMix64(seed: seed)
    let made = try Store.openOrCreate(path).store
    var empty = [UInt8](repeating: 0, count: 65024)
    try made.createLUN(LUNRequest(name: "a", size: "65024"))
    model.luns[try LUNName("a")] = empty
    // A lazy copy of an image that is shorter, ends inside a block, and has holes.
    let image = "\(path).image"
    makeSparse(image, 41_500)
    for range in [4096..<9000, 20_480..<28_672, 40_960..<41_500] {
      let bytes = range.map { UInt8(truncatingIfNeeded: $0 &* 167 | 1) }
      patch(image, at: range.lowerBound, bytes)
      empty.replaceSubrange(range, with: bytes)
    }
    try made.createLUN(LUNRequest(name: "b", size: "65024"), base: FileBase(image).reference)
    model.luns[try LUNName("b")] = empty
    store = try OpenStore(path, at: "")
  }

  private mutating func pick<Key: Comparable, Value>(_ table: [Key: Value]) -> Key? {
    table.keys.sorted().randomElement(using: &dice)
  }

  private mutating func range(in size: Int) -> Range<Int> {
    // At the borders of blocks as often as not.
    func place(_ dice: inout SplitMix64) -> Int {
      let unit = Bool.random(using: &dice) ? 4096 : Bool.random(using: &dice) ? 512 : 1
      return Int.random(in: 0...(size / unit), using: &dice) * unit
    }
    let (a, b) = (place(&dice), place(&dice))
    return min(a, b)..<max(a, b)
  }

  /// Does something to both: one of all things, or of these.
  mutating func step(_ things: [Int] = Array(0..<20)) throws {
    guard let name = pick(model.luns), let bytes = model.luns[name] else { return }
    let lun = try store.lun(name)
    let range = range(in: bytes.count)
    switch things.randomElement(using: &dice) ?? 0 {
    case 0..<7 where !range.isEmpty:
      let new = range.map { _ in UInt8.random(in: 0...255, using: &dice) }
      let count = try new.withUnsafeBytes { try lun.write($0, at: Int64(range.lowerBound)) }
      #expect(count == range.count)
      model.unflushed[name, default: []].append(bytes)
      model.luns[name]?.replaceSubrange(range, with: new)
    case 7 where !range.isEmpty, 8 where !range.isEmpty:
      model.unflushed[name, default: []].append(bytes)
      if Bool.random(using: &dice) {
        try lun.punchHole(at: Int64(range.lowerBound), length: Int64(range.count))
      } else {
        try lun.zero(at: Int64(range.lowerBound), length: Int64(range.count))
      }
      model.luns[name]?.replaceSubrange(range, with: range.map { _ in 0 })
    case 9:
      try lun.flush()
      model.unflushed[name] = nil
    case 10, 11:
      let label = try LUNName("s\(Int.random(in: 0..<1000, using: &dice))")
      let snapshot = try SnapshotName(lun: name, label: label)
      guard model.snapshots[snapshot] == nil else { return }
      try store.snapshot(snapshot)
      model.snapshots[snapshot] = bytes
      model.unflushed[name] = nil
    case 12:
      guard let snapshot = pick(model.snapshots.filter { $0.key.lun == name }) else { return }
      try store.rollback(snapshot)
      model.luns[name] = model.snapshots[snapshot]
      model.unflushed[name] = nil
    case 13 where model.luns.count < 5:
      let new = try LUNName("c\(Int.random(in: 0..<1000, using: &dice))")
      guard model.luns[new] == nil else { return }
      if let snapshot = pick(model.snapshots), Bool.random(using: &dice) {
        try store.clone(.snapshot(snapshot), to: new)
        model.luns[new] = model.snapshots[snapshot]
      } else {
        try store.clone(.lun(name), to: new)
        model.luns[new] = bytes
        model.unflushed[name] = nil
      }
    case 14, 15:
      guard let snapshot = pick(model.snapshots) else { return }
      try store.delete(.snapshot(snapshot))
      model.snapshots[snapshot] = nil
    case 16 where model.luns.count > 2:
      try store.delete(.lun(name), withSnapshots: true)
      (model.luns[name], model.unflushed[name]) = (nil, nil)
      for snapshot in model.snapshots.keys where snapshot.lun == name { model.snapshots[snapshot] = nil }
    case 17:
      let size = Int.random(in: 1...200, using: &dice) * Self.unit
      try store.resize(name, to: Int64(size))
      model.unflushed[name] = nil
      model.luns[name] = Array(
        (bytes + [UInt8](repeating: 0, count: max(0, size - bytes.count))).prefix(size))
    case 18:
      try store.release()
      model.unflushed = [:]
      store = try OpenStore(path, at: "")
    case 19 where lun.description.base != nil && Int.random(in: 0..<3, using: &dice) == 0:
      try store.fetch(name)
    default: return
    }
  }

  /// Compares all bytes, and where the data is said to be.
  func check(_ comment: String) throws {
    let all = model.volumes
    #expect(try store.volumes() == all.keys.sorted(), "\(comment)")
    for (name, bytes) in all {
      let lun = try store.volume(name)
      try #require(lun.size == Int64(bytes.count), "\(comment): size of \(name)")
      let read = try contents(lun)
      if read != bytes {
        let first = zip(read, bytes).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? -1
        try #require(Bool(false), "\(comment): \(name) differs at \(first)")
      }
      var position: Int64 = 0
      while let data = try lun.nextData(from: position) {
        #expect(
          bytes[Int(position)..<Int(data)].allSatisfy { $0 == 0 }, "\(comment): data in a hole of \(name)")
        position = try #require(try lun.nextHole(from: data))
      }
      #expect(bytes[Int(position)...].allSatisfy { $0 == 0 }, "\(comment): data in the last hole of \(name)")
    }
  }
}

func contents(_ lun: LUN) throws -> [UInt8] {
  var bytes = [UInt8](repeating: 0xEE, count: Int(lun.size))
  let count = try bytes.withUnsafeMutableBytes { try lun.read(into: $0, at: 0) }
  return Array(bytes.prefix(count))
}

@Suite("Layers, against a model")
struct LayerModelTests {
  @Test(
    "hold what was written, whatever is done to them in whatever order",
    arguments: 1...60 as ClosedRange<UInt64>)
  func randomChanges(seed: UInt64) throws {
    // Every tenth one on a real disk, where holes and lengths are another file system's.
    let folder = TemporaryFolder(inMemory: seed % 10 != 0)
    var store = try ModelledStore(folder("store"), seed: seed)
    for step in 0..<120 {
      try store.step()
      if step % 10 == 9 { try store.check("seed \(seed), step \(step)") }
    }
    try store.store.release()
    store.store = try OpenStore(folder("store"), at: "")
    try store.check("seed \(seed), opened again")
  }

  @Test(
    "show nothing that a LUN lost when it was made smaller, however they are merged afterwards",
    arguments: 1...40 as ClosedRange<UInt64>)
  func limits(seed: UInt64) throws {
    let folder = TemporaryFolder(inMemory: true)
    var store = try ModelledStore(folder("store"), seed: seed)
    // Writes, discards, snapshots, deletions of these, sizes, and the image.
    for step in 0..<40 {
      try store.step([0, 0, 7, 10, 10, 14, 17, 17, 17, 19])
      try store.check("seed \(seed), step \(step)")
    }
    for snapshot in store.model.snapshots.keys.sorted().shuffled(using: &store.dice) {
      try store.store.delete(.snapshot(snapshot))
      store.model.snapshots[snapshot] = nil
      try store.check("seed \(seed), without \(snapshot)")
    }
    try store.store.release()
  }

  @Test(
    "leave nothing behind when all snapshots are deleted: the LUN is one flat file again",
    arguments: 1...20 as ClosedRange<UInt64>)
  func flatAgain(seed: UInt64) throws {
    // Every tenth one on a real disk, where holes and lengths are another file system's.
    let folder = TemporaryFolder(inMemory: seed % 10 != 0)
    var store = try ModelledStore(folder("store"), seed: seed)
    for _ in 0..<80 { try store.step() }
    for snapshot in store.model.snapshots.keys.shuffled(using: &store.dice) {
      try store.store.delete(.snapshot(snapshot))
      store.model.snapshots[snapshot] = nil
    }
    try store.check("seed \(seed), without snapshots")
    let names = store.model.luns.keys.shuffled(using: &store.dice)
    for name in names.dropLast() {
      try store.store.delete(.lun(name))
      store.model.luns[name] = nil
    }
    try store.check("seed \(seed), one LUN")
    let last = try #require(names.last)
    if try store.store.lun(last).description.base != nil { try store.store.fetch(last) }
    try store.check("seed \(seed), without an image")
    #expect(try store.store.lun(last).isFlat, "seed \(seed)")
    #expect(try store.store.store.layers.entries().count == 1)
  }

  @Test("freeze a head with the map that it has, also when layers below it became one since its last flush")
  func mergedBelowOpenMap() throws {
    let folder = TemporaryFolder(inMemory: true)
    try Store.openOrCreate(folder("store")).store.createLUN(LUNRequest(name: "a", size: "1M"))
    let store = try OpenStore(folder("store"), at: "")
    let lun = try store.lun(LUNName("a"))
    func snapshot(_ label: String) throws -> SnapshotName {
      let name = try SnapshotName(lun: LUNName("a"), label: LUNName(label))
      try store.snapshot(name)
      return name
    }
    let first = try snapshot("first")
    _ = try snapshot("second")
    let bytes = [UInt8](repeating: 7, count: 4096)
    _ = try bytes.withUnsafeBytes { try lun.write($0, at: 0) }
    try lun.flush()
    try store.delete(.snapshot(first))
    let third = try snapshot("third")
    #expect(try contents(store.snapshotView(third))[..<4096] == bytes[...])
    try store.delete(.snapshot(third))
    #expect(try contents(lun)[..<4096] == bytes[...])
  }
}
