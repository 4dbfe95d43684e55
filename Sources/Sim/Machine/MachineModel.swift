import LinuxConfig

/// The machine of a scenario, as the engine sees it: a state, events, and one function that moves the state.
///
/// The parts are extensions, one file each. What does not change while the machine runs (devices, parsed files,
/// programs) is kept here, outside of the state. Programs are made when first needed and then kept: `Library` is a
/// memory of pure functions' results, so the model still behaves as a value.
final class MachineModel: Model, @unchecked Sendable {
  typealias Out = Outbox<MachineEvent, Note>

  let scenario: Scenario
  let inventory: Inventory
  let probeOrder: ProbeOrder
  let steps: [StoryStep]
  let library: Library
  let kernelModules: [String]
  /// The installation system's; where nothing is said of it, that of the system it belongs to.
  let installerKernel: KernelVersion

  init(_ scenario: Scenario) {
    self.scenario = scenario
    inventory = Inventory(scenario)
    probeOrder = ProbeOrder(inventory)
    steps = scenario.story.flatMap { $0 == .reboot ? [.shutdown, .boot] : [$0] }
    library = Library(DiskFiles(tree: scenario.files))
    var modules = KernelModules.known
    for nic in scenario.machine.nics where !modules.contains(nic.driver) { modules.append(nic.driver) }
    kernelModules = modules
    installerKernel =
      scenario.installer.kernel.map(KernelVersion.init)
      ?? scenario.files.list("/lib/modules").map(KernelVersion.init).max() ?? KernelVersion("6.1")
  }

  func start() -> MachineState {
    var state = MachineState()
    for (index, disk) in inventory.disks.enumerated() where disk.attachedAtStart { state.attached.put(index) }
    for (index, target) in scenario.targets.enumerated() where target.running {
      state.network.targets.put(index)
    }
    return state
  }

  /// Witnesses hold codes: they must not depend on which program was made first, so a program stands for its name.
  func code(of event: MachineEvent) -> UInt64 {
    guard event.kind == .task || event.kind == .timeout else { return event.code }
    return UInt64(event.kind.rawValue) << 48 | UInt64(event.a) << 40 | UInt64(event.b) << 32
      | UInt64(library.fingerprint(event.c))
  }

  func handle(_ event: MachineEvent, _ s: inout MachineState, _ out: inout Out) {
    let before = reachableTargets(s)
    switch event.kind {
    case .tryBoot: tryBoot(Int(event.a), &s, &out)
    case .romAddress: romAddress(Int(event.a), &s, &out)
    case .romLogin: romLogin(Int(event.a), &s, &out)
    case .loader: runBootLoader(Int(event.a), try: Int(event.b), &s, &out)
    case .kernel: kernelStarted(&s, &out)
    case .task: runTask(Int(event.a), at: Int(event.b), program: Int(event.c), &s, &out)
    case .timeout: taskTimedOut(Int(event.a), at: Int(event.b), program: Int(event.c), &s, &out)
    case .coldplugged: coldplugged(&s, &out)
    case .diskReady: diskReady(Int(event.a), &s, &out)
    case .notice: sessionNotices(Int(event.a), &s, &out)
    case .recoveryTimeout: recoveryTimedOut(Int(event.a), &s, &out)
    case .relogin: relogin(Int(event.a), &s, &out)
    case .daemonSync: daemonSyncs(Int(event.a), &s, &out)
    case .romSessionGone: romSessionGone(Int(event.a), &s, &out)
    case .outageOver: outageOver(Int(event.a), &s, &out)
    case .rootWaitOver: rootWaitOver(&s, &out)
    case .writeback: writeBack(&s, &out)
    case .commit: journalCommits(&s, &out)
    case .cacheWritten: cacheWritten(&s, &out)
    case .heldUp: heldUp(&s, &out)
    case .stepBegins: stepBegins(Int(event.a), &s, &out)
    case .danglingGone: danglingGone(Int(event.a), &s, &out)
    case .namesakeReturns: namesakeReturns(Int(event.a), &s, &out)
    case .retransmit: retransmit(Int(event.a), &s, &out)
    }
    pathsChanged(from: before, &s, &out)
    wakeTasks(&s, &out)
    watchDelays(&s, &out)
  }

  // MARK: - Explanations

  func say(_ part: String, _ text: @autoclosure () -> String, _ out: inout Out) {
    out.note(.console(part: part, text()))
  }

  func explain(
    _ part: String, _ text: @autoclosure () -> String, because facts: @autoclosure () -> [Fact] = [],
    sets: Fact..., to out: inout Out
  ) {
    guard out.tracing else { return }
    out.note(.says(part: part, text(), because: facts()))
    for fact in sets { out.note(.set(fact)) }
  }
}

/// Values that states refer to by number: made once, equal values have one number, 0 is "none".
final class Library {
  private var selections: [BootSelection] = []
  private var programs: [Program] = []
  private var programNumbers: [String: Int] = [:]
  private var fingerprints: [UInt32] = []
  private var boots: [BootResult] = []
  private var shutdowns: [ShutdownResult] = []
  private var installations: [GrubInstallation] = []
  private var cachedPaths: [String: Int] = [:]
  private var serviceNames: [String] = []
  /// Lines of files that were not understood where they could matter.
  private(set) var notLookedAt: [String] = []
  private var menuCache: [String: Any] = [:]
  private var versions: [UInt32: DiskFiles]
  private var builds: [String: ImageBuild] = [:]

  /// Begins with the files that the scenario has: version 0.
  init(_ files: DiskFiles) { versions = [0: files] }

