import LinuxConfig

/// Upstart (Ubuntu 9.10, 10.04): jobs start and stop on events, and what runs makes events (init(8), upstart 0.6).
///
/// Events are followed once, before anything runs: what a job waits for becomes the order of its task. So a job whose
/// events never come has no task, and a boot without a getty never comes up.
extension MachineModel {
  /// /sbin/init is a program of its own, and has jobs.
  func hasUpstart(_ tree: MemoryFileTree) -> Bool {
    tree.list("/etc/init").contains { $0.hasSuffix(".conf") } && !hasSystemd(tree)
  }

  func upstartStart(_ tree: MemoryFileTree) -> Program {
    var run = UpstartRun(self, tree)
    run.follow(UpstartJob.Event("startup"))
    if run.hasLogin {
      var ops = OpList()
      let end = ops.label()
      ops.add(.read("/sbin/getty", says: "init: tty1 main process terminated with status 127", failTo: end))
      ops.add(.up)
      ops.place(end)
      run.add("tty1", ops.finished, after: Set(run.nodes.indices))
    }
    return run.program
  }

  func upstartStop(_ tree: MemoryFileTree, reboot: Bool) -> Program {
    var run = UpstartRun(self, tree)
    run.follow(UpstartJob.Event("startup"))
    run.isUp()
    run.follow(
      UpstartJob.Event(
        "runlevel",
        [UpstartJob.Variable("RUNLEVEL", reboot ? "6" : "0"), UpstartJob.Variable("PREVLEVEL", "2")]))
    return run.program
  }
}

/// What follows from an event: jobs, their commands, and the events that these make.
private struct UpstartRun {
  /// Something that is done, and what has to be done before.
  struct Node {
    var name: String
    var ops: [Op]
    var after: Set<Int>
  }

  private struct Occurrence {
    var event: UpstartJob.Event
    var after: Set<Int>
  }

  /// A job that runs, or one instance of it.
  private struct Running: Hashable {
    var job: Int
    var instance: String
  }

  let model: MachineModel
  let tree: MemoryFileTree
  let jobs: [UpstartJob]
  var nodes: [Node] = []
  /// A getty has been started: somebody can log in.
  private(set) var hasLogin = false
  private var queue: [Occurrence] = []
  /// What of a job's `start on` (true) or `stop on` has happened, by the place of the event in it.
  private var seen: [[Bool: [Int: Occurrence]]]
  private var running: [Running: [UpstartJob.Variable]] = [:]
  /// Network file systems that mountall waits for a network with.
  private var remote: [FstabMount] = []
  private var localMounts: Set<Int> = []
  private var hasBridge = false
  private var depth = 0
  private var followed = 0
  private static let eventLimit = 500

  init(_ model: MachineModel, _ tree: MemoryFileTree) {
    self.model = model
    self.tree = tree
    jobs = model.read(UpstartJob.all(from: tree))
    seen = Array(repeating: [:], count: jobs.count)
  }

  var program: Program {
    for node in nodes.dropFirst(Program.taskLimit) {
      model.library.notLooked("\(node.name): more than \(Program.taskLimit) jobs act; this one is left out")
    }
    return Program(
      part: "init",
      tasks: nodes.prefix(Program.taskLimit).map { node in
        Program.Task(
          name: node.name,
          after: node.after.reduce(0) { $1 < Program.taskLimit ? $0 | 1 << UInt32($1) : $0 },
          ops: Array(node.ops.prefix(Program.opLimit)))
      })
  }

  /// A node, or what it would have come after where it does nothing.
  @discardableResult mutating func add(_ name: String, _ ops: [Op], after: Set<Int>) -> Set<Int> {
    guard model.hasEffect(ops) else { return after }
    nodes.append(Node(name: name, ops: ops, after: after))
    return [nodes.count - 1]
  }

  /// All that was started is over: what comes now waits for none of it.
  mutating func isUp() {
    nodes = []
    localMounts = []
    followed = 0
    for job in jobs.indices {
      seen[job] = seen[job].mapValues { places in
        places.mapValues { Occurrence(event: $0.event, after: []) }
      }
    }
  }

