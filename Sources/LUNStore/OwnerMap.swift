import Glibc

/// Which layer below the head each block comes from, merged from the maps of all of them, so that finding a
/// block costs the same however many there are.
///
/// In leaves of 4,096 blocks (16 MiB). A leaf that one owner has whole is two bytes; others are lists of runs,
/// and where these are longer than that, one number for each block. It is changed only by whoever has the LUN
/// alone; any number of threads may read it.
final class OwnerMap: @unchecked Sendable {
  /// The number of a layer in its chain, or one of these two.
  typealias Owner = UInt16
  /// Nobody has the block: zeros.
  static let zeros: Owner = 0xFFFF
  /// The image that the LUN is a lazy copy of.
  static let base: Owner = 0xFFFE
  static let maximumLayers = 0xFFF0

  /// `[number of runs, first block of run, owner, …]`, or `dense` and an owner for each block.
  private typealias Page = UnsafeMutablePointer<UInt16>
  private static let dense: UInt16 = 0xFFFF
  /// Pages with more runs are dense: from there on runs would take more memory.
  private static let maximumRuns = PresenceMap.blocksPerLeaf / 2
  private static let shift = PresenceMap.leafShift
  private static let blocksPerLeaf = PresenceMap.blocksPerLeaf

  private(set) var blocks: Int
  private var uniform: UnsafeMutableBufferPointer<Owner>
  private var pages: UnsafeMutableBufferPointer<Page?>

  /// A map in which everything comes from one owner.
  init(size: Int64, owner: Owner) {
    blocks = PresenceMap.blocks(in: size)
    let leaves = (blocks + Self.blocksPerLeaf - 1) >> Self.shift
    uniform = .allocate(capacity: leaves)
    uniform.initialize(repeating: owner)
    pages = .allocate(capacity: leaves)
    pages.initialize(repeating: nil)
  }

  deinit {
    pages.forEach { $0?.deallocate() }
    pages.deallocate()
    uniform.deallocate()
  }

  /// The owner of the block at `start`, and where the run of blocks that it has ends; not beyond `end`.
  func run(from start: Int, to end: Int) -> (owner: Owner, end: Int) {
    let (owner, first) = runInLeaf(start)
    var block = first
    while block < end, block & (Self.blocksPerLeaf - 1) == 0 {
      let (next, nextEnd) = runInLeaf(block)
      if next != owner { break }
      block = nextEnd
    }
    return (owner, min(block, end))
  }

  private func runInLeaf(_ block: Int) -> (owner: Owner, end: Int) {
    let leaf = block >> Self.shift
    // Beyond what was there when the map was made, as after the LUN has grown.
    guard leaf < pages.count else { return (Self.zeros, (leaf + 1) << Self.shift) }
    guard let page = pages[leaf] else { return (uniform[leaf], (leaf + 1) << Self.shift) }
    let index = block & (Self.blocksPerLeaf - 1)
    let base = leaf << Self.shift
    if page[0] == Self.dense {
      let owner = page[1 + index]
      var end = index + 1
      while end < Self.blocksPerLeaf, page[1 + end] == owner { end += 1 }
      return (owner, base + end)
    }
    // The last run that begins at or before the block.
    var low = 0
    var high = Int(page[0])
    while high - low > 1 {
      let middle = (low + high) / 2
      if Int(page[1 + 2 * middle]) <= index { low = middle } else { high = middle }
    }
    let end = low + 1 < Int(page[0]) ? Int(page[1 + 2 * (low + 1)]) : Self.blocksPerLeaf
    return (page[2 + 2 * low], base + end)
  }

  /// Gives all blocks that a layer holds itself to it.
  func overlay(_ map: PresenceMap, owner: Owner) {
    map.forEachLeaf { number, leaf in
      guard number < pages.count else { return }
      change(number) { owners in
        for index in 0..<PresenceMap.wordsPerLeaf {
          var word = leaf[index].load(ordering: .acquiring)
          while word != 0 {
            owners[index << 6 | word.trailingZeroBitCount] = owner
            word &= word - 1
          }
        }
      }
    }
  }

