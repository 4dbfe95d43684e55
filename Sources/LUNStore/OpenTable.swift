import Synchronization

/// The LUNs and snapshots of a store that are open in this process, each once: those that somebody has, and a few
/// more that were used a while ago.
final class OpenTable: Sendable {
  /// From how many on those that nobody has are let go.
  private static let limit = 128
  /// How many of them are looked for at a time: each may have to be flushed.
  private static let batch = 8

  fileprivate struct State {
    var open: [VolumeName: LUN] = [:]
    /// Those that are being opened. That may have to wait for another machine, and other LUNs do not wait for it.
    var opening: [VolumeName: (turn: Turn, count: Int)] = [:]
    /// What is not whole, and is not opened.
    var refused: [VolumeName: StoreError] = [:]
  }

  fileprivate final class Turn: Sendable {
    let lock = Mutex(())
  }

  private let state = Mutex(State())

  /// Those that are open, in no order.
  var all: [LUN] { state.withLock { Array($0.open.values) } }

  /// The LUN or snapshot, if it is open.
  subscript(name: VolumeName) -> LUN? { state.withLock { $0.open[name] } }

  /// The LUN or snapshot that is open, or what `open` returns.
  func volume(_ name: VolumeName, _ open: () throws(StoreError) -> LUN) throws(StoreError) -> LUN {
    if let lun = self[name] { return lun }
    if let refusal = refusal(of: name) { throw refusal }
    if state.withLock({ $0.open.count }) >= Self.limit { letGo(Self.batch) }
    return try inTurn(name) { () throws(StoreError) in
      if let lun = self[name] { return lun }
      let lun = try open()
      state.withLock { $0.open[name] = lun }
      return lun
    }
  }

  /// Runs `body` with what is open, or with `nil`, and then nobody opens it meanwhile.
  func withVolumeIfOpen(_ name: VolumeName, _ body: (LUN?) throws(StoreError) -> Void) throws(StoreError) {
    let lun = try inTurn(name) { () throws(StoreError) -> LUN? in
      if let lun = self[name] { return lun }
      try body(nil)
      return nil
    }
    if let lun { try body(lun) }
  }

  /// Opens none of these any more: each is damaged, for the reason given. What is open stays so.
  func refuse(_ damaged: [VolumeName: StoreError]) { state.withLock { $0.refused = damaged } }

  func refusal(of name: VolumeName) -> StoreError? { state.withLock { $0.refused[name] } }

  /// Runs `body` while nobody else opens what has this name.
  private func inTurn<Result: Sendable>(
    _ name: VolumeName, _ body: () throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    let turn = state.withLock { state in
      let (turn, count) = state.opening[name] ?? (Turn(), 0)
      state.opening[name] = (turn, count + 1)
      return turn
    }
    defer {
      state.withLock { state in
        let left = (state.opening[name]?.count ?? 1) - 1
        state.opening[name] = left == 0 ? nil : (turn, left)
      }
    }
    return try turn.lock.withLock { _ throws(StoreError) in try body() }
  }

  /// Takes one out that is deleted, or is to be opened anew.
  func remove(_ name: VolumeName) -> LUN? {
    state.withLock { state in
      state.refused[name] = nil
      return state.open.removeValue(forKey: name)
    }
  }

  /// Lets some go that nobody has. One of which something could not be flushed stays, so that its next flush says so.
  func letGo(_ count: Int = .max) {
    let idle = state.withLock { state in
      var idle: [VolumeName] = []
      for name in Array(state.open.keys) where idle.count < count {
        if state.isIdle(name) { idle.append(name) }
      }
      return idle
    }
    for name in idle {
      if let lun = self[name], lun.access == .readWrite {
        guard (try? lun.alone({ () throws(StoreError) in try lun.seal() })) != nil else { continue }
      }
      // Somebody may have come and written meanwhile.
      let gone = state.withLock { state -> LUN? in
        guard state.isIdle(name), state.open[name]?.isSealed ?? false else { return nil }
        return state.open.removeValue(forKey: name)
      }
      withExtendedLifetime(gone) {}
    }
  }
}

extension OpenTable.State {
  /// Whether nobody but this table has it: who gets it gets it from here.
  fileprivate mutating func isIdle(_ name: VolumeName) -> Bool {
    isKnownUniquelyReferenced(&open[name])
  }
}
