import Glibc
import Sim

extension LabRun {
  /// Does a step; false: the story cannot go on.
  ///
  /// - Parameter isAlone: It has the time to itself: what it sets going is waited for. Otherwise it happens while another
  ///   step is under way.
  @discardableResult
  func perform(_ step: StoryStep, isAlone: Bool = true) throws(LabError) -> Bool {
    func settle(_ seconds: Double) throws(LabError) { if isAlone { try self.settle(seconds) } }
    func type(_ line: String, limit: Double = 60) throws(LabError) {
      if isAlone {
        try self.type(line, limit: limit)
      } else {
        machine?.shell.send(line + "\n")
      }
    }
    switch step {
    case .boot: return try boot()
    case .shutdown: return try shutDown(restarting: false)
    case .reboot: return try shutDown(restarting: true)
    case .attach(let name):
      guard let disk = disk(name, attached: true) else { return true }
      try machine?.attach(disk, file: folder.file(disks.name(disk)))
      if isAlone { try pump(for: 20, untilSaid: "] Attached SCSI") }
      try settle(3)
    case .detach(let name):
      guard let disk = disk(name, attached: false) else { return true }
      try machine?.detach(disk)
      if isAlone { try pump(for: 20, untilSaid: "USB disconnect") }
      try settle(3)
    case .service(let action, let name):
      try type(plan.isSysV ? "/etc/init.d/\(name) \(action)" : "systemctl \(action) \(name)", limit: 200)
      try settle(5)
    case .kill(let name):
      try type("/run/busybox killall -9 \(name)")
      try settle(1)
    case .run(let line, let asUser):
      try type(asUser ? "su -s /bin/sh -c \(quoted(line)) nobody" : line, limit: 200)
      try settle(3)
    case .rescue(let lines):
      for line in lines {
        machine?.console.send(line + "\n")
        try pump(for: 2) { false }
      }
    case .write(let path, let text):
      guard let text else {
        try type("rm -f \(quoted(path))")
        return true
      }
      try type("mkdir -p \"$(dirname \(quoted(path)))\"; printf %s \(quoted(text)) >\(quoted(path)); sync")
    case .linkDown(let nic, let duration, let stage):
      let name = plan.adapters.first { $0.name == nic || "ens\($0.slot)" == nic }?.name ?? nic
      try cut(
        duration, at: stage, isAlone: isAlone,
        off: { [self] () throws(LabError) in try machine?.monitor.setLink(name, up: false) },
        on: { [self] () throws(LabError) in try machine?.monitor.setLink(name, up: true) })
    case .targetDown(let iqn, let duration, let stage):
      let server = servers.first { $0.names.contains(iqn) }
      try cut(
        duration, at: stage, isAlone: isAlone, off: { () throws(LabError) in server?.stop() },
        on: { () throws(LabError) in try server?.start() })
    case .targetCrash(let iqn, let duration, let stage):
      let server = servers.first { $0.names.contains(iqn) }
      try cut(
        duration, at: stage, isAlone: isAlone,
        off: { [self] () throws(LabError) in
          // A host without power closes no connection: its machine only hears nothing more.
          try network.carry(false)
          server?.stop()
          try losePower(iqn)
        },
        on: { [self] () throws(LabError) in
          try server?.start()
          try network.carry(true)
        })
    case .targetStart(let iqn):
      try network.carry(true)
      try servers.first { $0.names.contains(iqn) }?.start()
      try settle(5)
    case .panic:
      machine?.shell.send("echo c >/proc/sysrq-trigger\n")
      try pump(for: 10) { false }
      machine?.cutPower()
      machine = nil
      record.add(.off)
    case .powerCut:
      machine?.cutPower()
      machine = nil
      record.add(.off)
    case .after(let delay, let later):
      // The simulation looks at every moment that may be; here it is drawn anew for each run.
      let seconds = Double.random(in: Double(delay.earliest)...Double(delay.latest)) / 1e6
      record.add(.note("\(later.words): \(Int(seconds * 1000)) ms after the next step has begun"))
      afterNext.append((seconds, later))
    case .otherMachine(let other): try logIn(other)
    case .installer, .install, .answer, .menuEntry: throw LabError("a step that no plan has: \(step.words)")
    }
    return true
  }

  /// The disk of a name, which from now on is plugged in or not, at the next boot too.
  private func disk(_ name: String, attached: Bool) -> LabPlan.Disk? {
    guard let index = plan.disks.firstIndex(where: { $0.name == name }) else { return nil }
    plan.disks[index].isAttached = attached
    return plan.disks[index]
  }

