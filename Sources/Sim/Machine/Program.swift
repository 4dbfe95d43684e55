/// What a piece of software does, instruction by instruction: an initramfs, an init system bringing services up or down, a command.
///
/// Programs are made from the system's own files (scripts, units, menus) when they are about to run; the state only
/// holds the program's number and how far each task is.
struct Program: Sendable {
  struct Task: Sendable {
    /// For people: "K05networking", "networking.service".
    var name: String
    /// Tasks (bits) that have to be done first.
    var after: UInt32 = 0
    var ops: [Op] = []
  }

  /// As many as the state has counters for.
  static let taskLimit = 32
  static let opLimit = 4000

  /// Who prints its lines: "initramfs", "systemd", "rc".
  var part: String
  var tasks: [Task]
}

/// How an interface gets its address.
enum AddressSource: Hashable, Sendable {
  case dhcp
  /// Static settings.
  case fixed
  /// As the iBFT says: static, or by DHCP again; by DHCP where there is none.
  case firmware
}

/// One login that an initiator tries.
struct Login: Hashable, Sendable {
  var initiator: String?
  var target: String
  /// "address:port"; port 3260 where none was given.
  var portal: String
  var chap: Credentials?
}

/// What `halt`, `reboot` and systemd-shutdown ask of the kernel.
struct HaltRequest: Hashable, Sendable {
  /// `halt -i`: all interfaces down first, in the same process.
  var interfacesDown = false
  /// The caller synced before (halt without -n).
  var sync = true
  var reboot = false
  var commandLine = "halt"
}

/// One instruction.
indirect enum Op: Sendable {
  /// Prints on the console; takes no time.
  case say(String)
  /// Says in plain words what happens, for the timeline.
  case tell(String, because: [Fact])
  /// Time passes.
  case pause(Window)
  case stage(Stage)
  case jump(Int)
  /// A program or script is loaded from the root file system, unless the page cache has it. On an I/O error: says so and goes to `failTo`.
  case read(String, says: String, failTo: Int)
  /// Kernel modules are loaded; their drivers find their devices.
  case modules([String])
  /// One module is loaded from its file, with nothing that it needs.
  case insmod(ModuleFile)
  /// Goes to `failTo` unless these modules are loaded.
  case needsModules([String], failTo: Int)
  /// udev loads the drivers of what it finds, beside the rest.
  case coldplug([String], Window)
  /// Waits until udev has loaded what it was going to load.
  case settle(limit: Window)
  /// Looks for an interface (nil: any): it is there now, or the rest is left out.
  case findInterface(String?, place: String, failTo: Int)
  /// Kernel and udev look for hardware that the loaded drivers know ("coldplug").
  case startRootWait(Window)
  /// Waits until a network interface is there.
  case waitInterface(limit: Window, failTo: Int)
  /// Waits until the link is up and the interface has an address.
  case configure(interface: String?, AddressSource, limit: Window, failTo: Int)
  case link(interface: String?, up: Bool, says: String)
  case dropAddress(interface: String, says: String)
  case setAddress(interface: String, says: String)
  /// ifup adds a static address and the default route; it fails, and keeps no record, where they are there already.
  case raiseStatic(interface: String, place: String, failTo: Int)
  /// Jumps if ifup failed to raise the interface: ifdown knows nothing of it.
  case unlessRaised(interface: String, Int)
  /// The initramfs's initiator logs in; endless where the peer does not answer.
  case login([Login], failTo: Int)
  case loginFromFirmware(failTo: Int)
  /// Jumps if the firmware left no iBFT.
  case unlessIBFT(Int)
  case noteProblem(LoginProblem, because: String? = nil)
  case waitRoot(RootName)
  case mountRoot(RootName)
  /// The root's init takes over.
  case switchRoot(initPath: String)
  case remountRoot(readWrite: Bool, failTo: Int)
  /// File systems of fstab are checked and mounted, those whose devices are there at once, the others when they come.
  case mountEntries([FstabMount])
  case startDaemon
  case stopDaemon(says: String)
  case spareDaemon
  /// A service's lock file in /var/lock/subsys is made or removed.
  case lockFile(String, held: Bool)
  /// All processes are killed (sendsigs, killall5): the daemon with them unless it is spared.
  case killAll
  /// Sessions are ended: those with targets of these names (nil: all of them), the root's too unless it is kept.
  case logout(of: [String]? = nil, keepRoot: Bool = false, says: String)
  case loginNodes([Login])
  /// From now on the firewall drops the packets of these targets' sessions; `cuts`: only of connections made before,
  /// where the kernel's tracking does not take them over.
  case firewall(drops: Set64, cuts: Set64, says: String)
  case sync
  case write
  /// A program writes files for a while; then it is done.
  case writeFiles(Window, says: String)
  case endWriting
  /// Waits, as long as it does, for an answer that does not come.
  case waitInVain(Window)
  /// From now on the disks hold this version of the files (`Library.files`).
  case files(UInt32)
  /// The installation system installs on the root's disk, or on the node that is named.
  case install(on: String?)
  /// The kernel refuses a module.
  case moduleRefused(says: String)
  /// A shell waits for somebody at the initramfs's prompt.
  case prompt
  /// A persistent reservation is asked of the LU behind a node.
  case reservation(ReservationRequest, node: String)
  /// Boot code is written to the first sector of what a device node names.
  case installGrub(node: String, GrubInstallation, says: String)
  case halt(HaltRequest)
  /// The machine is up.
  case up
  /// init has nothing left to run and nothing powers the machine off.
  case noProcessesLeft(says: String)
}

