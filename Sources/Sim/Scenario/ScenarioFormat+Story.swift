import LinuxConfig

extension ScenarioFormat {
  /// A text, or the lines of one, or some of them by their numbers.
  static let fileText = Format<String>(
    .anyOf([.text(pattern: nil), lineList.shape(), sparseText.shape()])
  ) { value, path, problems in
    switch value.kind {
    case .string(let text): return text
    case .array: return lineList.read(value, path, problems)?.map { $0 + "\n" }.joined()
    case .object: return sparseText.read(value, path, problems)
    default:
      problems.report(
        "expected a text or a list of lines, found \(value.kindName)", at: value.place, path: path)
      return nil
    }
  }

  private static let link = Format<String>.object("link", "A symbolic link.") { object in
    object.always("link", nonEmpty, "What it points to.")
  }

  /// A text, all or some lines, a link, or `null` for a file that is not there.
  static let fileEntry = Format<SystemDraft.Entry>(
    .anyOf([fileText.shape(), link.shape(), .null])
  ) { value, path, problems in
    switch value.kind {
    case .null: return .absent
    case .object where value["lines"] == nil: return link.read(value, path, problems).map { .link($0) }
    case .string, .array, .object: return fileText.read(value, path, problems).map { .text($0) }
    default:
      problems.report(
        "expected the file's text, found \(value.kindName)", at: value.place, path: path,
        hint:
          "a text, a list of lines, {\"lines\": {\"10\": […]}}, {\"link\": \"target\"}, or null for a file that is not there"
      )
      return nil
    }
  }

  static let initrd = Format<InitrdSpec>.object(
    "initrd", "How an initramfs image differs from what its maker puts in."
  ) { object in
    let modules = object.optional(
      "modules", name.list(), "The complete list of modules, in loading order.",
      fallback: "what the maker puts in")
    let add = object.value("add", name.list(), "Modules that are in it besides.", default: [], "[]")
    let omit = object.value("omit", name.list(), "Modules that are not in it.", default: [], "[]")
    let files = object.value(
      "files", fileText.orNull.map(pattern: "^/", name: wrongPath), "Files in it; null: not in it.",
      default: [], "{}")
    let command = object.optional(
      "command", nonEmpty, "The command that made it before the story begins, as \"mkinitrd -D eth0\".",
      fallback: "the maker without arguments")
    var byPath: [String: String?] = [:]
    for file in files { byPath.updateValue(file.value.value, forKey: TreePath.normalized(file.name)) }
    return InitrdSpec(modules: modules, add: add, omit: omit, files: byPath, command: command)
  }

  static let system = Format<SystemDraft>.object("system", "The machine's own files.") { object in
    let root = object.optional(
      "root", nonEmpty.located,
      "The root folder of a real system: the system has its files, with \"files\" laid over them, and none of the profile's."
    )
    let files = object.value(
      "files", fileEntry.map(pattern: "^/", name: wrongPath), "Files by path; null: not there.", default: [],
      "{}")
    let initrds = object.value(
      "initrd", initrd.map(pattern: "^/", name: wrongPath),
      "What is special in an initramfs image, by its path.",
      default: [], "{}")
    let packages = object.value(
      "packages", package.map(pattern: ".", name: { _ in nil }), "What packages bring, by name.", default: [],
      "{}")
    var draft = SystemDraft()
    draft.installer = object.optional(
      "installer", installer.located, "The installation system or live CD.",
      fallback: "one with all drivers that logs in to every target")
    for package in packages { draft.packages[package.name] = package.value.value }
    draft.root = root
    draft.files = files.map { (TreePath.normalized($0.name), $0.value) }
    for initrd in initrds { draft.initrds[TreePath.normalized(initrd.name)] = initrd.value.value }
    return draft
  }

  // MARK: Story

  private enum PlainStep: String, CaseIterable, Sendable {
    case installer, install, boot, shutdown, reboot
    case powerCut = "power-cut"
  }

