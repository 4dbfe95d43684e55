import LinuxConfig

/// What a scenario names and does not hold: profiles, folders, images. The program reads them; this library
/// does no input of its own.
public struct ScenarioResources: Sendable {
  /// Why something could not be read, and what would be right.
  public struct Failure: Error {
    /// Without the name of what was to be read.
    public var message: String
    /// What would be right, where that is known.
    public var hint: String?

    /// A failure with a message and a hint.
    public init(_ message: String, hint: String? = nil) {
      self.message = message
      self.hint = hint
    }
  }

  /// The text of a file and the name for it in problems.
  public struct Document: Sendable {
    /// The text in UTF-8.
    public var bytes: [UInt8]
    /// The name; two documents of the same name are the same.
    public var file: String

    /// A text with its name.
    public init(_ bytes: [UInt8], file: String) {
      self.bytes = bytes
      self.file = file
    }
  }

  /// What was found in an image.
  public struct Image: Sendable {
    /// Bytes.
    public var size: Int64
    /// Boot code, partitions, file systems.
    public var content: DiskContent
    /// What is on it that a scenario cannot say, or that does not look right, for a warning each.
    public var notes: [String]

    /// An image's size and content.
    public init(size: Int64, content: DiskContent, notes: [String] = []) {
      self.size = size
      self.content = content
      self.notes = notes
    }
  }

  /// Finds a profile by name or path. The second argument is the file that names it: a relative path begins
  /// there.
  public var profile: @Sendable (String, String) throws(Failure) -> Document
  /// Reads a folder into a tree.
  public var folder: @Sendable (String, String) throws(Failure) -> MemoryFileTree
  /// Looks into an image, or into a LUN given as STORE:NAME.
  public var image: @Sendable (String, String) throws(Failure) -> Image

  /// The three ways to read what a scenario names.
  public init(
    profile: @escaping @Sendable (String, String) throws(Failure) -> Document,
    folder: @escaping @Sendable (String, String) throws(Failure) -> MemoryFileTree,
    image: @escaping @Sendable (String, String) throws(Failure) -> Image
  ) {
    self.profile = profile
    self.folder = folder
    self.image = image
  }

  /// The profiles inside the program, and no files at all.
  public static let embedded = ScenarioResources(
    profile: { (name, _) throws(Failure) in try EmbeddedProfiles.document(name) },
    folder: { (_, _) throws(Failure) in throw Failure("no folder is read here") },
    image: { (_, _) throws(Failure) in throw Failure("no image is read here") })
}

/// A scenario with the document it came from, for `sweep` to vary.
public struct LoadedScenario: Sendable {
  /// The scenario as it stands.
  public var scenario: Scenario
  /// Every combination of its axes.
  public var variation: Variation
}

/// Makes scenarios from JSON: parses, merges the profile in, checks every field and every name, all problems
/// at once.
public struct ScenarioDecoder: Sendable {
  /// So many profiles may extend one another.
  static let profileDepth = 16

  let resources: ScenarioResources

  /// A decoder that reads what scenarios name by the given means.
  public init(_ resources: ScenarioResources = .embedded) {
    self.resources = resources
  }

  /// Reads a scenario.
  ///
  /// - Parameters:
  ///   - bytes: The document: JSON in UTF-8, with the liberties of ``JSONParser``.
  ///   - file: Its name for problems, and where relative paths in it begin.
  /// - Returns: The scenario, `nil` when any problem is an error; and the problems.
  public func load(_ bytes: [UInt8], file: String) -> Parsed<LoadedScenario?> {
    let parsed = JSONParser.parse(bytes, file: file)
    guard let written = parsed.value, !parsed.hasErrors else { return Parsed(nil, problems: parsed.problems) }
    let problems = ProblemList()
    let document = merged(written, problems)
    guard problems.problems.isEmpty else { return Parsed(nil, problems: problems.problems) }
    guard let draft = ScenarioFormat.scenario.read(document, "", problems) else {
      return Parsed(nil, problems: problems.problems)
    }
    var builder = ScenarioBuilder(
      draft: draft, place: document.place, resources: resources, problems: problems)
    var scenario = builder.build()
    scenario.vary = AxisBuilder(scenario: scenario, document: document, problems: problems).axes(draft.vary)
    let variation = Variation(scenario.vary, of: document, decoder: self)
    let found = problems.problems
    if found.contains(where: { $0.severity == .error }) { return Parsed(nil, problems: found) }
    reportBadChoices(of: variation, problems)
    let all = problems.problems
    if all.contains(where: { $0.severity == .error }) { return Parsed(nil, problems: all) }
    return Parsed(LoadedScenario(scenario: scenario, variation: variation), problems: all)
  }

