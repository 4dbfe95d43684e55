import LinuxConfig

/// What is simulated: a machine, its targets, the files of its system, and what is done to it.
///
/// This is the decoded, validated form; `ScenarioDecoder` makes it from JSON and guarantees that every
/// name refers to something (a story's device exists, a boot order's device exists, …).
public struct Scenario: Sendable {
  /// One sentence for people.
  public var title: String
  /// Rows of SEEDS.md ("S-13"), lab variants ("lab c"), or other sources.
  public var sources: [String]
  /// The distribution profile the files started from, e.g. "debian-12".
  public var profile: String?
  /// The hardware.
  public var machine: MachineSpec
  /// What is between the machine and its targets.
  public var network: NetworkSpec
  /// The iSCSI targets.
  public var targets: [TargetSpec]
  /// The folder that the system's files came from in place of the profile's; nil: the profile's.
  public var root: String?
  /// The system's files: the profile's or the root folder's, overridden by the scenario's.
  public var files: MemoryFileTree
  /// What is to be put into or left out of an initramfs image beyond what its maker would do, by path of the
  /// image.
  public var initrds: [String: InitrdSpec]
  /// What packages bring, by name.
  public var packages: [String: PackageSpec] = [:]
  /// What the step "installer" starts.
  public var installer = InstallerSpec()
  /// What is done to it, in order.
  public var story: [StoryStep]
  /// The axes of `sweep`; ``Variation`` has their combinations.
  public var vary: [Axis]
  /// What must come out, for `bootsim test`; nil: nothing is said.
  public var expect: Expectation?
}

/// A delay that may be anything in a range.
public struct Delay: Hashable, Sendable {
  /// Microseconds.
  public var earliest: Int64
  /// Microseconds; not before `earliest`.
  public var latest: Int64
}

/// The hardware.
public struct MachineSpec: Sendable {
  /// Names of devices (NICs with an option ROM, disks, USB devices, CDs) in the BIOS boot order. What is not
  /// listed is not booted from.
  public var bootOrder: [String]
  /// In the order of the bus.
  public var nics: [NICSpec]
  /// Local disks, then USB, floppy and CD devices, each in the order of the bus; `DiskSpec.bus` says which.
  public var disks: [DiskSpec]
  /// Memory in MiB.
  public var memoryMiB: Int
}

/// A network adapter.
public struct NICSpec: Sendable {
  /// The name that the scenario uses for it.
  public var name: String
  /// The name the running system's kernel gives it ("ens3", "eth0").
  public var interface: String
  /// Six octets in lower-case hexadecimal with colons.
  public var mac: String
  /// The kernel module that drives it.
  public var driver: String
  /// False: no cable, the link never comes up.
  public var cable: Bool
  /// Nil: the adapter cannot boot.
  public var optionROM: OptionROMSpec?
}

/// The iSCSI boot ROM of an adapter.
public struct OptionROMSpec: Sendable {
  /// Whose ROM it is.
  public enum Kind: String, Sendable, CaseIterable { case intel, gpxe, ipxe }
  /// Whose ROM it is.
  public var kind: Kind
  /// The initiator name it logs in with. Nil: not configured (S-05).
  public var initiator: String?
  /// The IQN of the target it logs in to.
  public var target: String?
  /// "address:port" of the portal.
  public var portal: String?
  /// The one LU that is exposed as a BIOS drive.
  public var lun: Int
  /// Nil: by DHCP.
  public var address: String?
  /// What it authenticates with; nil: nothing.
  public var chap: Credentials?
  /// Leaves an iBFT for the operating system (Intel ROMs and iPXE do; gPXE from 0.9.7).
  public var ibft: Bool
}

/// A CHAP name and secret.
public struct Credentials: Hashable, Sendable {
  /// The CHAP name (CHAP_N).
  public var username: String
  /// The CHAP secret.
  public var password: String
}

/// A disk that is not behind iSCSI: local, on USB, floppy or CD.
public struct DiskSpec: Sendable {
  /// What a disk is connected to.
  public enum Bus: String, Sendable, CaseIterable {
    /// IDE driven by the old IDE layer or libata, as the kernel decides.
    case ide
    case sata, scsi
    case usb
    /// A floppy at the floppy controller or an IDE floppy: takes no SCSI letter (S-72).
    case floppy
    case cd
  }
  /// The name that the scenario uses for it.
  public var name: String
  /// What it is connected to.
  public var bus: Bus
  /// What the kernel's log calls it.
  public var model: String
  /// Bytes.
  public var size: Int64
  /// Plugged in when the story begins.
  public var attached: Bool
  /// USB: from detection to the disk being there (usb-storage's settle delay and the probe).
  public var settles: Delay
  /// What is on it.
  public var content: DiskContent
}

