import LinuxConfig
import Sim

/// Reads the scenarios that a command line names, and complains about all that is wrong before anything is
/// simulated.
struct ScenarioFiles {
  /// A scenario and the file it is from.
  struct Loaded {
    var file: String
    var scenario: LoadedScenario
  }

  private let decoder = ScenarioDecoder(.files)

  /// Reads files; throws when any of them cannot be read, after complaining about each.
  func load(_ files: [String]) throws(Status) -> [Loaded] {
    var loaded: [Loaded] = []
    var isBad = false
    for file in files {
      let parsed = load(file)
      Output.complain(parsed.problems)
      if let scenario = parsed.value {
        loaded.append(Loaded(file: file, scenario: scenario))
      } else {
        isBad = true
      }
    }
    if isBad { throw .badInput }
    return loaded
  }

  private func load(_ file: String) -> Parsed<LoadedScenario?> {
    do throws(Input.Failure) {
      return decoder.load(try Input.bytes(file), file: file)
    } catch {
      return Parsed(
        nil, problems: [Problem(.error, file: file, line: 0, message: error.message, hint: error.hint)])
    }
  }
}

extension ScenarioResources {
  /// Profiles inside the program or in files, folders and images on this machine. What was read once is kept:
  /// a sweep decodes a scenario many times.
  static var files: ScenarioResources {
    let folders = Cache<MemoryFileTree>()
    let images = Cache<Image>()
    return ScenarioResources(
      profile: { (name, referrer) throws(Failure) in
        guard name.contains("/") || name.hasSuffix(".json") else {
          return try EmbeddedProfiles.document(name)
        }
        let path = Input.path(name, from: referrer)
        return Document(try Input.bytes(path), file: path)
      },
      folder: { (path, referrer) throws(Failure) in
        let path = Input.path(path, from: referrer)
        return try folders.value(path) { () throws(Failure) in try Input.folder(path) }
      },
      image: { (path, referrer) throws(Failure) in
        let path = Input.path(path, from: referrer)
        return try images.value(path) { () throws(Failure) in try Image(path: path) }
      })
  }
}

/// Keeps what was read, by name.
private final class Cache<Value: Sendable>: Sendable {
  private let values = Locked<[String: Value]>([:])

  func value(
    _ name: String, _ read: () throws(ScenarioResources.Failure) -> Value
  ) throws(ScenarioResources.Failure) -> Value {
    if let known = values.withLock({ $0[name] }) { return known }
    let value = try read()
    values.withLock { $0[name] = value }
    return value
  }
}