  /// Each choice of an axis alone has to make a scenario; what is wrong with it is wrong in the file.
  private func reportBadChoices(of variation: Variation, _ problems: ProblemList) {
    var seen = Set<Problem>()
    for (index, axis) in variation.axes.enumerated() {
      for choice in axis.choices.indices {
        var choices = [Int](repeating: 0, count: variation.axes.count)
        choices[index] = choice
        let bad = variation.scenario(choices).problems.filter {
          $0.severity == .error && seen.insert($0).inserted
        }
        problems.append(contentsOf: bad)
      }
    }
  }

  /// Reads a document that has its profile merged in and no axes.
  func decode(_ document: JSONValue) -> Parsed<Scenario?> {
    let problems = ProblemList()
    guard let draft = ScenarioFormat.scenario.read(document, "", problems) else {
      return Parsed(nil, problems: problems.problems)
    }
    var builder = ScenarioBuilder(
      draft: draft, place: document.place, resources: resources, problems: problems)
    let scenario = builder.build()
    let isBad = problems.problems.contains { $0.severity == .error }
    return Parsed(isBad ? nil : scenario, problems: problems.problems)
  }

  // MARK: Profiles

  /// The document laid over its profile, and over those that the profile extends.
  private func merged(_ written: JSONValue, _ problems: ProblemList) -> JSONValue {
    guard let name = written["profile"], let text = name.string else { return written }
    var chain: [JSONValue] = []
    var files: [String] = []
    var next: Located<String>? = Located(value: text, place: name.place, path: "profile")
    while let wanted = next {
      next = nil
      let source: ScenarioResources.Document
      do throws(ScenarioResources.Failure) {
        source = try resources.profile(wanted.value, wanted.place.file)
      } catch {
        problems.report(
          "profile \(JSONValue(.string(wanted.value)).text()): \(error.message)", at: wanted.place,
          path: wanted.path, hint: error.hint)
        break
      }
      if let start = files.firstIndex(of: source.file) {
        let circle = (files[start...] + [source.file]).joined(separator: " -> ")
        problems.report(
          "profiles extend one another in a circle: \(circle)", at: wanted.place, path: wanted.path)
        break
      }
      guard files.count < Self.profileDepth else {
        problems.report(
          "more than \(Self.profileDepth) profiles extend one another", at: wanted.place, path: wanted.path)
        break
      }
      files.append(source.file)
      let parsed = JSONParser.parse(source.bytes, file: source.file)
      problems.append(contentsOf: parsed.problems)
      guard let document = parsed.value, !parsed.hasErrors else { break }
      guard let head = ScenarioFormat.profile.read(document, "", problems) else { break }
      chain.append(document)
      next = head.extends
    }
    var base = JSONValue(.object([]), place: written.place)
    for document in chain.reversed() {
      let members = document.members.filter { ScenarioFormat.profileMembers.contains($0.name) }
      base = Self.laid(JSONValue(.object(members), place: document.place), over: base)
    }
    return Self.laid(written, over: base)
  }

  private static func laid(_ document: JSONValue, over base: JSONValue) -> JSONValue {
    var base = base
    // A root folder has all files of a system. A profile's would hide what the machine really has, and add what it has not.
    if document["system"]?["root"]?.string != nil { base["system"]?["files"] = nil }
    return base.overlaid(with: document, shape: ScenarioFormat.shape)
  }
}
