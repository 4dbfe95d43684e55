extension ScenarioFormat {
  static let versionNumber = Format<Int>(.integer(version...version)) { value, path, problems in
    if case .number(let text) = value.kind, Int64(text) == version { return Int(version) }
    problems.report(
      "this program reads version \(version) of the format, not \(JSONParser.shortened(value.text()))",
      at: value.place, path: path)
    return nil
  }

  /// A text or a list of texts.
  private static let texts = Format<[String]>(
    .anyOf([nonEmpty.shape(), .list(nonEmpty.shape(), identity: nil, atLeast: 0, atMost: nil)])
  ) { value, path, problems in
    if case .array = value.kind { return nonEmpty.list().read(value, path, problems) }
    return nonEmpty.read(value, path, problems).map { [$0] }
  }

  private static let usualStory: [Located<StoryStep>] = [.boot, .shutdown].map {
    Located(value: $0, place: .none, path: "story")
  }

  /// A whole scenario.
  static let scenario = Format<ScenarioDraft>.object(
    "scenario", "A machine, its iSCSI targets, its system's files, and what is done to it."
  ) { object in
    _ = object.optional("$schema", nonEmpty, "For editors: where the schema of this document is.")
    _ = object.always("version", versionNumber, "The version of the format: 1.")
    let title = object.always("title", nonEmpty, "One sentence for people.")
    let source = object.value(
      "source", texts, "Where it was seen: rows of the documents, real boots.", default: [], "[]")
    let profile = object.optional(
      "profile", nonEmpty,
      "The distribution whose files it starts from, as \"debian-12\", or the path of a profile.")
    let machine = object.value(
      "machine", ScenarioFormat.machine, "The hardware.",
      default: MachineDraft(bootOrder: nil, memoryMiB: 1024, nics: [], disks: []), "{}")
    let network = object.value(
      "network", ScenarioFormat.network, "The network.",
      default: NetworkSpec(dhcp: true, dhcpDelay: Delay(earliest: 100_000, latest: 1_000_000)), "{}")
    let targets = object.value("targets", target.list(identity: "name"), "The targets.", default: [], "[]")
    let system = object.value(
      "system", ScenarioFormat.system, "The system's files.", default: SystemDraft(), "{}")
    let story = object.optional(
      "story", step.located.list(atLeast: 1), "What is done, in order; each step begins when all is quiet.",
      fallback: "[\"boot\", \"shutdown\"]")
    let vary = object.value("vary", ScenarioFormat.vary, "What sweep varies.", default: [], "[]")
    let expect = object.optional("expect", expectation, "What must come out, for bootsim test.")
    guard let title else { return nil }
    let steps = story?.flatMap { located in
      located.value.map { Located(value: $0, place: located.place, path: located.path) }
    }
    return ScenarioDraft(
      title: title, sources: source, profile: profile, machine: machine, network: network, targets: targets,
      system: system, story: steps ?? usualStory, vary: vary, expect: expect)
  }

  /// What a profile says besides what is merged into the scenario.
  struct ProfileHead: Sendable {
    var extends: Located<String>?
  }

  /// The members of a profile that are merged into the scenario; they are read there, with what the scenario
  /// adds.
  static let profileMembers = ["machine", "network", "targets", "system"]

  /// A profile: a part of a scenario that others start from.
  static let profile = Format<ProfileHead>.object("profile", "What scenarios start from.") { object in
    _ = object.optional("$schema", nonEmpty, "For editors: where the schema of this document is.")
    _ = object.always("version", versionNumber, "The version of the format: 1.")
    _ = object.optional("title", nonEmpty, "One sentence for people.")
    _ = object.optional("source", texts, "Where its files are from.")
    let extends = object.optional("extends", nonEmpty.located, "The profile that this one starts from.")
    _ = object.optional("machine", later(machine), "The hardware.")
    _ = object.optional("network", later(network), "The network.")
    _ = object.optional("targets", later(target.list(identity: "name")), "The targets.")
    _ = object.optional("system", later(system), "The system's files.")
    return ProfileHead(extends: extends)
  }

  /// The same shape, read once it is merged.
  private static func later<Value>(_ format: Format<Value>) -> Format<JSONValue> {
    Format(format.shape()) { value, _, _ in value }
  }

  /// The shape of a scenario, made once: documents are merged and paths are checked along it.
  static let shape = scenario.shape()
}
