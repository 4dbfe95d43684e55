import Glibc

/// Which layer below the head each block comes from, merged from the maps of all of them, so that finding a
/// block costs the same however many there are.
///
/// In leaves of 4,096 blocks (16 MiB). Where nothing was put over the lowest layer there is nothing to keep; a leaf that
/// one owner has whole is one word; others are lists of runs, and where these are longer than that, one number for each
/// block. It is changed only by whoever has the LUN alone; any number of threads may read it.
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
  /// From this block on there are no owners, whatever the leaves say. `overlay` has them say it; until then a change
  /// of size or of a limit is this number and nothing else.
  private var seen: Int
  /// Whose the leaves are that there is nothing of in `leaves`, up to `ownedLeaves`.
  private let owner: Owner
  private var ownedLeaves: Int
  /// The address of a page, or an owner of all blocks, shifted left by one and odd.
  private var leaves: LeafTable

  /// A map in which everything comes from one owner.
  init(size: Int64, owner: Owner) throws(StoreError) {
    blocks = PresenceMap.blocks(in: size)
    (seen, self.owner, ownedLeaves) = (blocks, owner, PresenceMap.leaves(in: blocks))
    leaves = try LeafTable(count: ownedLeaves)
  }

  deinit { removeLeaves(from: 0) }

  /// The owner of the block at `start`, and where the run of blocks that it has ends; not beyond `end`.
  func run(from start: Int, to end: Int) -> (owner: Owner, end: Int) {
    guard start < seen else { return (Self.zeros, end) }
    let last = min(end, seen)
    var (owner, block) = runInLeaf(start, last)
    while block < last, block & (Self.blocksPerLeaf - 1) == 0 {
      let (next, nextEnd) = runInLeaf(block, last)
      if next != owner { break }
      block = nextEnd
    }
    if block >= last { return (owner, owner == Self.zeros ? end : last) }
    return (owner, block)
  }

  /// As `run`, but to the end of a leaf at the latest, unless there is nothing of it. `last` is where nobody looks.
  private func runInLeaf(_ block: Int, _ last: Int) -> (owner: Owner, end: Int) {
    let leaf = block >> Self.shift
    let word = leaves.word(leaf)
    if word == 0 {
      let end = leaf < ownedLeaves ? ownedLeaves : leaves.count
      let next = leaves.next(from: leaf + 1, below: min(end, PresenceMap.leaves(in: last)))
      return (leaf < ownedLeaves ? owner : Self.zeros, (next?.index ?? end) << Self.shift)
    }
    guard let page = Self.page(word) else { return (Self.wholeOwner(word), (leaf + 1) << Self.shift) }
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
  ///
  /// - Throws: if there is no memory; some blocks are the layer's then, and all others are whose they were.
  func overlay(_ map: PresenceMap, owner: Owner) throws(StoreError) {
    try settle()
    try map.forEachLeaf { number, leaf throws(StoreError) in
      guard number < leaves.count else { return }
      try change(number) { owners in
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
  func cut(from block: Int) { seen = min(seen, block) }

  /// Makes room for a LUN of another size; what is added has no owner.
  func resize(to size: Int64) {
    blocks = PresenceMap.blocks(in: size)
    cut(from: blocks)
  }

  /// Has the leaves say all of it.
  private func settle() throws(StoreError) {
    let count = PresenceMap.leaves(in: blocks)
    if count > leaves.count {
      let larger = try LeafTable(count: count)
      var index = 0
      while let (leaf, word) = leaves.next(from: index, below: leaves.count) {
        guard let slot = larger.slot(leaf) else { throw .noMemory }
        slot.pointee.store(word, ordering: .relaxed)
        index = leaf + 1
      }
      leaves = larger
    }
    guard seen < leaves.count << Self.shift else { return }
    let first = PresenceMap.leaves(in: seen)
    if seen & (Self.blocksPerLeaf - 1) != 0 {
      try change(first - 1) { owners in
        for index in (seen & (Self.blocksPerLeaf - 1))..<Self.blocksPerLeaf { owners[index] = Self.zeros }
      }
    }
    removeLeaves(from: first)
    ownedLeaves = min(ownedLeaves, first)
    seen = blocks
  }

  private func removeLeaves(from first: Int) {
    var index = first
    while let (leaf, word) = leaves.next(from: index, below: leaves.count) {
      free(Self.page(word))
      leaves.slot(leaf)?.pointee.store(0, ordering: .relaxed)
      index = leaf + 1
    }
  }

  // MARK: Leaves

  private static func page(_ word: UInt) -> Page? { word & 1 == 0 ? Page(bitPattern: word) : nil }
  private static func wholeOwner(_ word: UInt) -> Owner { Owner(truncatingIfNeeded: word >> 1) }

  private func change(
    _ leaf: Int, _ body: (UnsafeMutableBufferPointer<Owner>) -> Void
  ) throws(StoreError) {
    try withUnsafeTemporaryAllocation(of: Owner.self, capacity: Self.blocksPerLeaf) {
      owners throws(StoreError) in
      decode(leaf, into: owners)
      body(owners)
      try encode(leaf, owners)
    }
  }

  private func decode(_ leaf: Int, into owners: UnsafeMutableBufferPointer<Owner>) {
    let word = leaves.word(leaf)
    guard let page = Self.page(word) else {
      let owner = word != 0 ? Self.wholeOwner(word) : leaf < ownedLeaves ? owner : Self.zeros
      return owners.initialize(repeating: owner)
    }
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

  private func encode(_ leaf: Int, _ owners: UnsafeMutableBufferPointer<Owner>) throws(StoreError) {
    var runs = 1
    for index in 1..<Self.blocksPerLeaf where owners[index] != owners[index - 1] { runs += 1 }
    guard let slot = leaves.slot(leaf) else { throw .noMemory }
    let old = slot.pointee.load(ordering: .relaxed)
    if runs == 1 {
      slot.pointee.store(UInt(owners[0]) << 1 | 1, ordering: .relaxed)
    } else {
      slot.pointee.store(UInt(bitPattern: try makePage(owners, runs)), ordering: .relaxed)
    }
    free(Self.page(old))
  }

  private func makePage(
    _ owners: UnsafeMutableBufferPointer<Owner>, _ runs: Int
  ) throws(StoreError) -> Page {
    let isDense = runs > Self.maximumRuns
    let length = isDense ? 1 + Self.blocksPerLeaf : 1 + 2 * runs
    guard let memory = malloc(length * MemoryLayout<UInt16>.stride) else { throw .noMemory }
    let page = memory.bindMemory(to: UInt16.self, capacity: length)
    if isDense {
      page[0] = Self.dense
      for index in 0..<Self.blocksPerLeaf { page[1 + index] = owners[index] }
      return page
    }
    page[0] = UInt16(runs)
    var run = 0
    for index in 0..<Self.blocksPerLeaf where index == 0 || owners[index] != owners[index - 1] {
      page[1 + 2 * run] = UInt16(index)
      page[2 + 2 * run] = owners[index]
      run += 1
    }
    return page
  }
}
