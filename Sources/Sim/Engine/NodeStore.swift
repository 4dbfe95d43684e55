/// The explored states, each a record of 64-bit words in one growing block, with an index by content.
///
/// A record is: control state and sizes, the pending events, the bounds, the past's footprints and rows.
struct NodeStore: ~Copyable {
  private var words: UnsafeMutablePointer<UInt64>
  private var wordCount = 0
  private var wordCapacity = 1 << 12
  private var nodes: UnsafeMutablePointer<Node>
  private var nodeCapacity = 1 << 8
  private(set) var count = 0
  /// By the hash of whole records.
  private var exact = HashIndex()
  /// By the hash of control state and pending events: the last node added, from which the others are chained.
  private var similar = HashIndex()

  /// What is kept about a state besides its record.
  struct Node {
    var offset: Int
    var size: Int32
    /// The state and the position of the event by which it was first reached; -1 for none, or for a step of the story.
    var parent: Int32
    var via: Int32
    var depth: Int32
    /// The next node with the same control state and pending events.
    var similar: Int32 = -1
    /// The node that covers all times of this one and is explored in its place; -1 when this one is explored.
    var covered: Int32 = -1
    /// Where its edges begin; -1 when it is not expanded.
    var firstEdge: Int32 = -1
    var edgeCount: Int32 = 0
  }

  /// What adding a state came to.
  enum Addition {
    case added(Int32)
    /// It is a state that there was already.
    case same(Int32)
    /// All its times are among those of a state that there was already.
    case covered(by: Int32)
  }

  init() {
    words = .allocate(capacity: wordCapacity)
    nodes = .allocate(capacity: nodeCapacity)
  }

  deinit {
    words.deallocate()
    nodes.deallocate()
  }

  subscript(node: Int32) -> Node {
    get { nodes[Int(node)] }
    set { nodes[Int(node)] = newValue }
  }

  /// The number of 64-bit words held by records.
  var words64: Int { wordCount }

  /// The control state of a node.
  func state(of node: Int32) -> Int32 {
    Int32(truncatingIfNeeded: words[nodes[Int(node)].offset] & 0xFFFF_FFFF)
  }

  /// The number of events pending at a node.
  func pendingCount(of node: Int32) -> Int {
    Int(words[nodes[Int(node)].offset] >> 32 & 0xFFFF)
  }

  /// The pending event at a position of a node.
  func event(of node: Int32, at position: Int) -> Int32 {
    Int32(truncatingIfNeeded: words[nodes[Int(node)].offset + 1 + position])
  }

  /// Whether the pending event at a position of a node has a deadline.
  func hasDeadline(_ node: Int32, at position: Int) -> Bool {
    let n = pendingCount(of: node)
    let bounds = nodes[Int(node)].offset + 1 + n
    for other in 0..<n where other != position {
      if Int64(bitPattern: words[bounds + position * n + other]) < Zone.infinity { return true }
    }
    return false
  }

  /// Reads a node's record.
  func read(_ node: Int32, into zone: inout Zone) {
    var at = words + nodes[Int(node)].offset
    let header = at[0]
    at += 1
    let n = Int(header >> 32 & 0xFFFF)
    zone.reset(count: n, pastCount: Int(header >> 48))
    for i in 0..<n { zone.events[i] = Int32(truncatingIfNeeded: at[i]) }
    at += n
    for i in 0..<n * n { zone.bound[i] = Int64(bitPattern: at[i]) }
    at += n * n
    for h in 0..<zone.pastCount { zone.past[h] = Footprint(reads: at[2 * h], writes: at[2 * h + 1]) }
    at += 2 * zone.pastCount
    for i in 0..<zone.pastCount * n { zone.since[i] = Int64(bitPattern: at[i]) }
  }

  /// Adds a state unless there is one like it.
  ///
  /// - Parameters:
  ///   - merging: whether to look for a state like it at all.
  ///   - covering: whether a state with more possible times is like it; states not expanded yet that the new
  ///     one covers are marked as such.
  ///   - budget: the number of states not to exceed.
  ///   - canConflict: whether an event's consequences may conflict with a footprint.
  /// - Returns: nil if the state is a new one beyond the budget.
  mutating func add(
    state: Int32, _ zone: borrowing Zone, parent: Int32, via: Int32, depth: Int32, merging: Bool,
    covering: Bool, budget: Int, canConflict: (Int32, Footprint) -> Bool
  ) -> Addition? {
    let n = zone.count
    precondition(n <= 0xFFFF && zone.pastCount <= 0xFFFF, "more than 65535 events are pending")
    let size = 1 + n + n * n + zone.pastCount * (2 + n)
    let offset = wordCount
    reserve(size)
    write(state, zone, at: words + offset)
    let keyHash = NodeStore.hash(words + offset, 1 + n, seed: 0)
    var hash = keyHash
    if merging {
      hash = NodeStore.hash(words + offset + 1 + n, size - 1 - n, seed: keyHash)
      var probe = exact.find(hash)
      while let other = exact.next(&probe) {
        if isSame(other, offset, size) { return .same(other) }
      }
    }
    var chained: Int32 = -1
    if merging && covering && n > 0 {
      var probe = similar.find(keyHash)
      while chained < 0, let other = similar.next(&probe) {
        if isSimilar(other, offset, n) { chained = other }
      }
      var other = chained
      while other >= 0 {
        let node = nodes[Int(other)]
        if node.covered < 0 && covers(other, zone, canConflict) { return .covered(by: other) }
        other = node.similar
      }
    }
    if count >= budget { return nil }
    let new = append(
      Node(
        offset: offset, size: Int32(size), parent: parent, via: via, depth: depth,
        similar: chained))
    wordCount += size
    if merging { exact.insert(hash, new) }
    if merging && covering && n > 0 {
      similar.replace(keyHash, chained, with: new)
      coverOthers(by: new, zone, from: chained, canConflict)
    }
    return .added(new)
  }