  private static let actions = [
    "attach", "detach", "start", "stop", "restart", "reload", "kill", "run", "write", "link-down",
    "target-down", "target-crash", "target-start", "power-cut", "other-machine", "crash", "answers",
    "install", "rescue", "menu-entry",
  ]

  private enum Crash: String, CaseIterable, Sendable { case panic }

  private static let kudzuAnswer = text(pattern: "^(configure|configure static|ignore)$") {
    (text: String) throws(Quantity.Failure) -> String in
    guard ["configure", "configure static", "ignore"].contains(text) else {
      throw Quantity.Failure(
        message: "\(JSONValue(.string(JSONParser.shortened(text))).text()) is no answer to kudzu",
        hint: "\"configure\" (by DHCP), \"configure static\", or \"ignore\"")
    }
    return text
  }

  /// Target and LU are looked up once the targets are known (`ScenarioBuilder`).
  private static let otherMachine = Format<OtherMachine>.object(
    "otherMachine", "Another initiator, which logs in to a target."
  ) { object in
    let initiator = object.always("initiator", nonEmpty, "Its initiator name.")
    let target = object.optional(
      "target", nonEmpty, "The target it logs in to.", fallback: "the first one")
    let lun = object.optional(
      "lun", integer(0...16383), "The LU it uses.", fallback: "the target's first one")
    let mounts = object.value("mounts", boolean, "It mounts that LU for writing.", default: true, "true")
    let chap = object.optional("chap", credentials, "What it authenticates with.", fallback: "nothing")
    guard let initiator else { return nil }
    return OtherMachine(
      initiator: initiator, target: target ?? "", lun: lun ?? OtherMachine.firstLUN, mounts: mounts,
      chap: chap)
  }

  /// Only `true`: a step that has nothing else to say.
  private static let yes = Format<Bool>(.boolean) { value, path, problems in
    if case .bool(true) = value.kind { return true }
    problems.report("expected true", at: value.place, path: path, hint: "leave the step out otherwise")
    return nil
  }

  private enum Typist: String, CaseIterable, Sendable { case root, user }

