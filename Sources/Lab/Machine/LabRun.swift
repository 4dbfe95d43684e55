import Glibc
import Sim

/// Carries a plan out: boots the machine, does what the story says, and writes down what is seen.
///
/// One thread; everything that happens is seen by ``pump(for:until:)``.
public final class LabRun {
  /// What is done; of its disks, which are plugged in now.
  var plan: LabPlan
  let folder: LabFolder
  let variant: String
  let disks: LabDisks
  let record: LabRecord
  /// How long the simulation says that the story's boots and shutdowns take, in seconds; the laboratory waits longer.
  private let predicted: (boots: [Double], shutdowns: [Double])

  var network: LabNetwork!
  var servers: [TargetServer] = []
  var machine: VirtualMachine?
  private(set) var boots = 0
  private(set) var shutdowns = 0
  /// Looks for the end of the boot or shutdown that is under way.
  private var watch = BootEnd()
  /// The last end that was seen, and when the console last said anything.
  private var end: BootEnd.Kind?
  private var lastHeard = 0.0
  private var clue = StageClue()
  /// What happens when a stage of the next boot or shutdown begins.
  var armed: [(stage: Stage, action: () throws(LabError) -> Void)] = []
  /// What happens at a time, in order.
  var scheduled: [(time: Double, action: () throws(LabError) -> Void)] = []
  /// Steps that happen so many seconds after the next one has begun.
  var afterNext: [(seconds: Double, step: StoryStep)] = []
  /// Other machines that are logged in.
  var others: [OtherInitiator] = []
  private var commands = 0
  /// What a power cut at each flush would have left; nil: the writes were not recorded.
  public private(set) var crashPoints: CrashPoints?
  private var answer: (mark: String, lines: [String], status: Int32?)?

  /// A run of a plan.
  ///
  /// - Parameters:
  ///   - variant: The name of its LUNs and of its folder.
  ///   - report: What was predicted, for how long to wait.
  public init(_ plan: LabPlan, variant: String, folder: LabFolder, report: Report) {
    self.plan = plan
    self.variant = variant
    self.folder = folder
    disks = LabDisks(plan, variant: variant, folder: folder)
    record = LabRecord(file: folder.run(variant) + ".log")
    let outcome = report.outcomes.first
    predicted = (
      outcome?.boots.map { Double($0.at) / 1e6 } ?? [], outcome?.shutdowns.map { Double($0.at) / 1e6 } ?? []
    )
  }

  /// Does it.
  ///
  /// - Parameters:
  ///   - snapshot: What the disks are cloned from.
  ///   - recordsWrites: The writes to the root's LU are recorded, and what a power cut at each flush would have left is
  ///     looked at: ``crashPoints``.
  public func perform(from snapshot: String, recordsWrites: Bool = false) throws(LabError) -> Transcript {
    let place = folder.run(variant)
    try Tool.run(["rm", "-rf", place])
    try Files.makeFolder("\(place)/tftp")
    try Files.write(plan.script ?? "#!ipxe\n", to: "\(place)/tftp/boot.ipxe")
    try disks.make(from: snapshot)
    defer { disks.remove() }
    let recorded = recordsWrites ? disks.root : nil
    if let recorded { try folder.lun("log", folder.store, recorded, "record") }
    network = try LabNetwork(plan, folder: place)
    defer { network.end() }
    try startTargets()
    defer { servers.forEach { $0.stop() } }
    defer { machine?.cutPower() }
    for step in plan.story {
      record.add(.step(step.words))
      for (seconds, later) in afterNext {
        scheduled.append(
          (monotonic() + seconds, { [self] () throws(LabError) in try perform(later, isAlone: false) }))
      }
      afterNext = []
      guard try perform(step) else { break }
    }
    if let machine, machine.isOn {
      machine.cutPower()
      record.add(.off)
    }
    machine = nil
    // The target's last writes are in the LUN when it is gone.
    servers.forEach { $0.stop() }
    try disks.look { record.add($0) }
    if let recorded {
      try folder.lun("log", folder.store, recorded, "record", "--stop")
      crashPoints = try CrashPoints(of: recorded, folder: folder)
      try folder.lun("log", folder.store, recorded, "remove")
    }
    // The store has to be sound after each run: this throws where it is not.
    try folder.lun("check", folder.store)
    return record.transcript
  }

