import LUNStore

/// Arms a layer or a fault rule on a LUN of a mounted store.
struct ArmRequest: StoreRequest {
  static let name = "arm"
  /// Of a LUN or a snapshot.
  var volume: String
  var kind: String
  var options: [LayerSetting]
  var isFault: Bool
  /// The number of the layer that it is put before; behind all others if `nil`.
  var before: Int?

  struct Answer: Codable, Sendable {
    /// The layer's number.
    var id: Int
    /// What else was done.
    var notes: [String]
    /// Why it does less than one may think.
    var warnings: [String]
  }

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Answer {
    let (mounted, node) = try server.mountedNode(volume)
    let new =
      isFault
      ? try NewLayer(fault: kind, options, on: node.lun) : try NewLayer(kind, options, on: node.lun)
    if let before, !node.stack.layers.contains(where: { $0.id == before }) { throw node.noLayer(before) }
    return try node.withoutPassthrough("a layer", at: mounted.point) {
      var answer = Answer(id: 0, notes: [], warnings: new.layer.warnings(on: node.lun))
      if let time = new.powerCut, !node.stack.layers.contains(where: \.isWriteCache) {
        switch time {
        case .whenArmed:
          answer.warnings.append(
            "nothing was lost: no layer 'power' was armed, and all writes before now were on the disk already"
          )
        case .later:
          if case .disk(let cache) = try NewLayer("power", [], on: node.lun) {
            let id = try node.stack.add(cache)
            answer.notes.append("layer \(id), 'power', is armed as well: from now on writes are volatile")
          }
        }
      }
      switch new {
      case .request(let layer): answer.id = try node.stack.add(layer, before: before)
      case .disk(let layer): answer.id = try node.stack.add(layer, before: before)
      }
      return answer
    }
  }
}

/// Tells which layers are armed, and what they have seen.
struct LayersRequest: StoreRequest {
  static let name = "layers"
  /// Of a LUN or a snapshot; all of them if `nil`.
  var volume: String?

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> [LayerReport] {
    guard let volume else {
      guard let mounted = server.mounted else { throw server.notMounted }
      return mounted.nodes.flatMap(LayerReport.all)
    }
    return LayerReport.all(on: try server.mountedNode(volume).node)
  }
}

/// Removes layers or fault rules.
struct DisarmRequest: StoreRequest {
  struct Removed: Codable, Sendable {
    /// The LUN or the snapshot.
    var lun: String
    var id: Int
  }

  static let name = "disarm"
  /// Of a LUN or a snapshot; of all of them if `nil`.
  var volume: String?
  /// Their numbers; all of them if there is none.
  var ids: [Int]
  /// Whether it is about fault rules, or about all else.
  var faults: Bool

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> [Removed] {
    if let volume { return try disarm(server.mountedNode(volume).node) }
    guard let mounted = server.mounted else { throw server.notMounted }
    return try mounted.nodes.flatMap(disarm)
  }

  private func disarm(_ node: Node) throws -> [Removed] {
    let armed = node.stack.layers.filter { $0.isFault == faults }.map(\.id)
    let unknown = ids.filter { !armed.contains($0) }
    guard unknown.isEmpty else {
      throw StoreProblems(unknown.map { node.noLayer($0, faults ? "fault rule" : "layer") })
    }
    for id in ids.isEmpty ? armed : ids {
      do {
        try node.stack.remove(id)
      } catch let error as IOError {
        throw StoreError(
          .system(error.code), at: "layer \(id) of '\(node.name)'",
          "cannot be removed, since what it holds back cannot be written: \(errorText(error.code))",
          remedy: "see to the store's file system, then try again")
      }
    }
    return (ids.isEmpty ? armed : ids).map { Removed(lun: node.name.description, id: $0) }
  }
}

/// A layer as a command shows it.
struct LayerReport: Codable, Sendable {
  var volume: String
  var id: Int
  var kind: String
  var isFault: Bool
  var settings: [LayerSetting]
  var counters: [LayerCounter]
  var warnings: [String]
  /// By kind of request; `nil` for layers that keep none.
  var statistics: [String: OperationStatistics]?

  static func all(on node: Node) -> [LayerReport] {
    node.stack.layers.map { armed in
      let statistics = armed.statistics.map { operations in
        Dictionary(uniqueKeysWithValues: operations.map { ($0.key.rawValue, $0.value) })
      }
      return LayerReport(
        volume: node.name.description, id: armed.id, kind: armed.layer.kind, isFault: armed.isFault,
        settings: armed.layer.settings, counters: armed.layer.counters,
        warnings: armed.layer.warnings(on: node.lun), statistics: statistics)
    }
  }

  /// `op=write lba=5-9`.
  var settingsText: String { settings.map { "\($0.name)=\($0.value)" }.joined(separator: " ") }
}

extension StoreServer {
  /// Layers are part of a mount, and gone with it.
  var notMounted: StoreError {
    StoreError(
      .invalidInput, at: openStore.store.path, "is not mounted, and layers and faults are part of a mount",
      remedy: "'fuse-lun mount' it first")
  }

  /// The file of a LUN or snapshot, in a mount.
  func mountedNode(_ name: String) throws -> (mounted: MountedStore, node: Node) {
    let name = try VolumeName(name)
    guard let mounted else { throw notMounted }
    return (mounted, try mounted.node(named: name))
  }
}

extension Node {
  func noLayer(_ id: Int, _ what: String = "layer") -> StoreError {
    StoreError(
      .absent, at: "\(what) \(id)", "is not armed on '\(name)'",
      remedy: "'fuse-lun \(what == "layer" ? "layer" : "fault") list' shows those that are")
  }
}
