/// Tells from the console, while it is written, when a boot or a shutdown has come to an end that nothing follows.
///
/// A prompt has no line end, so an unfinished line counts too.
public struct BootEnd: Sendable {
  /// An end.
  public enum Kind: String, Sendable, CaseIterable {
    /// The marker's report is complete.
    case up
    /// The initramfs has given up and waits for a person.
    case initramfsShell = "initramfs-shell"
    /// GRUB 2 has not found its files.
    case grubRescue = "grub-rescue"
    /// GRUB has no menu.
    case grubPrompt = "grub-prompt"
    /// GRUB legacy's "Error N", in stage 1.5 without a word more.
    case grubLegacyError = "grub-legacy-error"
    /// GRUB waits for a key; GRUB 2 goes on by itself after ten seconds, and may boot yet.
    case grubWaits = "grub-waits"
    /// dracut has given up; Enter opens a shell.
    case dracutShell = "dracut-shell"
    /// systemd's emergency shell, or sulogin: it wants root's password.
    case emergency
    /// The firmware has nothing left to boot from.
    case noBootableDevice = "no-bootable-device"
    case kernelPanic = "kernel-panic"
    /// SysV init has nothing left that it could run.
    case initHasNothing = "init-has-nothing"
    /// systemd has frozen itself.
    case frozen
    case poweredDown = "powered-down"
    case restarting

    /// For how many seconds nothing more should be written until the end counts.
    public var quiet: Double {
      switch self {
      case .up, .restarting: 0
      case .initramfsShell, .grubRescue, .poweredDown: 1
      case .grubPrompt, .noBootableDevice, .kernelPanic, .frozen: 2
      case .grubLegacyError, .dracutShell, .emergency: 3
      case .initHasNothing: 5
      case .grubWaits: 15
      }
    }

    /// In the order in which they are looked for: what is said of several holds for the first.
    private static let signs: [(Kind, [Sign])] = [
      (.up, [.up]), (.initramfsShell, [.initramfsShell]), (.grubRescue, [.grubRescue]),
      (.grubPrompt, [.grubPrompt]), (.grubLegacyError, [.legacyNoDisk, .legacyNoFileSystem, .legacyNoFile]),
      (.grubWaits, [.grubAnyKey]), (.dracutShell, [.dracutEmergency]), (.emergency, [.emergency]),
      (.noBootableDevice, [.nothingBootable]), (.kernelPanic, [.kernelPanic]),
      (.initHasNothing, [.initHasNothing]), (.frozen, [.frozen]), (.poweredDown, [.poweredDown]),
      (.restarting, [.restarting]),
    ]

    /// The end that a line shows; nil: none.
    init?(line: String) {
      if let kind = Self.signs.first(where: { $0.1.contains { $0.isShown(by: line) } })?.0 {
        self = kind
      } else if line.isGrubLegacyError {
        self = .grubLegacyError
      } else {
        return nil
      }
    }
  }

  private var unfinished = ""
  private var screen = Screen()

  /// Knows of nothing yet.
  public init() {}

  /// Takes what the console wrote next, wherever it is cut, and says which end that shows; nil: none.
  ///
  /// What follows an end is for a ``BootEnd`` of its own.
  public mutating func see(_ text: String) -> Kind? {
    unfinished += text
    // "\r\n" is one Character.
    var lines = unfinished.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    let rest = lines.removeLast()
    for line in lines {
      let line = String(line)
      if let kind = Kind(line: line) ?? Kind(line: screen.joined(line)) {
        unfinished = ""
        return kind
      }
    }
    unfinished = String(rest)
    return Kind(line: unfinished)
  }
}

extension String {
  /// "Error 21" alone, as stage 1.5 has it, or with its meaning, as stage 2 has it.
  fileprivate var isGrubLegacyError: Bool {
    guard let rest = trimmed.after("Error "), trimmed.hasPrefix("Error ") else { return false }
    let number = rest.prefix { $0 != ":" }
    return Int(number).map { 1...99 ~= $0 } ?? false
  }
}