  /// From this block on nothing of what is below is seen.
  func cut(from block: Int) {
    for leaf in min(block >> Self.shift, pages.count)..<pages.count {
      let first = max(0, block - leaf << Self.shift)
      if first == 0 {
        pages[leaf]?.deallocate()
        (pages[leaf], uniform[leaf]) = (nil, Self.zeros)
      } else {
        change(leaf) { owners in
          for index in first..<Self.blocksPerLeaf { owners[index] = Self.zeros }
        }
      }
    }
  }

  /// Makes room for a LUN of another size; what is added has no owner.
  func resize(to size: Int64) {
    let newBlocks = PresenceMap.blocks(in: size)
    // Growing too: behind the old end the last leaf has the owner of its other blocks.
    if newBlocks != blocks { cut(from: min(newBlocks, blocks)) }
    let leaves = (newBlocks + Self.blocksPerLeaf - 1) >> Self.shift
    if leaves != pages.count {
      let newUniform = UnsafeMutableBufferPointer<Owner>.allocate(capacity: leaves)
      let newPages = UnsafeMutableBufferPointer<Page?>.allocate(capacity: leaves)
      for leaf in 0..<leaves {
        newUniform.initializeElement(at: leaf, to: leaf < uniform.count ? uniform[leaf] : Self.zeros)
        newPages.initializeElement(at: leaf, to: leaf < pages.count ? pages[leaf] : nil)
      }
      for leaf in min(leaves, pages.count)..<pages.count { pages[leaf]?.deallocate() }
      uniform.deallocate()
      pages.deallocate()
      (uniform, pages) = (newUniform, newPages)
    }
    blocks = newBlocks
  }

  private func change(_ leaf: Int, _ body: (UnsafeMutableBufferPointer<Owner>) -> Void) {
    withUnsafeTemporaryAllocation(of: Owner.self, capacity: Self.blocksPerLeaf) { owners in
      decode(leaf, into: owners)
      body(owners)
      encode(leaf, owners)
    }
  }

  private func decode(_ leaf: Int, into owners: UnsafeMutableBufferPointer<Owner>) {
    guard let page = pages[leaf] else { return owners.initialize(repeating: uniform[leaf]) }
    if page[0] == Self.dense {
      for index in 0..<Self.blocksPerLeaf { owners[index] = page[1 + index] }
      return
    }
    let runs = Int(page[0])
    for run in 0..<runs {
      let end = run + 1 < runs ? Int(page[1 + 2 * (run + 1)]) : Self.blocksPerLeaf
      for index in Int(page[1 + 2 * run])..<end { owners[index] = page[2 + 2 * run] }
    }
  }

  private func encode(_ leaf: Int, _ owners: UnsafeMutableBufferPointer<Owner>) {
    var runs = 1
    for index in 1..<Self.blocksPerLeaf where owners[index] != owners[index - 1] { runs += 1 }
    pages[leaf]?.deallocate()
    guard runs > 1 else {
      (pages[leaf], uniform[leaf]) = (nil, owners[0])
      return
    }
    if runs > Self.maximumRuns {
      let page = Page.allocate(capacity: 1 + Self.blocksPerLeaf)
      page[0] = Self.dense
      for index in 0..<Self.blocksPerLeaf { page[1 + index] = owners[index] }
      pages[leaf] = page
      return
    }
    let page = Page.allocate(capacity: 1 + 2 * runs)
    page[0] = UInt16(runs)
    var run = 0
    for index in 0..<Self.blocksPerLeaf where index == 0 || owners[index] != owners[index - 1] {
      page[1 + 2 * run] = UInt16(index)
      page[2 + 2 * run] = owners[index]
      run += 1
    }
    pages[leaf] = page
  }
}
