/// What can be wrong, once and for all: code, meaning, how to recognise it, cure, sources. `bootsim explain` prints this.
public struct Finding: Sendable {
  /// Stable names, as `--json` gives them.
  public enum Code: String, Sendable, CaseIterable, Hashable {
    case installerFindsNoDisk = "installer-finds-no-disk"
    case installerSourceHidden = "installer-source-hidden"
    case moduleRefused = "module-refused"
    case wrongDiskWritten = "wrong-disk-written"
    case noBootableDevice = "no-bootable-device"
    case bootedOtherMedium = "booted-other-medium"
    case bootSectorHangs = "boot-sector-hangs"
    case optionROMNotConfigured = "option-rom-not-configured"
    case optionROMNoAddress = "option-rom-no-address"
    case optionROMTargetUnreachable = "option-rom-target-unreachable"
    case optionROMLoginRefused = "option-rom-login-refused"
    case optionROMNoLU = "option-rom-no-lu"
    case optionROMBlockSize = "option-rom-block-size"
    case bootFilesNotVisible = "boot-files-not-visible"
    case menuMissing = "boot-menu-missing"
    case menuDriveMissing = "boot-menu-drive-missing"
    case kernelFileMissing = "kernel-file-missing"
    case bootVariablesOverflow = "kernel-variables-overflow"
    case initiatorNotInInitramfs = "initiator-not-in-initramfs"
    case moduleUnresolved = "module-unresolved"
    case initiatorDoesNotStart = "initiator-does-not-start"
    case initiatorNotConfigured = "initiator-not-configured"
    case noIBFT = "no-ibft"
    case nicDriverMissing = "nic-driver-missing"
    case interfaceNotConfigured = "interface-not-configured"
    case interfaceNotReady = "interface-not-ready"
    case noAddress = "no-address"
    case targetUnreachable = "target-unreachable"
    case targetNameUnknown = "target-name-unknown"
    case chapRefused = "chap-refused"
    case initiatorNotAdmitted = "initiator-not-admitted"
    case sessionLimit = "session-limit"
    case rootDiskMissing = "root-disk-missing"
    case fileSystemDriverMissing = "file-system-driver-missing"
    case rootDeviceRenamed = "root-device-renamed"
    case partitionTableMisread = "partition-table-misread"
    case rootNotFoundByName = "root-not-found-by-name"
    case fstabDeviceRenamed = "fstab-device-renamed"
    case fstabDeviceMissing = "fstab-device-missing"
    case bootHangs = "boot-hangs"
    case networkTakenFromRoot = "network-taken-from-root"
    case firewallCutsRoot = "firewall-cuts-root"
    case outageTooLong = "outage-too-long"
    case nobodyLogsInAgain = "nobody-logs-in-again"
    case sessionLoggedOut = "session-logged-out"
    case dumpNotWritten = "dump-not-written"
    case sessionWithoutRecord = "session-without-record"
    case networkDownAtShutdown = "network-down-at-shutdown"
    case finalFlushBlocked = "final-flush-blocked"
    case rootNotUnmounted = "root-not-unmounted"
    case bootHeldUp = "boot-held-up"
    case mediumRolledBack = "medium-rolled-back"
    case mountedTwice = "mounted-twice"
    case fileSystemDamaged = "file-system-damaged"
    case dataLostBehindJournal = "data-lost-behind-journal"
    case rootStaysReadOnly = "root-stays-read-only"
    case initiatorNameTwice = "initiator-name-twice"
  }

  /// Its stable name.
  public let code: Code
  /// One clause.
  public let title: String
  /// What it means, two or three sentences.
  public let meaning: String
  /// What the console shows.
  public let recognise: String
  /// What to change.
  public let cure: String
  /// Rows of SEEDS.md, laboratory variants, other sources.
  public let sources: [String]

  /// All findings, in the order of a boot.
  public static let all: [Finding] = Code.allCases.map(\.info)

  /// The finding with a code's text, or nil.
  public static func named(_ code: String) -> Finding? { Code(rawValue: code)?.info }
}
