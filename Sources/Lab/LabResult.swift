import Sim

/// Everything that is kept of a variant that was booted for real: `Lab/results/NAME.json`.
public struct LabResult: Sendable, Equatable {
  /// One time that the story was done.
  public struct Run: Sendable, Equatable {
    /// "2026-11-21".
    public var date: String
    /// Real seconds from the first power-on until all was over.
    public var seconds: Double
    /// What was seen.
    public var seen: Observation

    /// One time that the story was done.
    public init(date: String, seconds: Double, seen: Observation) {
      self.date = date
      self.seconds = seconds
      self.seen = seen
    }
  }

  /// The scenario's file, from the project's folder on.
  public var scenario: String
  /// The scenario's title.
  public var title: String
  /// The rows and other sources that the scenario names.
  public var sources: [String]
  /// The name of the image.
  public var image: String
  /// What the image's .info says of it: packages and versions, in its order.
  public var packages: [(name: String, version: String)]
  /// What was said before the first of the runs.
  public var prediction: Prediction
  /// In the order in which they were done.
  public var runs: [Run] = []

  /// A variant that was not booted yet.
  public init(
    scenario: String, title: String, sources: [String], image: String,
    packages: [(name: String, version: String)], prediction: Prediction
  ) {
    self.scenario = scenario
    self.title = title
    self.sources = sources
    self.image = image
    self.packages = packages
    self.prediction = prediction
  }

  /// The variant's name: its scenario's file without folder and ending.
  public var name: String {
    let file = scenario.split(separator: "/").last.map(String.init) ?? scenario
    return file.hasSuffix(".json") ? String(file.dropLast(5)) : file
  }

  /// What came of each run.
  public var agreements: [Agreement] { runs.map { Agreement(prediction, $0.seen) } }

  /// Adds a run to those that are kept already.
  ///
  /// - Parameter latest: What is known of the variant now; its own runs are not looked at.
  ///
  /// Runs are kept with the prediction that was made before them. When it has changed since, the earlier runs were
  /// held against another one: this is the first of the new. The same holds for what was booted from other packages.
  public mutating func add(_ run: Run, to latest: LabResult) {
    var latest = latest
    latest.runs = keepsRuns(for: latest) ? runs : []
    self = latest
    runs.append(run)
  }

  /// Whether the runs that are kept are of the latest prediction and packages, and of a scenario that still says what it is by
  /// the same title.
  public func keepsRuns(for latest: LabResult) -> Bool {
    title == latest.title && prediction.saysTheSame(as: latest.prediction)
      && packages.elementsEqual(latest.packages, by: ==)
  }

  /// All of it, the order of the packages too.
  public static func == (left: LabResult, right: LabResult) -> Bool {
    left.scenario == right.scenario && left.title == right.title && left.sources == right.sources
      && left.image == right.image && left.packages.elementsEqual(right.packages, by: ==)
      && left.prediction == right.prediction && left.runs == right.runs
  }
}