  private static let action = Format<[StoryStep]>.object("step", "Something done to the machine.") { object in
    var steps: [StoryStep] = []
    let attach = object.optional("attach", name, "Plugs a device in.")
    let detach = object.optional("detach", name, "Pulls a device out.")
    steps += attach.map { [.attach($0)] } ?? []
    steps += detach.map { [.detach($0)] } ?? []
    for verb in ["start", "stop", "restart", "reload"] {
      let service = object.optional(verb, nonEmpty, "Runs the service's own script or unit with \(verb).")
      steps += service.map { [.service(action: verb, name: $0)] } ?? []
    }
    steps += object.optional("kill", nonEmpty, "Kills a process by name.").map { [.kill($0)] } ?? []
    let line = object.optional(
      "run", nonEmpty, "A command line that is typed; what it does to files stays done.")
    let typist = object.value("as", choice(Typist.self), "Who types it.", default: .root, "\"root\"")
    steps += line.map { [.run($0, asUser: typist == .user)] } ?? []
    let written = object.optional(
      "write", fileText.orNull.map(pattern: "^/", name: wrongPath),
      "Writes files of the system; null removes.")
    steps += (written ?? []).map { .write(path: TreePath.normalized($0.name), text: $0.value.value) }
    let nic = object.optional("link-down", name, "Takes the link of an adapter (its name or interface) away.")
    let iqn = object.optional("target-down", nonEmpty, "Takes a target down.")
    let crashed = object.optional(
      "target-crash", nonEmpty,
      "The host of a target loses power, and what its LUs' write caches hold is lost.")
    let started = object.optional("target-start", nonEmpty, "Starts a target that is down.")
    let cut = object.optional("power-cut", yes, "The machine loses its power.")
    let other = object.optional(
      "other-machine", otherMachine, "Another machine logs in to a target.")
    let time = object.optional("for", positiveDuration, "How long it is down.", fallback: "for good")
    let stage = object.optional(
      "at", choice(Stage.self), "The stage at whose beginning it goes down.", fallback: "at once")
    let delay = object.optional(
      "after", ScenarioFormat.delay, "How long after the next step has begun it happens.",
      fallback: "before the next step")
    if let nic { steps.append(.linkDown(nic: nic, microseconds: time, at: stage)) }
    if let iqn { steps.append(.targetDown(iqn: iqn, microseconds: time, at: stage)) }
    let node = object.optional("install", nonEmpty, "Installs on this device node, as \"/dev/sdb\".")
    steps += node.map { [.install(on: $0)] } ?? []
    let lines = object.optional(
      "rescue", nonEmpty.list(atLeast: 1), "Lines typed at the prompt of an initramfs that gave up.")
    steps += lines.map { [.rescue($0)] } ?? []
    let entry = object.optional(
      "menu-entry", nonEmpty, "What is chosen in the boot menu next time: a number from 0, or a title.")
    steps += entry.map { [.menuEntry($0)] } ?? []
    let crash = object.optional("crash", choice(Crash.self), "The kernel crashes; the machine is off then.")
    if crash != nil { steps.append(.panic) }
    let answers = object.optional(
      "answers", kudzuAnswer.map(pattern: "^kudzu$", name: { $0 == "kudzu" ? nil : "asks nothing" }),
      "What kudzu is told when it asks about new hardware at the next boots.")
    steps += (answers ?? []).map { .answer(program: $0.name, text: $0.value.value) }
    if let crashed { steps.append(.targetCrash(iqn: crashed, microseconds: time, at: stage)) }
    if let started { steps.append(.targetStart(started)) }
    if cut != nil { steps.append(.powerCut) }
    if let other { steps.append(.otherMachine(other)) }
    object.exactlyOne(of: actions, example: "{\"attach\": \"usb0\"}")
    for modifier in ["for", "at"] where object.has(modifier) {
      if !["link-down", "target-down", "target-crash"].contains(where: { object.has($0) }) {
        object.report(
          "only goes with \"link-down\", \"target-down\" and \"target-crash\"", field: modifier)
      }
    }
    if object.has("as"), !object.has("run") { object.report("only goes with \"run\"", field: "as") }
    guard let delay else { return steps }
    if ["run", "kill", "write", "start", "stop", "restart", "reload"].contains(where: { object.has($0) }) {
      object.report("does not go with what root types", field: "after", hint: "write it in its place")
    }
    if object.has("at") { object.report("does not go with \"at\"", field: "after", hint: "one of the two") }
    return steps.map { .after(delay, $0) }
  }

  /// `"boot"`, `"shutdown"`, `"reboot"`, or an object with one action.
  static let step = Format<[StoryStep]>(
    .anyOf([.choice(PlainStep.allCases.map(\.rawValue)), action.shape()])
  ) { value, path, problems in
    if case .object = value.kind { return action.read(value, path, problems) }
    switch choice(PlainStep.self).read(value, path, problems) {
    case .installer: return [.installer]
    case .install: return [.install()]
    case .boot: return [.boot]
    case .shutdown: return [.shutdown]
    case .reboot: return [.reboot]
    case .powerCut: return [.powerCut]
    case nil: return nil
    }
  }

  // MARK: Variation

