/// Something that happens to the machine at one instant.
struct MachineEvent: Hashable, Sendable {
  enum Kind: UInt8 {
    /// The firmware tries entry `a` of the boot order.
    case tryBoot
    /// The option ROM of adapter `a` has an address, or gives up.
    case romAddress
    /// The option ROM of adapter `a` logs in to its target.
    case romLogin
    /// Boot code of device `a` runs (after `b` reads in vain).
    case loader
    /// The kernel has decompressed and initialised.
    case kernel
    /// Task `a` goes on at instruction `b` of program `c`.
    case task
    /// The wait of task `a` at instruction `b` of program `c` is over.
    case timeout
    /// udev has loaded the drivers of what it found.
    case coldplugged
    /// A driver's disk `a` is there: it gets its name.
    case diskReady
    /// The session with target `a` notices that its peer is silent or gone.
    case notice
    /// The recovery timer of the session with target `a` runs out.
    case recoveryTimeout
    /// The session with target `a` is logged in again.
    case relogin
    /// iscsid, just started, redoes the login of the session with target `a`.
    case daemonSync
    /// The target drops the boot ROM's session `a`.
    case romSessionGone
    /// An outage of the story's step `a` is over.
    case outageOver
    /// The root wait of the initramfs is over.
    case rootWaitOver
    /// The page cache is written back.
    case writeback
    /// The journal's running transaction is committed while files are written.
    case commit
    /// The LU has written its idle cache to the medium.
    case cacheWritten
    /// A wait of the boot has become too long.
    case heldUp
    /// What the story's step `a` does "after" some time happens.
    case stepBegins
    /// Target `a` drops the sessions that the last boot left.
    case danglingGone
    /// The other machine of the story's step `a` logs in again with our name.
    case namesakeReturns
    /// TCP sends again to target `a` what was not acknowledged.
    case retransmit
  }

  var kind: Kind
  var a: UInt8 = 0
  var b: UInt16 = 0
  var c: UInt16 = 0

  init(_ kind: Kind, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0) {
    self.kind = kind
    self.a = UInt8(truncatingIfNeeded: a)
    self.b = UInt16(truncatingIfNeeded: b)
    self.c = UInt16(truncatingIfNeeded: c)
  }

  /// Canonical 64-bit form, for sorting and witnesses.
  var code: UInt64 { UInt64(kind.rawValue) << 40 | UInt64(a) << 32 | UInt64(b) << 16 | UInt64(c) }
}

/// What a trace keeps of an event's handling.
enum Note: Sendable {
  /// A line on the console of the machine; `part` is who printed it.
  case console(part: String, String)
  /// What happened, in a plain sentence, and the facts that made it happen so.
  case says(part: String, String, because: [Fact])
  /// The event made this fact what it is now.
  case set(Fact)
  /// A boot or shutdown begins or ends here.
  case mark(Milestone)
}

/// Where the report's boots and shutdowns begin and end.
enum Milestone: Sendable {
  case powerOn, bootEnds, bootFailsLater, shutdownBegins, shutdownEnds
  /// The boot waits for something that does not answer, no longer, or has done so for too long.
  case waitBegins, waitEnds, isLate
}

/// Something that can be true of the machine and that a later event may depend on; only used to explain.
enum Fact: Hashable, Sendable {
  case bootDevice
  case biosDrives
  case ibft
  case selection
  case initramfs
  case disk(Int)
  case letter(Int)
  case interface
  case address
  case path
  case session
  case romSession
  case login
  case daemon
  case root
  case journal
  case data
  case otherMachine
  case leftSessions
  case program
  case story
}
