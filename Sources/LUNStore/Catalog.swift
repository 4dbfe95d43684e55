import Glibc

/// Everything that the records of a store say, read at one time.
struct Catalog {
  var luns: [LUNRecord] = []
  var snapshots: [SnapshotRecord] = []
  var layers: [Identifier: LayerRecord] = [:]
  /// Records that could not be read, and layers that are named and not there.
  var problems: [StoreError] = []
  /// Those of the problems that are a snapshot's record.
  var damagedSnapshots: [(name: SnapshotName, problem: StoreError)] = []
  /// Files of LUNs' folders that somebody is making, or was.
  private var unfinished: [(folder: Descriptor, entry: String)] = []

  init(_ store: Store) throws(StoreError) {
    func note<Value>(_ read: () throws(StoreError) -> Value) -> Value? {
      do throws(StoreError) { return try read() } catch { problems.append(error) }
      return nil
    }
    for entry in try store.luns.entries().sorted() where !entry.hasPrefix(".") {
      guard let name = note({ () throws(StoreError) in try LUNName(entry) }) else { continue }
      guard let (record, folder) = note({ () throws(StoreError) in try store.lunRecord(name) }) else {
        continue
      }
      luns.append(record)
      for entry in try folder.entries().sorted() {
        if entry.hasPrefix(".new-") { unfinished.append((folder, entry)) }
        guard entry.hasPrefix("@") else { continue }
        let snapshot = note { () throws(StoreError) in
          try SnapshotName(lun: name, label: LUNName(String(entry.dropFirst())))
        }
        guard let snapshot else { continue }
        do throws(StoreError) { snapshots.append(try store.snapshotRecord(snapshot, in: folder)) } catch {
          problems.append(error)
          damagedSnapshots.append((snapshot, error))
        }
      }
    }
    for entry in try store.layers.entries() where !entry.hasPrefix(".") {
      guard let identifier = Identifier(entry) else {
        problems.append(
          StoreError(
            .damaged, at: "\(store.layers.path)/\(printable(entry))", "is not the folder of a layer",
            remedy: "nothing else belongs here; move it away"))
        continue
      }
      if let record = note({ () throws(StoreError) in try store.layerRecord(identifier).record }) {
        layers[identifier] = record
      }
    }
    var missing = Set<Identifier>()
    for identifier in named.union(layers.values.compactMap(\.parent)) where layers[identifier] == nil {
      missing.insert(identifier)
    }
    for identifier in missing.sorted(by: { $0.description < $1.description }) {
      problems.append(
        StoreError(
          .damaged, at: store.layers.path, "has no layer \(identifier) that could be read",
          remedy: "restore its folder from a backup of the store"))
    }
  }

  /// The layers that LUNs and snapshots begin with.
  var named: Set<Identifier> { Set(luns.map(\.head) + snapshots.map(\.layer)) }

  /// The layers on top of each.
  var children: [Identifier: [Identifier]] {
    var found: [Identifier: [Identifier]] = [:]
    for record in layers.values {
      if let parent = record.parent { found[parent, default: []].append(record.identifier) }
    }
    return found
  }

  /// Layers that no LUN and no snapshot needs.
  var unused: [Identifier] {
    var needed = Set<Identifier>()
    for start in named {
      var next: Identifier? = start
      while let identifier = next, needed.insert(identifier).inserted { next = layers[identifier]?.parent }
    }
    return layers.keys.filter { !needed.contains($0) }
  }

  /// A layer without a name that has one other on top of it, and that other one: they can become one. The
  /// lowest first.
  var mergeable: (lower: Identifier, upper: Identifier)? {
    let named = named
    let candidates = children.filter {
      $0.value.count == 1 && !named.contains($0.key) && layers[$0.key] != nil
    }
    let lowest = candidates.min { left, right in
      (depth(left.key), left.key.description) < (depth(right.key), right.key.description)
    }
    return lowest.map { ($0.key, $0.value[0]) }
  }

  /// The one layer that a snapshot of a LUN, the record of which is damaged, can have been of: nothing but a snapshot
  /// keeps a layer that has another one on top of it from becoming one with that.
  func layer(ofDamaged snapshot: SnapshotName) -> Identifier? {
    guard damagedSnapshots.count(where: { $0.name.lun == snapshot.lun }) == 1,
      damagedSnapshots.count == problems.count,
      let head = luns.first(where: { $0.name == snapshot.lun })?.head
    else { return nil }
    let (named, children) = (named, children)
    var found: [Identifier] = []
    var next = layers[head]?.parent
    while let identifier = next, found.count < 2 {
      if !named.contains(identifier), children[identifier]?.count == 1 { found.append(identifier) }
      next = layers[identifier]?.parent
    }
    return found.count == 1 ? found[0] : nil
  }

  private func depth(_ identifier: Identifier) -> Int {
    var depth = 0
    var next = layers[identifier]?.parent
    while let parent = next, depth <= layers.count {
      depth += 1
      next = layers[parent]?.parent
    }
    return depth
  }

  /// Removes what interrupted changes have left behind. In one's turn, and with the right to serve.
  ///
  /// Does not touch layers while there is a record that cannot be read: it might need them.
  ///
  /// - Parameter isFresh: whether no LUN is open yet, so that files that no record names are nobody's.
  mutating func removeLeftovers(_ store: Store, isFresh: Bool = false) throws(StoreError) {
    for entry in try store.luns.entries() where entry.hasPrefix(".new-") {
      store.luns.removeFolder(entry)
    }
    for entry in try store.layers.entries() where entry.hasPrefix(".new-") {
      store.removeUnlessLocked(entry)
    }
    if isFresh {
      for (folder, entry) in unfinished { unlinkat(folder.raw, entry, 0) }
    }
    guard problems.isEmpty else { return }
    // The topmost first: one whose parent is gone would be damage, and not a leftover, if the power went in between.
    for identifier in unused.sorted(by: { depth($0) > depth($1) }) {
      store.removeUnlessLocked(identifier.description)
      layers[identifier] = nil
    }
    guard isFresh else { return }
    for record in layers.values {
      let folder = try store.layerRecord(record.identifier).folder
      for entry in try folder.entries()
      where ![LayerRecord.fileName, record.dataName, record.mapName].contains(entry) {
        unlinkat(folder.raw, entry, 0)
      }
    }
  }
}

extension Store {
  /// Whether somebody is about to make a LUN with a layer.
  func isBeingMade(_ layer: Identifier) throws(StoreError) -> Bool {
    guard let folder = try layers.openIfPresent(layer.description, O_RDONLY | O_DIRECTORY) else {
      return false
    }
    return !folder.tryLock()
  }

  /// Removes the folder of a layer, unless somebody is about to make a LUN with it.
  fileprivate func removeUnlessLocked(_ name: String) {
    guard let folder = try? layers.openIfPresent(name, O_RDONLY | O_DIRECTORY), folder.tryLock() else {
      return
    }
    layers.removeFolder(name)
  }

  /// The folder of a LUN, whatever its record says.
  func lunFolder(_ name: LUNName) throws(StoreError) -> Descriptor {
    guard let folder = try openFolder(name) else { throw absent(name) }
    return folder
  }
}
