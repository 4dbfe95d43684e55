import LinuxConfig

/// What commands tell Upstart, and the runlevels that it leaves to `rc`.
extension CommandCompiler {
  /// A process of a job, with the job's variables.
  mutating func process(
    _ process: UpstartJob.Process, of job: UpstartJob, _ environment: [UpstartJob.Variable]
  ) {
    guard nesting < 8 else { return }
    nesting += 1
    // Lines are those of the job's file.
    let place = process.isScript ? job.file : "\(job.file):\(process.line)"
    let text =
      process.isScript ? String(repeating: "\n", count: process.line) + process.text : process.text + "\n"
    var variables = ["PATH": "/sbin:/bin:/usr/sbin:/usr/bin", "UPSTART_JOB": job.name]
    for variable in environment { variables[variable.name] = variable.value }
    var interpreter = ShellInterpreter(tree: tree, delegate: self)
    let run = interpreter.run(
      ShellScript.parse(text, file: place), file: place, environment: variables)
    self = interpreter.delegate
    nesting -= 1
    for note in run.notLookedAt { model.library.notLooked(note.description) }
  }

  /// `initctl emit`, `telinit` and the rest of what makes events.
  mutating func tellInit(_ name: String, _ words: [String]) {
    switch name {
    case "initctl":
      let plain = words.filter { !$0.hasPrefix("-") }
      guard plain.count > 1, plain[0] == "emit" else { return }
      events.append(UpstartJob.Event(plain[1], Self.variables(plain.dropFirst(2))))
    case "telinit":
      guard let level = words.last else { return }
      events.append(UpstartJob.Event("runlevel", Self.variables(["RUNLEVEL=\(level)", "PREVLEVEL=N"])))
    default: break
    }
  }

  private static func variables(_ words: some Sequence<String>) -> [UpstartJob.Variable] {
    words.compactMap { word in
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      return parts.count == 2 ? UpstartJob.Variable(parts[0], parts[1]) : nil
    }
  }

  /// udev tells init of each interface that a driver made.
  mutating func udevFindsInterfaces() {
    for name in ["lo"] + model.scenario.machine.nics.map(\.interface) {
      events.append(UpstartJob.Event("net-device-added", Self.variables(["INTERFACE=\(name)"])))
    }
  }

  /// ifup runs /etc/network/if-up.d/upstart, which tells init.
  mutating func ifupTellsInit(_ words: [String]) {
    let (wanted, all) = ifupNames(words)
    let file = Interfaces.load("/etc/network/interfaces", from: tree)?.value
    let auto = Set(file?.auto ?? [])
    var told: Set<String> = []
    for entry in file?.interfaces ?? [] where wanted?.contains(entry.name) ?? auto.contains(entry.name) {
      guard all || wanted != nil, told.insert(entry.name).inserted else { continue }
      events.append(
        UpstartJob.Event(
          "net-device-up",
          Self.variables(["IFACE=\(entry.name)", "LOGICAL=\(entry.name)", "METHOD=\(entry.method)"])))
    }
  }

  /// The interfaces that `ifup` is given, those of `--allow CLASS` kept only where the class has them; nil for `-a`.
  func ifupNames(_ words: [String]) -> (wanted: Set<String>?, all: Bool) {
    if words.contains("-a") || words.contains("--all") { return (nil, true) }
    var rest = words[...]
    var names: [String] = []
    var group: String?
    while let word = rest.popFirst() {
      if word == "--allow" {
        group = rest.popFirst()
      } else if let value = word.dropping("--allow=") {
        group = value
      } else if !word.hasPrefix("-") {
        names.append(word)
      }
    }
    guard let group else { return (Set(names), false) }
    let allowed = Interfaces.load("/etc/network/interfaces", from: tree)?.value.allowed ?? []
    let members = Set(allowed.filter { $0.group == group }.map(\.name))
    return (Set(names).intersection(members), false)
  }

  /// /etc/init.d/rc: the links of a runlevel. On the way up nothing is stopped; on the way down S links stop too.
  mutating func runlevel(_ level: String) {
    let isDown = ["0", "6"].contains(level)
    for starts in isDown ? [false, true] : [true] {
      for link in model.links(level, start: starts, tree) {
        script(
          link.path, isDown ? "stop" : "start",
          unreadable: "/etc/init.d/rc: 117: \(link.path): Input/output error")
        ops.add(.pause(isDown ? Pace.about(250) : Pace.about(700)))
      }
    }
  }
}
