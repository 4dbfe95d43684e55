/// The explored states, each a record of 64-bit words in one growing block, with an index by content.
///
/// A record is: its node and the record that it is chained to; its size and a hash of its times; control state and
/// sizes; the pending events two to a word; then, unless the zone says nothing at all about times, its bounds and
/// the footprints and rows of its past. Looking for a state touches the index and one record, no more: with
/// millions of states it is the cache misses that count.
struct NodeStore: ~Copyable {
  private var words: UnsafeMutablePointer<UInt64>
  private var wordCount = 0
  private var wordCapacity = 1 << 12
  private var nodes: UnsafeMutablePointer<Node>
  private var nodeCapacity = 1 << 8
  private(set) var count = 0
  /// By control state and pending events: where the last such record begins. The others are chained to it.
  private var index = HashIndex()
  /// The states staged, and where their records end, behind all others.
  private var staged: UnsafeMutablePointer<Staged>
  private var stagedCapacity = 16
  private(set) var stagedCount = 0
  private var stagedEnd = 0
  /// Whether some node is explored only through another one that covers it.
  private(set) var hasCovered = false

  /// What is kept about a state besides its record.
  struct Node {
    var offset: Int
    /// The state and the position of the event by which it was first reached; -1 for none, or for a step of the story.
    var parent: Int32
    var via: Int32
    var depth: Int32
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

  /// A state with a blank zone that is to be added together with others.
  private struct Staged {
    var record: Int
    var keyHash: UInt64
    /// What the index has for it, and the header found there: read ahead, so that the cache misses of the staged
    /// states overlap.
    var entry: UInt64 = 0
    var header: UInt64 = 0
    var via: Int32
  }

  init() {
    staged = .allocate(capacity: stagedCapacity)
    words = .allocate(capacity: wordCapacity)
    nodes = .allocate(capacity: nodeCapacity)
  }

  deinit {
    staged.deallocate()
    words.deallocate()
    nodes.deallocate()
  }

  subscript(node: Int32) -> Node {
    get { nodes[Int(node)] }
    set { nodes[Int(node)] = newValue }
  }

  /// The number of words before a record's header: links, and size with hash.
  private static let linkSize = 2
  /// Where no record begins.
  private static let nowhere = UInt32.max

  private func node(at record: UInt32) -> Int32 {
    Int32(truncatingIfNeeded: words[Int(record)] & 0xFFFF_FFFF)
  }

  private func similar(to record: UInt32) -> UInt32 { UInt32(truncatingIfNeeded: words[Int(record)] >> 32) }

  /// Where the header of a node's record is.
  @inline(__always)
  private func header(of node: Int32) -> Int { nodes[Int(node)].offset + NodeStore.linkSize }

  /// The control state of a node.
  func state(of node: Int32) -> Int32 {
    Int32(truncatingIfNeeded: words[header(of: node)] & 0xFFFF_FFFF)
  }

  /// The number of events pending at a node.
  func pendingCount(of node: Int32) -> Int { Header(words[header(of: node)]).count }

  /// The pending event at a position of a node.
  func event(of node: Int32, at position: Int) -> Int32 {
    let word = words[header(of: node) + 1 + position / 2]
    return Int32(truncatingIfNeeded: position % 2 == 0 ? word : word >> 32)
  }

  /// Whether the pending event at a position of a node has a deadline.
  func hasDeadline(_ node: Int32, at position: Int) -> Bool {
    let header = Header(words[self.header(of: node)])
    if header.isTimeless { return false }
    let row = self.header(of: node) + header.keySize + position * header.count
    for other in 0..<header.count where other != position {
      if Int64(bitPattern: words[row + other]) < Zone.infinity { return true }
    }
    return false
  }

  /// The first word of a record.
  private struct Header {
    let word: UInt64
    init(_ word: UInt64) { self.word = word }

    init(state: Int32, count: Int, pastCount: Int, isTimeless: Bool) {
      word =
        UInt64(UInt32(bitPattern: state)) | UInt64(count) << 32 | UInt64(pastCount) << 48
        | (isTimeless ? 1 << 63 : 0)
    }

    var count: Int { Int(word >> 32 & 0xFFFF) }
    var pastCount: Int { Int(word >> 48 & 0x7FFF) }
    var isTimeless: Bool { word >> 63 != 0 }
    /// What two records with the same control state and number of events share.
    var key: UInt64 { word & 0xFFFF_FFFF_FFFF }
    /// The number of words before the bounds.
    var keySize: Int { 1 + (count + 1) / 2 }
  }

