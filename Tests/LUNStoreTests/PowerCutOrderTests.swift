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

  @Test("is that a LUN is gone, at once, and what it leaves is never taken for damage")
  func deleted() throws {
    try Store.openOrCreate(folder("store")).store.createLUN(LUNRequest(name: "a", size: "64K"))
    let store = try OpenStore(folder("store"), at: "")
    for label in 1...6 { try store.snapshot(SnapshotName(lun: LUNName("a"), label: LUNName("\(label)"))) }
    let durable = DurableFolder(folder("store"))
    defer { durable.close() }
    try store.delete(VolumeName("a"), withSnapshots: true)
    let states = durable.takeStates()
    // One flush for the LUN, and at least one for each of its seven layers.
    #expect(states.count > 8)
    for state in states { #expect(try [0, 7].contains(recover(state).count)) }
    #expect(try recover(#require(states.last)) == [:])
    try store.release()
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
