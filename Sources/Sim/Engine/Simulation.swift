/// Single runs of a model: one choice of times, one sequence of events, one end.
public enum Simulation {
  /// How the times of a run are chosen.
  public enum Choice: Hashable, Sendable {
    /// Every event takes its nominal delay; equal times go in the order of scheduling.
    case nominal
    /// Every delay is drawn from its window, by the generator with this seed.
    case seed(UInt64)
    /// The schedule says which event happens when.
    case schedule(Witness)
  }

  /// Runs the model from power-on to the end of its story.
  ///
  /// - Parameters:
  ///   - model: the world to run.
  ///   - choice: how times are chosen.
  ///   - tracing: whether to keep a trace; a run without one makes no notes and is much faster.
  ///   - limit: the number of events and steps of the story after which the run is given up.
  public static func run<M: Model>(
    _ model: M, choosing choice: Choice, tracing: Bool = false, limit: Int = 1_000_000
  ) -> Run<M> {
    switch choice {
    case .nominal:
      return timed(model, random: nil, tracing: tracing, limit: limit)
    case .seed(let seed):
      return timed(model, random: RandomSource(seed: seed), tracing: tracing, limit: limit)
    case .schedule(let witness):
      var replay = Replay(model: model, tracing: tracing, limit: limit)
      return replay.run(witness)
    }
  }

  static func timed<M: Model>(
    _ model: M, random: RandomSource?, tracing: Bool, limit: Int
  ) -> Run<M> {
    var out = Outbox<M.Event, M.Note>(tracing: tracing)
    var pending = PendingEvents<M.Event>()
    var random = random
    var run = Run<M>(end: model.start(), stop: .finished, time: .zero, events: 0, phases: 0)
    if tracing { run.trace = Trace() }
    var state = run.end
    var now: Int64 = 0
    var events = 0

    while true {
      if events &+ run.phases >= limit {
        run.stop = .limit
        break
      }
      if pending.isEmpty {
        guard model.resume(&state, &out) else { break }
        let entry = run.record(nil, at: now, cause: -1, out.notes)
        run.phases += 1
        pending.apply(out, from: 0, now, cause: entry, &random)
      } else {
        let first = pending.first
        now = first.time
        events &+= 1
        model.handle(first.event, &state, &out)
        let entry = tracing ? run.record(first.event, at: now, cause: first.cause, out.notes) : -1
        if out.count > 0, !out[0].cancels {
          // The commonest case: the event's successor takes over its slot, and its place in the heap.
          pending.replaceFirst(in: first.slot, by: out[0], now, cause: entry, &random)
          if out.count > 1 { pending.apply(out, from: 1, now, cause: entry, &random) }
        } else {
          pending.removeFirst(in: first.slot)
          pending.apply(out, from: 0, now, cause: entry, &random)
        }
      }
      out.empty()
    }
    run.end = state
    run.events = events
    run.time = SimTime(unchecked: now)
    return run
  }
}

extension Run {
  /// Adds an entry to the trace, if there is one.
  ///
  /// - Returns: its index.
  mutating func record(_ event: M.Event?, at time: Int64, cause: Int32, _ notes: [M.Note]) -> Int32 {
    guard let count = trace?.entries.count else { return -1 }
    trace?.entries.append(
      Trace.Entry(
        time: SimTime(unchecked: time), event: event, cause: cause < 0 ? nil : Int(cause),
        phase: event == nil ? phases : phases - 1, notes: notes))
    return Int32(truncatingIfNeeded: count)
  }
}

/// The events of one run that are yet to happen: a queue of slots, and a slab that says what is in each slot.
///
/// A cancelled event stays in the queue as an empty slot, and is skipped when its time comes.
struct PendingEvents<Event: Hashable>: ~Copyable {
  private struct Slot {
    var event: Event
    /// Of a live event the trace's entry that scheduled it, -1 for none; of a slot that is free, or is to be so
    /// when its time comes, -3 less the next free slot.
    var link: Int32