  /// Reads a node's record.
  func read(_ node: Int32, into zone: inout Zone) { read(header: header(of: node), into: &zone) }

  private func read(header offset: Int, into zone: inout Zone) {
    var at = words + offset
    let header = Header(at[0])
    let n = header.count
    if header.isTimeless {
      zone.resetBlank(count: n)
    } else {
      zone.reset(count: n, pastCount: header.pastCount)
    }
    for i in 0..<n {
      let word = at[1 + i / 2]
      zone.events[i] = Int32(truncatingIfNeeded: i % 2 == 0 ? word : word >> 32)
    }
    if header.isTimeless { return }
    at += header.keySize
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
  /// - Returns: nil if the state is a new one beyond the budget.
  mutating func add<M>(
    state: Int32, _ zone: inout Zone, _ alphabet: borrowing Alphabet<M>, parent: Int32, via: Int32,
    depth: Int32, merging: Bool, covering: Bool, budget: Int
  ) -> Addition? {
    assert(stagedCount == 0)
    let record = wordCount
    let keyHash = write(state: state, zone, at: record)
    return settle(
      record, keyHash, &zone, isRead: true, alphabet, Node(offset: 0, parent: parent, via: via, depth: depth),
      merging, covering, budget)
  }

  /// Prepares a state with a blank zone for being added, when all those staged are.
  @inline(__always)
  mutating func stage(state: Int32, _ zone: borrowing Zone, via: Int32) {
    assert(zone.isBlank)
    let record = Swift.max(stagedEnd, wordCount)
    let keyHash = write(state: state, zone, at: record)
    stagedEnd = record + NodeStore.linkSize + size(at: record)
    if stagedCount == stagedCapacity { growStaged() }
    (staged + stagedCount).initialize(
      to: Staged(record: record, keyHash: keyHash, via: via))
    stagedCount &+= 1
  }

  /// Begins to add the staged states: reads ahead what they will be compared with.
  ///
  /// The loops are so short that the processor works on several of their loads at the same time.
  func readAhead() {
    for i in 0..<stagedCount { staged[i].entry = index.peek(staged[i].keyHash) }
    for i in 0..<stagedCount {
      let entry = staged[i].entry
      // An empty place, and one of another hash, need no further look.
      if entry >> 32 == staged[i].keyHash & 0xFFFF_FFFF, entry & 0xFFFF_FFFF != UInt64(NodeStore.nowhere) {
        staged[i].header = words[Int(entry & 0xFFFF_FFFF) &+ NodeStore.linkSize]
      }
    }
  }

  /// Adds a staged state unless there is one like it; to be called for each of them in turn.
  ///
  /// - Parameter zone: overwritten where a zone is needed at all.
  @inline(__always)
  mutating func addStaged<M>(
    _ number: Int, _ zone: inout Zone, _ alphabet: borrowing Alphabet<M>, parent: Int32, depth: Int32,
    merging: Bool, covering: Bool, budget: Int
  ) -> (addition: Addition?, via: Int32) {
    let state = staged[number]
    let addition = settle(
      state.record, state.keyHash, &zone, isRead: false, alphabet,
      Node(offset: 0, parent: parent, via: state.via, depth: depth), merging, covering, budget)
    return (addition, state.via)
  }

  /// Forgets what is staged.
  mutating func unstage() {
    stagedCount = 0
    stagedEnd = 0
  }

  private func size(at record: Int) -> Int { Int(words[record + 1] >> 32) }

  /// Writes a record, all but its links, behind all others.
  ///
  /// - Returns: the hash of its control state and pending events.
  @inline(__always)
  private mutating func write(state: Int32, _ zone: borrowing Zone, at record: Int) -> UInt64 {
    let n = zone.count
    precondition(n <= 0xFFFF && zone.pastCount <= 0x7FFF, "more than 65535 events are pending")
    let header = Header(
      state: state, count: n, pastCount: zone.pastCount, isTimeless: zone.isTimeless)
    let keySize = header.keySize
    let size = header.isTimeless ? keySize : keySize + n * n + zone.pastCount * (2 + n)
    let offset = record + NodeStore.linkSize
    reserve(upTo: offset + size)
    write(header, zone, at: words + offset)
    // Of the header only what makes the key is hashed.
    let timesHash = NodeStore.hash(words + offset + keySize, size - keySize, seed: 0)
    words[record + 1] = UInt64(size) << 32 | timesHash & 0xFFFF_FFFF
    return NodeStore.hash(words + offset + 1, keySize - 1, seed: header.key)
  }

  /// Makes the record at `record`, behind all others, one of them, unless there is a state like it.
  ///
  /// - Parameter isRead: whether `zone` has what is in the record; if not it is read where it is needed.
  @inline(__always)
  private mutating func settle<M>(
    _ record: Int, _ keyHash: UInt64, _ zone: inout Zone, isRead: Bool, _ alphabet: borrowing Alphabet<M>,
    _ node: Node, _ merging: Bool, _ covering: Bool, _ budget: Int
  ) -> Addition? {
    let offset = record + NodeStore.linkSize
    let header = Header(words[offset])
    let size = size(at: record)
    let covering = covering && header.count > 0
    var first = NodeStore.nowhere
    if merging {
      first = firstSimilar(keyHash, offset, header)
      var other = first
      while other != NodeStore.nowhere {
        if words[Int(other) + 1] == words[record + 1], isSame(Int(other), record, header.keySize, size) {
          return .same(self.node(at: other))
        }
        other = similar(to: other)
      }
      if covering, first != NodeStore.nowhere {
        if !isRead { read(header: offset, into: &zone) }
        if let candidate = coveringNode(of: zone, from: first, alphabet) {
          hasCovered = true
          return .covered(by: candidate)
        }
      }
    }
    if count >= budget { return nil }
    let target = wordCount
    precondition(target < NodeStore.nowhere, "more than 32 GiB of states")
    var node = node
    node.offset = target
    let new = append(node)
    if target != record {
      // Several states were staged, and one of those before was not a new one.
      (words + target).update(from: words + record, count: NodeStore.linkSize + size)
    }
    words[target] = UInt64(first) << 32 | UInt64(new)
    wordCount += NodeStore.linkSize + size
    if merging && first != NodeStore.nowhere {
      index.replace(keyHash, first, with: UInt32(target))
      if covering { coverOthers(by: new, zone, from: first, alphabet) }
    } else if merging {
      index.insert(keyHash, UInt32(target))
    }
    return .added(new)
  }

  /// A node, of those chained from `first` on, that has all the times of `zone`.
  @inline(never)
  private func coveringNode<M>(
    of zone: borrowing Zone, from first: UInt32, _ alphabet: borrowing Alphabet<M>
  ) -> Int32? {
    var other = first
    while other != NodeStore.nowhere {
      let candidate = node(at: other)
      if nodes[Int(candidate)].covered < 0 && covers(candidate, zone, alphabet) { return candidate }
      other = similar(to: other)
    }
    return nil
  }

  /// The last record added with the control state and pending events of the one whose header is at `offset`.
  @inline(__always)
  private func firstSimilar(_ hash: UInt64, _ offset: Int, _ header: Header) -> UInt32 {
    var probe = index.find(hash)
    while let other = index.next(&probe) {
      let start = Int(other) + NodeStore.linkSize
      if Header(words[start]).key != header.key { continue }
      var i = 1
      while i < header.keySize, words[start + i] == words[offset + i] { i += 1 }
      if i == header.keySize { return other }
    }
    return NodeStore.nowhere
  }

  private mutating func coverOthers<M>(
    by new: Int32, _ zone: borrowing Zone, from first: UInt32, _ alphabet: borrowing Alphabet<M>
  ) {
    var other = first
    while other != NodeStore.nowhere {
      let candidate = node(at: other)
      let node = nodes[Int(candidate)]
      if node.covered < 0, node.firstEdge < 0, isCovered(candidate, by: zone, alphabet) {
        nodes[Int(candidate)].covered = new
        hasCovered = true
      }
      other = similar(to: other)
    }
  }

  private func write(_ header: Header, _ zone: borrowing Zone, at start: UnsafeMutablePointer<UInt64>) {
    let n = zone.count
    start[0] = header.word
    for i in 0..<n {
      let event = UInt64(UInt32(bitPattern: zone.events[i]))
      if i % 2 == 0 { start[1 + i / 2] = event } else { start[1 + i / 2] |= event << 32 }
    }
    if header.isTimeless { return }
    var at = start + header.keySize
    for i in 0..<n * n { at[i] = UInt64(bitPattern: zone.bound[i]) }
    at += n * n
    for h in 0..<zone.pastCount {
      at[2 * h] = zone.past[h].reads
      at[2 * h + 1] = zone.past[h].writes
    }
    at += 2 * zone.pastCount
    for i in 0..<zone.pastCount * n { at[i] = UInt64(bitPattern: zone.since[i]) }
  }

  /// Whether two records of the same size, and with the same key, agree in everything but links.
  @inline(__always)
  private func isSame(_ a: Int, _ b: Int, _ keySize: Int, _ size: Int) -> Bool {
    let (a, b) = (a + NodeStore.linkSize, b + NodeStore.linkSize)
    if words[a] != words[b] { return false }
    var i = keySize
    while i < size, words[a + i] == words[b + i] { i += 1 }
    return i == size
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

  @inline(__always)
  private mutating func reserve(upTo end: Int) {
    if end > wordCapacity { grow(upTo: end) }
  }

  @inline(never)
  private mutating func grow(upTo end: Int) {
    while wordCapacity < end { wordCapacity *= 2 }
    let larger = UnsafeMutablePointer<UInt64>.allocate(capacity: wordCapacity)
    larger.moveInitialize(from: words, count: Swift.max(stagedEnd, wordCount))
    words.deallocate()
    words = larger
  }

  @inline(never)
  private mutating func growStaged() {
    let larger = UnsafeMutablePointer<Staged>.allocate(capacity: stagedCapacity * 2)
    larger.moveInitialize(from: staged, count: stagedCount)
    staged.deallocate()
    staged = larger
    stagedCapacity *= 2
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
  private func covers<M>(
    _ node: Int32, _ zone: borrowing Zone, _ alphabet: borrowing Alphabet<M>
  ) -> Bool {
    let times = Times(words + header(of: node))
    guard let bounds = times.bounds else { return true }
    zone.fillIn()
    let n = zone.count
    for i in 0..<n * n where zone.bound[i] > bounds[i] { return false }
    for h in 0..<times.pastCount {
      let isMet = NodeStore.meets(
        zone.bound, zone.events, n, times.past(h), UnsafePointer(times.since + h * n), alphabet,
        pastCount: zone.pastCount, past: { zone.past[$0] }, since: UnsafePointer(zone.since))
      if !isMet { return false }
    }
    return true
  }

  /// The same the other way round.
  private func isCovered<M>(
    _ node: Int32, by zone: borrowing Zone, _ alphabet: borrowing Alphabet<M>
  ) -> Bool {
    if zone.isTimeless { return true }
    let times = Times(words + header(of: node))
    guard let bounds = times.bounds else { return false }
    let n = zone.count
    for i in 0..<n * n where bounds[i] > zone.bound[i] { return false }
    for h in 0..<zone.pastCount {
      let isMet = NodeStore.meets(
        bounds, zone.events, n, zone.past[h], UnsafePointer(zone.since + h * n), alphabet,
        pastCount: times.pastCount, past: { times.past($0) }, since: UnsafePointer(times.since))
      if !isMet { return false }
    }
    return true
  }

  /// The part of a record that is about times.
  private struct Times {
    let bounds: UnsafePointer<Int64>?
    let pastCount: Int
    private let start: UnsafeMutablePointer<UInt64>
    private let count: Int

    init(_ record: UnsafeMutablePointer<UInt64>) {
      let header = Header(record[0])
      start = record + header.keySize
      count = header.count
      pastCount = header.pastCount
      // Int64 and UInt64 have the same layout.
      bounds =
        header.isTimeless ? nil : UnsafePointer(UnsafeRawPointer(start).assumingMemoryBound(to: Int64.self))
    }

    func past(_ h: Int) -> Footprint {
      let at = start + count * count + 2 * h
      return Footprint(reads: at[0], writes: at[1])
    }

    var since: UnsafePointer<Int64> {
      UnsafePointer(
        UnsafeRawPointer(start + count * count + 2 * pastCount).assumingMemoryBound(to: Int64.self))
    }
  }

  /// Whether the times within `bound` and its past meet whatever a past event of another zone demands: that
  /// T(x) − T(p) ≤ `demand[x]` for all x, for those p that may lead to a conflict with `footprint`.
  private static func meets<M>(
    _ bound: UnsafePointer<Int64>, _ events: UnsafePointer<Int32>, _ n: Int, _ footprint: Footprint,
    _ demand: UnsafePointer<Int64>, _ alphabet: borrowing Alphabet<M>, pastCount: Int,
    past: (Int) -> Footprint, since: UnsafePointer<Int64>
  ) -> Bool {
    var open: [Int] = []
    for x in 0..<n {
      for p in 0..<n where bound[x * n + p] > demand[x] {
        if alphabet.reach(events[p]).conflicts(with: footprint) {
          open.append(x)
          break
        }
      }
    }
    if open.isEmpty { return true }
    for g in 0..<pastCount where past(g).covers(footprint) {
      if open.allSatisfy({ since[g * n + $0] <= demand[$0] }) { return true }
    }
    return false
  }
}
