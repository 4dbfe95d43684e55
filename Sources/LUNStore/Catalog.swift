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
  private var unfinished: [(lun: LUNName, entry: String)] = []

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
        if entry.hasPrefix(".new-") { unfinished.append((name, entry)) }
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
    // What nothing needs may lack what it was on: whoever removes layers may be interrupted.
    let missing = needed.filter { layers[$0] == nil }
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

  /// The layers that LUNs and snapshots need, be they there or not.
  private var needed: Set<Identifier> {
    var needed = Set<Identifier>()
    for start in named {
      var next: Identifier? = start
      while let identifier = next, needed.insert(identifier).inserted { next = layers[identifier]?.parent }
    }
    return needed
  }

  /// Layers that no LUN and no snapshot needs.
  var unused: [Identifier] {
    let needed = needed
    return layers.keys.filter { !needed.contains($0) }
  }

  /// A layer without a name that has one other on top of it, and that other one: they can become one. The
  /// lowest first.
  var mergeable: (lower: Identifier, upper: Identifier)? {
    let named = named
    let candidates = children.filter {
      $0.value.count == 1 && !named.contains($0.key) && layers[$0.key] != nil
    }
    guard !candidates.isEmpty else { return nil }
    let depths = depths
    let lowest = candidates.min { left, right in
      let (leftDepth, rightDepth) = (depths[left.key] ?? 0, depths[right.key] ?? 0)
      return leftDepth == rightDepth ? left.key.description < right.key.description : leftDepth < rightDepth
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
    var seen: Set<Identifier> = []
    var next = layers[head]?.parent
    while let identifier = next, found.count < 2, seen.insert(identifier).inserted {
      if !named.contains(identifier), children[identifier]?.count == 1 { found.append(identifier) }
      next = layers[identifier]?.parent
    }
    return found.count == 1 ? found[0] : nil
  }

  /// How many layers are below each; not of those that are in a circle or on top of one.
  private var depths: [Identifier: Int] {
    var depths: [Identifier: Int] = [:]
    var seen = Set<Identifier>()
    for start in layers.keys {
      var path: [Identifier] = []
      var next: Identifier? = start
      while let identifier = next, layers[identifier] != nil, seen.insert(identifier).inserted {
        path.append(identifier)
        next = layers[identifier]?.parent
      }
      // Seen, and without a depth: on this path, or on one that has come to this.
      if let next, seen.contains(next), depths[next] == nil { continue }
      var depth = next.flatMap { depths[$0] } ?? -1
      for identifier in path.reversed() {
        depth += 1
        depths[identifier] = depth
      }
    }
    return depths
  }

  /// The layers that are on top of themselves, or of such a one.
  var circular: [LayerRecord] {
    let depths = depths
    return layers.values.filter { depths[$0.identifier] == nil }
  }

  /// Notes what two layers have become: `upper` has another record, and if a LUN writes to it perhaps a new layer on top.
  mutating func readAgain(_ upper: Identifier, _ store: Store) throws(StoreError) {
    layers[upper] = try store.layerRecord(upper).record
    guard let index = luns.firstIndex(where: { $0.head == upper }) else { return }
    luns[index] = try store.lunRecord(luns[index].name).record
    layers[luns[index].head] = try store.layerRecord(luns[index].head).record
  }

  /// Removes what interrupted changes have left behind. In one's turn, and with the right to serve.
  ///
  /// Does not touch layers while there is a record that cannot be read: it might need them.
  ///
  /// - Parameter isFresh: whether no LUN is open yet, so that files that no record names are nobody's.
  mutating func removeLeftovers(_ store: Store, isFresh: Bool = false) throws(StoreError) {
    store.luns.removeFolders(try store.luns.entries().filter { $0.hasPrefix(".new-") })
    store.layers.removeFolders(store.unlocked(try store.layers.entries().filter { $0.hasPrefix(".new-") }))
    if isFresh {
      for (lun, entry) in unfinished {
        if let folder = try? store.lunFolder(lun) { unlinkat(folder.raw, entry, 0) }
      }
    }
    guard problems.isEmpty else { return }
    removeUnused(store)
    guard isFresh else { return }
    for record in layers.values {
      let folder = try LayerFolder(in: store.layers, record.identifier.description).open()
      for entry in try folder.entries()
      where ![LayerRecord.fileName, record.dataName, record.mapName].contains(entry) {
        unlinkat(folder.raw, entry, 0)
      }
    }
  }

  /// Removes the layers that nothing needs, unless somebody is about to make a LUN with them. In one's turn, and only
  /// if there are no problems.
  mutating func removeUnused(_ store: Store) {
    let unused = unused
    guard !unused.isEmpty else { return }
    // The topmost first: no layer is there without what it is on.
    let depths = depths
    let order = unused.sorted { (depths[$0] ?? 0) > (depths[$1] ?? 0) }.map(\.description)
    store.layers.removeFolders(store.unlocked(order))
    for identifier in unused { layers[identifier] = nil }
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

  /// Of these folders of layers those that nobody has locked, who is about to make a LUN with it.
  fileprivate func unlocked(_ names: [String]) -> [String] {
    names.filter { name in
      (try? layers.openIfPresent(name, O_RDONLY | O_DIRECTORY))?.tryLock() ?? false
    }
  }

  /// The folder of a LUN, whatever its record says.
  func lunFolder(_ name: LUNName) throws(StoreError) -> Descriptor {
    guard let folder = try openFolder(name) else { throw absent(name) }
    return folder
  }
}
