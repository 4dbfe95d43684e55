/// The objects that handling an event may read and write, one bit an object.
///
/// What the bits stand for is the model's business (a NIC, the list of disks, a session, …). Two events whose
/// footprints do not conflict are *independent*: the explorer takes their two orders for one. A footprint that
/// leaves something out therefore hides orders; ``FootprintCheck`` finds such omissions by running both.
public struct Footprint: Hashable, Sendable {
  /// The objects whose value may influence what handling the event does.
  public var reads: UInt64
  /// The objects that handling the event may change. An object written need not be listed as read.
  public var writes: UInt64

  /// A footprint of these objects.
  @inline(__always)
  public init(reads: UInt64 = 0, writes: UInt64 = 0) {
    self.reads = reads
    self.writes = writes
  }

  /// Touches nothing.
  public static let none = Footprint()

  /// Reads and writes everything: always right, never useful for the reduction.
  public static let all = Footprint(reads: .max, writes: .max)

  /// Whether one of the two writes what the other reads or writes.
  @inline(__always)
  public func conflicts(with other: Footprint) -> Bool {
    (writes & (other.reads | other.writes)) | (other.writes & reads) != 0
  }

  /// Everything that either touches.
  @inline(__always)
  public func union(_ other: Footprint) -> Footprint {
    Footprint(reads: reads | other.reads, writes: writes | other.writes)
  }

  /// Whether this footprint allows for everything that `other` touches. Writing an object allows reading it.
  public func covers(_ other: Footprint) -> Bool {
    other.writes & ~writes == 0 && other.reads & ~(reads | writes) == 0
  }
}

/// A world that moves by events: the one thing that running, exploring, sampling and replaying have in common.
///
/// A handler sees its event and the state, never a clock, a file or a random source; how long something takes is
/// said by the window of the event that ends it. When nothing is pending the world is *quiescent*, and
/// ``resume(_:_:)`` takes the next step of the story: it starts a new *phase*, in which no timing of an earlier
/// phase can matter any more.
///
/// For the explorer's reduction, declared footprints have to say the truth, including about the event queue:
/// a handler that cancels an event has to conflict with that event and with every event that may schedule it
/// (give a timer an object of its own, written by all three). ``FootprintCheck`` tests it.
public protocol Model: Sendable {
  /// The control state: a small value without references. Equal states have equal futures.
  associatedtype State: Hashable & Sendable
  /// What can happen: a small value without references.
  associatedtype Event: Hashable & Sendable
  /// What a trace keeps about the handling of an event; made only when a trace is asked for.
  associatedtype Note: Sendable

  /// The state at power-on. Nothing is pending then, so ``resume(_:_:)`` is called first.
  func start() -> State

  /// Moves the state over an event, and says what happens next.
  func handle(_ event: Event, _ state: inout State, _ out: inout Outbox<Event, Note>)

  /// Takes the next step of the story when nothing is pending.
  ///
  /// - Returns: false when the run is over; what was scheduled is dropped then.
  func resume(_ state: inout State, _ out: inout Outbox<Event, Note>) -> Bool

  /// What handling the event may read and write, in whatever state it happens.
  func footprint(of event: Event) -> Footprint

  /// The footprint of the event and of everything that it can lead to within the same phase.
  func reach(of event: Event) -> Footprint

  /// A number that stands for the event, in witnesses and wherever events are put in order.
  ///
  /// Different events have different codes, and an event has the same one in every process and release.
  func code(of event: Event) -> UInt64

  /// A hash by which the explorer looks states up; equal states have the same one.
  ///
  /// Nothing but speed depends on it. Without an implementation it is the state's own `hashValue`, which is
  /// slow for a state of a few words: a multiplication or two serve it better.
  func hash(of state: State) -> UInt64
}

extension Model {
  /// The state's own hash, different in every process.
  @inline(__always)
  public func hash(of state: State) -> UInt64 { UInt64(bitPattern: Int64(state.hashValue)) }
}

/// What a handler hands back: events to schedule, events to cancel, and notes for the trace.
///
/// Requests take effect in the order in which they were made, after the handler has returned: a `cancel` followed
/// by a `schedule` of the same event restarts a timer.
public struct Outbox<Event, Note>: ~Copyable {
  /// One request of a handler.
  @usableFromInline
  struct Request {
    var event: Event
    var window: Window
    var cancels: Bool
  }

  private var base: UnsafeMutablePointer<Request>
  private var capacity: Int
  /// How many requests there are.
  private(set) var count = 0

  /// Whether notes are kept; without it the argument of ``note(_:)`` is not even evaluated.
  public let tracing: Bool
  /// The notes made since the outbox was emptied.
  public private(set) var notes: [Note] = []

  /// An empty outbox. Drivers make them; so may the test of a handler.
  public init(tracing: Bool = false) {
    self.tracing = tracing
    capacity = 16
    base = .allocate(capacity: capacity)
  }

  deinit {
    base.deinitialize(count: count)
    base.deallocate()
  }

  /// Lets `event` happen within `window` after the event being handled.
  ///
  /// An event equal to one that is pending is pending twice.
  @inline(__always)
  public mutating func schedule(_ event: Event, _ window: Window) {
    append(Request(event: event, window: window, cancels: false))
  }

  /// Takes back every pending event that equals `event`; none need be.
  @inline(__always)
  public mutating func cancel(_ event: Event) {
    append(Request(event: event, window: .now, cancels: true))
  }

  /// Keeps a note for the trace.
  @inline(__always)
  public mutating func note(_ note: @autoclosure () -> Note) {
    if tracing { notes.append(note()) }
  }

  /// The events scheduled so far, with their windows, in order.
  public var scheduled: [(event: Event, window: Window)] {
    var result: [(event: Event, window: Window)] = []
    for i in 0..<count where !base[i].cancels { result.append((base[i].event, base[i].window)) }
    return result
  }

  /// The events cancelled so far, in order.
  public var cancelled: [Event] {
    var result: [Event] = []
    for i in 0..<count where base[i].cancels { result.append(base[i].event) }
    return result
  }

  @inline(__always)
  subscript(index: Int) -> Request {
    assert(index < count)
    return base[index]
  }

  /// Forgets requests and notes, keeping the room for new ones.
  @inline(__always)
  mutating func empty() {
    base.deinitialize(count: count)
    count = 0
    if tracing { notes = [] }
  }

  @inline(__always)
  private mutating func append(_ request: Request) {
    if count == capacity { grow() }
    (base + count).initialize(to: request)
    count &+= 1
  }

  @inline(never)
  private mutating func grow() {
    let larger = UnsafeMutablePointer<Request>.allocate(capacity: capacity * 2)
    larger.moveInitialize(from: base, count: count)
    base.deallocate()
    base = larger
    capacity *= 2
  }
}
