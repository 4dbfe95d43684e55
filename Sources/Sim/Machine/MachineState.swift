/// The machine at one moment: a value of a few hundred bytes, without clocks, text or references.
///
/// Devices, targets, adapters and programs are numbers into the model's tables.
struct MachineState: Hashable, Sendable {
  enum Phase: UInt8 {
    case off, firmware, loader, kernel, initramfs, initialising, up
    case goingDown
    /// A prompt, a panic, or nothing at all any more.
    case stuck
  }

  /// Where a boot that ended can be taken up by hand.
  enum Prompt: UInt8 {
    case none
    /// The initramfs gave up and shows its shell.
    case initramfs
    /// Somebody typed there; what comes of it is this boot's end.
    case rescued
  }

  var phase: Phase = .off
  /// How far the boot is: index into `Stage.allCases`.
  var stage: UInt8 = 0
  /// The next step of the story.
  var step: UInt8 = 0
  /// Which version of the system's files is on the disks: its number in the library, 0 as the scenario gives them.
  var tree: UInt32 = 0
  /// Local devices that are plugged in.
  var attached: Set64 = []
  /// Boot code written by the story over what the scenario gave; 0: as given, else an interned `Installation`.
  var bootCode = SIMD64<UInt8>()
  var firmware = FirmwareState()
  var scsi = SCSIState()
  var network = NetworkState()
  var iscsi = InitiatorState()
  var root = RootState()
  /// The initramfs has waited for its root as long as it will.
  var rootWaitOver = false
  var program = ProgramState()
  var prompt = Prompt.none
  /// The step that chose the next boot's menu entry: its index + 1; 0: none did.
  var menuEntry: UInt8 = 0
  /// Outages that happen when a stage is reached: bits for the story's steps that arm them, in order.
  var armed: UInt64 = 0
  /// What the root's medium holds, with the machine on or off.
  var medium = MediumState()
  /// What targets remember of initiators that are gone.
  var targets = TargetState()
  var delay = DelayState()
  /// Services whose lock file is in /var/lock/subsys (numbers of the library).
  var services: Set64 = []
  var results = ResultsState()
}

/// A set of up to 64 small numbers.
struct Set64: OptionSet, Hashable, Sendable {
  var rawValue: UInt64 = 0
  init(rawValue: UInt64) { self.rawValue = rawValue }

  func has(_ index: Int) -> Bool { index < 64 && rawValue >> UInt64(index) & 1 == 1 }
  mutating func put(_ index: Int) { if index < 64 { rawValue |= 1 << UInt64(index) } }
  mutating func drop(_ index: Int) { if index < 64 { rawValue &= ~(1 << UInt64(index)) } }
  mutating func set(_ index: Int, _ on: Bool) { if on { put(index) } else { drop(index) } }
  var members: [Int] { (0..<64).filter(has) }
}

/// What the BIOS knows.
struct FirmwareState: Hashable, Sendable {
  /// INT13 hard disks 0x80, 0x81, …: device number + 1.
  var drives = SIMD8<UInt8>()
  /// The device whose boot code runs: number + 1; 0: none yet.
  var bootDisk: UInt8 = 0
  /// The adapter whose option ROM left an iBFT: number + 1.
  var ibft: UInt8 = 0
  /// What the boot loader chose: interned `BootSelection`.
  var selection: UInt16 = 0
  /// Why no option ROM exposed its LU: `ROMProblem` raw value.
  var romProblem: UInt8 = 0
}

/// Disks as the kernel's SCSI layer (and IDE) names them.
struct SCSIState: Hashable, Sendable {
  /// For each device: sd index + 1, or 0 where it has no name.
  var letters = SIMD64<UInt8>()
  /// Devices that a driver has noticed and whose disk is not there yet.
  var settling: Set64 = []
  /// Kernel modules that are loaded (bits of the model's module table).
  var modules: Set64 = []
  /// Kernel modules that udev is about to load.
  var coming: Set64 = []
}

