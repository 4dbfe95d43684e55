import Foundation
import Testing

@testable import Sim

@Suite struct ScenarioSchemaTests {
  @Test("the schema is the same every time and reads back as JSON") func theSchemaIsTheSameEveryTime() {
    let text = ScenarioSchema.document.text(indented: true)
    #expect(text == ScenarioSchema.document.text(indented: true))
    #expect(JSONParser.parse(text, file: "schema").problems.isEmpty)
  }

  /// Every `$ref` in a value.
  private func references(_ value: JSONValue) -> [String] {
    let own = value["$ref"]?.string.map { [$0] } ?? []
    return own + value.members.flatMap { references($0.value) } + value.elements.flatMap(references)
  }

  @Test("every definition that is referred to is there, and every one is referred to")
  func everyDefinitionThatIsReferredToIs() {
    let schema = ScenarioSchema.document
    let defined = Set(schema["$defs"]?.members.map { "#/$defs/\($0.name)" } ?? [])
    #expect(Set(references(schema)) == defined.subtracting(["#/$defs/profile"]))
  }

  /// Objects of one name have one definition; a second with other fields would be lost.
  @Test("no two kinds of object share a name") func noTwoKindsOfObjectShareA() {
    var seen: [String: [String]] = [:]
    func look(_ shape: Shape) {
      switch shape {
      case .object(let object):
        let fields = object.fields.map(\.name)
        if let other = seen[object.name] {
          #expect(other == fields, "\(object.name)")
          return
        }
        seen[object.name] = fields
        object.fields.forEach { look($0.shape) }
      case .list(let element, _, _, _): look(element)
      case .map(_, let value): look(value)
      case .anyOf(let shapes): shapes.forEach(look)
      default: return
      }
    }
    look(ScenarioFormat.shape)
    look(ScenarioFormat.profile.shape())
    #expect(seen.count > 15)
  }

  private static let hasValidator = run("import jsonschema", "") == 0

  /// Runs a Python program with a text on its standard input; its exit status, or `nil` when there is no
  /// Python.
  private static func run(_ program: String, _ input: String) -> Int32? {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", "-W", "ignore", "-c", program]
    let pipe = Pipe()
    process.standardInput = pipe
    process.standardError = FileHandle.nullDevice
    do { try process.run() } catch { return nil }
    try? pipe.fileHandleForWriting.write(contentsOf: Data(input.utf8))
    try? pipe.fileHandleForWriting.close()
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// Checks `[schema, [[document, isValid], …]]`; the status is the number of documents judged otherwise.
  private static let validator = """
    import json, sys, jsonschema
    schema, cases = json.load(sys.stdin)
    jsonschema.Draft202012Validator.check_schema(schema)
    v = jsonschema.Draft202012Validator(schema)
    sys.exit(sum(v.is_valid(d) != good for d, good in cases))
    """

  /// What the decoder accepts the schema accepts; what a schema can see, it refuses as the decoder does.
  @Test("an independent validator judges documents as the decoder does", .enabled(if: hasValidator))
  func anIndependentValidatorJudgesDocumentsAsThe()
    throws
  {
    let whole = ScenarioDecoderTests.whole
    var cases: [(text: String, isValid: Bool)] = [(whole, true)]
    for (old, new) in [
      ("\"driver\"", "\"drivr\""), ("\"version\": 1", "\"version\": 2"), ("\"title\": \"t\", ", ""),
      ("\"768MiB\"", "768"), ("\"4GiB\"", "\"4\""), ("\"ipxe\"", "\"ipex\""),
      ("\"lun\": 1, \"address\"", "\"lun\": -1, \"address\""),
      ("52:54:00:12:34:56", "52:54:00:12:34"), ("\"10.0.2.2:3261\"", "\"target\""),
      ("\"bus\": \"ide\"", "\"bus\": \"usb\""),
      ("\"/etc/fstab\": [", "\"etc/fstab\": ["), ("{\"attach\": \"usb0\"}", "{}"), ("\"reboot\"", "\"halt\""),
      ("{\"attach\": \"usb0\"}", "{\"attach\": \"usb0\", \"detach\": \"usb0\"}"),
      ("[\"1s\", \"2.5s\"]", "[\"1s\"]"),
      ("\"verdict\": \"may-fail\", ", ""), ("\"for\": \"30s\"", "\"for\": 30"),
      ("\"target-down\"", "\"target_down\""),
    ] {
      #expect(whole.contains(old), "\(old)")
      cases.append((whole.replacing(old, with: new, maxReplacements: 1), false))
    }
    for good in [
      "{\"version\": 1, \"title\": \"t\"}",
      "{\"version\": 1, \"title\": \"t\", \"machine\": null, \"source\": \"S-1\"}",
      "{\"version\": 1, \"title\": \"t\", \"machine\": {\"disks\": [{\"name\": \"a\"}]}, \"vary\": {\"order\": \"machine.disks\", \"machine.memory\": [\"1GiB\", null]}}",
      "{\"version\": 1, \"title\": \"t\", \"machine\": {\"disks\": [{\"name\": \"a\"}]}, \"vary\": [{\"order\": \"machine.disks\"}]}",
    ] { cases.append((good, true)) }
    var values: [JSONValue] = []
    for (text, isValid) in cases {
      let parsed = JSONParser.parse(text, file: "t")
      #expect(parsed.problems.isEmpty)
      values.append([try #require(parsed.value), JSONValue(.bool(isValid))])
      #expect((ScenarioDecoderTests.load(text).value != nil) == isValid, "\(text)")
    }
    let input: JSONValue = [ScenarioSchema.document, JSONValue(.array(values))]
    #expect(Self.run(Self.validator, input.text()) == 0)
  }

  private static let scenarios = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Scenarios")

  @Test("every scenario of the suite validates", .enabled(if: hasValidator))
  func everyScenarioOfTheSuiteValidates() throws {
    var cases: [JSONValue] = []
    let files = FileManager.default.enumerator(at: Self.scenarios, includingPropertiesForKeys: nil)
    while let file = files?.nextObject() as? URL {
      guard file.pathExtension == "json", file.deletingLastPathComponent().lastPathComponent != "profiles"
      else { continue }
      let parsed = JSONParser.parse(Array(try Data(contentsOf: file)), file: file.lastPathComponent)
      #expect(parsed.problems.isEmpty)
      cases.append([try #require(parsed.value), true])
    }
    let profiles = EmbeddedProfiles.names.compactMap { EmbeddedProfiles.text($0) }
    var profile = ScenarioSchema.document
    for name in ["type", "properties", "required", "additionalProperties", "description"] {
      profile[name] = nil
    }
    profile["$ref"] = "#/$defs/profile"
    let profileCases = try profiles.map { text -> JSONValue in
      [try #require(JSONParser.parse(text, file: "p").value), true]
    }
    let one: JSONValue = [ScenarioSchema.document, JSONValue(.array(cases))]
    let two: JSONValue = [profile, JSONValue(.array(profileCases))]
    #expect(Self.run(Self.validator, one.text()) == 0)
    #expect(Self.run(Self.validator, two.text()) == 0)
  }
}