  private mutating func coverOthers(
    by new: Int32, _ zone: borrowing Zone, from first: Int32, _ canConflict: (Int32, Footprint) -> Bool
  ) {
    var other = first
    while other >= 0 {
      let node = nodes[Int(other)]
      if node.covered < 0, node.firstEdge < 0, isCovered(other, by: zone, canConflict) {
        nodes[Int(other)].covered = new
      }
      other = node.similar
    }
  }

  private func write(_ state: Int32, _ zone: borrowing Zone, at start: UnsafeMutablePointer<UInt64>) {
    let n = zone.count
    var at = start
    at[0] = UInt64(UInt32(bitPattern: state)) | UInt64(n) << 32 | UInt64(zone.pastCount) << 48
    at += 1
    for i in 0..<n { at[i] = UInt64(UInt32(bitPattern: zone.events[i])) }
    at += n
    for i in 0..<n * n { at[i] = UInt64(bitPattern: zone.bound[i]) }
    at += n * n
    for h in 0..<zone.pastCount {
      at[2 * h] = zone.past[h].reads
      at[2 * h + 1] = zone.past[h].writes
    }
    at += 2 * zone.pastCount
    for i in 0..<zone.pastCount * n { at[i] = UInt64(bitPattern: zone.since[i]) }
  }

  private func isSame(_ node: Int32, _ offset: Int, _ size: Int) -> Bool {
    let other = nodes[Int(node)]
    if Int(other.size) != size { return false }
    for i in 0..<size where words[other.offset + i] != words[offset + i] { return false }
    return true
  }

  /// Whether two records agree in control state and pending events.
  private func isSimilar(_ node: Int32, _ offset: Int, _ n: Int) -> Bool {
    let other = nodes[Int(node)].offset
    let mask: UInt64 = 0xFFFF_FFFF_FFFF
    if words[other] & mask != words[offset] & mask { return false }
    for i in 0..<n where words[other + 1 + i] != words[offset + 1 + i] { return false }
    return true
  }

  private mutating func append(_ node: Node) -> Int32 {
    precondition(count < Int(Int32.max), "more than 2^31 states")
    if count == nodeCapacity {
      let larger = UnsafeMutablePointer<Node>.allocate(capacity: nodeCapacity * 2)
      larger.moveInitialize(from: nodes, count: count)
      nodes.deallocate()
      nodes = larger
      nodeCapacity *= 2
    }
    (nodes + count).initialize(to: node)
    count += 1
    return Int32(count - 1)
  }

  private mutating func reserve(_ more: Int) {
    if wordCount + more <= wordCapacity { return }
    while wordCapacity < wordCount + more { wordCapacity *= 2 }
    let larger = UnsafeMutablePointer<UInt64>.allocate(capacity: wordCapacity)
    larger.moveInitialize(from: words, count: wordCount)
    words.deallocate()
    words = larger
  }

  /// A multiply-and-fold hash; the same in every process, as the order of exploration must not depend on it.
  static func hash(_ words: UnsafePointer<UInt64>, _ count: Int, seed: UInt64) -> UInt64 {
    var a = seed ^ 0x2D35_8DCC_AA6C_78A5
    for i in 0..<count {
      let product = (words[i] ^ 0x8BB8_4B93_962E_ACC9).multipliedFullWidth(by: a ^ 0x4B33_A62E_D433_D4A3)
      a = product.high ^ product.low ^ UInt64(i)
    }
    a = (a ^ (a >> 32)) &* 0x9E37_79B9_7F4A_7C15
    return a ^ (a >> 29)
  }

  // MARK: Covering

  /// Whether every future from the times in `zone` is also one from those of a node with the same control state
  /// and pending events.
  private func covers(
    _ node: Int32, _ zone: borrowing Zone, _ canConflict: (Int32, Footprint) -> Bool
  ) -> Bool {
    let n = zone.count
    let header = words[nodes[Int(node)].offset]
    let bounds = words + nodes[Int(node)].offset + 1 + n
    for i in 0..<n * n where zone.bound[i] > Int64(bitPattern: bounds[i]) { return false }
    let pastCount = Int(header >> 48)
    let footprints = bounds + n * n
    let rows = footprints + 2 * pastCount
    for h in 0..<pastCount {
      let footprint = Footprint(reads: footprints[2 * h], writes: footprints[2 * h + 1])
      let isMet = NodeStore.meets(
        zone.bound, n, zone.events, footprint, { Int64(bitPattern: rows[h * n + $0]) },
        pastCount: zone.pastCount, past: { zone.past[$0] }, since: { zone.since[$0 * n + $1] },
        canConflict)
      if !isMet { return false }
    }
    return true
  }

