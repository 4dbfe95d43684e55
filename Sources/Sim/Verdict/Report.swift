/// The answer to "will it come up, and go down?".
public enum Verdict: String, Hashable, Sendable, CaseIterable {
  /// Comes up and goes down clean, every time in the story, in every order.
  case boots
  case mayFail = "may-fail"
  case fails
}

public enum BootOutcome: String, Hashable, Sendable, CaseIterable { case boots, fails, degraded }

public enum ShutdownOutcome: String, Hashable, Sendable, CaseIterable {
  case clean
  case lostRoot = "lost-root"
  case hang
}

/// What the next mount of the root file system would find.
public enum FileSystemState: String, Hashable, Sendable, CaseIterable {
  case clean
  case needsRecovery = "needs-recovery"
  case damaged
}

/// Everything that is known after a scenario was simulated; `--json` prints it.
public struct Report: Sendable {
  public var title: String
  public var sources: [String]
  public var verdict: Verdict
  /// States the explorer stored, over all phases.
  public var states: Int
  /// Every order that the windows allow was covered.
  public var complete: Bool
  /// One for each distinct way it can end; the nominal run's first.
  public var outcomes: [Outcome]
  public var fixes: [Fix]
  /// Lines of the system's files that could matter and that the simulator could not read.
  public var notLookedAt: [String]
}

/// One distinct way the story can end.
public struct Outcome: Sendable {
  /// Replays with `run --schedule`.
  public var witness: String
  /// Share of sampled runs that end so, 0 to 1.
  public var share: Double
  public var boots: [BootReport]
  public var shutdowns: [ShutdownReport]
  /// The timeline of the witness.
  public var timeline: [TimelineEntry]
}

/// One line of the timeline.
public struct TimelineEntry: Sendable {
  /// Microseconds since power-on.
  public var time: Int64
  /// Who speaks: "BIOS", "GRUB", "kernel", "initramfs", "systemd", "target", "story", …
  public var part: String
  public var text: String
  /// As the real console would show it (false: our explanation).
  public var console: Bool
}

/// How one boot of the story went.
public struct BootReport: Sendable {
  public var outcome: BootOutcome
  public var stage: Stage?
  public var finding: String?
  /// Microseconds since this boot's power-on.
  public var at: Int64
  /// Plain sentences, the cause first.
  public var because: [String]
  /// The key lines of the console.
  public var console: [String]
  public var rootDevice: String?
  /// sd name to device name, when the boot ended.
  public var disks: [String: String]
}

/// How one shutdown of the story went.
public struct ShutdownReport: Sendable {
  public var outcome: ShutdownOutcome
  public var finding: String?
  /// Microseconds since the shutdown was asked for.
  public var at: Int64
  /// Acknowledged or buffered writes that never reached the medium.
  public var lostWrites: Int
  public var fileSystem: FileSystemState
  public var because: [String]
  public var console: [String]
}

/// A change that was simulated and comes up, and goes down clean, in every order.
public struct Fix: Sendable {
  public var title: String
  public var edits: [Edit]
  public var verified: Bool
}

/// One change of a fix: of a file's line, or of the machine.
public struct Edit: Sendable {
  /// The file, or a JSON path of the scenario for hardware ("machine.bootOrder").
  public var place: String
  public var line: Int?
  /// The old text; nil: added.
  public var old: String?
  /// The new text; nil: removed.
  public var new: String?
}