/// What is on a disk or LU.
public struct DiskContent: Sendable {
  /// What is in the first sector.
  public enum BootCode: String, Sendable, CaseIterable {
    /// The first sector has no boot signature: the firmware goes on to the next device.
    case none
    /// A signature but no loader (a partitioning tool's MBR): the firmware jumps into it and never comes back
    /// (lab l3).
    case signatureOnly = "signature-only"
    /// GRUB legacy stage 1 (+1.5) or GRUB 2's boot.img + core.img.
    case grub
    /// Another system that boots by itself (an installer's medium, a rescue stick).
    case other
  }
  /// What is in the first sector.
  public var bootCode: BootCode
  /// Set when `bootCode` is `grub`, but for an image of which it is not known.
  public var grub: GrubInstallation?
  /// In the order of their numbers.
  public var partitions: [PartitionSpec]

  /// What is on a disk, as it was found in an image.
  public init(bootCode: BootCode, grub: GrubInstallation?, partitions: [PartitionSpec]) {
    self.bootCode = bootCode
    self.grub = grub
    self.partitions = partitions
  }
}

/// Where the boot code of a disk looks for the rest of GRUB.
public struct GrubInstallation: Hashable, Sendable {
  /// "legacy" or "2".
  public var legacy: Bool
  /// GRUB legacy: stage 1.5 is embedded after the MBR; false: stage 1 reads stage 2 by block list.
  public var embedded: Bool
  /// The device stage 1.5 or core.img takes its files from: "(hd0,0)", "(hd0,msdos1)"; nil with `searchUUID`.
  public var prefix: String?
  /// GRUB 2's core.img searches this file system (`search.fs_uuid`).
  public var searchUUID: String?

  /// An installation of GRUB, as it was found in an image.
  public init(legacy: Bool, embedded: Bool, prefix: String?, searchUUID: String?) {
    self.legacy = legacy
    self.embedded = embedded
    self.prefix = prefix
    self.searchUUID = searchUUID
  }
}

/// A partition and its file system.
public struct PartitionSpec: Hashable, Sendable {
  /// As in sda1.
  public var number: Int
  /// "ext4", "ext3", "reiserfs", "swap", "vfat"; nil: none.
  public var fileSystem: String?
  /// The UUID of its file system; nil: none, or not known.
  public var uuid: String?
  /// The label of its file system.
  public var label: String?
  /// The directory of the system's tree that this partition holds ("/", "/boot", "/home"); nil: none of it.
  public var holds: String?
  /// Bytes.
  public var size: Int64

  /// A partition, as it was found in an image.
  public init(number: Int, fileSystem: String?, uuid: String?, label: String?, holds: String?, size: Int64) {
    self.number = number
    self.fileSystem = fileSystem
    self.uuid = uuid
    self.label = label
    self.holds = holds
    self.size = size
  }
}

/// The network between machine and targets.
public struct NetworkSpec: Sendable {
  /// A DHCP server answers.
  public var dhcp: Bool
  /// How long it takes to answer.
  public var dhcpDelay: Delay
}

/// An iSCSI target and what it allows.
public struct TargetSpec: Sendable {
  /// Its iSCSI name.
  public var iqn: String
  /// "address:port".
  public var portal: String
  /// Sessions at one time; nil: no limit (S-61).
  public var maxSessions: Int?
  /// How long it still counts a session whose initiator has gone without logging out, as boot ROMs do; nil:
  /// for ever. JSON: "dropsDeadSessionsAfter": a duration, a range, or "never"; default ["0s", "10s"] (lab,
  /// pcap of a2).
  public var dropsDeadSessionsAfter: Delay?
  /// What it wants from an initiator; nil: nothing.
  public var chap: Credentials?
  /// Initiator names admitted; nil: all (S-71).
  public var acl: [String]?
  /// The target runs when the story begins.
  public var running: Bool
  /// Its logical units, in the order of the scenario.
  public var luns: [LUNSpec]
}

/// A logical unit.
public struct LUNSpec: Sendable {
  /// Its logical unit number.
  public var lun: Int
  /// Bytes.
  public var size: Int64
  /// Volatile write cache (WCE).
  public var writeCache: Bool
  /// Bytes of its logical blocks: 512, or 4096, with a partition table that counts in blocks of 512.
  public var blockSize = 512
  /// What is on it.
  public var content: DiskContent
}

