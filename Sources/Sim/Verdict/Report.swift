/// The answer to "will it come up, and go down?".
public enum Verdict: String, Hashable, Sendable, CaseIterable {
  /// Comes up and goes down clean, every time in the story, in every order.
  case boots
  case mayFail = "may-fail"
  case fails
}

/// How a boot of the story ended: up, not up, or up but late because something did not answer for more than ten seconds.
///
/// A degraded boot does come up: it counts as one that boots for the verdict.
public enum BootOutcome: String, Hashable, Sendable, CaseIterable { case boots, fails, degraded }

/// How a shutdown of the story ended: off and nothing lost, off with the root not properly closed, or never off.
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
  /// The scenario's title.
  public var title: String
  /// Rows of SEEDS.md and other sources that the scenario names.
  public var sources: [String]
  /// The answer, over all orders.
  public var verdict: Verdict
  /// States the explorer stored, over all phases.
  public var states: Int
  /// Every order that the windows allow was covered.
  public var complete: Bool
  /// One for each distinct way it can end; the nominal run's first.
  public var outcomes: [Outcome]
  /// Cures, each simulated before it is shown.
  public var fixes: [Fix]
  /// LUs that are empty and that nothing tells apart, by their names: where one of them is named, it may be another.
  public var alike: [[String]] = []
  /// Lines of the system's files that could matter and that the simulator could not read, and orders that were left out.
  public var notLookedAt: [String]
}

/// One distinct way the story can end.
public struct Outcome: Sendable {
  /// Replays with `run --schedule`.
  public var witness: String
  /// Share of sampled runs that end so, 0 to 1.
  public var share: Double
  /// One for each boot of the story, in order.
  public var boots: [BootReport]
  /// One for each shutdown of the story, in order.
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
  /// The line, without its time.
  public var text: String
  /// As the real console would show it (false: our explanation).
  public var console: Bool
}

/// How one boot of the story went.
public struct BootReport: Sendable {
  /// Whether it came up, and in time.
  public var outcome: BootOutcome
  /// Where it went wrong or was held up; nil when it came up in time.
  public var stage: Stage?
  /// The code of the finding, as `bootsim explain` takes it; nil when it came up in time.
  public var finding: String?
  /// Microseconds since this boot's power-on.
  public var at: Int64
  /// Plain sentences, the cause first.
  public var because: [String]
  /// The key lines of the console.
  public var console: [String]
  /// The device that was mounted as the root, "/dev/sda2"; nil when none was.
  public var rootDevice: String?
  /// sd name to device name, when the boot ended.
  public var disks: [String: String]
  /// The other ways in which the names may have been given, and the boot gone the same.
  public var otherDisks: [[String: String]] = []
  /// By how many microseconds it came up late: the time in which it waited for what did not answer; nil unless degraded.
  public var lateBy: Int64? = nil
}

/// How one shutdown of the story went.
public struct ShutdownReport: Sendable {
  /// How it ended.
  public var outcome: ShutdownOutcome
  /// The code of the finding; nil when it was clean.
  public var finding: String?
  /// Microseconds since the shutdown was asked for.
  public var at: Int64
  /// Acknowledged or buffered writes that never reached the medium.
  public var lostWrites: Int
  /// What the next mount of the root would find.
  public var fileSystem: FileSystemState
  /// Plain sentences, the cause first; empty when it was clean.
  public var because: [String]
  /// The key lines of the console.
  public var console: [String]
}

/// A change that was simulated and comes up, and goes down clean, in every order.
public struct Fix: Sendable {
  /// What to do, in one clause.
  public var title: String
  /// The change, place by place.
  public var edits: [Edit]
  /// It was simulated: comes up, and goes down clean, in every order.
  public var verified: Bool
}

/// One change of a fix: of a file's line, or of the machine.
public struct Edit: Sendable {
  /// The file, or a JSON path of the scenario for hardware ("machine.bootOrder").
  public var place: String
  /// The line in the file, from 1; nil for hardware and whole files.
  public var line: Int?
  /// The old text; nil: added.
  public var old: String?
  /// The new text; nil: removed.
  public var new: String?
}
