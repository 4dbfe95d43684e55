/// The name of a snapshot: that of its LUN, an `@`, and a label.
public struct SnapshotName: Hashable, Sendable {
  /// The LUN that the snapshot was taken of.
  public let lun: LUNName
  /// What tells it from the other snapshots of the LUN; the rules are those of a LUN's name.
  public let label: LUNName

  /// - Throws: `invalidInput` if both together are longer than the name of a file may be.
  public init(lun: LUNName, label: LUNName) throws(StoreError) {
    guard lun.text.utf8.count + 1 + label.text.utf8.count <= 255 else {
      throw StoreError(
        .invalidInput, at: "name '\(printable("\(lun)@\(label)"))'",
        "has \(lun.text.utf8.count + 1 + label.text.utf8.count) bytes, and a file name has at most 255")
    }
    (self.lun, self.label) = (lun, label)
  }
}

extension SnapshotName: Comparable, CustomStringConvertible {
  /// The order of the LUNs, then that of the labels.
  public static func < (left: Self, right: Self) -> Bool {
    left.lun == right.lun ? left.label < right.label : left.lun < right.lun
  }

  /// `LUN@LABEL`.
  public var description: String { "\(lun)@\(label)" }
}

/// What has bytes in a store, and is a file in a mount: a LUN or a snapshot of one.
public enum VolumeName: Hashable, Sendable {
  /// A LUN.
  case lun(LUNName)
  /// A snapshot.
  case snapshot(SnapshotName)

  /// Reads `NAME` or `NAME@LABEL`.
  public init(_ text: String) throws(StoreError) {
    guard let at = text.utf8.firstIndex(of: UInt8(ascii: "@")) else {
      self = .lun(try LUNName(text))
      return
    }
    let label = String(text[text.index(after: at)...])
    self = .snapshot(try SnapshotName(lun: LUNName(String(text[..<at])), label: LUNName(label)))
  }

  /// A name from the kernel or from a folder: `nil` when no volume can have it.
  public init?(bytes: UnsafePointer<CChar>) {
    guard let text = String(validatingCString: bytes), let name = try? VolumeName(text) else { return nil }
    self = name
  }

  /// What this is called after `old`, which it is or is a snapshot of, was renamed.
  public func renamed(from old: VolumeName, to new: VolumeName) -> VolumeName {
    if self == old { return new }
    guard case .snapshot(let name) = self, old == .lun(name.lun),
      let renamed = try? SnapshotName(lun: new.lun, label: name.label)
    else { return self }
    return .snapshot(renamed)
  }

  /// The LUN itself, or the one that the snapshot is of.
  public var lun: LUNName {
    switch self {
    case .lun(let name): name
    case .snapshot(let name): name.lun
    }
  }
}

extension VolumeName: Comparable, CustomStringConvertible {
  /// A LUN comes before its snapshots.
  public static func < (left: Self, right: Self) -> Bool {
    switch (left, right) {
    case (.lun(let left), .lun(let right)): left < right
    case (.snapshot(let left), .snapshot(let right)): left < right
    case (.lun(let left), .snapshot(let right)): left <= right.lun
    case (.snapshot(let left), .lun(let right)): left.lun < right
    }
  }

  /// `NAME` or `NAME@LABEL`.
  public var description: String {
    switch self {
    case .lun(let name): name.text
    case .snapshot(let name): name.description
    }
  }
}
