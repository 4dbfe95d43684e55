import Glibc
import Lab
import LinuxConfig
import Reports
import Sim

/// `bootsim verify`: prediction, real boot, judgement, and what is kept of them.
struct Laboratory {
  var folder: LabFolder
  /// The folder of results; nil: nothing is kept.
  var results: String?
  /// The folder of transcripts.
  var transcripts: String?
  /// Transcripts are judged that are there already.
  var again: Bool

  /// A scenario that can be done for real.
  struct Variant {
    var file: String
    var name: String
    var image: String
    var scenario: Scenario
    /// The scenario's profile by itself.
    var profile: Scenario
    var prediction: Report
  }

  /// What is to be done, or all that is in the way of it.
  func plan(_ loaded: [ScenarioFiles.Loaded], times: Int, resume: Bool) throws(Status) -> [Variant] {
    var isBad = false
    var work: [Variant] = []
    let images: [String]
    do throws(LabError) {
      images = try folder.images()
    } catch {
      Output.complain("bootsim: error: \(error)")
      Output.complain("  hint: start it in the project's folder, or say where Lab/images is with --recipes")
      throw .badInput
    }
    for item in loaded {
      do throws(OutOfReach) {
        let variant = try variant(item, images)
        let count = resume ? max(0, times - runsKept(variant)) : times
        work += Array(repeating: variant, count: count)
      } catch {
        for reason in error.reasons {
          Output.complain("\(item.file): error: out of the laboratory's reach: \(reason)")
        }
        isBad = true
      }
    }
    if !again, !work.isEmpty {
      for lack in folder.missing() {
        Output.complain("bootsim: error: \(lack)")
        isBad = true
      }
    }
    if isBad { throw .badInput }
    return work
  }

  private func variant(_ item: ScenarioFiles.Loaded, _ images: [String]) throws(OutOfReach) -> Variant {
    let scenario = item.scenario.scenario
    let image =
      scenario.profile.map(TreePath.name).map { $0.hasSuffix(".json") ? String($0.dropLast(5)) : $0 } ?? ""
    guard images.contains(image) else {
      let known = images.joined(separator: ", ")
      throw OutOfReach(reasons: ["there is no image for the profile '\(image)'; there are \(known)"])
    }
    let bare: JSONValue = [
      "version": 1, "title": "profile", "profile": JSONValue(.string(scenario.profile ?? image)),
    ]
    guard let profile = ScenarioDecoder(.files).load(Array(bare.text().utf8), file: item.file).value?.scenario
    else {
      throw OutOfReach(reasons: ["the profile \(image) is not complete without the scenario"])
    }
    // Whether it can be done is a matter of the scenario; the image is built later.
    _ = try LabPlan(scenario, profile: profile, kernel: "")
    let name = TreePath.name(item.file)
    return Variant(
      file: item.file, name: name.hasSuffix(".json") ? String(name.dropLast(5)) : name, image: image,
      scenario: scenario, profile: profile,
      prediction: Bootsim.simulate(scenario, options: Self.options).seenInLaboratory(scenario.story))
  }

  private static let options: Bootsim.Options = {
    var options = Bootsim.Options()
    options.fixes = false
    return options
  }()

  // MARK: One scenario

  /// Predicts, boots, judges and prints.
  func verify(_ variant: Variant, crashPoints: String?) -> Status {
    do {
      var result = try start(variant)
      let (transcript, points) = try transcript(of: variant, recordsWrites: crashPoints != nil)
      let seen = Observation(judging: transcript, devices: DeviceTable(variant.scenario))
      let agreement = Agreement(result.prediction, seen)
      Output.write(
        agreement.text(
          title: "\(variant.name): \(variant.scenario.title)", observation: seen, style: Output.style) + "\n")
      let begin = transcript.lines.first { $0.time >= 0 }?.time ?? 0
      let seconds = (transcript.lines.last?.time ?? 0) - begin
      result.runs.append(LabResult.Run(date: Self.today, seconds: seconds, seen: seen))
      if let path = path(of: variant) { try Output.write(result.text, toFile: path) }
      if let crashPoints, let points { try Output.write(points.text, toFile: crashPoints) }
      return agreement.holds ? .good : .failing
    } catch let status as Status {
      return status
    } catch {
      Output.complain("\(variant.file): error: \(error)")
      return .badInput
    }
  }

