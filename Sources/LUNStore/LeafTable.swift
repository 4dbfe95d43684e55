import Glibc
import Synchronization

/// A sparse array of words, one for each 16 MiB of a LUN: a tree that has branches only where a word is not 0, so that
/// it is as large as what is there, and not as what could be.
///
/// Up to 8,192 words (a LUN of 128 GiB) are one table, and reading a word takes one load. Each level more, of tables of
/// 512, takes one more; the largest LUN has four.
///
/// Any number of threads may read words and make places for new ones at once; whoever takes the table apart has it
/// alone. What words mean, and what they point at, is its owner's.
final class LeafTable: @unchecked Sendable {
  typealias Slot = Atomic<UInt>
  private typealias Node = UnsafeMutablePointer<Slot>

  private static let rootShift = 13
  private static let fanShift = 9
  private static let fan = 1 << fanShift

  /// The number of words.
  let count: Int
  private let root: Node
  /// How many bits of an index the tables below the root tell apart.
  private let height: Int
  private var rootCount: Int { (count + (1 << height) - 1) >> height }

  /// All words are 0.
  init(count: Int) throws(StoreError) {
    var height = 0
    while count > 1 << (height + Self.rootShift) { height += Self.fanShift }
    guard let root = Self.makeNode(max(1, (count + (1 << height) - 1) >> height)) else { throw .noMemory }
    (self.count, self.root, self.height) = (count, root, height)
  }

  deinit { Self.free(root, rootCount, height) }

  private static func makeNode(_ count: Int) -> Node? {
    // Zeroed by the allocator: memory that nobody touches costs nothing.
    calloc(count, MemoryLayout<Slot>.stride)?.bindMemory(to: Slot.self, capacity: count)
  }

  private static func free(_ node: Node, _ count: Int, _ height: Int) {
    for index in 0..<count where height > 0 {
      guard let below = Node(bitPattern: node[index].load(ordering: .relaxed)) else { continue }
      free(below, fan, height - fanShift)
    }
    Glibc.free(node)
  }

  /// The word at an index below `count`.
  @inline(__always)
  func word(_ index: Int) -> UInt { find(index).word }

  /// The word at an index, or 0 and how many bits of the index do not matter, since there is no table for them.
  @inline(__always)
  private func find(_ index: Int) -> (word: UInt, height: Int) {
    var height = height
    var word = root[index >> height].load(ordering: .acquiring)
    while height > 0, let node = Node(bitPattern: word) {
      height -= Self.fanShift
      word = node[index >> height & (Self.fan - 1)].load(ordering: .acquiring)
    }
    return (word, height)
  }

  /// The first word that is not 0, at an index from `begin` on and below `end`.
  func next(from begin: Int, below end: Int) -> (index: Int, word: UInt)? {
    var index = begin
    while index < end {
      let (word, height) = find(index)
      if word != 0 { return (index, word) }
      index = ((index >> height) + 1) << height
    }
    return nil
  }

  /// The place of the word at an index below `count`, made if need be; `nil` if there is no memory for it.
  func slot(_ index: Int) -> UnsafeMutablePointer<Slot>? {
    var height = height
    var slot = root + (index >> height)
    while height > 0 {
      guard let node = node(in: slot) else { return nil }
      height -= Self.fanShift
      slot = node + (index >> height & (Self.fan - 1))
    }
    return slot
  }

  private func node(in slot: UnsafeMutablePointer<Slot>) -> Node? {
    if let node = Node(bitPattern: slot.pointee.load(ordering: .acquiring)) { return node }
    guard let new = Self.makeNode(Self.fan) else { return nil }
    let (isNew, other) = slot.pointee.compareExchange(
      expected: 0, desired: UInt(bitPattern: new), ordering: .acquiringAndReleasing)
    if isNew { return new }
    Glibc.free(new)
    return Node(bitPattern: other)
  }
}

extension StoreError {
  /// The map of a LUN does not fit into memory.
  static var noMemory: StoreError {
    StoreError(.system(ENOMEM), at: "map of a LUN", "cannot be held in memory: \(errorText(ENOMEM))")
  }
}
