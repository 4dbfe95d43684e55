import Glibc

/// What the record of a LUN says. FORMAT.md has the keys.
struct LUNRecord: Equatable {
  var name: LUNName
  var identifier: Identifier
  /// The topmost layer, which takes the writes.
  var head: Identifier
  var blockSize: BlockSize
  var created: Int64
  var properties: LUNProperties

  static let fileName = "lun"
  private static let keys = [
    "name", "uuid", "layer", "block-size", "read-only", "vendor", "product", "serial", "naa", "created",
  ]

  var encoded: [UInt8] {
    Record(
      kind: .lun,
      fields: [
        ("name", name.text), ("uuid", identifier.description), ("layer", head.description),
        ("block-size", String(blockSize.rawValue)), ("read-only", properties.isReadOnly ? "yes" : "no"),
        ("vendor", properties.vendor), ("product", properties.product), ("serial", properties.serial),
        ("naa", properties.naa), ("created", String(created)),
      ]
    ).encoded
  }

  init(
    name: LUNName, identifier: Identifier, head: Identifier, blockSize: BlockSize, created: Int64,
    properties: LUNProperties
  ) {
    (self.name, self.identifier, self.head) = (name, identifier, head)
    (self.blockSize, self.created, self.properties) = (blockSize, created, properties)
  }

  init(reading file: Descriptor) throws(StoreError) {
    let path = file.path
    let record = try Record(decoding: file.contents(limit: Record.maximumLength), as: .lun, path: path)
    try record.requireKeys(Self.keys, path: path)
    name = try record.value("name", path: path) { try? LUNName($0) }
    identifier = try record.value("uuid", path: path, Identifier.init)
    head = try record.value("layer", path: path, Identifier.init)
    blockSize = try record.value("block-size", path: path) { Int64($0).flatMap(BlockSize.init) }
    created = try record.time("created", path: path)
    properties = LUNProperties(of: identifier)
    properties.isReadOnly = try record.value("read-only", path: path) { ["no": false, "yes": true][$0] }
    func text(_ key: String, _ change: (String) -> LUNProperties.Change) throws(StoreError) {
      properties = try record.value(key, path: path) { value in
        let change = change(value)
        return change.problems.isEmpty ? properties.with(change) : nil
      }
    }
    try text("vendor") { .init(vendor: $0) }
    try text("product") { .init(product: $0) }
    try text("serial") { .init(serial: $0) }
    try text("naa") { .init(naa: $0) }
  }
}

/// What the record of a snapshot says.
struct SnapshotRecord: Equatable {
  var name: SnapshotName
  var identifier: Identifier
  /// The topmost layer, which nothing writes to.
  var layer: Identifier
  var created: Int64

  /// The name of its file in the folder of its LUN.
  static func fileName(_ label: LUNName) -> String { "@\(label)" }

  var encoded: [UInt8] {
    Record(
      kind: .snapshot,
      fields: [
        ("name", name.description), ("uuid", identifier.description), ("layer", layer.description),
        ("created", String(created)),
      ]
    ).encoded
  }

  init(name: SnapshotName, identifier: Identifier, layer: Identifier, created: Int64) {
    (self.name, self.identifier, self.layer, self.created) = (name, identifier, layer, created)
  }

  init(reading file: Descriptor) throws(StoreError) {
    let path = file.path
    let record = try Record(
      decoding: file.contents(limit: Record.maximumLength), as: .snapshot, path: path)
    try record.requireKeys(["name", "uuid", "layer", "created"], path: path)
    name = try record.value("name", path: path) { text in
      guard case .snapshot(let name)? = try? VolumeName(text) else { return nil }
      return name
    }
    identifier = try record.value("uuid", path: path, Identifier.init)
    layer = try record.value("layer", path: path, Identifier.init)
    created = try record.time("created", path: path)
  }
}

/// What the record of a layer says.
struct LayerRecord: Equatable {
  /// Whether there is a map, and how much of it has to be there.
  enum Map: Equatable {
    /// The layer is one flat file: it has all blocks.
    case none
    /// It may have grown since: what a crash cut off is nobody's loss.
    case open
    /// It has exactly this many frames.
    case sealed(UInt64)
  }

  var identifier: Identifier
  /// The layer below; what this one does not have is read from there.
  var parent: Identifier?
  /// In bytes.
  var size: Int64
  /// Up to which byte what is below is seen: less than `size` when the LUN was smaller in between.
  var limit: Int64
  /// Raised when the layer gets another data file and another map.
  var generation: UInt64
  var map: Map
  /// The image that this layer is a lazy copy of; only where there is no parent.
  var base: BaseReference?

  static let fileName = "layer"
  /// No layer gets there; the next number has to be one too.
  static let maximumGeneration = UInt64(Int64.max)
  var dataName: String { "data.\(generation)" }
  var mapName: String { "map.\(generation)" }
  /// Whether every block is in this layer's own file.
  var isFlat: Bool { map == .none }

  var encoded: [UInt8] {
    let mapText =
      switch map {
      case .none: "none"
      case .open: "open"
      case .sealed(let frames): String(frames)
      }
    return Record(
      kind: .layer,
      fields: [
        ("uuid", identifier.description), ("parent", parent?.description ?? "none"),
        ("size", String(size)), ("limit", String(limit)), ("generation", String(generation)),
        ("map", mapText), ("base", base?.recorded ?? "none"),
      ]
    ).encoded
  }

  /// A new layer.
  init(size: Int64, parent: Identifier? = nil, limit: Int64? = nil, base: BaseReference? = nil) {
    identifier = Identifier()
    (self.parent, self.size, self.base) = (parent, size, base)
    self.limit = limit ?? size
    generation = 0
    map = parent == nil && base == nil ? .none : .sealed(0)
  }

  init(reading file: Descriptor) throws(StoreError) {
    let path = file.path
    let record = try Record(decoding: file.contents(limit: Record.maximumLength), as: .layer, path: path)
    try record.requireKeys(["uuid", "parent", "size", "limit", "generation", "map", "base"], path: path)
    identifier = try record.value("uuid", path: path, Identifier.init)
    parent = try record.value("parent", path: path) { text -> Identifier?? in
      text == "none" ? .some(nil) : Identifier(text).map { $0 }
    }
    size = try record.number("size", path: path, in: 1...Int64.max)
    guard size <= LUN.maximumSize else {
      throw StoreError(
        .damaged, at: path, "says 'size \(size)', and a LUN has at most \(LUN.maximumSize) bytes",
        remedy: "restore this file from a backup of the store")
    }
    limit = try record.number("limit", path: path, in: 0...Int64.max)
    generation = try record.number("generation", path: path, in: 0...Self.maximumGeneration)
    map = try record.value("map", path: path) { text in
      switch text {
      case "none": Map.none
      case "open": Map.open
      default: UInt64(text).map(Map.sealed)
      }
    }
    base = try record.value("base", path: path) { text -> BaseReference?? in
      text == "none" ? .some(nil) : BaseReference(recorded: text).map { $0 }
    }
    guard base.map({ $0.size <= LUN.maximumSize }) ?? true else {
      throw StoreError(.damaged, at: path, "says that its image has more bytes than a LUN can have")
    }
    guard isFlat == (parent == nil && base == nil), parent == nil || base == nil, limit <= size else {
      throw StoreError(.damaged, at: path, "says things that cannot be true together")
    }
  }
}
