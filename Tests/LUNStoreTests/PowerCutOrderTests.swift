import Glibc
import TestSupport
import Testing

@testable import LUNStore

/// The power fails after any flush, and nothing is left but what was flushed by then: no name in a folder and no byte in a
/// file that was not. Finds what was flushed too late, in the wrong order, or not at all.
@Suite("What is durable")
struct PowerCutOrderTests {
  private let folder = TemporaryFolder(inMemory: true)

  /// Everything in a store that was left by a power cut.
  private func recover(_ state: DurableFolder.State, _ inside: String = "") throws -> [VolumeName: [UInt8]] {
    let path = folder("left")
    run("rm", "-rf", path)
    state.restore(to: path)
    let store = try OpenStore(path + inside, at: "")
    let findings = try store.check(repair: false)
    #expect(!findings.contains { $0.severity == .damage }, "\(findings)")
    var found: [VolumeName: [UInt8]] = [:]
    for name in try store.volumes() { found[name] = try contents(store.volume(name)) }
    try store.release()
    return found
  }

  /// Says what of that cannot be, if this is what there should be.
  private func problem(_ found: [VolumeName: [UInt8]], _ model: StoreModel) -> String? {
    let volumes = model.volumes
    guard found.keys.sorted() == volumes.keys.sorted() else { return "there are \(found.keys.sorted())" }
    for (name, bytes) in found.sorted(by: { $0.key < $1.key }) {
      var allowed = [volumes[name] ?? []]
      if case .lun(let lun) = name { allowed += model.unflushed[lun] ?? [] }
      if allowed.contains(bytes) { continue }
      guard bytes.count == allowed[0].count else { return "\(name) has \(bytes.count) bytes" }
      if let wrong = bytes.indices.first(where: { index in !allowed.contains { $0[index] == bytes[index] } })
      {
        return "\(name) is wrong at byte \(wrong)"
      }
    }
    return nil
  }

  @Test(
    "is all that a change needs before the change is, and the change when it is answered",
    arguments: 1...6 as ClosedRange<UInt64>)
  func randomChanges(seed: UInt64) throws {
    var store = try ModelledStore(folder("store"), seed: seed)
    let durable = DurableFolder(folder("store"))
    defer { durable.close() }
    for step in 0..<60 {
      let before = store.model
      try store.step()
      let states = durable.takeStates()
      for (number, state) in states.enumerated().dropFirst() {
        let isLast = number == states.count - 1
        let found = try recover(state)
        guard let problem = problem(found, store.model) else { continue }
        let place: Comment = "seed \(seed), step \(step), flush \(number) of \(states.count - 1): \(problem)"
        try #require(!isLast && self.problem(found, before) == nil, place)
      }
    }
    try store.store.release()
  }

