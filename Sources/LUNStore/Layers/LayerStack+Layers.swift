import Dispatch
import Glibc

/// A layer as it stands in a stack.
public struct ArmedLayer: Sendable {
  /// The layer's number in its stack, never given twice.
  public let id: Int
  /// The layer with what it has counted so far.
  public let layer: any IOLayer
}

extension LayerStack {
  /// Whether any layer is armed.
  public var isEmpty: Bool { state.withLock { $0.front.isEmpty && $0.back.isEmpty } }

  /// The layers as requests meet them: request layers first, then disk layers.
  public var layers: [ArmedLayer] {
    state.withLock { state in
      state.front.map { ArmedLayer(id: $0.id, layer: $0.layer) }
        + state.back.map { ArmedLayer(id: $0.id, layer: $0.layer) }
    }
  }

  /// What a client that asks for the extents of the LUN has to be told.
  public var device: any BlockDevice { state.withLock { $0.device } }

  /// Arms a request layer behind those that are there, or before the one with the number `before`.
  ///
  /// - Returns: its number.
  /// - Throws: `busy` if the mount is ending.
  @discardableResult
  public func add(_ layer: some RequestLayer, before: Int? = nil) throws -> Int {
    try changes.withLock { _ in
      try settle { state in
        try state.requireOpen()
        divert()
        state.lastID += 1
        let index = state.front.firstIndex { $0.id == before } ?? state.front.count
        var layer = layer
        let cut = layer.armed(at: scheduler.now)
        state.front.insert(State.Armed(id: state.lastID, layer: layer), at: index)
        if let cut { state.cutPower(cut, at: scheduler.now) }
        return state.lastID
      }
    }
  }

  /// Arms a disk layer nearest to the LUN, or before the one with the number `before`. Everything that reached
  /// the disk earlier went past it as a whole, and everything later goes through it.
  ///
  /// - Parameter prepare: called before, with nothing under way and everything that was acknowledged flushed:
  ///   where a recorder takes its base.
  /// - Returns: its number.
  /// - Throws: what `prepare` throws, and the layer is then not there; the error of the flush; `busy` if the
  ///   mount is ending.
  @discardableResult
  public func add(
    _ layer: some DiskLayer, before: Int? = nil, prepare: () throws -> Void = {}
  ) throws -> Int {
    try whileQuiet {
      try prepare()
      return try settle { state in
        try state.requireOpen()
        state.lastID += 1
        let last = layer.staysNextToLUN ? nil : state.back.firstIndex { $0.layer.staysNextToLUN }
        let index = state.back.firstIndex { $0.id == before } ?? last ?? state.back.count
        state.back.insert(State.Armed(id: state.lastID, layer: layer), at: index)
        state.device = Self.device(state.back, on: lun)
        return state.lastID
      }
    }
  }

  /// Removes a layer. What it held goes on.
  ///
  /// - Returns: whether there was one of that number.
  /// - Throws: why a disk layer cannot leave; it then stays.
  @discardableResult
  public func remove(_ id: Int) throws -> Bool {
    let found = changes.withLock { _ in
      settle { state in
        guard state.front.contains(where: { $0.id == id }) else { return false }
        state.removeRequestLayer(id, at: scheduler.now)
        if state.front.isEmpty && state.back.isEmpty { undivert() }
        return true
      }
    }
    if found { return true }
    guard state.withLock({ $0.back.contains { $0.id == id } }) else { return false }
    return try whileQuiet { try removeDiskLayer(id) }
  }

  /// Removes all layers, from the top.
  ///
  /// - Throws: the error of the first disk layer that cannot leave; it and those below it stay.
  public func clear() throws {
    for armed in layers { try remove(armed.id) }
  }

  /// Lets the power fail: as `Verdict.cutPower`, at once and for no request in particular.
  public func cutPower(_ cut: PowerCut) {
    settle { $0.cutPower(cut, at: scheduler.now) }
  }

  /// Keeps the disk quiet while `body` runs: nothing is under way, everything that was acknowledged is flushed,
  /// and what comes meanwhile waits. What request layers hold stays held.
  public func whileQuiet<Outcome>(_ body: () throws -> Outcome) throws -> Outcome {
    try changes.withLock { _ in
      divert()
      waitForQuiet()
      defer {
        settle { state in
          state.isQuieting = false
          state.unpark()
          if state.front.isEmpty && state.back.isEmpty { undivert() }
        }
      }
      try device.flush()
      return try body()
    }
  }

  /// The end of the mount: whatever waits is answered with `EIO`, what runs is waited for, and all layers leave,
  /// so that all that was acknowledged is with the LUN. Later requests go straight to it.
  ///
  /// - Throws: the error of a disk layer that could not leave. It and those below it stay.
  public func close() throws {
    let wasEmpty = settle { state in
      state.isClosed = true
      state.front = []
      state.failAllWaiting(EIO, at: scheduler.now)
      return state.back.isEmpty && state.isQuiet && state.requests.isEmpty
    }
    if wasEmpty { return changes.withLock { _ in undivert() } }
    try whileQuiet {
      for armed in state.withLock({ $0.back }) { _ = try removeDiskLayer(armed.id) }
    }
  }

  private func waitForQuiet() {
    let quiet = DispatchSemaphore(value: 0)
    settle { state in
      state.isQuieting = true
      state.waiterForQuiet = quiet
    }
    quiet.wait()
  }

  /// With the disk quiet.
  private func removeDiskLayer(_ id: Int) throws -> Bool {
    let back = state.withLock { $0.back }
    guard let index = back.firstIndex(where: { $0.id == id }) else { return false }
    try back[index].layer.detach(from: Self.device(Array(back[(index + 1)...]), on: lun))
    settle { state in
      state.back.remove(at: index)
      state.device = Self.device(state.back, on: lun)
    }
    return true
  }

  /// The disk layers on the LUN.
  private static func device(_ layers: [State.Armed<any DiskLayer>], on lun: any BlockDevice)
    -> any BlockDevice
  {
    layers.reversed().reduce(lun) { below, armed in LayeredDevice(armed.layer, on: below) }
  }
}

extension LayerStack.State {
  fileprivate func requireOpen() throws(StoreError) {
    if isClosed {
      throw StoreError(.busy, at: "the mount", "is ending", remedy: "mount the store again first")
    }
  }
}
