import LinuxConfig

/// One axis of `sweep`: something in the scenario that takes several values.
public struct Axis: Sendable {
  /// One of the values.
  public struct Choice: Sendable {
    /// For people and reports: the value, shortened.
    public var label: String
    let edit: Edit
  }

  /// What a choice does to the scenario.
  enum Edit: Sendable {
    case set(JSONPath, JSONValue)
    case order(JSONPath, [Int])
    case presence(device: String, boot: Int, attached: Bool)
  }

  /// For people and reports.
  public var name: String
  /// At least one.
  public var choices: [Choice]
}

/// Every combination of a scenario's axes: numbered, and made one at a time.
///
/// Combination 0 has the first choice of every axis; the last axis counts fastest.
public struct Variation: Sendable {
  /// No sweep has more combinations than this.
  public static let limit = 1 << 24

  /// The axes, in the order of the scenario.
  public let axes: [Axis]
  /// The number of combinations.
  public let count: Int
  private let document: JSONValue
  private let decoder: ScenarioDecoder

  init(_ axes: [Axis], of document: JSONValue, decoder: ScenarioDecoder) {
    self.axes = axes
    count = Self.count(axes) ?? 0
    self.decoder = decoder
    var bare = document
    // A variant is simulated as it is: no axes, and nothing that is expected of the nominal one.
    bare["vary"] = nil
    bare["expect"] = nil
    self.document = bare
  }

  /// The number of combinations; `nil` above the limit.
  static func count(_ axes: [Axis]) -> Int? {
    var count = 1
    for axis in axes {
      count = count.multipliedReportingOverflow(by: axis.choices.count).partialValue
      if count > limit { return nil }
    }
    return count
  }

  /// The index of the choice of each axis in a combination.
  ///
  /// - Precondition: `0 <= number < count`.
  public func choices(of number: Int) -> [Int] {
    precondition(number >= 0 && number < count)
    return SweepReport.Selection(number: number, sizes: axes.map(\.choices.count)).choices.map(\.choice)
  }

  /// The scenario of a combination, or why it makes none.
  ///
  /// - Precondition: One index within its axis's choices for each axis.
  public func scenario(_ choices: [Int]) -> Parsed<Scenario?> {
    var variant = document
    let edits = zip(axes, choices).map { axis, choice in axis.choices[choice].edit }
    let problems = ProblemList()
    for edit in edits {
      guard case .set(let path, let value) = edit else { continue }
      Self.apply(path, at: value.place, to: &variant, problems) { _ in value }
    }
    for edit in edits {
      guard case .order(let path, let permutation) = edit else { continue }
      Self.apply(path, at: .none, to: &variant, problems) { list in
        guard let list, list.elements.count == permutation.count else { return list ?? JSONValue(.array([])) }
        return JSONValue(.array(permutation.map { list.elements[$0] }), place: list.place)
      }
    }
    guard problems.problems.isEmpty else { return Parsed(nil, problems: problems.problems) }
    var result = decoder.decode(variant)
    for edit in edits {
      guard case .presence(let device, let boot, let attached) = edit else { continue }
      result.value?.setPresence(of: device, atBoot: boot, attached)
    }
    return result
  }

  private static func apply(
    _ path: JSONPath, at place: SourcePlace, to document: inout JSONValue, _ problems: ProblemList,
    _ change: (JSONValue?) -> JSONValue
  ) {
    do throws(JSONPath.Failure) {
      try document.update(at: path, shape: ScenarioFormat.shape) { (value) throws(JSONPath.Failure) in
        change(value)
      }
    } catch {
      problems.report(error.message, at: place, path: path.description, hint: error.hint)
    }
  }
}

extension Scenario {
  /// The number of boots in the story.
  var bootCount: Int {
    story.reduce(0) { $0 + ($1 == .boot || $1 == .reboot ? 1 : 0) }
  }

  /// Sees to a device being there, or not, at the beginning of a boot (counted from 0).
  ///
  /// For the first boot it is so from the start, unless the story does something with it, or installs,
  /// before. Otherwise it is plugged in or pulled just before the boot, the machine off where the story has
  /// it off, running where the story says "reboot". Steps of the story that do what was done already are
  /// dropped.
  mutating func setPresence(of device: String, atBoot boot: Int, _ wanted: Bool) {
    guard let disk = machine.disks.firstIndex(where: { $0.name == device }) else { return }
    let before = story.prefix { $0 != .boot }
    if boot == 0, !before.contains(where: { $0.changes(device) || $0 == .installer }) {
      machine.disks[disk].attached = wanted
    }
    var attached = machine.disks[disk].attached
    var steps: [StoryStep] = []
    var boots = 0
    for step in story {
      switch step {
      case .attach(device), .detach(device):
        let now = step == .attach(device)
        if now != attached { steps.append(step) }
        attached = now
        continue
      case .boot, .reboot:
        if boots == boot, attached != wanted {
          steps.append(wanted ? .attach(device) : .detach(device))
          attached = wanted
        }
        boots += 1
      default: break
      }
      steps.append(step)
    }
    story = steps
  }
}

extension StoryStep {
  fileprivate func changes(_ device: String) -> Bool { self == .attach(device) || self == .detach(device) }
}
