import Sim

/// What was seen of a scenario's boots and shutdowns, in the words in which bootsim reports.
public struct Observation: Sendable, Equatable {
  /// How one boot of the story really went.
  public struct Boot: Sendable, Equatable {
    /// Whether it came up; whether it did so late is not told apart here.
    public var outcome: BootOutcome
    /// Where it went wrong; nil when it came up and stayed up.
    public var stage: Stage?
    /// Seconds since its power-on until the end was seen.
    public var at: Double
    /// The device that is mounted as the root, "/dev/sda2"; nil where none was, or where nothing could be asked.
    public var rootDevice: String?
    /// sd name to "LUN 1" or the name of the scenario's device, as far as they were seen; nil: nothing could be asked.
    public var disks: [String: String]?
    /// The findings for which every sign was seen.
    public var findings: [String]
    /// The console's lines that decide, with their seconds since power-on.
    public var evidence: [Transcript.Line]
  }

  /// How one shutdown of the story really went.
  public struct Shutdown: Sendable, Equatable {
    /// Whether it ended, and whether the root was closed before.
    public var outcome: ShutdownOutcome
    /// Seconds since it was asked for.
    public var at: Double
    /// What is on the root's disk, as the laboratory or else the next boot found it; nil where neither looked.
    public var fileSystem: FileSystemState?
    /// The findings for which every sign was seen.
    public var findings: [String]
    /// The console's lines that decide.
    public var evidence: [Transcript.Line]
  }

  /// In the order of the story.
  public var boots: [Boot]
  /// In the order of the story.
  public var shutdowns: [Shutdown]
}