  // MARK: - Events

  mutating func follow(_ event: UpstartJob.Event) {
    queue.append(Occurrence(event: event, after: []))
    while !queue.isEmpty {
      let next = queue.removeFirst()
      happen(next)
    }
  }

  /// Gives the nodes of the jobs that it starts: `starting` waits for them.
  @discardableResult private mutating func happen(_ occurrence: Occurrence) -> Set<Int> {
    followed += 1
    guard followed <= Self.eventLimit else {
      if followed == Self.eventLimit + 1 {
        model.library.notLooked("/etc/init: more than \(Self.eventLimit) events; the rest is not followed")
      }
      return []
    }
    mountsRemote(occurrence)
    for (run, environment) in running.sorted(by: {
      ($0.key.job, $0.key.instance) < ($1.key.job, $1.key.instance)
    }) {
      if let met = met(run.job, starts: false, occurrence, own: environment) {
        stop(run, environment, after: met.after)
      }
    }
    var started: Set<Int> = []
    for job in jobs.indices {
      guard let met = met(job, starts: true, occurrence, own: []) else { continue }
      started.formUnion(start(job, met.environment, after: met.after))
    }
    return started
  }

  /// Whether this event completes a job's condition; then what it comes after, and the variables of its events.
  private mutating func met(
    _ job: Int, starts: Bool, _ occurrence: Occurrence, own: [UpstartJob.Variable]
  ) -> (after: Set<Int>, environment: [UpstartJob.Variable])? {
    guard let condition = starts ? jobs[job].startOn : jobs[job].stopOn else { return nil }
    var hit = false
    for (place, event) in condition.events.enumerated() where event.matches(occurrence.event, job: own) {
      seen[job][starts, default: [:]][place] = occurrence
      hit = true
    }
    guard hit else { return nil }
    var place = 0
    let known = seen[job][starts] ?? [:]
    guard let met = Self.value(condition, known, &place) else { return nil }
    seen[job][starts] = nil
    return (
      met.reduce(into: []) { $0.formUnion($1.after) }, met.flatMap(\.event.environment)
    )
  }

  private static func value(
    _ condition: UpstartJob.Condition, _ known: [Int: Occurrence], _ place: inout Int
  ) -> [Occurrence]? {
    switch condition {
    case .event:
      defer { place += 1 }
      return known[place].map { [$0] }
    case .and(let left, let right):
      let first = value(left, known, &place)
      let second = value(right, known, &place)
      return first.flatMap { first in second.map { first + $0 } }
    case .or(let left, let right):
      let first = value(left, known, &place)
      let second = value(right, known, &place)
      return first ?? second
    }
  }

  // MARK: - Jobs

  private func event(_ name: String, _ job: Int, _ run: Running, _ environment: [UpstartJob.Variable])
    -> UpstartJob.Event
  {
    var all = [
      UpstartJob.Variable("JOB", jobs[job].name), UpstartJob.Variable("INSTANCE", run.instance),
    ]
    if name == "stopped" { all.append(UpstartJob.Variable("RESULT", "ok")) }
    return UpstartJob.Event(name, all + environment.filter { jobs[job].exports.contains($0.name) })
  }

  private mutating func start(_ job: Int, _ given: [UpstartJob.Variable], after: Set<Int>) -> Set<Int> {
    let environment = jobs[job].environment + given
    let instance = (jobs[job].instance ?? "").replacing(environment)
    let run = Running(job: job, instance: instance)
    guard running[run] == nil, depth < 20 else { return [] }
    running[run] = environment
    depth += 1
    let blocked = happen(Occurrence(event: event("starting", job, run, environment), after: after))
    depth -= 1
    let after = after.union(blocked)
    let done: Set<Int>
    if jobs[job].process(.main)?.text.words(contain: "mountall") == true {
      done = mountall(after: after)
    } else {
      done = processes(job, [.preStart, .main, .postStart], environment, after: after)
    }
    if jobs[job].process(.main)?.text.words(contain: "getty") == true { hasLogin = true }
    queue.append(Occurrence(event: event("started", job, run, environment), after: done))
    if jobs[job].isTask {
      running[run] = nil
      queue.append(Occurrence(event: event("stopped", job, run, environment), after: done))
    }
    return done
  }