  /// Takes something away, for a time or for good, now or at a stage of the next boot or shutdown.
  private func cut(
    _ duration: Int64?, at stage: Stage?, isAlone: Bool, off: @escaping () throws(LabError) -> Void,
    on: @escaping () throws(LabError) -> Void
  ) throws(LabError) {
    let seconds = duration.map { Double($0) / 1e6 }
    let begin = { [self] () throws(LabError) in
      record.add(.note("the outage begins"))
      try off()
      guard let seconds else { return }
      let end = { [self] () throws(LabError) in
        try on()
        record.add(.note("the outage is over"))
      }
      scheduled.append((monotonic() + seconds, end))
    }
    if let stage { return armed.append((stage, begin)) }
    let isDone = { [self] in scheduled.isEmpty }
    try begin()
    guard isAlone else { return }
    // An outage without an end is over when the system has seen all of it: ten seconds and 120 by default.
    _ = try pump(for: seconds.map { $0 + 5 } ?? 150) { seconds != nil && isDone() }
    // Where nobody logs in again, until the disk is given up.
    try settle(150)
  }

  /// Waits until the sessions are logged in, or as long as it may take to see that they are not.
  func settle(_ seconds: Double) throws(LabError) {
    let limit = record.now + seconds
    // What was just done shows after a moment: iscsid logs in again two seconds after its start.
    try pump(for: min(3, seconds)) { false }
    while record.now < limit, machine?.isOn == true {
      // Nothing of this needs the root: a shell that is in memory, and a busybox that is.
      let answer = try type("/run/busybox cat /sys/class/iscsi_session/session*/state", limit: 10)
      if let answer, answer.status == 0, answer.lines.allSatisfy({ $0 == "LOGGED_IN" }) { break }
      try pump(for: 2) { false }
    }
    try probe()
  }

  /// What of the root is left.
  private func probe() throws(LabError) {
    record.add(.probing)
    try type(
      "/run/busybox grep -E '^/dev/(sd|root)' /proc/mounts; /run/busybox cat /proc/partitions", limit: 10)
    try type("echo x >/root/lab-write && /run/busybox sync && echo ==WRITTEN", limit: 20)
    record.add(.probed)
  }

  private func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "'\\''") + "'" }

  /// What a target's write caches hold is gone.
  private func losePower(_ iqn: String) throws(LabError) {
    for unit in plan.targets.first(where: { $0.iqn == iqn })?.units ?? [] where unit.hasWriteCache {
      try folder.lun("fault", "add", folder.store, disks.name(lun: unit.lun, iqn: iqn), "power-cut")
    }
  }

  private func logIn(_ other: OtherMachine) throws(LabError) {
    guard let target = plan.targets.first(where: { $0.iqn == other.target }) else { return }
    others.append(OtherInitiator(other, at: target, network: network))
    try pump(for: 20) { false }
    try probe()
  }
}

extension StoryStep {
  /// The step for people, in a few words.
  var words: String {
    func lasting(_ duration: Int64?, _ stage: Stage?) -> String {
      (duration.map { " for \($0 / 1_000_000) s" } ?? "") + (stage.map { " at \($0.rawValue)" } ?? "")
    }
    return switch self {
    case .boot: "boot"
    case .shutdown: "shutdown"
    case .reboot: "reboot"
    case .attach(let name): "attach \(name)"
    case .detach(let name): "detach \(name)"
    case .service(let action, let name): "\(action) \(name)"
    case .kill(let name): "kill \(name)"
    case .run(let line, _): "run \(line)"
    case .rescue(let lines): "rescue: \(lines.joined(separator: "; "))"
    case .write(let path, let text): text == nil ? "remove \(path)" : "write \(path)"
    case .linkDown(let nic, let duration, let stage): "link down: \(nic)" + lasting(duration, stage)
    case .targetDown(let iqn, let duration, let stage): "target down: \(iqn)" + lasting(duration, stage)
    case .targetCrash(let iqn, let duration, let stage): "target crash: \(iqn)" + lasting(duration, stage)
    case .targetStart(let iqn): "target start: \(iqn)"
    case .panic: "crash"
    case .powerCut: "power cut"
    case .after(let delay, let step): "after \(delay.earliest / 1_000_000) s: \(step.words)"
    case .otherMachine(let other): "another machine logs in as \(other.initiator)"
    case .installer: "installer"
    case .install: "install"
    case .answer(let program, let text): "answer \(program): \(text)"
    case .menuEntry(let entry): "menu entry \(entry)"
    }
  }
}
