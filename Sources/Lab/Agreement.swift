import Sim

/// A prediction held against what was seen, boot by boot and field by field.
///
/// What was seen has to be one of the ways that the prediction names; the one that fits best is shown.
public struct Agreement: Sendable, Equatable {
  /// What is compared.
  public enum Field: String, Sendable, CaseIterable {
    /// Whether there was such a boot or shutdown at all.
    case happened
    /// Whether a boot came up, late or not; how a shutdown ended.
    case outcome
    /// Where a boot failed.
    case stage
    /// Whether the predicted finding is among those whose signs were seen.
    case finding
    /// The device that is mounted as the root.
    case root
    /// Which disk has which sd name.
    case disks
    /// What is on the root's disk after the shutdown.
    case fileSystem = "file system"

    /// Outcome and stage, on which prediction and reality have to agree without exception.
    public var isMain: Bool { self == .happened || self == .outcome || self == .stage }
  }

  /// What comes of a comparison.
  public enum Judgement: String, Sendable {
    case agrees, differs
    /// The laboratory could not see it.
    case notJudged = "not judged"
  }

  /// One field of one boot or shutdown.
  public struct Comparison: Sendable, Equatable {
    /// "boot 1", "shutdown 2".
    public var place: String
    /// What is compared.
    public var field: Field
    /// As a person reads it.
    public var predicted: String
    /// As a person reads it.
    public var seen: String
    /// What comes of it.
    public var judgement: Judgement
  }

  /// The number of the way, among those predicted, that fits best; nil: none was predicted.
  public private(set) var course: Int?
  /// In the order of the story: boots, then shutdowns.
  public private(set) var comparisons: [Comparison] = []

  /// What differs.
  public var differences: [Comparison] { comparisons.filter { $0.judgement == .differs } }
  /// Whether nothing that could be seen differs.
  public var holds: Bool { course != nil && differences.isEmpty }

  /// Holds a prediction against what was seen.
  public init(_ prediction: Prediction, _ observation: Observation) {
    var best = Int.max
    for (number, course) in prediction.courses.enumerated() {
      let comparisons = Self.compare(course, observation, alike: prediction.alike)
      let distance = comparisons.reduce(0) { sum, comparison in
        comparison.judgement == .differs ? sum + (comparison.field.isMain ? 100 : 1) : sum
      }
      guard distance < best else { continue }
      (best, self.course, self.comparisons) = (distance, number, comparisons)
    }
  }

  private static func compare(_ course: Prediction.Course, _ observation: Observation, alike: [[String]])
    -> [Comparison]
  {
    var all: [Comparison] = []
    pairs(course.boots, observation.boots, named: "boot", in: &all) {
      compare($0, $1, alike: alike, $2, &$3)
    }
    pairs(course.shutdowns, observation.shutdowns, named: "shutdown", in: &all, compare: compare)
    return all
  }

  /// Compares what both have; what only one of them has is a difference of its own.
  private static func pairs<Predicted, Seen>(
    _ predicted: [Predicted], _ seen: [Seen], named name: String, in all: inout [Comparison],
    compare: (Predicted, Seen, String, inout [Comparison]) -> Void
  ) {
    for index in 0..<max(predicted.count, seen.count) {
      let place = "\(name) \(index + 1)"
      if index < predicted.count, index < seen.count {
        compare(predicted[index], seen[index], place, &all)
      } else {
        let (yes, no) = ("there is one", "there is none")
        all.append(
          Comparison(
            place: place, field: .happened, predicted: index < predicted.count ? yes : no,
            seen: index < seen.count ? yes : no, judgement: .differs))
      }
    }
  }

  private static func compare(
    _ predicted: Prediction.Boot, _ seen: Observation.Boot, alike: [[String]], _ place: String,
    _ all: inout [Comparison]
  ) {
    func add(_ field: Field, _ expected: String, _ came: String, _ judgement: Judgement) {
      all.append(
        Comparison(place: place, field: field, predicted: expected, seen: came, judgement: judgement))
    }
    func judged(_ agrees: Bool) -> Judgement { agrees ? .agrees : .differs }
    let fails = predicted.outcome == .fails
    add(
      .outcome, predicted.outcome.rawValue, seen.outcome.rawValue, judged(fails == (seen.outcome == .fails)))
    if fails || seen.outcome == .fails {
      // The stage of a boot that comes up late is where it was held up: no failure.
      let stage = fails ? predicted.stage : nil
      add(.stage, stage?.rawValue ?? "none", seen.stage?.rawValue ?? "none", judged(stage == seen.stage))
    }
    if fails, let finding = predicted.finding {
      add(.finding, finding, listed(seen.findings), judge(finding, among: seen.findings, of: Signs.boots))
    }
    let root = (predicted.rootDevice ?? "none", seen.rootDevice ?? "none")
    let unseen = seen.rootDevice == nil && seen.disks == nil && predicted.rootDevice != nil
    add(.root, root.0, root.1, unseen ? .notJudged : judged(root.0 == root.1))
    if let disks = seen.disks {
      let possible = ([predicted.disks] + predicted.otherDisks).first {
        firstOfAlike($0, alike) == firstOfAlike(disks, alike)
      }
      add(.disks, listed(possible ?? predicted.disks), listed(disks), judged(possible != nil))
    } else {
      add(.disks, listed(predicted.disks), "not seen", predicted.disks.isEmpty ? .agrees : .notJudged)
    }
  }

  private static func compare(
    _ predicted: Prediction.Shutdown, _ seen: Observation.Shutdown, _ place: String, _ all: inout [Comparison]
  ) {
    func add(_ field: Field, _ expected: String, _ came: String, _ judgement: Judgement) {
      all.append(
        Comparison(place: place, field: field, predicted: expected, seen: came, judgement: judgement))
    }
    func judged(_ agrees: Bool) -> Judgement { agrees ? .agrees : .differs }
    add(
      .outcome, predicted.outcome.rawValue, seen.outcome.rawValue, judged(predicted.outcome == seen.outcome))
    if predicted.outcome != .clean, let finding = predicted.finding {
      let judgement = judge(finding, among: seen.findings, of: Signs.shutdowns + Signs.boots)
      add(.finding, finding, listed(seen.findings), judgement)
    }
    if let state = seen.fileSystem {
      add(.fileSystem, predicted.fileSystem.rawValue, state.rawValue, judged(predicted.fileSystem == state))
    } else {
      add(.fileSystem, predicted.fileSystem.rawValue, "not seen", .notJudged)
    }
  }

  /// sd names, with one name for all the LUs that nothing tells apart.
  private static func firstOfAlike(_ disks: [String: String], _ alike: [[String]]) -> [String: String] {
    disks.mapValues { disk in alike.first { $0.contains(disk) }?.first ?? disk }
  }

  private static func judge(_ finding: String, among seen: [String], of table: [Signs]) -> Judgement {
    seen.contains(finding) ? .agrees : Signs.canTell(finding, of: table) ? .differs : .notJudged
  }

  private static func listed(_ findings: [String]) -> String {
    findings.isEmpty ? "none" : findings.joined(separator: ", ")
  }

  private static func listed(_ disks: [String: String]) -> String {
    let names = disks.sorted { ($0.key.utf8.count, $0.key) < ($1.key.utf8.count, $1.key) }
    return names.isEmpty ? "none" : names.map { "\($0.key) = \($0.value)" }.joined(separator: ", ")
  }
}