  /// What is known before the boot, written down before it, with the runs that were done before.
  private func start(_ variant: Variant) throws -> LabResult {
    let packages = try packages(of: variant)
    var result = LabResult(
      scenario: variant.file, title: variant.scenario.title, sources: variant.scenario.sources,
      image: variant.image,
      packages: packages, prediction: Prediction(variant.prediction))
    guard let path = path(of: variant) else { return result }
    if let kept = kept(variant), kept.keepsRuns(for: result) { result.runs = kept.runs }
    try Output.write(result.text, toFile: path)
    return result
  }

  private func transcript(of variant: Variant, recordsWrites: Bool) throws -> (Transcript, CrashPoints?) {
    if again, let transcripts {
      let path = "\(transcripts)/\(variant.name).log"
      do throws(Input.Failure) {
        return (Transcript(parsing: String(decoding: try Input.bytes(path), as: UTF8.self)), nil)
      } catch {
        throw LabError("\(path): \(error.message)")
      }
    }
    let mount = try LabMount(folder)
    defer { withExtendedLifetime(mount) {} }
    let snapshot = try folder.prepare(variant.image)
    let kernel = try folder.info(variant.image).first { $0.name == "kernel" }?.version ?? ""
    let plan = try LabPlan(variant.scenario, profile: variant.profile, kernel: kernel)
    let run = LabRun(plan, variant: variant.name, folder: folder, report: variant.prediction)
    let transcript = try run.perform(from: snapshot, recordsWrites: recordsWrites)
    if let transcripts { try Output.write(transcript.text, toFile: "\(transcripts)/\(variant.name).log") }
    return (transcript, run.crashPoints)
  }

  private func packages(of variant: Variant) throws(LabError) -> [(name: String, version: String)] {
    // Transcripts can be judged where no image was ever built.
    if again { return (try? folder.info(variant.image)) ?? [] }
    try folder.build(variant.image)
    return try folder.info(variant.image)
  }

  private static var today: String {
    var now = time(nil)
    var parts = tm()
    gmtime_r(&now, &parts)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
  }

  // MARK: What is kept

  private func path(of variant: Variant) -> String? { results.map { "\($0)/\(variant.name).json" } }

  private func kept(_ variant: Variant) -> LabResult? {
    guard let path = path(of: variant), access(path, F_OK) == 0, let bytes = try? Input.bytes(path) else {
      return nil
    }
    return LabResult.parse(bytes, file: path).value
  }

  private func runsKept(_ variant: Variant) -> Int {
    guard let kept = kept(variant), kept.title == variant.scenario.title else { return 0 }
    return kept.prediction.saysTheSame(as: Prediction(variant.prediction)) ? kept.runs.count : 0
  }

  /// Writes the page of all results.
  func writePage(_ path: String) throws(Status) {
    guard let results else { return }
    var all: [LabResult] = []
    do throws(Input.Failure) {
      for name in try Input.names(in: results).sorted() where name.hasSuffix(".json") {
        let parsed = LabResult.parse(try Input.bytes("\(results)/\(name)"), file: "\(results)/\(name)")
        Output.complain(parsed.problems)
        guard let result = parsed.value else {
          throw Input.Failure("\(results)/\(name) is no result of the laboratory")
        }
        all.append(result)
      }
    } catch {
      Output.complain("bootsim: error: \(error.message)")
      throw .badInput
    }
    let reach = (try? Input.bytes("\(results)/../out-of-reach.md")).map {
      String(decoding: $0, as: UTF8.self)
    }
    try Output.write(AgreementPage.text(all, outOfReach: reach), toFile: path)
  }
}
