import Glibc
import Synchronization

/// Which blocks of a LUN a layer holds itself: one bit for each block of 4 KiB, in leaves of 4,096 blocks (16
/// MiB) that are there only where a bit is set. Nothing here takes time or memory for what is not there.
///
/// Bits may be set and read by any number of threads at once; whoever shrinks the map has it alone.
final class PresenceMap: @unchecked Sendable {
  /// The unit in which layers replace one another. The page of the kernel and the block of most file systems,
  /// so that nearly every write covers whole blocks and copies nothing.
  static let blockShift: Int64 = 12
  static let blockSize: Int64 = 1 << blockShift
  static let leafShift = 12
  static let blocksPerLeaf = 1 << leafShift
  static let wordsPerLeaf = blocksPerLeaf / 64
  static let bytesPerLeaf = blocksPerLeaf / 8

  typealias Word = Atomic<UInt64>
  /// The words of a leaf, and behind them its number, whether it is in the list of those that changed, and the
  /// address of the next one there.
  typealias Leaf = UnsafeMutablePointer<Word>
  private static let number = wordsPerLeaf
  private static let mark = wordsPerLeaf + 1
  private static let next = wordsPerLeaf + 2
  private static let leafLength = wordsPerLeaf + 3

  /// The number of blocks, counting one that begins and does not end inside.
  let blocks: Int
  /// Addresses of leaves; 0 where there is none.
  private let leaves: LeafTable
  /// The address of the first leaf that has bits that the map's file does not have yet.
  private let changed = Atomic<UInt>(0)
  /// How many leaves there are.
  let presentLeaves = Atomic(0)

  /// An empty map for a LUN of `size` bytes.
  init(size: Int64) throws(StoreError) {
    blocks = Self.blocks(in: size)
    leaves = try LeafTable(count: Self.leaves(in: blocks))
  }

  deinit { forEachLeaf { free($1) } }

  /// The number of blocks in `size` bytes.
  static func blocks(in size: Int64) -> Int { Int((size + blockSize - 1) >> blockShift) }

  /// The number of leaves that `blocks` are in.
  static func leaves(in blocks: Int) -> Int { (blocks + blocksPerLeaf - 1) >> leafShift }

  @inline(__always)
  private func leaf(_ index: Int) -> Leaf? { Leaf(bitPattern: leaves.word(index)) }

  private func makeLeaf(_ index: Int) -> Leaf? {
    if let leaf = leaf(index) { return leaf }
    guard let slot = leaves.slot(index),
      let memory = calloc(Self.leafLength, MemoryLayout<Word>.stride)
    else { return nil }
    let new = memory.bindMemory(to: Word.self, capacity: Self.leafLength)
    new[Self.number].store(UInt64(index), ordering: .relaxed)
    let (isNew, other) = slot.pointee.compareExchange(
      expected: 0, desired: UInt(bitPattern: new), ordering: .acquiringAndReleasing)
    if isNew {
      presentLeaves.add(1, ordering: .relaxed)
      return new
    }
    free(new)
    return Leaf(bitPattern: other)
  }

  func contains(_ block: Int) -> Bool {
    guard let leaf = leaf(block >> Self.leafShift) else { return false }
    let word = leaf[block >> 6 & (Self.wordsPerLeaf - 1)].load(ordering: .acquiring)
    return word >> UInt64(block & 63) & 1 == 1
  }

  /// Whether the block at `start` is present, and how many from there on, `start` included, are like it; not
  /// beyond `end`.
  func run(from start: Int, to end: Int) -> (isPresent: Bool, end: Int) {
    let isPresent = contains(start)
    var block = start
    while block < end {
      let index = block >> Self.leafShift
      guard let leaf = leaf(index) else {
        if isPresent { return (true, block) }
        guard let next = leaves.next(from: index + 1, below: Self.leaves(in: end)) else {
          return (false, end)
        }
        block = next.index << Self.leafShift
        continue
      }
      // Words of which all bits that matter are alike are passed whole.
      let word = leaf[block >> 6 & (Self.wordsPerLeaf - 1)].load(ordering: .acquiring)
      let different = (isPresent ? ~word : word) >> UInt64(block & 63)
      if different != 0 { return (isPresent, min(end, block + different.trailingZeroBitCount)) }
      block = (block | 63) + 1
    }
    return (isPresent, end)
  }

  func containsAll(_ blocks: Range<Int>) -> Bool {
    blocks.isEmpty || run(from: blocks.lowerBound, to: blocks.upperBound) == (true, blocks.upperBound)
  }

  /// Sets the bits of a range of blocks, which the next `takeDirty` tells of.
  ///
  /// - Throws: `ENOMEM`; some of the bits are set then.
  func insert(_ blocks: Range<Int>) throws(IOError) {
    var block = blocks.lowerBound
    while block < blocks.upperBound {
      guard let leaf = makeLeaf(block >> Self.leafShift) else { throw IOError(ENOMEM) }
      let end = min(blocks.upperBound, (block | (Self.blocksPerLeaf - 1)) + 1)
      if Self.insert(block..<end, into: leaf) { noteChange(of: leaf) }
      block = end
    }
  }

  /// Returns whether one of the bits is new.
  private static func insert(_ blocks: Range<Int>, into leaf: Leaf) -> Bool {
    var block = blocks.lowerBound
    var isChange = false
    while block < blocks.upperBound {
      let end = min(blocks.upperBound, (block | 63) + 1)
      let count = end - block
      let mask = (count == 64 ? UInt64.max : (1 << UInt64(count)) - 1) << UInt64(block & 63)
      let word = leaf + (block >> 6 & (wordsPerLeaf - 1))
      let old = word.pointee.bitwiseOr(mask, ordering: .acquiringAndReleasing).oldValue
      if old & mask != mask { isChange = true }
      block = end
    }
    return isChange
  }