  /// The version of the files that came about in a way, made at first.
  func files(_ how: String, make: () -> DiskFiles) -> UInt32 {
    let number = max(1, Self.hash(how) & 0x7FFF_FFFF)
    if versions[number] == nil { versions[number] = make() }
    return number
  }
  func files(_ number: UInt32) -> DiskFiles { versions[number] ?? DiskFiles(tree: MemoryFileTree()) }

  func add(_ build: ImageBuild) { builds[build.key] = build }
  func build(_ key: String?) -> ImageBuild? { key.flatMap { builds[$0] } }

  func number(_ value: BootSelection) -> UInt16 { Self.intern(value, &selections) }
  func selection(_ number: UInt16) -> BootSelection? { Self.value(number, selections) }
  func number(_ value: BootResult) -> UInt16 { Self.intern(value, &boots) }
  func boot(_ number: UInt16) -> BootResult? { Self.value(number, boots) }
  func number(_ value: ShutdownResult) -> UInt16 { Self.intern(value, &shutdowns) }
  func shutdown(_ number: UInt16) -> ShutdownResult? { Self.value(number, shutdowns) }
  func number(_ value: GrubInstallation) -> UInt16 { Self.intern(value, &installations) }
  func installation(_ number: UInt16) -> GrubInstallation? { Self.value(number, installations) }

  /// The program with a name, made at first use.
  func program(_ key: String, make: () -> Program) -> UInt16 {
    if let known = programNumbers[key] { return UInt16(known) }
    programs.append(make())
    fingerprints.append(Self.hash(key))
    programNumbers[key] = programs.count
    return UInt16(programs.count)
  }
  func program(_ number: UInt16) -> Program? { Self.value(number, programs) }
  /// A number that depends on a program's name alone; 0 where there is none.
  func fingerprint(_ number: UInt16) -> UInt32 { Self.value(number, fingerprints) ?? 0 }

  /// FNV-1a, 32 bits.
  private static func hash(_ text: String) -> UInt32 {
    text.utf8.reduce(2_166_136_261) { ($0 ^ UInt32($1)) &* 16_777_619 }
  }

  /// The bit of a file in the page cache; nil beyond the 64 that are told apart (then it counts as never cached).
  func cacheBit(_ path: String) -> Int? {
    if let known = cachedPaths[path] { return known }
    guard cachedPaths.count < 64 else { return nil }
    cachedPaths[path] = cachedPaths.count
    return cachedPaths.count - 1
  }

  /// The bit of a service's lock file; nil beyond the 64 that are told apart.
  func serviceBit(_ name: String) -> Int? {
    if let known = serviceNames.firstIndex(of: name) { return known }
    guard serviceNames.count < 64 else { return nil }
    serviceNames.append(name)
    return serviceNames.count - 1
  }
  func services(_ set: Set64) -> Set<String> {
    Set(serviceNames.indices.filter { set.has($0) }.map { serviceNames[$0] })
  }

  func parsed<T>(_ key: String, make: () -> T) -> T {
    if let known = menuCache[key] as? T { return known }
    let value = make()
    menuCache[key] = value
    return value
  }

  func notLooked(_ line: String) { if !notLookedAt.contains(line) { notLookedAt.append(line) } }

  private static func intern<T: Equatable>(_ value: T, _ table: inout [T]) -> UInt16 {
    if let known = table.firstIndex(of: value) { return UInt16(known + 1) }
    table.append(value)
    return UInt16(table.count)
  }
  private static func value<T>(_ number: UInt16, _ table: [T]) -> T? {
    number > 0 && Int(number) <= table.count ? table[Int(number) - 1] : nil
  }
}

/// What a boot loader handed control to.
struct BootSelection: Hashable, Sendable {
  var kernelPath: String
  var kernelVersion: String
  var initrdPath: String?
  var commandLine: String
  /// Device that kernel and initramfs were read from.
  var disk: Int
  /// The menu names an initrd that could not be read, and GRUB 2 went on without it.
  var missesInitrd = false
}

/// How one boot of the story ended.
struct BootResult: Hashable, Sendable {
  var outcome: BootOutcome
  var stage: Stage?
  var finding: Finding.Code?
  var rootDevice: String?
  var letters = SIMD64<UInt8>()
}

/// How one shutdown ended.
struct ShutdownResult: Hashable, Sendable {
  var outcome: ShutdownOutcome
  var finding: Finding.Code?
  var lostWrites: Int
  var fileSystem: FileSystemState
}

/// Times that real boots took (lab, one QEMU machine without KVM), as windows around the seen value.
enum Pace {
  /// From 70 % to 160 % of what was seen.
  static func about(_ milliseconds: Int64) -> Window {
    let seen = bounded(milliseconds)
    return between(seen * 7 / 10, seen * 16 / 10, seen: seen)
  }

  static func between(_ low: Int64, _ high: Int64, seen: Int64) -> Window {
    Window(
      .milliseconds(bounded(low)), .milliseconds(bounded(high)), nominal: .milliseconds(bounded(seen)))
  }

  /// Milliseconds of a number of seconds that stood in a file: as long as anybody waits.
  static func milliseconds(ofSeconds seconds: Int64) -> Int64 {
    bounded(max(-1, min(seconds, longest / 1000)) * 1000)
  }

  /// Some thirty years: longer is for ever, and sums stay far from overflowing.
  private static let longest: Int64 = 1_000_000_000_000
  private static func bounded(_ milliseconds: Int64) -> Int64 { max(0, min(milliseconds, longest)) }
}
