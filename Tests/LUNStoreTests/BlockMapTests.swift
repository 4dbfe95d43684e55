import Testing

@testable import LUNStore

/// Sizes that end inside a block, at a word, inside a leaf, at a leaf and in the third one.
private let sizes: [Int64] = [512, 4096, 65024, 64 << 12, 4095 << 12, 4096 << 12, 4097 << 12, 3 * 4096 << 12]

extension SplitMix64 {
  /// A part of the blocks: short, long, or from and to the border of a word or leaf.
  fileprivate mutating func blocks(of count: Int) -> Range<Int> {
    let unit = [1, 1, 64, 4096].randomElement(using: &self) ?? 1
    let first = Int.random(in: 0...(count / unit), using: &self) * unit
    let length = Bool.random(using: &self) ? Int.random(in: 0...130, using: &self) : count
    return first..<min(count, first + Int.random(in: 0...length, using: &self))
  }
}

@Suite("The map of the blocks that a layer has")
struct PresenceMapTests {
  @Test("has what was put in, in runs that are as long as can be", arguments: sizes)
  func runs(size: Int64) throws {
    var dice = SplitMix64(seed: UInt64(size))
    for _ in 0..<20 {
      let map = try PresenceMap(size: size)
      var model = [Bool](repeating: false, count: PresenceMap.blocks(in: size))
      for _ in 0..<6 {
        let blocks = dice.blocks(of: model.count)
        try map.insert(blocks)
        for block in blocks { model[block] = true }
        for _ in 0..<20 {
          let part = dice.blocks(of: model.count)
          guard !part.isEmpty else { continue }
          let isPresent = model[part.lowerBound]
          let end = model[part].firstIndex(of: !isPresent) ?? part.upperBound
          #expect(map.run(from: part.lowerBound, to: part.upperBound) == (isPresent, end))
          #expect(map.containsAll(part) == model[part].allSatisfy { $0 })
          #expect(map.contains(part.lowerBound) == isPresent)
        }
      }
      var runs: [Range<Int>] = []
      map.forEachRun { runs.append($0) }
      #expect(runs.flatMap { $0 } == model.indices.filter { model[$0] })
      #expect(zip(runs, runs.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
      #expect(map.count == model.filter { $0 }.count)
    }
  }

  @Test("tells once of each leaf that changed, and again of what was given back")
  func changes() throws {
    let map = try PresenceMap(size: 200 * 4096 << 12)
    #expect(map.takeDirty() == [])
    try map.insert(5..<6)
    try map.insert((70 * 4096 - 1)..<(70 * 4096 + 1))
    let taken = map.takeDirty()
    #expect(taken.map(\.leaf) == [0, 69, 70])
    #expect(taken[0].words[0] == 1 << 5 && taken[2].words[0] == 1)
    #expect(map.takeDirty() == [])
    try map.insert(5..<6)
    #expect(map.takeDirty() == [], "nothing is new")
    // Some of these bits are there already.
    try map.insert(4..<7)
    #expect(map.takeDirty().map { $0.words[0] } == [7 << 4])
    map.giveBack(taken)
    #expect(map.takeDirty().map(\.leaf) == [0, 69, 70])
  }

  @Test("of another size has the blocks that are inside both, and no others come back", arguments: sizes)
  func resized(size: Int64) throws {
    let full = try PresenceMap(size: 3 * 4096 << 12)
    try full.insert(0..<full.blocks)
    let smaller = try full.resized(to: size)
    #expect(smaller.count == PresenceMap.blocks(in: size) && smaller.takeDirty() == [])
    #expect(try smaller.resized(to: 3 * 4096 << 12).count == smaller.count)
  }
}

@Suite("The map of the layers that blocks come from")
struct OwnerMapTests {
  /// Runs of equal owners, as long as can be.
  private func expect(_ map: OwnerMap, is model: [OwnerMap.Owner], _ place: String) {
    #expect(map.blocks == model.count)
    var block = 0
    while block < model.count {
      let end = model[block...].firstIndex { $0 != model[block] } ?? model.count
      let run = map.run(from: block, to: model.count)
      guard run == (model[block], end) else {
        Issue.record("\(place): \(run) from \(block) on, and not \((model[block], end))")
        return
      }
      // From the middle, and not further than asked.
      let middle = (block + end) / 2
      #expect(map.run(from: middle, to: middle + 1) == (model[block], middle + 1))
      #expect(map.run(from: middle, to: model.count) == (model[block], end))
      block = end
    }
  }

  /// Blocks of a layer: some runs, or as many as need a page with a number for each block.
  private func layer(_ count: Int, _ dice: inout SplitMix64) -> [Range<Int>] {
    switch Int.random(in: 0..<4, using: &dice) {
    case 0: (0..<6).map { _ in dice.blocks(of: count) }
    case 1: stride(from: 0, to: count, by: 2).map { $0..<($0 + 1) }
    case 2: stride(from: 1, to: count, by: 3).map { $0..<min(count, $0 + 2) }
    default: (0..<200).map { _ in dice.blocks(of: count).prefix(2) }.map { $0.startIndex..<$0.endIndex }
    }
  }

  @Test(
    "is an array of owners, whatever is put over it and cut off", arguments: 1...40 as ClosedRange<UInt64>)
  func model(seed: UInt64) throws {
    var dice = SplitMix64(seed: seed)
    let size = sizes.randomElement(using: &dice) ?? 4096
    let map = try OwnerMap(size: size, owner: seed % 2 == 0 ? OwnerMap.base : 0)
    var model = [OwnerMap.Owner](repeating: seed % 2 == 0 ? OwnerMap.base : 0, count: map.blocks)
    for step in 1...12 {
      switch Int.random(in: 0..<5, using: &dice) {
      case 0:
        let block = dice.blocks(of: model.count).lowerBound
        map.cut(from: block)
        for block in block..<model.count { model[block] = OwnerMap.zeros }
      case 1:
        let size = sizes.randomElement(using: &dice) ?? 4096
        let count = PresenceMap.blocks(in: size)
        map.resize(to: size)
        model = Array(model.prefix(count))
        model += [OwnerMap.Owner](repeating: OwnerMap.zeros, count: count - model.count)
      default:
        let blocks = layer(model.count, &dice)
        // As large as the layer is, which may be more or less than what is above it.
        let presence = try PresenceMap(size: Int64(model.count) << PresenceMap.blockShift)
        for range in blocks {
          try presence.insert(range)
          for block in range { model[block] = OwnerMap.Owner(step) }
        }
        try map.overlay(presence, owner: OwnerMap.Owner(step))
      }
      expect(map, is: model, "seed \(seed), step \(step)")
    }
  }

  @Test("has nothing behind its end")
  func end() throws {
    let map = try OwnerMap(size: 3 << 12, owner: 7)
    #expect(map.run(from: 4096, to: 5000) == (OwnerMap.zeros, 5000))
    let larger = try PresenceMap(size: 2 * 4096 << 12)
    try larger.insert(4096..<4097)
    try map.overlay(larger, owner: 1)
    expect(map, is: [7, 7, 7], "after a layer that is larger")
  }
}
