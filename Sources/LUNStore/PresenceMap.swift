import Glibc
import Synchronization

/// Which blocks of a LUN a layer holds itself: one bit for each block of 4 KiB, in leaves of 4,096 blocks (16
/// MiB) that are there only where a bit is set.
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
  typealias Leaf = UnsafeMutablePointer<Word>

  /// The number of blocks, counting one that begins and does not end inside.
  let blocks: Int
  private let leafCount: Int
  /// Addresses of leaves; 0 where there is none.
  private let leaves: UnsafeMutablePointer<Atomic<UInt>>
  /// A bit for each leaf: whether it has bits that the map's file does not have yet.
  private let dirty: UnsafeMutablePointer<Word>
  /// How many leaves there are.
  let presentLeaves = Atomic(0)
  private var dirtyWords: Int { (leafCount + 63) / 64 }

  init(size: Int64) {
    blocks = Self.blocks(in: size)
    leafCount = (blocks + Self.blocksPerLeaf - 1) >> Self.leafShift
    // Zeroed by the allocator: memory that nobody touches costs nothing.
    leaves = Self.zeroed(Atomic<UInt>.self, max(1, leafCount))
    dirty = Self.zeroed(Word.self, max(1, (leafCount + 63) / 64))
  }

  deinit {
    for index in 0..<leafCount {
      free(UnsafeMutableRawPointer(bitPattern: leaves[index].load(ordering: .relaxed)))
    }
    free(leaves)
    free(dirty)
  }

  static func blocks(in size: Int64) -> Int { Int((size + blockSize - 1) >> blockShift) }

  private static func zeroed<Value: ~Copyable>(_: Value.Type, _ count: Int) -> UnsafeMutablePointer<Value> {
    guard let memory = calloc(count, MemoryLayout<Value>.stride) else { fatalError("no memory for a map") }
    return memory.bindMemory(to: Value.self, capacity: count)
  }

  @inline(__always)
  func leaf(_ index: Int) -> Leaf? {
    UnsafeMutableRawPointer(bitPattern: leaves[index].load(ordering: .acquiring))?
      .assumingMemoryBound(to: Word.self)
  }

  private func makeLeaf(_ index: Int) -> Leaf {
    if let leaf = leaf(index) { return leaf }
    let new = Self.zeroed(Word.self, Self.wordsPerLeaf)
    let (exchanged, other) = leaves[index].compareExchange(
      expected: 0, desired: UInt(bitPattern: new), ordering: .acquiringAndReleasing)
    if exchanged {
      presentLeaves.add(1, ordering: .relaxed)
      return new
    }
    free(new)
    return UnsafeMutablePointer(bitPattern: other)!
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
        block = (index + 1) << Self.leafShift
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
  func insert(_ blocks: Range<Int>) {
    var block = blocks.lowerBound
    while block < blocks.upperBound {
      let index = block >> Self.leafShift
      let end = min(blocks.upperBound, (block | 63) + 1)
      let count = end - block
      let mask = (count == 64 ? UInt64.max : (1 << UInt64(count)) - 1) << UInt64(block & 63)
      let word = makeLeaf(index) + (block >> 6 & (Self.wordsPerLeaf - 1))
      let old = word.pointee.bitwiseOr(mask, ordering: .acquiringAndReleasing).oldValue
      // After the bits: whoever takes the mark finds them.
      if old & mask != mask { markDirty(index) }
      block = end
    }
  }

  private func markDirty(_ index: Int) {
    dirty[index >> 6].bitwiseOr(1 << UInt64(index & 63), ordering: .sequentiallyConsistent)
  }

  /// Copies of the leaves that changed since the last call.
  func takeDirty() -> [MapLog.Entry] {
    var taken: [MapLog.Entry] = []
    for index in 0..<dirtyWords where dirty[index].load(ordering: .relaxed) != 0 {
      var marks = dirty[index].exchange(0, ordering: .sequentiallyConsistent)
      while marks != 0 {
        let number = index << 6 | marks.trailingZeroBitCount
        marks &= marks - 1
        if let leaf = leaf(number) { taken.append(entry(number, leaf)) }
      }
    }
    return taken
  }

  /// Whether `takeDirty` would find something.
  var hasChanges: Bool { (0..<dirtyWords).contains { dirty[$0].load(ordering: .relaxed) != 0 } }

  /// Undoes `takeDirty`, when what it took could not be written.
  func giveBack(_ entries: [MapLog.Entry]) {
    for entry in entries { markDirty(entry.leaf) }
  }

  private func entry(_ number: Int, _ leaf: Leaf) -> MapLog.Entry {
    MapLog.Entry(leaf: number, words: (0..<Self.wordsPerLeaf).map { leaf[$0].load(ordering: .acquiring) })
  }

  /// All leaves with a bit set, in order.
  func forEachLeaf(_ body: (_ number: Int, _ leaf: Leaf) -> Void) {
    for index in 0..<leafCount {
      if let leaf = leaf(index) { body(index, leaf) }
    }
  }

  /// Everything, as the entries of a map's file.
  var entries: [MapLog.Entry] {
    var all: [MapLog.Entry] = []
    forEachLeaf { all.append(entry($0, $1)) }
    return all
  }

  /// Puts in what a map's file says, in place of what was there; leaves beyond the end are those of a LUN that
  /// was shrunk.
  func load(_ number: Int, _ words: some Sequence<UInt64>) {
    guard number < leafCount else { return }
    let leaf = makeLeaf(number)
    for (index, word) in words.enumerated() {
      leaf[index].store(UInt64(littleEndian: word), ordering: .relaxed)
    }
    if number == leafCount - 1 { removeBeyondEnd() }
  }

  /// Adds all bits of another map of the same LUN.
  func formUnion(_ other: PresenceMap) {
    other.forEachRun { insert($0) }
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
    forEachRun { sum += $0.count }
    return sum
  }

  /// A copy for another size, without the blocks that are beyond it, and with nothing marked as changed.
  func resized(to size: Int64) -> PresenceMap {
    let new = PresenceMap(size: size)
    for entry in entries { new.load(entry.leaf, entry.words) }
    return new
  }

  private func removeBeyondEnd() {
    guard leafCount > 0, blocks & (Self.blocksPerLeaf - 1) != 0, let leaf = leaf(leafCount - 1) else {
      return
    }
    for index in 0..<Self.wordsPerLeaf {
      let first = (leafCount - 1) << Self.leafShift | index << 6
      let kept = max(0, min(64, blocks - first))
      if kept < 64 {
        leaf[index].store(
          leaf[index].load(ordering: .relaxed) & ((1 << UInt64(kept)) - 1), ordering: .relaxed)
      }
    }
  }
}
