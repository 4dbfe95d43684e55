extension WriteLog {
  /// Which entries are durable at a point of a log.
  public struct Durability: Equatable, Sendable, Codable {
    /// All entries up to this number are durable.
    public private(set) var prefix: UInt64 = 0
    /// Numbers behind it that are durable too.
    private var others: Set<UInt64> = []

    /// What is known after entry `number`, all before which are durable.
    public init(after number: UInt64 = 0) { prefix = number }

    /// Takes note of an entry that comes next.
    public mutating func note(_ entry: Entry) {
      switch entry.operation {
      case .write, .discard, .zero: return
      case .flush(let numbers) where numbers.lowerBound <= prefix + 1:
        prefix = max(prefix, numbers.upperBound - 1)
        others = others.filter { $0 > prefix }
      case .flush(let numbers): others.formUnion(numbers)
      case .mark, .end: break
      }
      // What changes nothing has nothing to lose.
      others.insert(entry.number)
      while others.remove(prefix + 1) != nil { prefix += 1 }
    }

    /// Whether what the entry did is durable.
    public func contains(_ number: UInt64) -> Bool { number <= prefix || others.contains(number) }
  }

  /// One way in which the power can fail: for each change that is not durable, whether it had reached the
  /// disk, or which of its blocks had.
  ///
  /// Nothing is held but the seed, so that the same cut can be made again.
  public struct Cut: Hashable, Sendable, Codable {
    /// Chooses among all ways.
    public var seed: UInt64
    /// The number of the entry after which the power fails.
    public var point: UInt64
    /// Tells apart several cuts at one point; counts from 1.
    public var index: UInt64

    /// A cut.
    public init(seed: UInt64, point: UInt64, index: UInt64) {
      (self.seed, self.point, self.index) = (seed, point, index)
    }

    /// The parts of an entry's change that reach the disk, whole blocks of the disk each.
    ///
    /// A disk writes back what it likes in any order, and a block either whole or not at all. Some disks have
    /// written back nearly everything when the power fails, others nearly nothing: that differs from cut to
    /// cut, since software often fails in only one of the two cases. A large range is torn into larger
    /// pieces, no more than about 4096.
    public func surviving(_ entry: Entry, blockSize: Int64) -> [Range<Int64>] {
      guard let range = entry.changed else { return [] }
      var ofCut = SplitMix64(seed: SplitMix64.mixed(seed, point, index))
      let kept = Double(ofCut.next() >> 11) * 0x1p-53
      let torn = Double(ofCut.next() >> 11) * 0x1p-54
      var random = SplitMix64(seed: SplitMix64.mixed(ofCut.next(), entry.number))
      guard random.happens(torn) else { return random.happens(kept) ? [range] : [] }
      let piece = max(blockSize, (range.upperBound - range.lowerBound) / 4096 / blockSize * blockSize)
      var parts: [Range<Int64>] = []
      var start = range.lowerBound
      while start < range.upperBound {
        let end = start + min(range.upperBound - start, piece - start % piece)
        if random.happens(kept) {
          if parts.last?.upperBound == start {
            parts[parts.count - 1] = parts[parts.count - 1].lowerBound..<end
          } else {
            parts.append(start..<end)
          }
        }
        start = end
      }
      return parts
    }
  }
}

extension SplitMix64 {
  /// One seed made of several numbers, each of which makes another one of it.
  fileprivate static func mixed(_ seed: UInt64, _ numbers: UInt64...) -> UInt64 {
    numbers.reduce(seed) { mixed, number in
      var step = SplitMix64(seed: mixed)
      return step.next() ^ number
    }
  }
}
