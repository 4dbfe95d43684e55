/// What the laboratory writes into a transcript about what it does and finds, one line each.
///
/// ``text`` writes it and `init(_:)` reads it, so that a transcript can be judged from its file alone.
public enum LabEvent: Sendable, Equatable {
  /// Power on: a boot of the story begins. Counted from 1.
  case powerOn(boot: Int)
  /// The machine restarts by itself, as a step "reboot" asks: the next boot of the story begins.
  case restarted(boot: Int)
  /// A step of the story begins, in the scenario's words.
  case step(String)
  /// The machine is told to power off or to restart. Counted from 1.
  case shutdownAsked(shutdown: Int)
  /// The machine is off (QEMU ended), or it restarted where that was asked.
  case off
  /// Nothing more is waited for: the boot or shutdown that is under way has not ended after so many seconds.
  case gaveUp(seconds: Int)
  /// The laboratory asks what the machine is like (at the initramfs shell, or in the root shell); the answers are the
  /// console's or the shell's lines that follow, until ``probed``.
  case probing
  case probed
  /// What is on a partition of a LU after the machine is off: "clean", "clean needs_recovery", …
  case fileSystem(lun: Int, partition: Int, state: String)
  /// The status of `e2fsck -fn` on a copy of that partition after its journal was replayed.
  case checked(lun: Int, partition: Int, status: Int)
  /// Anything else, for people.
  case note(String)

  /// The line.
  public var text: String {
    switch self {
    case .powerOn(let boot): "boot \(boot): power on"
    case .restarted(let boot): "boot \(boot): restart"
    case .step(let text): "step: \(text)"
    case .shutdownAsked(let shutdown): "shutdown \(shutdown): asked"
    case .off: "off"
    case .gaveUp(let seconds): "gave up after \(seconds) s"
    case .probing: "probing"
    case .probed: "probed"
    case .fileSystem(let lun, let partition, let state): "file system of LUN \(lun) p\(partition): \(state)"
    case .checked(let lun, let partition, let status): "e2fsck of LUN \(lun) p\(partition): \(status)"
    case .note(let text): "note: \(text)"
    }
  }

  /// Reads a line; nil for what the laboratory does not write.
  public init?(_ text: String) {
    func number(after prefix: String, before suffix: String) -> Int? {
      guard text.hasPrefix(prefix), text.hasSuffix(suffix) else { return nil }
      return Int(text.dropFirst(prefix.count).dropLast(suffix.count))
    }
    func place(after prefix: String) -> (lun: Int, partition: Int, rest: String)? {
      guard text.hasPrefix(prefix), let colon = text.firstRange(of: ": ") else { return nil }
      let words = text[text.index(text.startIndex, offsetBy: prefix.count)..<colon.lowerBound].split(
        separator: " ")
      guard words.count == 2, let lun = Int(words[0]), let partition = Int(words[1].dropFirst()) else {
        return nil
      }
      return (lun, partition, String(text[colon.upperBound...]))
    }
    if let boot = number(after: "boot ", before: ": power on") {
      self = .powerOn(boot: boot)
    } else if let boot = number(after: "boot ", before: ": restart") {
      self = .restarted(boot: boot)
    } else if text.hasPrefix("step: ") {
      self = .step(String(text.dropFirst(6)))
    } else if let shutdown = number(after: "shutdown ", before: ": asked") {
      self = .shutdownAsked(shutdown: shutdown)
    } else if text == "off" {
      self = .off
    } else if let seconds = number(after: "gave up after ", before: " s") {
      self = .gaveUp(seconds: seconds)
    } else if text == "probing" {
      self = .probing
    } else if text == "probed" {
      self = .probed
    } else if let (lun, partition, state) = place(after: "file system of LUN ") {
      self = .fileSystem(lun: lun, partition: partition, state: state)
    } else if let (lun, partition, rest) = place(after: "e2fsck of LUN "), let status = Int(rest) {
      self = .checked(lun: lun, partition: partition, status: status)
    } else if text.hasPrefix("note: ") {
      self = .note(String(text.dropFirst(6)))
    } else {
      return nil
    }
  }
}