  private func startTargets() throws(LabError) {
    let portals = Dictionary(grouping: plan.targets) { "\($0.address):\($0.port)" }
    for (index, portal) in portals.keys.sorted().enumerated() {
      let place = "\(folder.run(variant))/target\(index)"
      try Files.makeFolder(place)
      let server = TargetServer(
        portals[portal]!, network: network, folder: place, isDirect: plan.losesCaches
      ) {
        [disks, folder] lun, iqn in
        folder.file(disks.name(lun: lun, iqn: iqn))
      }
      servers.append(server)
      if plan.losesCaches {
        for target in portals[portal]! {
          for unit in target.units where unit.hasWriteCache {
            try folder.lun("layer", "add", folder.store, disks.name(lun: unit.lun, iqn: target.iqn), "power")
          }
        }
      }
      if portals[portal]!.allSatisfy(\.isRunning) { try server.start() }
    }
  }

  // MARK: Boots and shutdowns

  /// Boots, and watches until it is up or nothing follows; false: it did not come up.
  func boot() throws(LabError) -> Bool {
    try switchOn { .powerOn(boot: $0) }
  }

  /// A machine that restarts is a new QEMU, too: SeaBIOS and iPXE begin alike, and faster than after a reset.
  private func switchOn(_ event: (_ boot: Int) -> LabEvent) throws(LabError) -> Bool {
    let isFirst = boots == 0
    boots += 1
    begin()
    machine = try VirtualMachine(plan, network: network, folder: folder.run(variant)) {
      [disks, folder] disk in
      folder.file(disks.name(disk))
    }
    if isFirst { record.begin() }
    record.add(event(boots))
    return try watchBoot()
  }

  private func watchBoot() throws(LabError) -> Bool {
    let usual = boots <= predicted.boots.count ? predicted.boots[boots - 1] : 60
    let began = monotonic()
    try pump(for: .infinity) { [self] in isOver || isHopeless(since: began, usual: usual) }
    guard isOver, let end else {
      record.add(machine?.isOn == true ? .gaveUp(seconds: Int(monotonic() - began)) : .off)
      return false
    }
    if end == .up { return true }
    if end == .dracutShell { machine?.console.send("\n") }
    if end == .initramfsShell || end == .dracutShell { try ask() }
    return false
  }

  /// At the initramfs' shell: what there is and what there is not.
  private func ask() throws(LabError) {
    record.add(.probing)
    for (index, question) in ShellAnswers.questions.enumerated() {
      // The shell echoes: only its own arithmetic writes the mark as it is looked for.
      let mark = "asked-\(index + 7)00"
      machine?.console.send("\(question); echo asked-$((\(index + 7)*100))\n")
      try pump(for: 10, untilSaid: mark)
    }
    record.add(.probed)
  }

  /// What else looks at the console's lines.
  private var seen: (String) -> Void = { _ in }

  /// Tells the machine to power off, or to restart; watches until it does. False: it did not.
  func shutDown(restarting: Bool) throws(LabError) -> Bool {
    guard let machine, machine.isOn else { return false }
    shutdowns += 1
    begin()
    record.add(.shutdownAsked(shutdown: shutdowns))
    for (index, armed) in armed.enumerated().reversed() where armed.stage == .shutdown {
      self.armed.remove(at: index)
      try armed.action()
    }
    machine.shell.send(restarting ? "reboot\n" : "poweroff\n")
    let usual = shutdowns <= predicted.shutdowns.count ? predicted.shutdowns[shutdowns - 1] : 10
    let began = monotonic()
    try pump(for: .infinity) { [self] in
      !machine.isOn || isStuck || isHopeless(since: began, usual: usual)
    }
    guard !machine.isOn else {
      record.add(.gaveUp(seconds: Int(monotonic() - began)))
      return false
    }
    self.machine = nil
    guard restarting else {
      record.add(.off)
      return true
    }
    return try switchOn { .restarted(boot: $0) }
  }

  private func begin() {
    watch = BootEnd()
    end = nil
    clue = StageClue()
  }

  /// An end was seen, and nothing came after it for long enough.
  private var isOver: Bool {
    guard let end else { return false }
    return monotonic() - lastHeard >= end.quiet
  }