/// Adapters, links, addresses, firewall.
struct NetworkState: Hashable, Sendable {
  /// A driver has made the interface.
  var present: Set64 = []
  /// The interface is administratively up.
  var up: Set64 = []
  /// It has its IPv4 address (and routes).
  var address: Set64 = []
  /// ifup has failed to raise it, and has no record of it.
  var notRaised: Set64 = []
  /// Cables that the story pulled.
  var unplugged: Set64 = []
  /// Targets whose packets, or packets to whom, the firewall drops.
  var dropped: Set64 = []
  /// Targets whose present connection the firewall cuts, while it would let a new one through.
  var cut: Set64 = []
  /// Targets whose daemon runs.
  var targets: Set64 = []
}

/// The running system's iSCSI sessions, one for each target, and the daemon.
struct InitiatorState: Hashable, Sendable {
  enum Session: UInt8 {
    case none
    case loggedIn
    /// Connection lost: commands are queued, the recovery timer runs.
    case failed
    /// The recovery timer ran out: devices are offline, I/O fails.
    case offline
  }

  /// `Session` raw values by target.
  var sessions = SIMD16<UInt8>()
  /// Sessions whose connection is watched by NOPs.
  var watched: Set64 = []
  /// Sessions of the boot ROM that the target still counts.
  var romSessions: Set64 = []
  var daemon = false
  /// Sessions that iscsid has made itself or taken over; it knows of no others.
  var known: Set64 = []
  /// The files that iscsid last read when it took the sessions over: the version's number + 1; 0: it never did.
  var timersTree: UInt32 = 0
  /// sendsigs leaves the daemon alone (/run/sendsigs.omit.d).
  var daemonSpared = false
  /// Why there is no session: `LoginProblem` raw value.
  var problem: UInt8 = 0
  /// Silent sessions without NOPs that the SCSI layer's error handling is working on.
  var errorHandling: Set64 = []
  /// How often TCP has sent again what they wait for.
  var retransmissions = SIMD16<UInt8>()
  /// What last took a session's path away: `LossCause` raw value.
  var loss: UInt8 = 0
  /// Other machines whose initiator name our session has: bits for the story's steps.
  var namesakes: UInt64 = 0

  func session(_ target: Int) -> Session { Session(rawValue: sessions[target]) ?? .none }
}

/// The root file system.
struct RootState: Hashable, Sendable {
  enum Mount: UInt8 { case none, readOnly, readWrite }
  /// Device number + 1.
  var disk: UInt8 = 0
  var partition: UInt8 = 0
  var mount: Mount = .none
  /// The journal was aborted after an I/O error: read-only until the next boot.
  var aborted = false
  /// Groups of writes in the page cache that the LU has not seen.
  var dirty: UInt8 = 0
  /// Groups of writes that were lost for good.
  var lost: UInt8 = 0
  /// The recovery flag on the medium: set while mounted read-write, cleared by a clean unmount or remount.
  var needsRecovery = false
  /// Its remount for writing was refused.
  var refusesWriting = false
  /// What the device was lost to: index of a finding's code + 1.
  var lostTo: UInt8 = 0
  /// Programs and scripts that are in the page cache.
  var cached: Set64 = []
}

/// The program (initramfs, init, shutdown, a command) that runs: tasks with an order between them.
struct ProgramState: Hashable, Sendable {
  /// Interned `Program`; 0: none.
  var number: UInt16 = 0
  var started: UInt32 = 0
  var done: UInt32 = 0
  /// Tasks that wait for a condition of their current instruction.
  var waiting: UInt32 = 0
  /// Tasks whose wait has timed out.
  var timedOut: UInt32 = 0
  var counters = SIMD32<UInt16>()
  /// `halt` is past its own work: only the kernel's is left.
  var haltBegun = false
}

/// How boots and shutdowns of the story ended so far: interned `BootResult`s and `ShutdownResult`s, 0: none yet.
struct ResultsState: Hashable, Sendable {
  var boots = SIMD8<UInt16>()
  var shutdowns = SIMD8<UInt16>()
  var bootCount: UInt8 = 0
  var shutdownCount: UInt8 = 0
}

extension Finding.Code {
  /// Stands for the finding in a state; 0 is none.
  var number: UInt8 { UInt8((Self.allCases.firstIndex(of: self) ?? 0) + 1) }

  static func numbered(_ number: UInt8) -> Self? {
    number > 0 && Int(number) <= allCases.count ? allCases[Int(number) - 1] : nil
  }
}