  private static let axis = Format<AxisDraft>.object(
    "axis",
    "What sweep varies: the values of a place, a device's presence at each boot, or the order of a list."
  ) { object in
    let name = object.optional("name", nonEmpty, "What reports call it.", fallback: "its path")
    let path = object.optional(
      "path", nonEmpty.located,
      "The place, as machine.usb[usb0].attached or system.files['/etc/default/halt'].")
    let values = object.optional("values", anything.list(atLeast: 1), "The values that it takes.")
    let labels = object.optional("labels", nonEmpty.list(), "What reports call the values.")
    let usb = object.optional(
      "usb", ScenarioFormat.name.located, "A device that is there or not at each boot.")
    let order = object.optional(
      "order", nonEmpty.located, "A list that comes in every order, as machine.disks.")
    object.exactlyOne(of: ["path", "usb", "order"], example: "{\"path\": \"…\", \"values\": […]}")
    if let path, let values {
      if let labels, labels.count != values.count {
        object.report("\(values.count) values, but \(labels.count) labels", field: "labels")
        return nil
      }
      return .values(name: name, path: path, values: values, labels: labels)
    }
    if path != nil, !object.has("values") { object.report("\"values\" is missing") }
    if path == nil, values != nil || labels != nil {
      object.report("\"values\" and \"labels\" only go with \"path\"")
    }
    return usb.map { .presence($0) } ?? order.map { .order($0) }
  }

  /// A list of axes, or an object of paths with their values, where `usb` and `order` are the two short
  /// forms.
  static let vary = Format<[AxisDraft]>(
    .anyOf([
      .list(axis.shape(), identity: nil, atLeast: 0, atMost: nil),
      .map(
        pattern: ".", .anyOf([.list(.anything, identity: nil, atLeast: 1, atMost: nil), .text(pattern: ".")])),
    ])
  ) { value, path, problems in
    guard case .object(let members) = value.kind else { return axis.list().read(value, path, problems) }
    var axes: [AxisDraft] = []
    for member in members {
      let inner = "\(path)['\(member.name)']"
      if member.name == "usb" || member.name == "order" {
        let names = member.value.string == nil ? member.value.elements : [member.value]
        if names.isEmpty {
          problems.report("expected a name or a list of names", at: member.value.place, path: inner)
        }
        for name in names {
          guard let text = nonEmpty.located.read(name, inner, problems) else { continue }
          axes.append(member.name == "usb" ? .presence(text) : .order(text))
        }
      } else if let values = anything.list(atLeast: 1).read(member.value, inner, problems) {
        let located = Located(value: member.name, place: member.place, path: inner)
        axes.append(.values(name: nil, path: located, values: values, labels: nil))
      }
    }
    return axes
  }

  // MARK: Expectation

  static let expectation = Format<Expectation>.object(
    "expectation", "What the scenario must give; what is left out is not looked at."
  ) { object in
    let verdict = object.always("verdict", choice(Verdict.self), "The verdict.")
    let stage = object.optional("stage", choice(Stage.self), "The stage in which it fails.")
    let finding = object.optional("finding", name, "The finding's code.")
    let rootDevice = object.optional(
      "rootDevice", nonEmpty, "The root device of the nominal run's first boot.")
    let disks = object.optional(
      "disks", nonEmpty.map(pattern: "^[a-z]+$", name: { _ in nil }),
      "Which device has which letter in the nominal run's first boot.")
    let shutdown = object.optional("shutdown", choice(ShutdownOutcome.self), "How the last shutdown ends.")
    let fileSystem = object.optional(
      "fileSystem", choice(FileSystemState.self), "What it leaves on the disk.")
    let at = object.optional(
      "at", delay,
      "When the nominal run's first failure is over, or its last boot: since its power-on, or the shutdown's start."
    )
    let findings = object.optional(
      "findings", name.list(), "Findings that must be among those of all outcomes.")
    let degraded = object.optional(
      "degraded", boolean, "Whether a boot of the nominal run comes up late.")
    let lateBy = object.optional(
      "lateBy", ScenarioFormat.delay, "By how much the nominal run's first late boot is late.")
    guard let verdict else { return nil }
    let letters = disks.map { list in
      Dictionary(list.map { ($0.name, $0.value.value) }, uniquingKeysWith: { first, _ in first })
    }
    return Expectation(
      verdict: verdict, stage: stage, finding: finding, rootDevice: rootDevice, disks: letters,
      shutdown: shutdown,
      fileSystem: fileSystem, at: at, findings: findings, degraded: degraded, lateBy: lateBy)
  }
}
