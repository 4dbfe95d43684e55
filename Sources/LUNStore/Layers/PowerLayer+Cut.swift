extension PowerLayer {
  /// The cache is lost. Of each block the disk has written what it liked of the changes since the last flush:
  /// none, the first, the first two, … or all of them, whatever became of other blocks. How much survives in all
  /// is drawn as well: a disk that loses nearly everything finds other mistakes than one that loses a block.
  func powerFailed(_ cut: PowerCut, above below: any BlockDevice) {
    let unit = cut.tearsBlocks ? Self.sector : below.blockSize
    var random = SplitMix64(seed: cut.seed)
    let eighths = random.next(below: 9)
    cache.withLock { cache in
      var histories: [Int64: [Int]] = [:]
      for (index, change) in cache.changes.enumerated() {
        let first = change.range.lowerBound / unit
        for block in first...(change.range.upperBound - 1) / unit {
          histories[block, default: []].append(index)
        }
      }
      var survivors: [Int: [Int64]] = [:]
      for (block, history) in histories.sorted(by: { $0.key < $1.key }) {
        // All with that probability, else any smaller number of them.
        let isWhole = random.next(below: 8) < eighths
        let kept = isWhole ? history.count : Int(random.next(below: Int64(history.count)))
        for index in history.prefix(kept) { survivors[index, default: []].append(block) }
        if !isWhole { cache.lostBytes += unit }
      }
      for (index, blocks) in survivors.sorted(by: { $0.key < $1.key }) {
        let change = cache.changes[index]
        for block in blocks {
          let part = change.range.clamped(to: block * unit..<(block + 1) * unit)
          // A disk that cannot write has lost it.
          try? change.apply(part, to: below)
        }
      }
      cache.first += cache.changes.count
      cache.changes = []
      cache.newest = [:]
      cache.bytes = 0
      cache.powerCuts += 1
    }
  }
}