  /// Puts a leaf into the list of those that changed. After its bits: whoever takes the list finds them.
  private func noteChange(of leaf: Leaf) {
    guard leaf[Self.mark].exchange(1, ordering: .acquiringAndReleasing) == 0 else { return }
    var first = changed.load(ordering: .relaxed)
    var isIn = false
    while !isIn {
      leaf[Self.next].store(UInt64(first), ordering: .relaxed)
      (isIn, first) = changed.compareExchange(
        expected: first, desired: UInt(bitPattern: leaf), ordering: .acquiringAndReleasing)
    }
  }

  /// Copies of the leaves that changed since the last call, in order.
  func takeDirty() -> [MapLog.Entry] {
    var taken: [MapLog.Entry] = []
    var next = changed.exchange(0, ordering: .acquiringAndReleasing)
    while let leaf = Leaf(bitPattern: next) {
      // In this order: without the mark it may be put into the list again at once, and whatever is set after that
      // is told of next time.
      next = UInt(leaf[Self.next].load(ordering: .relaxed))
      _ = leaf[Self.mark].exchange(0, ordering: .acquiringAndReleasing)
      taken.append(Self.entry(leaf))
    }
    taken.sort { $0.leaf < $1.leaf }
    return taken
  }

  /// Whether `takeDirty` would find something.
  var hasChanges: Bool { changed.load(ordering: .relaxed) != 0 }

  /// Undoes `takeDirty`, when what it took could not be written.
  func giveBack(_ entries: [MapLog.Entry]) {
    for entry in entries {
      if let leaf = leaf(entry.leaf) { noteChange(of: leaf) }
    }
  }

  private static func entry(_ leaf: Leaf) -> MapLog.Entry {
    MapLog.Entry(
      leaf: Int(leaf[number].load(ordering: .relaxed)),
      words: (0..<wordsPerLeaf).map { leaf[$0].load(ordering: .acquiring) })
  }

  /// All leaves with a bit set, in order.
  func forEachLeaf<Failure: Error>(
    _ body: (_ number: Int, _ leaf: Leaf) throws(Failure) -> Void
  ) throws(Failure) {
    var index = 0
    while let (number, word) = leaves.next(from: index, below: leaves.count) {
      if let leaf = Leaf(bitPattern: word) { try body(number, leaf) }
      index = number + 1
    }
  }

  /// Everything, in order, as the entries of a map's file.
  func forEachEntry<Failure: Error>(_ body: (MapLog.Entry) throws(Failure) -> Void) throws(Failure) {
    try forEachLeaf { _, leaf throws(Failure) in try body(Self.entry(leaf)) }
  }

  /// Puts in what a map's file says, in place of what was there; leaves beyond the end are those of a LUN that
  /// was shrunk.
  func load(_ number: Int, _ words: some Sequence<UInt64>) throws(StoreError) {
    guard number < leaves.count else { return }
    guard let leaf = makeLeaf(number) else { throw .noMemory }
    for (index, word) in words.enumerated() {
      leaf[index].store(UInt64(littleEndian: word), ordering: .relaxed)
    }
    if number == leaves.count - 1 { removeBeyondEnd(leaf) }
  }

  /// As `insert`, for those who change the LUN's structure.
  func add(_ blocks: Range<Int>) throws(StoreError) {
    do throws(IOError) { try insert(blocks) } catch { throw .noMemory }
  }

  /// Adds the blocks of another map that are before `end`.
  func formUnion(_ other: PresenceMap, before end: Int = .max) throws(StoreError) {
    let inside = 0..<min(blocks, end)
    try other.forEachRun { run throws(StoreError) in try add(run.clamped(to: inside)) }
  }

  /// The runs of present blocks, in order.
  func forEachRun<Failure: Error>(_ body: (Range<Int>) throws(Failure) -> Void) throws(Failure) {
    var block = 0
    while block < blocks {
      let (isPresent, end) = run(from: block, to: blocks)
      if isPresent { try body(block..<end) }
      block = end
    }
  }

  /// The number of present blocks.
  var count: Int {
    var sum = 0
    forEachLeaf { _, leaf in
      for index in 0..<Self.wordsPerLeaf { sum += leaf[index].load(ordering: .acquiring).nonzeroBitCount }
    }
    return sum
  }

  /// A copy for another size, without the blocks that are beyond it, and with nothing marked as changed.
  func resized(to size: Int64) throws(StoreError) -> PresenceMap {
    let new = try PresenceMap(size: size)
    try forEachLeaf { number, leaf throws(StoreError) in
      try new.load(
        number, (0..<Self.wordsPerLeaf).lazy.map { leaf[$0].load(ordering: .acquiring).littleEndian })
    }
    return new
  }

  private func removeBeyondEnd(_ leaf: Leaf) {
    guard blocks & (Self.blocksPerLeaf - 1) != 0 else { return }
    for index in 0..<Self.wordsPerLeaf {
      let first = (leaves.count - 1) << Self.leafShift | index << 6
      let kept = max(0, min(64, blocks - first))
      if kept < 64 {
        leaf[index].store(
          leaf[index].load(ordering: .relaxed) & ((1 << UInt64(kept)) - 1), ordering: .relaxed)
      }
    }
  }
}