  @Test("is what was flushed after a change of size, and after a snapshot, of which both seal the map")
  func sealed() throws {
    try Store.openOrCreate(folder("store")).store.createLUN(LUNRequest(name: "a", size: "64K"))
    let store = try OpenStore(folder("store"), at: "")
    let lun = try store.lun(LUNName("a"))
    let durable = DurableFolder(folder("store"))
    defer { durable.close() }
    for round in 1...4 {
      try store.snapshot(SnapshotName(lun: LUNName("a"), label: LUNName("\(round)")))
      for part in 0..<3 as Range<Int64> {
        let bytes = [UInt8](repeating: UInt8(round), count: 4096)
        #expect(try bytes.withUnsafeBytes { try lun.write($0, at: part << 12) } == 4096)
        try lun.flush()
        let found = try recover(#require(durable.takeStates().last))
        #expect(try found[VolumeName("a")] == contents(lun))
        try store.resize(LUNName("a"), to: lun.size + 4096)
      }
    }
    try store.release()
  }

  @Test("is never the place of a block that was written while a flush was under way, without the block")
  func whileFlushing() throws {
    try Store.openOrCreate(folder("store")).store.createLUN(LUNRequest(name: "a", size: "64K"))
    let store = try OpenStore(folder("store"), at: "")
    let lun = try store.lun(LUNName("a"))
    @Sendable func put(_ byte: UInt8, at block: Int64) throws {
      let bytes = [UInt8](repeating: byte, count: 4096)
      #expect(try bytes.withUnsafeBytes { try lun.write($0, at: block << 12) } == 4096)
    }
    try put(1, at: 0)
    try put(1, at: 1)
    try store.snapshot(SnapshotName(lun: LUNName("a"), label: LUNName("s")))
    let durable = DurableFolder(folder("store"))
    defer { durable.close() }
    try put(2, at: 0)
    durable.afterNextFlush { try? put(2, at: 1) }
    try lun.flush()
    #expect(try contents(lun)[4096] == 2)
    let found = try recover(#require(durable.takeStates().last))
    let bytes = try #require(try found[VolumeName("a")])
    #expect(bytes[0] == 2 && [1, 2].contains(bytes[4096]))
    try lun.flush()
    #expect(try recover(#require(durable.takeStates().last))[VolumeName("a")] == contents(lun))
    try store.release()
  }

  @Test("is a snapshot that stays what it is, even if the LUN had not got a new layer by then")
  func snapshot() throws {
    try Store.openOrCreate(folder("store")).store.createLUN(LUNRequest(name: "a", size: "64K"))
    let store = try OpenStore(folder("store"), at: "")
    let durable = DurableFolder(folder("store"))
    defer { durable.close() }
    try store.snapshot(SnapshotName(lun: LUNName("a"), label: LUNName("s")))
    var snapshots = 0
    for state in durable.takeStates() {
      guard try recover(state)[VolumeName("a@s")] != nil else { continue }
      snapshots += 1
      let left = try OpenStore(folder("left"), at: "")
      let lun = try left.lun(LUNName("a"))
      let bytes = [UInt8](repeating: 7, count: 65536)
      #expect(try bytes.withUnsafeBytes { try lun.write($0, at: 0) } == bytes.count)
      #expect(try contents(left.volume(VolumeName("a@s"))).allSatisfy { $0 == 0 })
      try left.release()
    }
    #expect(snapshots > 1)
    try store.release()
  }

  @Test("is a smaller size, and what was cut off does not come back when the file had not been shortened")
  func shrunk() throws {
    let request = try LUNRequest(name: "a", size: "64K")
    try Store.openOrCreate(folder("store")).store.createLUN(request) { file in
      let bytes = [UInt8](repeating: 7, count: 65536)
      #expect(pwrite(file, bytes, bytes.count, 0) == bytes.count)
    }
    let store = try OpenStore(folder("store"), at: "")
    let durable = DurableFolder(folder("store"))
    defer { durable.close() }
    try store.resize(LUNName("a"), to: 4096)
    try #require(durable.takeStates().last).restore(to: folder("left"))
    #expect(contents(of: layerFile("data.0", ofLUN: "a", inStore: folder("left")))?.count == 65536)
    let left = try OpenStore(folder("left"), at: "")
    try left.resize(LUNName("a"), to: 65536)
    let bytes = try contents(left.lun(LUNName("a")))
    #expect(bytes[..<4096].allSatisfy { $0 == 7 } && bytes[4096...].allSatisfy { $0 == 0 })
    try left.release()
    try store.release()
  }

  @Test("is that a LUN is gone, at once, and what it leaves is never taken for damage")
  func deleted() throws {
    try Store.openOrCreate(folder("store")).store.createLUN(LUNRequest(name: "a", size: "64K"))
    let store = try OpenStore(folder("store"), at: "")
    for label in 1...6 { try store.snapshot(SnapshotName(lun: LUNName("a"), label: LUNName("\(label)"))) }
    let durable = DurableFolder(folder("store"))
    defer { durable.close() }
    try store.delete(VolumeName("a"), withSnapshots: true)
    let states = durable.takeStates()
    // One flush for the LUN, and one for all its seven layers.
    #expect(states.count == 3)
    for state in states { #expect(try [0, 7].contains(recover(state).count)) }
    #expect(try recover(#require(states.last)) == [:])
    // Where a file system does not order it, any of the layers may be gone first.
    for missing in 0..<7 {
      run("rm", "-rf", folder("cut"))
      states[1].restore(to: folder("cut"))
      let layers = folder("cut/layers")
      let names = try Descriptor.open(path: layers, O_RDONLY | O_DIRECTORY).entries().sorted()
      try #require(names.count == 7)
      run("rm", "-r", "\(layers)/\(names[missing])")
      let cut = try OpenStore(folder("cut"), at: "")
      #expect(try cut.check(repair: false) == [])
      #expect(try Descriptor.open(path: layers, O_RDONLY | O_DIRECTORY).entries() == [])
      try cut.release()
    }
    try store.release()
  }

  @Test(
    "is one name or the other of what is renamed, with all its snapshots",
    arguments: [
      ("a", "b", ["a", "a@1", "a@2"], ["b", "b@1", "b@2"]),
      ("a@1", "a@x", ["a", "a@1", "a@2"], ["a", "a@2", "a@x"]),
    ])
  func renamed(_ old: String, _ new: String, _ before: [String], _ after: [String]) throws {
    try Store.openOrCreate(folder("store")).store.createLUN(LUNRequest(name: "a", size: "64K"))
    let store = try OpenStore(folder("store"), at: "")
    for label in ["1", "2"] { try store.snapshot(SnapshotName(lun: LUNName("a"), label: LUNName(label))) }
    let durable = DurableFolder(folder("store"))
    defer { durable.close() }
    try store.rename(VolumeName(old), to: VolumeName(new))
    let states = durable.takeStates()
    var seen: [[String]] = []
    for state in states {
      // Whoever only reads finds everything too, before anybody has mended anything.
      run("rm", "-rf", folder("read"))
      state.restore(to: folder("read"))
      let read = try Store.open(folder("read"))
      let (luns, problems) = try read.list()
      let snapshots = try luns.flatMap { try read.snapshots(of: $0.name).snapshots.map(\.name.description) }
      let names = (luns.map(\.name.text) + snapshots).sorted()
      #expect(problems.isEmpty && (names == before || names == after), "\(names) \(problems)")
      let found = try recover(state).keys.map(\.description).sorted()
      #expect(found == names)
      seen.append(found)
    }
    #expect(seen.first == before && seen.last == after)
    // The old name, once gone, does not come back.
    #expect(seen.drop { $0 == before }.allSatisfy { $0 == after })
    #expect(access("\(folder("store"))/luns/.renaming", F_OK) == -1)
    try store.release()
  }

  @Test("is no other LUN's name because of a change of name that was cut off before it happened")
  func notRenamed() throws {
    let store = try Store.openOrCreate(folder("store")).store
    try store.createLUN(LUNRequest(name: "a", size: "64K"))
    let marker = try RenameRecord(identifier: Identifier(), from: .lun(LUNName("z")), to: .lun(LUNName("a")))
    write(marker.encoded, to: folder("store") + "/luns/.renaming")
    let opened = try OpenStore(folder("store"), at: "")
    #expect(try opened.check(repair: false).isEmpty && opened.volumes() == [VolumeName("a")])
    #expect(access("\(folder("store"))/luns/.renaming", F_OK) == -1)
    try opened.release()
  }

  @Test("is a new store with its first LUN, once it is said to be there")
  func created() throws {
    let parent = folder.folder("parent")
    let durable = DurableFolder(parent)
    defer { durable.close() }
    let store = try Store.openOrCreate("\(parent)/store").store
    try store.createLUN(LUNRequest(name: "a", size: "64K"))
    let state = try #require(durable.takeStates().last)
    let expected = [try VolumeName("a"): [UInt8](repeating: 0, count: 65536)]
    #expect(try recover(state, "/store") == expected)
  }

  @Test("is a new LUN with what it was filled with, once it has its name")
  func filled() throws {
    let store = try Store.openOrCreate(folder("store")).store
    let durable = DurableFolder(folder("store"))
    defer { durable.close() }
    let bytes = [UInt8](repeating: 7, count: 65536)
    try store.createLUN(LUNRequest(name: "a", size: "64K")) { file in
      #expect(pwrite(file, bytes, bytes.count, 0) == bytes.count)
    }
    let states = durable.takeStates()
    for state in states { #expect(try [[:], [VolumeName("a"): bytes]].contains(recover(state))) }
    #expect(try recover(#require(states.last)).count == 1)
  }
}
