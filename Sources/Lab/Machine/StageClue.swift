import Sim

/// How far a boot is, by what the console shows: for story steps that happen "at" a stage.
struct StageClue {
  /// The last stage that was seen to begin; nil: none yet.
  private(set) var stage: Stage?

  private static let clues: [(text: String, stage: Stage)] = [
    ("SeaBIOS (version", .firmware), ("iPXE initialising devices", .optionROM),
    ("Booting from SAN device", .bootLoader),
    ("GRUB", .bootLoader), ("Linux version ", .kernel), ("Running /scripts/local-top", .initramfsNetwork),
    ("dracut-initqueue", .initramfsNetwork), ("iscsistart: ", .initramfsISCSI),
    ("Started iscsid.service", .initramfsISCSI),
    ("EXT4-fs (", .rootMount), ("does not exist.  Dropping to a shell", .rootMount),
    ("INIT: version", .`init`),
    ("Welcome to Debian", .`init`), ("==LAB-REPORT", .running),
  ]

  /// Looks at a line of the console; the stage, if one begins that is later than those before.
  mutating func see(_ line: String) -> Stage? {
    guard let clue = Self.clues.last(where: { line.contains($0.text) }), isLater(clue.stage) else {
      return nil
    }
    stage = clue.stage
    return clue.stage
  }

  private func isLater(_ other: Stage) -> Bool {
    guard let stage else { return true }
    let order = Stage.allCases
    return order.firstIndex(of: other)! > order.firstIndex(of: stage)!
  }
}