  private mutating func stop(_ run: Running, _ environment: [UpstartJob.Variable], after: Set<Int>) {
    running[run] = nil
    let done = processes(run.job, [.preStop, .postStop], environment, after: after, kills: true)
    queue.append(Occurrence(event: event("stopped", run.job, run, environment), after: done))
  }

  /// Runs processes of a job one after the other; what they tell init becomes events.
  private mutating func processes(
    _ job: Int, _ steps: [UpstartJob.Step], _ environment: [UpstartJob.Variable], after: Set<Int>,
    kills: Bool = false
  ) -> Set<Int> {
    var compiler = CommandCompiler(model: model, tree: tree)
    for step in steps {
      // Its main process is killed after pre-stop.
      if step == .postStop, kills, let main = jobs[job].process(.main)?.text, main.words(contain: "iscsid") {
        compiler.ops.add(.stopDaemon(says: "\(jobs[job].file): init kills iscsid"))
      }
      guard let process = jobs[job].process(step) else { continue }
      compiler.process(process, of: jobs[job], environment)
    }
    let ops = compiler.take()
    let events = compiler.takeEvents()
    let done = add(jobs[job].name, ops, after: after)
    for event in events {
      // Only the bridge tells init of devices.
      if event.name == "net-device-added", !hasBridge { continue }
      queue.append(Occurrence(event: event, after: done))
    }
    if jobs[job].process(.main)?.text.words(contain: "upstart-udev-bridge") == true { hasBridge = true }
    return done
  }

  // MARK: - mountall

  /// mountall (mountall.8): the root and what is local, then what is behind a network, each with its event.
  private mutating func mountall(after: Set<Int>) -> Set<Int> {
    queue.append(Occurrence(event: UpstartJob.Event("virtual-filesystems"), after: after))
    // A device that does not come: it asks on the console, and nobody answers.
    let lines = model.fstabMounts(tree, systemd: false).map { line in
      var line = line
      line.mount.wait = Window(.seconds(60))
      return line
    }
    var ops = OpList()
    let end = ops.label()
    ops.add(.pause(Pace.about(1500)))
    ops.add(
      .read("/sbin/mountall", says: "init: mountall main process terminated with status 127", failTo: end))
    ops.add(.remountRoot(readWrite: true, failTo: end))
    ops.add(.mountEntries(lines.filter { !$0.network }.map(\.mount)))
    ops.place(end)
    localMounts = add("mountall", ops.finished, after: after)
    for name in ["local-filesystems", "all-swaps"] {
      queue.append(Occurrence(event: UpstartJob.Event(name), after: localMounts))
    }
    remote = lines.filter(\.network).map(\.mount)
    if remote.isEmpty { allMounted(after: localMounts) }
    return localMounts
  }

  private mutating func mountsRemote(_ occurrence: Occurrence) {
    guard !remote.isEmpty, occurrence.event.name == "net-device-up",
      !occurrence.event.environment.contains(where: { $0.value == "lo" })
    else { return }
    let mounts = remote
    remote = []
    allMounted(
      after: add("mountall (network)", [.mountEntries(mounts)], after: localMounts.union(occurrence.after)))
  }

  private mutating func allMounted(after: Set<Int>) {
    for name in ["remote-filesystems", "filesystem"] {
      queue.append(Occurrence(event: UpstartJob.Event(name), after: after))
    }
  }
}

extension String {
  fileprivate func replacing(_ variables: [UpstartJob.Variable]) -> String {
    variables.reduce(self) { UpstartJob.replace($1, in: $0) }
  }

  /// Whether a program is among the words of a command or script.
  fileprivate func words(contain program: String) -> Bool {
    split(whereSeparator: \.isWhitespace).contains { TreePath.name(String($0)) == program }
  }
}
