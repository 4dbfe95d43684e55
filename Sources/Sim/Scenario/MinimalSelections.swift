/// The smallest sets of choices that fail already: every combination that contains one of them fails, and no
/// part of one has that property.
///
/// Sets of axes are tried by size. For a set of axes the failures are counted by the choices they make on it;
/// where the count is that of all combinations of the other axes, that choice fails. No monotonicity is
/// assumed: a choice that repairs what another breaks only makes the sets larger.
struct MinimalSelections {
  typealias Selection = SweepReport.Selection

  private let sizes: [Int]
  private let budget: Int
  /// The choices of each failing combination.
  private let failing: [[Int]]
  private var found: [Selection] = []

  /// - Parameters:
  ///   - sizes: The number of choices of each axis.
  ///   - failing: The numbers of the failing combinations, the last axis counting fastest.
  ///   - budget: So many failures are looked at, over all sets of axes, before only what covers the remaining
  ///     ones is sought.
  init(sizes: [Int], failing: [Int], budget: Int = 20_000_000) {
    self.budget = budget
    self.sizes = sizes
    self.failing = failing.map { number in Selection(number: number, sizes: sizes).choices.map(\.choice) }
  }

  /// The minimal sets, smallest first, and whether these are all.
  mutating func find() -> (minimal: [Selection], complete: Bool) {
    guard !failing.isEmpty else { return ([], true) }
    var work = 0
    for size in 0...sizes.count {
      var axes = Array(0..<size)
      repeat {
        work += failing.count
        if work > budget {
          cover()
          return (found, false)
        }
        look(at: axes)
      } while Self.next(&axes, of: sizes.count)
    }
    return (found, true)
  }

  /// Finds the choices on a set of axes that fail, leaving out those that contain one found before.
  private mutating func look(at axes: [Int]) {
    let needed = sizes.indices.reduce(1) { axes.contains($1) ? $0 : $0 * sizes[$1] }
    var counts: [[Int]: Int] = [:]
    for choices in failing { counts[axes.map { choices[$0] }, default: 0] += 1 }
    let failed = counts.filter { $0.value == needed }.map { choices in
      Selection(choices: zip(axes, choices.key).map { .init(axis: $0, choice: $1) })
    }
    let new = failed.filter { selection in !found.contains { Self.isPart($0, of: selection) } }
    found += new.sorted { left, right in
      left.choices.map(\.choice).lexicographicallyPrecedes(right.choices.map(\.choice))
    }
  }

  /// Adds a minimal set for each failing combination that none covers: choices are dropped while all still
  /// fails.
  private mutating func cover() {
    for choices in failing {
      let whole = Selection(choices: choices.indices.map { .init(axis: $0, choice: choices[$0]) })
      if found.contains(where: { Self.isPart($0, of: whole) }) { continue }
      var selection = whole
      for pair in whole.choices {
        var smaller = selection
        smaller.choices.removeAll { $0 == pair }
        if fails(smaller) { selection = smaller }
      }
      found.append(selection)
    }
    found.sort { $0.choices.count < $1.choices.count }
  }

  /// Whether every combination that contains the selection fails.
  private func fails(_ selection: Selection) -> Bool {
    let fixed = Set(selection.choices.map(\.axis))
    let needed = sizes.indices.reduce(1) { fixed.contains($1) ? $0 : $0 * sizes[$1] }
    guard needed <= failing.count else { return false }
    return needed
      == failing.count { choices in selection.choices.allSatisfy { choices[$0.axis] == $0.choice } }
  }

  private static func isPart(_ part: Selection, of whole: Selection) -> Bool {
    part.choices.allSatisfy(whole.choices.contains)
  }

  /// The next subset of the same size in lexicographic order; false after the last.
  private static func next(_ subset: inout [Int], of count: Int) -> Bool {
    var index = subset.count - 1
    while index >= 0, subset[index] == count - subset.count + index { index -= 1 }
    guard index >= 0 else { return false }
    subset[index] += 1
    for later in subset.indices.dropFirst(index + 1) { subset[later] = subset[later - 1] + 1 }
    return true
  }
}