/// What differs from what the image's maker would put in.
public struct InitrdSpec: Sendable {
  /// The complete list of modules, in loading order; nil: what the maker puts in.
  public var modules: [String]?
  /// Modules that are in it besides.
  public var add: [String]
  /// Modules that are not in it.
  public var omit: [String]
  /// Files by path; nil removes one.
  public var files: [String: String?]
  /// The command that made it before the story begins, with its arguments; nil: the maker without any.
  public var command: String?
}

/// What is done to the machine. A step begins when nothing of the one before is under way any more.
public enum StoryStep: Hashable, Sendable {
  /// The installation system (or a live CD) runs: it has all drivers, finds what is plugged in first, then
  /// discovers the targets.
  case installer
  /// The installation system installs, on the disk that holds the root or on a node that is named.
  case install(on: String? = nil)
  case boot
  case shutdown
  case reboot
  case attach(String)
  case detach(String)
  /// Service actions run the system's own script or unit: ("restart", "iscsid").
  case service(action: String, name: String)
  case kill(String)
  /// A command line, typed by root or by a user of the system.
  case run(String, asUser: Bool = false)
  /// Lines typed at the prompt of an initramfs that gave up.
  case rescue([String])
  /// The entry that is chosen in the menu at the next boot: a number from 0, a title, or steps with ">" between.
  case menuEntry(String)
  /// Edits a file of the system. Nil removes it.
  case write(path: String, text: String?)
  case linkDown(nic: String, microseconds: Int64?, at: Stage?)
  case targetDown(iqn: String, microseconds: Int64?, at: Stage?)
  /// The kernel panics; the machine is off afterwards.
  case panic
  /// What is answered when a program asks at the next boots ("kudzu").
  case answer(program: String, text: String)
  /// The host of a target loses power, and with it what the write caches of its LUs hold; nil: nobody starts the
  /// target again but `targetStart`.
  case targetCrash(iqn: String, microseconds: Int64?, at: Stage?)
  case targetStart(String)
  /// The machine loses its power.
  case powerCut
  /// Another machine logs in to a target.
  case otherMachine(OtherMachine)
  /// The step happens so long after the next one has begun.
  indirect case after(Delay, StoryStep)

  /// The step without its delay.
  var plain: StoryStep { if case .after(_, let step) = self { step } else { self } }
}

/// Another initiator than the scenario's machine.
public struct OtherMachine: Hashable, Sendable {
  /// Its initiator name.
  public var initiator: String
  /// The IQN of the target it logs in to.
  public var target: String
  /// The LU it uses.
  public var lun: Int
  /// It mounts that LU's file system for writing.
  public var mounts: Bool
  /// What it authenticates with; nil: nothing.
  public var chap: Credentials?

  /// Stands for the target's first LU until the targets are known.
  static let firstLUN = -1
}

/// The part of a boot or shutdown in which something happens.
public enum Stage: String, Hashable, Sendable, CaseIterable {
  case firmware
  case optionROM = "option-rom"
  case bootLoader = "boot-loader"
  case kernel
  case initramfsNetwork = "initramfs-network"
  case initramfsISCSI = "initramfs-iscsi"
  case rootMount = "root-mount"
  case `init`
  case running
  case shutdown
}

/// What a scenario of the suite must give. Nil: not looked at.
public struct Expectation: Sendable {
  /// The verdict.
  public var verdict: Verdict
  /// The stage in which the deciding outcome fails first.
  public var stage: Stage?
  /// The finding with which the deciding outcome fails first.
  public var finding: String?
  /// The root device of the nominal run's first boot.
  public var rootDevice: String?
  /// sd name to device name, for the first boot's nominal outcome.
  public var disks: [String: String]?
  /// How the deciding outcome's last shutdown ends.
  public var shutdown: ShutdownOutcome?
  /// What the deciding outcome's last shutdown leaves on the root's disk.
  public var fileSystem: FileSystemState?
  /// Within which time the nominal run's first failure is over, or its last boot when nothing fails: since
  /// that boot's power-on, or since that shutdown was asked for.
  public var at: Delay?
  /// Findings that have to be among those of all outcomes.
  public var findings: [String]?
  /// Whether a boot of the nominal run comes up late.
  public var degraded: Bool?
  /// By how much the first late boot of the nominal run is late.
  public var lateBy: Delay?
}