  /// Nothing more is waited for. A machine that says nothing for three minutes will not: the longest wait of its own that is
  /// silent is the replacement timeout, 120 s, and the ten before it. One that goes on talking gets longer, since an emulated
  /// processor may be slow.
  private func isHopeless(since began: Double, usual: Double) -> Bool {
    let elapsed = monotonic() - began
    let isSilent = monotonic() - max(lastHeard, began) > 180
    return elapsed > max(240, 1.7 * usual + 120) && isSilent || elapsed > max(600, 3 * usual + 240)
  }

  /// The machine can not go off any more.
  private var isStuck: Bool {
    switch end {
    case .frozen, .initHasNothing, .kernelPanic, .emergency, .dracutShell: isOver
    default: false
    }
  }

  // MARK: Watching

  /// Takes in what the machine says and does what is due, until a condition holds or so many seconds are over.
  ///
  /// - Returns: whether the condition holds.
  @discardableResult
  func pump(for seconds: Double, until isDone: () -> Bool) throws(LabError) -> Bool {
    let limit = monotonic() + seconds
    while true {
      try listen()
      while let first = scheduled.indices.min(by: { scheduled[$0].time < scheduled[$1].time }),
        scheduled[first].time <= monotonic()
      {
        try scheduled.remove(at: first).action()
      }
      for other in others { if let news = try other.turn() { record.add(.note(news)) } }
      if isDone() { return true }
      if monotonic() >= limit { return false }
      guard let machine else {
        usleep(50_000)
        continue
      }
      var ready = [machine.console, machine.shell].map {
        pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0)
      }
      poll(&ready, 2, 100)
      // A line whose other end is gone is always ready.
      if !machine.isOn {
        try listen()
        return isDone()
      }
    }
  }

  /// Takes in what the machine says until a line of the console has a text, or so many seconds are over.
  func pump(for seconds: Double, untilSaid text: String) throws(LabError) {
    var isSaid = false
    seen = { if $0.contains(text) { isSaid = true } }
    try pump(for: seconds) { isSaid }
    seen = { _ in }
  }

  private func listen() throws(LabError) {
    guard let machine else { return }
    let unfinished = machine.console.unfinished
    for line in machine.console.receive().lines { try hear(line) }
    if machine.console.unfinished != unfinished { lastHeard = monotonic() }
    for line in machine.shell.receive().lines {
      record.add(.shell, line)
      guard let open = answer else { continue }
      if line.hasPrefix(open.mark) {
        answer?.status = Int32(line.dropFirst(open.mark.count)) ?? 127
      } else {
        answer?.lines.append(line)
      }
    }
    // A prompt has no line end.
    guard let prompt = BootEnd.Kind(line: machine.console.unfinished) else { return }
    ends(prompt)
    if isOver, let rest = machine.console.flush() { record.add(.console, rest) }
  }

  /// The report is the last thing that is waited for; of other ends, one may follow on another. dracut's shell has the
  /// prompt that systemd's has, without a password behind it.
  private func ends(_ kind: BootEnd.Kind) {
    guard end != .up, end != .dracutShell || kind != .emergency else { return }
    end = kind
  }

  private func hear(_ line: String) throws(LabError) {
    // systemd's and fsck's progress, drawn over and over on one line.
    if line.contains("] Job ") || line.contains("A start job is running")
      || line.contains("A stop job is running")
    {
      return
    }
    record.add(.console, line)
    seen(line)
    lastHeard = monotonic()
    if let kind = watch.see(line + "\n") { ends(kind) }
    guard let stage = clue.see(line) else { return }
    let due = armed.filter { $0.stage == stage }
    armed.removeAll { $0.stage == stage }
    for trigger in due { try trigger.action() }
  }

  // MARK: The root shell

  /// Types a line into the root shell and waits for its end.
  ///
  /// - Returns: its status and what it wrote; nil: no answer in time.
  @discardableResult
  func type(_ line: String, limit: Double = 60) throws(LabError) -> (status: Int32, lines: [String])? {
    guard let machine, machine.isOn else { return nil }
    commands += 1
    let mark = "#END#\(commands)#"
    answer = (mark, [], nil)
    defer { answer = nil }
    machine.shell.send("\(line)\necho \"#END\"#\(commands)#$?\n")
    guard try pump(for: limit, until: { [self] in answer?.status != nil }), let answer,
      let status = answer.status
    else {
      record.add(.note("no answer within \(Int(limit)) s: \(line)"))
      return nil
    }
    return (status, answer.lines)
  }
}
