/// The different events met in an exploration, numbered, with what the model says about each.
struct Alphabet<M: Model>: ~Copyable {
  private struct Entry {
    var event: M.Event
    var footprint: Footprint
    var reach: Footprint
    var code: UInt64
  }

  private let model: M
  private var entries: UnsafeMutablePointer<Entry>
  private var capacity = 64
  private(set) var count = 0
  private var index = HashIndex()

  init(_ model: M) {
    self.model = model
    entries = .allocate(capacity: capacity)
  }

  deinit {
    entries.deinitialize(count: count)
    entries.deallocate()
  }

  @inline(__always)
  subscript(number: Int32) -> M.Event { entries[Int(number)].event }

  @inline(__always)
  func footprint(_ number: Int32) -> Footprint { entries[Int(number)].footprint }

  @inline(__always)
  func reach(_ number: Int32) -> Footprint { entries[Int(number)].reach }

  @inline(__always)
  func code(_ number: Int32) -> UInt64 { entries[Int(number)].code }

  /// The number of an event; a new one if it was not met before.
  mutating func number(of event: M.Event) -> Int32 {
    let code = model.code(of: event)
    let hash = (code ^ 0x2D35_8DCC_AA6C_78A5) &* 0x9E37_79B9_7F4A_7C15
    let folded = hash ^ (hash >> 32)
    var probe = index.find(folded)
    while let number = index.next(&probe) {
      if entries[Int(number)].code == code, entries[Int(number)].event == event { return Int32(number) }
    }
    if count == capacity { grow() }
    let footprint = model.footprint(of: event)
    (entries + count).initialize(
      to: Entry(
        event: event, footprint: footprint, reach: model.reach(of: event).union(footprint), code: code))
    index.insert(folded, UInt32(count))
    count += 1
    return Int32(count - 1)
  }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<Entry>.allocate(capacity: capacity * 2)
    larger.moveInitialize(from: entries, count: count)
    entries.deallocate()
    entries = larger
    capacity *= 2
  }
}

/// Each different value once, numbered in the order of appearance.
struct InternTable<Value: Hashable>: ~Copyable {
  private var values: UnsafeMutablePointer<Value>
  private var capacity = 64
  private(set) var count = 0
  private var index = HashIndex()

  init() { values = .allocate(capacity: capacity) }

  deinit {
    values.deinitialize(count: count)
    values.deallocate()
  }

  @inline(__always)
  subscript(number: Int32) -> Value { values[Int(number)] }

  /// The number of a value.
  ///
  /// - Parameter hash: may differ from process to process; nothing but the speed of the search depends on it.
  mutating func intern(_ value: Value, hash: UInt64) -> Int32 {
    var probe = index.find(hash)
    while let number = index.next(&probe) {
      if values[Int(number)] == value { return Int32(number) }
    }
    if count == capacity { grow() }
    (values + count).initialize(to: value)
    index.insert(hash, UInt32(count))
    count += 1
    return Int32(count - 1)
  }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<Value>.allocate(capacity: capacity * 2)
    larger.moveInitialize(from: values, count: count)
    values.deallocate()
    values = larger
    capacity *= 2
  }
}

/// What leads from one state to another.
struct Edge {
  let target: Int32
  /// The position of the event taken, and in the lowest bit whether the edge is exact: an edge is eight bytes.
  private let packed: Int32

  @inline(__always)
  init(target: Int32, position: Int32, isExact: Bool) {
    self.target = target
    packed = position << 1 | (isExact ? 1 : 0)
  }

  /// The position of the event taken; -1 for a step of the story.
  @inline(__always)
  var position: Int32 { packed >> 1 }

  /// False when the target only covers the state that the event led to.
  @inline(__always)
  var isExact: Bool { packed & 1 != 0 }
}

/// A growing list of edges; those of one state are neighbours.
struct EdgeList: ~Copyable {
  private var base: UnsafeMutablePointer<Edge>
  private var capacity = 1 << 10
  private(set) var count = 0

  init() { base = .allocate(capacity: capacity) }

  deinit { base.deallocate() }

  @inline(__always)
  subscript(index: Int32) -> Edge { base[Int(index)] }

  mutating func append(_ target: Int32, _ position: Int32, isExact: Bool) {
    precondition(count < Int(Int32.max), "more than 2^31 transitions")
    if count == capacity {
      let larger = UnsafeMutablePointer<Edge>.allocate(capacity: capacity * 2)
      larger.moveInitialize(from: base, count: count)
      base.deallocate()
      base = larger
      capacity *= 2
    }
    (base + count).initialize(to: Edge(target: target, position: position, isExact: isExact))
    count += 1
  }
}
