/// Which requests a rule applies to.
struct Trigger: Sendable {
  /// What they ask for.
  var kinds: Set<IORequest.Kind>
  /// The bytes that they touch; `nil` for any, and then also a flush, which touches none.
  var range: Range<Int64>?
  /// So many that match are let go first.
  var after: Int64 = 0
  /// It applies to so many; `nil` for any number.
  var count: Int64?
  /// How likely it applies to one that matches.
  var probability = 1.0
  var seed: UInt64 = 0

  private(set) var matches: Int64 = 0
  private(set) var hits: Int64 = 0
  private(set) var random = SplitMix64(seed: 0)

  /// Reads the conditions of a rule.
  init(_ options: inout LayerOptions, blockSize: Int64, kinds standard: Set<IORequest.Kind>) {
    let names = IORequest.Kind.allCases.map(\.rawValue).joined(separator: ", ")
    kinds =
      options.value("op", "one or more of \(names), with commas between them, or 'any'") { text in
        let words = text.split(separator: ",", omittingEmptySubsequences: false)
        if words == ["any"] { return Set(IORequest.Kind.allCases) }
        let kinds = words.compactMap { IORequest.Kind(rawValue: String($0)) }
        return kinds.count == words.count ? Set(kinds) : nil
      } ?? standard
    range = options.blocks("lba", of: blockSize)
    after = options.number("after", from: 0) ?? 0
    count = options.number("count", from: 1)
    probability =
      options.value("probability", "a number from 0 to 1, as in 0.01, or percent, as in 1%") { text in
        let isPercent = text.hasSuffix("%")
        guard let number = Double(isPercent ? String(text.dropLast()) : text) else { return nil }
        let share = isPercent ? number / 100 : number
        return (0...1).contains(share) ? share : nil
      } ?? 1
    seed = options.seed()
    random = SplitMix64(seed: seed)
  }

  /// Whether there is nothing to wait for.
  var isUnconditional: Bool {
    kinds.count == IORequest.Kind.allCases.count && range == nil && after == 0 && probability == 1
  }

  /// Whether the rule applies to this request; counts it.
  mutating func fires(for request: IORequest) -> Bool {
    guard kinds.contains(request.kind), range?.overlaps(request.range) ?? true else { return false }
    matches += 1
    guard matches > after, count.map({ hits < $0 }) ?? true else { return false }
    // One number for each request that could be hit, so that it does not depend on earlier ones which is.
    guard random.happens(probability) else { return false }
    hits += 1
    return true
  }

  /// It applies now, to no request in particular.
  mutating func fireNow() { hits += 1 }

  /// A number of 0..<`bound`.
  mutating func draw(below bound: Int64) -> Int64 { random.next(below: bound) }

  /// The conditions that are not the usual ones.
  func settings(blockSize: Int64, kinds standard: Set<IORequest.Kind>) -> [LayerSetting] {
    var settings: [LayerSetting] = []
    if kinds != standard {
      let isAny = kinds.count == IORequest.Kind.allCases.count
      let names = IORequest.Kind.allCases.filter(kinds.contains).map(\.rawValue)
      settings.append(LayerSetting("op", isAny ? "any" : names.joined(separator: ",")))
    }
    if let range {
      let (first, last) = (range.lowerBound / blockSize, range.upperBound / blockSize - 1)
      settings.append(LayerSetting("lba", first == last ? "\(first)" : "\(first)-\(last)"))
    }
    if after > 0 { settings.append(LayerSetting("after", "\(after)")) }
    if let count { settings.append(LayerSetting("count", "\(count)")) }
    if probability < 1 { settings.append(LayerSetting("probability", "\(probability)")) }
    if seed != 0 { settings.append(LayerSetting("seed", "\(seed)")) }
    return settings
  }

  /// Why it never applies, or less often than one may think.
  func warnings(on device: any BlockDevice, sensible: Set<IORequest.Kind>) -> [String] {
    var warnings: [String] = []
    if let range, range.lowerBound >= device.size {
      let last = device.size / device.blockSize - 1
      warnings.append("it does nothing: the range is past the end of the LUN, whose last block is \(last)")
    } else if let range, range.upperBound > device.size {
      warnings.append("the range goes past the end of the LUN")
    }
    if range != nil && kinds == [.flush] {
      warnings.append("it does nothing: a flush is about no block in particular")
    }
    if probability == 0 { warnings.append("it does nothing: its probability is 0") }
    if kinds.isDisjoint(with: sensible) {
      let names = kinds.map(\.rawValue).sorted().joined(separator: ", ")
      warnings.append("it does nothing to \(names)")
    }
    return warnings
  }
}
