extension WriteLog {
  /// What a LUN is to be rebuilt as.
  public struct Target: Hashable, Sendable, Codable {
    /// The last entry that has happened.
    public var point: UInt64
    /// How the power failed then; `nil` if it did not.
    public var cut: Cut?
    /// Whether the disk lies: it acknowledges flushes and makes nothing durable. Only matters for a cut.
    public var dropsFlushes: Bool

    /// The state after entry `point`.
    public init(point: UInt64, cut: Cut? = nil, dropsFlushes: Bool = false) {
      (self.point, self.cut, self.dropsFlushes) = (point, cut, dropsFlushes)
    }
  }

  /// Brings a LUN to a later state of the one that was recorded.
  ///
  /// - Parameters:
  ///   - lun: holds the state at the position of `log`, and is no smaller than the one that was recorded.
  ///   - log: is read on from where it is; what is before it is durable.
  ///   - target: what the LUN is to be.
  ///   - progress: told of each entry, by its number.
  /// - Returns: behind the last entry that was applied.
  /// - Throws: `invalidInput` if the log is shorter or the LUN smaller, `damaged`, or the failing system
  ///   call.
  @discardableResult
  public static func rebuild(
    _ lun: any BlockDevice, from log: Reader, to target: Target, progress: Progress = { _, _ in }
  ) throws(StoreError) -> Position {
    var reader = log
    guard lun.size >= log.header.size.bytes else {
      throw StoreError(
        .invalidInput, at: log.path,
        "is of a LUN of \(log.header.size.bytes) bytes, and cannot be repeated on one of \(lun.size)")
    }
    let durability = target.cut == nil || target.dropsFlushes ? nil : try log.durability(at: target.point)
    while reader.position.number < target.point {
      guard let entry = try reader.next() else { throw log.tooShort(reader.position.number, target.point) }
      progress(Int64(clamping: entry.number), Int64(clamping: target.point))
      let isWhole = target.cut == nil || durability?.contains(entry.number) ?? false
      do throws(IOError) {
        if let cut = target.cut, !isWhole {
          for part in cut.surviving(entry, blockSize: log.header.blockSize.rawValue) {
            try entry.apply(to: lun, part: part)
          }
        } else {
          try entry.apply(to: lun)
        }
      } catch {
        throw StoreError(
          .system(error.code), at: log.path,
          "cannot repeat entry \(entry.number): \(errorText(error.code))")
      }
    }
    return reader.position
  }
}

extension WriteLog.Reader {
  /// What is durable after entry `point`, as far as the entries from here on tell.
  func durability(at point: UInt64) throws(StoreError) -> WriteLog.Durability {
    var durability = WriteLog.Durability(after: position.number)
    var reader = self
    while reader.position.number < point, let entry = try reader.next() { durability.note(entry) }
    return durability
  }

  fileprivate func tooShort(_ last: UInt64, _ point: UInt64) -> StoreError {
    StoreError(
      .invalidInput, at: path, "has no entry \(point)", remedy: "the last one is entry \(last)")
  }
}
