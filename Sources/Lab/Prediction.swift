import Sim

/// What bootsim said, before the boot, of what a laboratory can see: every way it may go.
public struct Prediction: Sendable, Equatable {
  /// How one boot of the story goes.
  public struct Boot: Sendable, Equatable {
    /// Whether it comes up.
    public var outcome: BootOutcome
    /// Where it goes wrong or is held up; nil when it comes up in time.
    public var stage: Stage?
    /// Why; nil when it comes up in time.
    public var finding: String?
    /// Seconds since its power-on.
    public var at: Double
    /// "/dev/sda2"; nil when none is mounted.
    public var rootDevice: String?
    /// sd name to the scenario's name for the disk.
    public var disks: [String: String]
    /// The other ways in which the names may be given, and the boot goes the same.
    public var otherDisks: [[String: String]] = []
  }

  /// How one shutdown of the story goes.
  public struct Shutdown: Sendable, Equatable {
    /// How it ends.
    public var outcome: ShutdownOutcome
    /// Why it is not clean; nil when it is.
    public var finding: String?
    /// Seconds since it was asked for.
    public var at: Double
    /// What the next mount of the root finds.
    public var fileSystem: FileSystemState
  }

  /// One way in which the story may go.
  public struct Course: Sendable, Equatable {
    /// Share of sampled runs that go so, 0 to 1.
    public var share: Double
    /// In the order of the story.
    public var boots: [Boot]
    /// In the order of the story.
    public var shutdowns: [Shutdown]
  }

  /// The answer over all orders.
  public var verdict: Verdict
  /// The nominal one first.
  public var courses: [Course]
  /// LUs that nothing tells apart, by name: where one of them is named, it may be another.
  public var alike: [[String]] = []

  /// What a report says.
  public init(_ report: Report) {
    verdict = report.verdict
    alike = report.alike
    courses = report.outcomes.map { outcome in
      Course(
        share: outcome.share,
        boots: outcome.boots.map {
          Boot(
            outcome: $0.outcome, stage: $0.stage, finding: $0.finding, at: Double($0.at) / 1e6,
            rootDevice: $0.rootDevice, disks: $0.disks, otherDisks: $0.otherDisks)
        },
        shutdowns: outcome.shutdowns.map {
          Shutdown(
            outcome: $0.outcome, finding: $0.finding, at: Double($0.at) / 1e6, fileSystem: $0.fileSystem)
        })
    }
  }

  /// Whether another prediction says the same of all that a laboratory compares: times and shares are not.
  public func saysTheSame(as other: Prediction) -> Bool {
    func plain(_ prediction: Prediction) -> [Course] {
      prediction.courses.map { course in
        var course = course
        course.share = 0
        for index in course.boots.indices { course.boots[index].at = 0 }
        for index in course.shutdowns.indices { course.shutdowns[index].at = 0 }
        return course
      }
    }
    return plain(self) == plain(other) && alike == other.alike
  }

  /// What was read from a file.
  init(verdict: Verdict, courses: [Course], alike: [[String]] = []) {
    self.verdict = verdict
    self.courses = courses
    self.alike = alike
  }
}
