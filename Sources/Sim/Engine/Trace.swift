/// What happened in a run, in order, each event with the one that caused it.
public struct Trace<Event: Sendable, Note: Sendable>: Sendable {
  /// One event, or one step of the story, and what was noted while it was handled.
  public struct Entry: Sendable {
    /// When it happened, since power-on.
    public let time: SimTime
    /// The event; nil for a step of the story (``Model/resume(_:_:)``).
    public let event: Event?
    /// The index of the entry whose handling scheduled the event; nil for a step of the story.
    public let cause: Int?
    /// The phase it belongs to, counted from 0; a step of the story belongs to the phase that it opens.
    public let phase: Int
    /// What the handler noted.
    public let notes: [Note]
  }

  /// The entries in the order in which they were handled.
  public internal(set) var entries: [Entry] = []

  /// The indices from the entry at `index` back along its causes, ending with a step of the story.
  ///
  /// - Returns: nothing when there is no such entry.
  public func causes(of index: Int) -> [Int] {
    var chain: [Int] = []
    var next = entries.indices.contains(index) ? index : nil
    while let current = next {
      chain.append(current)
      next = entries[current].cause
    }
    return chain
  }
}

/// How a run went.
public struct Run<M: Model>: Sendable {
  /// Why a run stopped.
  public enum Stop: Hashable, Sendable {
    /// The story is over: nothing is pending and there is no next step.
    case finished
    /// The limit on events was reached; the run may be one that never ends.
    case limit
    /// The schedule to follow has no more steps, but events are pending or the story goes on.
    case scheduleEnded
    /// The schedule asks for something that cannot happen here; the text says which step and why.
    case scheduleMismatch(String)
  }

  /// The control state at the end.
  public internal(set) var end: M.State
  /// Why the run stopped; ``end`` is a final state only when it is ``Stop/finished``.
  public internal(set) var stop: Stop
  /// The time at the end, since power-on.
  public internal(set) var time: SimTime
  /// How many events were handled.
  public internal(set) var events: Int
  /// How many phases there were: steps of the story that were taken.
  public internal(set) var phases: Int
  /// What happened, when it was asked for.
  public internal(set) var trace: Trace<M.Event, M.Note>?
}
