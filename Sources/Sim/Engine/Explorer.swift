/// Follows every order that the windows of a model allow.
public enum Explorer {
  /// What the explorer may do to save work. Whatever is switched off, the ends it finds are the same.
  public struct Options: Hashable, Sendable {
    /// The number of states after which the exploration is given up as incomplete.
    public var budget: Int
    /// Whether equal states are taken for one. Without it a model that can repeat itself is never finished.
    public var merges = true
    /// Whether a state is skipped when another one has the same control state and pending events and allows all
    /// of its times.
    public var covers = true
    /// Whether orders that differ only in independent events are skipped.
    public var reduces = true
    /// Whether to look for runs that never end; without it ``Exploration/endless`` is always nil.
    public var findsEndless = true
    /// How far an event may be taken ahead of a pending one that has nothing to do with it; without a value, eight
    /// times the longest delay met so far. A short lead saves less, a long one makes unrelated loops take longer to close.
    public var lead: SimTime?

    /// All savings, and this budget.
    public init(budget: Int = 1_000_000) {
      self.budget = budget
    }
  }

  /// Explores a model.
  ///
  /// - Parameters:
  ///   - model: the world to explore.
  ///   - budget: the number of states after which to give up.
  public static func explore<M: Model>(_ model: M, budget: Int = 1_000_000) -> Exploration<M> {
    explore(model, Options(budget: budget))
  }

  /// Explores a model.
  public static func explore<M: Model>(_ model: M, _ options: Options) -> Exploration<M> {
    var search = Search(model, options)
    return search.run()
  }
}

/// What an exploration found.
public struct Exploration<M: Model>: Sendable {
  /// One of the ways in which a run can end.
  public struct End: Sendable {
    /// The control state after the last step of the story.
    public let state: M.State
    /// A schedule that leads there.
    public let witness: Witness
  }

  /// The different ends, in the order in which they were found: the same in every exploration of the model.
  public let ends: [End]
  /// How many states were visited: control states with the times that their pending events may take.
  public let states: Int
  /// How many events and steps of the story were followed from one state to another.
  public let transitions: Int
  /// Whether every order that the windows allow was covered. When it is false there may be other ends.
  public let complete: Bool
  /// The beginning of a run that never ends, if there is one: the way into a loop and once round it.
  ///
  /// Such a run passes through the same state, with the same times ahead, for ever.
  public let endless: Witness?

  /// Whether some run never ends.
  public var isEndless: Bool { endless != nil }
}