  /// The same the other way round.
  private func isCovered(
    _ node: Int32, by zone: borrowing Zone, _ canConflict: (Int32, Footprint) -> Bool
  ) -> Bool {
    let n = zone.count
    let header = words[nodes[Int(node)].offset]
    let bounds = words + nodes[Int(node)].offset + 1 + n
    for i in 0..<n * n where Int64(bitPattern: bounds[i]) > zone.bound[i] { return false }
    let pastCount = Int(header >> 48)
    let footprints = bounds + n * n
    let rows = footprints + 2 * pastCount
    return bounds.withMemoryRebound(to: Int64.self, capacity: n * n) { signed in
      for h in 0..<zone.pastCount {
        let isMet = NodeStore.meets(
          signed, n, zone.events, zone.past[h], { zone.since[h * n + $0] },
          pastCount: pastCount,
          past: { Footprint(reads: footprints[2 * $0], writes: footprints[2 * $0 + 1]) },
          since: { Int64(bitPattern: rows[$0 * n + $1]) }, canConflict)
        if !isMet { return false }
      }
      return true
    }
  }

  /// Whether the times within `bound` and its past meet whatever a past event of another zone demands.
  @inline(__always)
  private static func meets(
    _ bound: UnsafePointer<Int64>, _ n: Int, _ events: UnsafePointer<Int32>, _ footprint: Footprint,
    _ demand: (Int) -> Int64, pastCount: Int, past: (Int) -> Footprint, since: (Int, Int) -> Int64,
    _ canConflict: (Int32, Footprint) -> Bool
  ) -> Bool {
    // The demand is T(x) − T(p) ≤ demand(x) for all x, for those p that may lead to a conflict.
    func isVacuous(_ x: Int) -> Bool {
      for p in 0..<n where bound[x * n + p] > demand(x) && canConflict(events[p], footprint) { return false }
      return true
    }
    if (0..<n).allSatisfy(isVacuous) { return true }
    for g in 0..<pastCount where past(g).covers(footprint) {
      if (0..<n).allSatisfy({ since(g, $0) <= demand($0) || isVacuous($0) }) { return true }
    }
    return false
  }
}

/// An index from hashes to numbers: open addressing, no removal.
struct HashIndex: ~Copyable {
  private struct Entry {
    var hash: UInt64
    var value: Int32
  }

  /// A search in progress.
  struct Probe {
    fileprivate var slot: Int
    fileprivate let hash: UInt64
  }

  private var entries: UnsafeMutablePointer<Entry>
  private var capacity = 1 << 8
  private var count = 0

  init() {
    entries = .allocate(capacity: capacity)
    entries.initialize(repeating: Entry(hash: 0, value: -1), count: capacity)
  }

  deinit { entries.deallocate() }

  /// Starts a search for the values with a hash.
  @inline(__always)
  func find(_ hash: UInt64) -> Probe {
    Probe(slot: Int(truncatingIfNeeded: hash) & (capacity - 1), hash: hash)
  }

  /// The next value with the hash.
  @inline(__always)
  func next(_ probe: inout Probe) -> Int32? {
    while true {
      let entry = entries[probe.slot]
      if entry.value < 0 { return nil }
      probe.slot = (probe.slot &+ 1) & (capacity &- 1)
      if entry.hash == probe.hash { return entry.value }
    }
  }

  /// Adds a value, not negative.
  mutating func insert(_ hash: UInt64, _ value: Int32) {
    if count * 2 >= capacity { grow() }
    place(Entry(hash: hash, value: value))
    count += 1
  }

  /// Puts a value in the place of another one with the same hash, or adds it when `old` is negative.
  mutating func replace(_ hash: UInt64, _ old: Int32, with value: Int32) {
    if old < 0 { return insert(hash, value) }
    var slot = Int(truncatingIfNeeded: hash) & (capacity - 1)
    while entries[slot].value >= 0 {
      if entries[slot].value == old, entries[slot].hash == hash {
        entries[slot].value = value
        return
      }
      slot = (slot + 1) & (capacity - 1)
    }
  }

  private func place(_ entry: Entry) {
    var slot = Int(truncatingIfNeeded: entry.hash) & (capacity - 1)
    while entries[slot].value >= 0 { slot = (slot + 1) & (capacity - 1) }
    entries[slot] = entry
  }

  private mutating func grow() {
    let old = entries
    let oldCapacity = capacity
    capacity *= 2
    entries = .allocate(capacity: capacity)
    entries.initialize(repeating: Entry(hash: 0, value: -1), count: capacity)
    for slot in 0..<oldCapacity where old[slot].value >= 0 { place(old[slot]) }
    old.deallocate()
  }
}
