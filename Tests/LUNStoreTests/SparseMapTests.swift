import Dispatch
import TestSupport
import Testing

@testable import LUNStore

/// Sizes in bytes at which the maps get another level, one less and one more block, and the largest.
private let sizes: [Int64] = [
  (128 << 30) - 4096, 128 << 30, (128 << 30) + 512, 64 << 40, (64 << 40) + 4096, 32 << 50,
  (32 << 50) + (16 << 20),
  LUN.maximumSize - 4096, LUN.maximumSize,
]

extension SplitMix64 {
  /// A few blocks somewhere: near others, at the borders of leaves, at the beginning or at the end.
  fileprivate mutating func place(in blocks: Int) -> Range<Int> {
    let near = Int(next(below: 3 * 4096))
    let unit = [1, 4096, 4096 << 9, 4096 << 13].randomElement(using: &self) ?? 1
    let far = Int(next(below: Int64(blocks / unit))) * unit
    let first = [near, far, max(0, far - 1), max(0, blocks - 1 - near)].randomElement(using: &self) ?? 0
    let length = Int(next(below: [2, 200, 9000].randomElement(using: &self) ?? 2)) + 1
    return min(first, blocks - 1)..<min(blocks, min(first, blocks - 1) + length)
  }
}

/// Runs of equal values as an array of where each ends.
private struct Runs<Value: Equatable> {
  var all: [(end: Int, value: Value)]

  mutating func set(_ range: Range<Int>, _ value: Value) {
    guard !range.isEmpty else { return }
    var new: [(end: Int, value: Value)] = []
    func add(_ end: Int, _ value: Value) {
      guard end > (new.last?.end ?? 0) else { return }
      if new.last?.value == value { new[new.count - 1].end = end } else { new.append((end, value)) }
    }
    for run in all {
      add(min(run.end, range.lowerBound), run.value)
      if run.end > range.lowerBound { add(min(run.end, range.upperBound), value) }
      if run.end > range.upperBound { add(run.end, run.value) }
    }
    all = new
  }

  mutating func resize(to blocks: Int, _ value: Value) {
    let old = all.last?.end ?? 0
    if blocks > old {
      all.append((blocks, value))
      set(old..<blocks, value)
    } else {
      let count = all.prefix { $0.end < blocks }.count + 1
      all = Array(all.prefix(count))
      all[count - 1].end = blocks
    }
  }

  func run(at block: Int) -> (end: Int, value: Value)? { all.first { $0.end > block } }
}

@Suite("Maps of LUNs of any size")
struct SparseMapTests {
  @Test("have what a list of runs has", arguments: sizes)
  func presence(size: Int64) throws {
    var dice = SplitMix64(seed: UInt64(size))
    let blocks = PresenceMap.blocks(in: size)
    let map = try PresenceMap(size: size)
    var model = Runs(all: [(blocks, false)])
    for _ in 0..<30 {
      let range = dice.place(in: blocks)
      try map.insert(range)
      model.set(range, true)
    }
    func expect(_ map: PresenceMap, is model: Runs<Bool>) {
      var runs: [Range<Int>] = []
      map.forEachRun { runs.append($0) }
      var begin = 0
      var expected: [Range<Int>] = []
      for run in model.all {
        if run.value { expected.append(begin..<run.end) }
        begin = run.end
      }
      #expect(runs == expected)
      #expect(map.count == expected.reduce(0) { $0 + $1.count })
    }
    expect(map, is: model)
    for _ in 0..<100 {
      let start = dice.place(in: blocks).lowerBound
      let run = try #require(model.run(at: start))
      #expect(map.run(from: start, to: blocks) == (run.value, run.end))
      #expect(map.contains(start) == run.value)
    }
    let taken = map.takeDirty()
    #expect(taken.count == map.presentLeaves.load(ordering: .relaxed))
    #expect(zip(taken, taken.dropFirst()).allSatisfy { $0.leaf < $1.leaf })
    let other = try PresenceMap(size: size)
    for entry in taken { try other.load(entry.leaf, entry.words) }
    expect(other, is: model)
    // Smaller, and large again: what was beyond the end is gone.
    let cut = dice.place(in: blocks).lowerBound + 1
    model.set(cut..<blocks, false)
    expect(try map.resized(to: Int64(cut) << PresenceMap.blockShift).resized(to: size), is: model)
  }

  @Test("know whose each block is, whatever is put over, cut off and added", arguments: sizes)
  func owners(size: Int64) throws {
    var dice = SplitMix64(seed: UInt64(size))
    var blocks = PresenceMap.blocks(in: size)
    let map = try OwnerMap(size: size, owner: 0)
    var model = Runs<OwnerMap.Owner>(all: [(blocks, 0)])
    for step in 1...40 {
      switch step % 5 {
      case 0:
        let block = dice.place(in: blocks).lowerBound
        map.cut(from: block)
        model.set(block..<blocks, OwnerMap.zeros)
      case 1:
        let new = try #require(sizes.randomElement(using: &dice))
        map.resize(to: new)
        model.resize(to: PresenceMap.blocks(in: new), OwnerMap.zeros)
        blocks = PresenceMap.blocks(in: new)
      default:
        let layer = try PresenceMap(size: Int64(blocks) << PresenceMap.blockShift)
        for _ in 0..<5 {
          let range = dice.place(in: blocks)
          try layer.insert(range)
          model.set(range, OwnerMap.Owner(step))
        }
        try map.overlay(layer, owner: OwnerMap.Owner(step))
      }
      var begin = 0
      for run in model.all {
        let found = map.run(from: begin, to: blocks)
        guard found == (run.value, run.end) else {
          Issue.record("step \(step): \(found) from \(begin) on, and not \(run)")
          return
        }
        #expect(map.run(from: run.end - 1, to: run.end) == (run.value, run.end))
        begin = run.end
      }
    }
  }

  @Test("miss nothing of what several threads set at once, and tell of each change")
  func concurrent() throws {
    let map = try PresenceMap(size: LUN.maximumSize)
    let threads = 4
    let writers = DispatchGroup()
    for thread in 0..<threads {
      DispatchQueue.global().async(group: writers) {
        // All in the same leaves, far from one another.
        for place in 0..<2000 as Range<Int> {
          let block = ((place % 50) << 43) + (place / 50) * threads + thread
          do throws(IOError) { try map.insert(block..<(block + 1)) } catch { Issue.record("\(error)") }
        }
      }
    }
    let told = try PresenceMap(size: LUN.maximumSize)
    func takeAll() throws {
      for entry in map.takeDirty() { try told.load(entry.leaf, entry.words) }
    }
    while writers.wait(timeout: .now()) == .timedOut { try takeAll() }
    try takeAll()
    #expect(map.count == 2000 * threads && told.count == 2000 * threads)
    #expect(map.presentLeaves.load(ordering: .relaxed) == 50)
  }
}