/// How the kernel command line names the root.
enum RootName: Hashable, Sendable {
  /// "sda2", "hda1": a kernel name.
  case node(String)
  case uuid(String)
  case label(String)
  case partuuid(String)
  /// Anything else, as written.
  case other(String)

  init(_ text: String) {
    if let rest = text.dropping("UUID=") ?? text.dropping("/dev/disk/by-uuid/") {
      self = .uuid(rest)
    } else if let rest = text.dropping("LABEL=") ?? text.dropping("/dev/disk/by-label/") {
      self = .label(rest)
    } else if let rest = text.dropping("PARTUUID=") {
      self = .partuuid(rest)
    } else if let rest = text.dropping("/dev/"), DiskNames.parse(rest) != nil {
      self = .node(rest)
    } else {
      self = .other(text)
    }
  }

  var text: String {
    switch self {
    case .node(let name): "/dev/\(name)"
    case .uuid(let uuid): "UUID=\(uuid)"
    case .label(let label): "LABEL=\(label)"
    case .partuuid(let id): "PARTUUID=\(id)"
    case .other(let text): text
    }
  }
}

/// A line of fstab as init mounts it.
struct FstabMount: Hashable, Sendable {
  var device: RootName
  var mountPoint: String
  var type: String
  /// The boot goes on without it.
  var optional: Bool
  /// What is said where it cannot be mounted and the boot goes on; nil: the boot ends there.
  var complaint: String?
  /// How long init waits for the device: systemd 90 s, SysV not at all.
  var wait: Window?
  var line: Int
}

/// Why an initiator has no session.
enum LoginProblem: UInt8, Sendable {
  case none
  /// The initramfs holds no initiator.
  case noInitiator
  /// Its daemon fails to start.
  case daemonDoesNotStart
  /// Nothing told it what to log in to.
  case noParameters
  case noIBFT
  case noInterface
  /// Nothing gave an address to the adapter that is there, or the settings name another one.
  case interfaceNotConfigured
  /// The adapter's driver is on its way, but not there yet.
  case interfaceNotReady
  case noAddress
  case unreachable
  case targetNotFound
  case wrongSecret
  case notAdmitted
  case sessionLimit
  case unresolvedModules
  /// insmod found no module that has the symbols: not there, or later in the order.
  case symbolsUnresolved
  /// The module's file was built for another kernel.
  case moduleRefused
}

extension String {
  /// The rest after a prefix, or nil.
  func dropping(_ prefix: String) -> String? { hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil }
}