    @inline(__always)
    var isLive: Bool { link >= -1 }
  }

  private var queue = EventQueue()
  private var slots: UnsafeMutablePointer<Slot>
  private var capacity: Int
  /// How many slots have ever been used; those that are free again form a list from `free` on.
  private var used = 0
  private var free: Int32 = -1
  private var live = 0

  init() {
    capacity = 64
    slots = .allocate(capacity: capacity)
  }

  deinit {
    slots.deinitialize(count: used)
    slots.deallocate()
  }

  /// Whether nothing can happen any more.
  @inline(__always)
  var isEmpty: Bool { live == 0 }

  /// What happens next, and what is known about it.
  struct First {
    let event: Event
    let time: Int64
    /// The trace's entry that scheduled the event; -1 for none.
    let cause: Int32
    /// Where the event is.
    let slot: Int
  }

  /// The next event. Something must be pending.
  @inline(__always)
  var first: First {
    mutating get {
      var slot = queue.firstSlot
      while !slots[slot].isLive {
        queue.removeFirst()
        release(slot)
        slot = queue.firstSlot
      }
      return First(event: slots[slot].event, time: queue.firstTime, cause: slots[slot].link, slot: slot)
    }
  }

  /// Removes the first event and schedules another one.
  @inline(__always)
  mutating func replaceFirst<Note>(
    in slot: Int, by request: Outbox<Event, Note>.Request, _ now: Int64, cause: Int32,
    _ random: inout RandomSource?
  ) {
    slots[slot].event = request.event
    slots[slot].link = cause
    queue.replaceFirst(time: PendingEvents.time(request.window, now, &random), slot: slot)
  }

  /// Removes the first event.
  mutating func removeFirst(in slot: Int) {
    queue.removeFirst()
    release(slot)
    live &-= 1
  }

  /// Carries out what a handler asked for, from a request on.
  mutating func apply<Note>(
    _ out: borrowing Outbox<Event, Note>, from start: Int, _ now: Int64, cause: Int32,
    _ random: inout RandomSource?
  ) {
    for index in start..<out.count {
      let request = out[index]
      if request.cancels {
        cancel(request.event)
      } else {
        add(request.event, time: PendingEvents.time(request.window, now, &random), cause: cause)
      }
    }
    if live == 0, queue.count > 0 { removeAll() }
  }

  @inline(__always)
  private static func time(_ window: Window, _ now: Int64, _ random: inout RandomSource?) -> Int64 {
    var delay = window.nominal.microseconds
    if window.earliest != window.latest, random != nil {
      delay = random?.delay(in: window).microseconds ?? delay
    }
    return Swift.min(now &+ delay, SimTime.maximum.microseconds)
  }

  @inline(__always)
  private mutating func add(_ event: Event, time: Int64, cause: Int32) {
    var slot = Int(free)
    if slot >= 0 {
      free = -3 &- slots[slot].link
      slots[slot] = Slot(event: event, link: cause)
    } else {
      if used == capacity { grow() }
      slot = used
      used &+= 1
      (slots + slot).initialize(to: Slot(event: event, link: cause))
    }
    live &+= 1
    queue.push(time: time, slot: slot)
  }

  /// Looks at every slot: few events are pending at once, and cancelling is rare next to scheduling.
  private mutating func cancel(_ event: Event) {
    for slot in 0..<used where slots[slot].isLive && slots[slot].event == event {
      slots[slot].link = -2
      live &-= 1
    }
  }

  @inline(__always)
  private mutating func release(_ slot: Int) {
    slots[slot].link = -3 &- free
    free = Int32(truncatingIfNeeded: slot)
  }

  private mutating func removeAll() {
    queue.removeAll()
    slots.deinitialize(count: used)
    used = 0
    free = -1
  }

  @inline(never)
  private mutating func grow() {
    let larger = UnsafeMutablePointer<Slot>.allocate(capacity: capacity * 2)
    larger.moveInitialize(from: slots, count: used)
    slots.deallocate()
    slots = larger
    capacity *= 2
  }
}
