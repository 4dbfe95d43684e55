import Foundation
import Glibc
import Testing

@testable import Sim

/// The built program, as a user runs it.
struct Program {
  struct Result {
    var status: Int32
    var output: String
    var errors: String
  }

  static let executable: URL = {
    let built = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    let beside = built.appendingPathComponent("bootsim")
    if FileManager.default.isExecutableFile(atPath: beside.path) { return beside }
    return URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent(".build/debug/bootsim")
  }()

  /// Runs the program; what it writes goes to files, so that no full pipe can stop it.
  static func run(
    _ arguments: [String], input: String = "", in folder: Folder, executable: URL = executable
  ) throws -> Result {
    let process = Process()
    process.executableURL = executable
    process.arguments = arguments
    process.currentDirectoryURL = folder.url
    let output = folder.url.appendingPathComponent(".out")
    let errors = folder.url.appendingPathComponent(".err")
    let standardInput = folder.url.appendingPathComponent(".in")
    for file in [output, errors] { try Data().write(to: file) }
    try Data(input.utf8).write(to: standardInput)
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: errors)
    process.standardInput = try FileHandle(forReadingFrom: standardInput)
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationReason == .exit, "it was killed by a signal: a trap?")
    return Result(
      status: process.terminationStatus,
      output: String(decoding: try Data(contentsOf: output), as: UTF8.self),
      errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self))
  }

  /// A folder that is gone after the test.
  final class Folder {
    let url: URL

    init() throws {
      url = FileManager.default.temporaryDirectory.appendingPathComponent("bootsim-test-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func write(_ text: String, _ name: String) throws {
      let file = url.appendingPathComponent(name)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try text.write(to: file, atomically: false, encoding: .utf8)
    }

    /// What is in it, but for what running the program leaves.
    var names: [String] {
      let all = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
      return all.filter { !$0.hasPrefix(".") }.sorted()
    }
  }
}

@Suite struct CommandLineTests {
  static let scenario = "{\"version\": 1, \"title\": \"no disk\", \"expect\": {\"verdict\": \"fails\"}}"

  @Test(
    "a wrong command line ends with 2, a word on standard error, and nothing else",
    arguments: [
      ["run"], ["run", "--bogus", "s.json"], ["run", "--trace", "t", "s.json"],
      ["run", "--html", "t", "s.json"],
      ["bogus"], ["sweep", "--faults", "2", "s.json"], ["sweep", "--shard", "1/2", "s.json"], ["check", "/"],
      ["run", "--seed", "-1", "s.json"], ["run", "--nominal", "--schedule", "x", "s.json"],
      ["run", "--schedule", "x", "s.json", "s.json"], ["explain", "no-such-finding"],
      ["init", "no-such-profile"],
      ["test", "."], ["test"], ["sweep", "s.json"], ["run", "-", "-"],
    ])
  func aWrongCommandLineEndsWith2(arguments: [String])
    throws
  {
    let folder = try Program.Folder()
    if arguments != ["test", "."] { try folder.write(Self.scenario, "s.json") }
    let before = folder.names
    let result = try Program.run(arguments, in: folder)
    #expect(result.status == 2)
    #expect(result.output == "")
    #expect(!result.errors.isEmpty)
    #expect(folder.names == before)
  }

  @Test("help is a result", arguments: [["--help"], ["help", "run"], ["run", "--help"], ["--version"]])
  func helpIsAResult(arguments: [String]) throws {
    let result = try Program.run(arguments, in: try Program.Folder())
    #expect(result.status == 0 && !result.output.isEmpty && result.errors.isEmpty)
  }

  /// Each row: what stands in the file, and what is complained about.
  @Test(
    "a bad scenario ends with 2 and its problems, and nothing is simulated or written",
    arguments: [
      ("", "bad.json:1:1: error: there is no JSON document here"),
      ("{\"version\": 1,", "bad.json:1:1: error: '{' is never closed"),
      (
        "{\"version\": 1, \"title\": \"t\", \"machin\": {}}",
        "bad.json:1:30: error: unknown key \"machin\"\n  hint: did you mean \"machine\"?"
      ),
      (
        "{\"version\": 1, \"title\": \"t\", \"profile\": \"./none.json\"}",
        "profile \"./none.json\": No such file or directory"
      ),
      (
        "{\"version\": 1, \"title\": \"t\", \"profile\": \"./folder\"}",
        "profile \"./folder\": is a directory, not a file"
      ),
      (
        "{\"version\": 1, \"title\": \"t\", \"profile\": \"./circle.json\"}",
        "profiles extend one another in a circle"
      ),
      (
        "{\"version\": 1, \"title\": \"t\", \"system\": {\"root\": \"none\"}}",
        "system.root: \"none\": No such file or directory"
      ),
      (
        "{\"version\": 1, \"title\": \"t\", \"system\": {\"root\": \"bad.json\"}}",
        "system.root: \"bad.json\": is not a folder"
      ),
      (
        "{\"version\": 1, \"title\": \"t\", \"machine\": {\"disks\": [{\"name\": \"d\", \"image\": \"none\"}]}}",
        "machine.disks[0].image: \"none\""
      ),
      (String(repeating: "[", count: 200_000), "nested deeper than 256 levels"),
      (String(repeating: "{\"a\":", count: 200_000), "nested deeper than 256 levels"),
    ])
  func aBadScenarioEndsWith2And(
    text: String, problem: String
  ) throws {
    let folder = try Program.Folder()
    try folder.write(text, "bad.json")
    try folder.write("{\"version\": 1, \"extends\": \"./circle.json\"}", "circle.json")
    try folder.write(Self.scenario, "folder/s.json")
    let before = folder.names
    for arguments in [
      ["run", "bad.json"], ["test", "bad.json", "--junit", "j.xml"], ["sweep", "--out", "o", "bad.json"],
    ] {
      let result = try Program.run(arguments, in: folder)
      #expect(result.status == 2)
      #expect(result.output == "")
      #expect(result.errors.contains(problem), "\(result.errors.prefix(500))")
    }
    #expect(folder.names == before)
  }

  @Test("what is no file is refused without being read") func whatIsNoFileIsRefusedWithout() throws {
    let folder = try Program.Folder()
    let zeros = folder.url.appendingPathComponent("zeros")
    #expect(FileManager.default.createFile(atPath: zeros.path, contents: nil))
    #expect(truncate(zeros.path, 1 << 30) == 0)
    #expect(mkfifo(folder.url.appendingPathComponent("fifo").path, 0o600) == 0)
    let result = try Program.run(["run", "zeros", "fifo", ".", "/dev/zero", "none"], in: folder)
    #expect(result.status == 2)
    let complaints = result.errors.split(separator: "\n").filter { !$0.hasPrefix("  hint") }
    #expect(
      complaints == [
        "zeros: error: larger than 64 MiB", "fifo: error: is a FIFO, not a file",
        ".: error: is a directory, not a file", "/dev/zero: error: is a device, not a file",
        "none: error: No such file or directory",
      ])
  }

  @Test("a text that is all zeros or all newlines is refused in good time") func aTextThatIsAllZerosOr()
    throws
  {
    let folder = try Program.Folder()
    try Data(count: 8 << 20).write(to: folder.url.appendingPathComponent("zeros"))
    try folder.write(String(repeating: "\n", count: 8 << 20), "lines")
    let result = try Program.run(["run", "zeros", "lines"], in: folder)
    #expect(result.status == 2)
    #expect(result.errors.contains("zeros:1:1: error: a NUL byte: this is not a text file"))
    #expect(result.errors.contains("lines:8388609:1: error: there is no JSON document here"))
  }

  @Test("a reader that goes away changes nothing") func aReaderThatGoesAwayChangesNothing() throws {
    let folder = try Program.Folder()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = [
      "-c",
      """
      { until [ -e gone ]; do sleep 0.01; done; "$0" schema; echo $? >status; } | { exec 0<&-; : >gone; }
      """, Program.executable.path,
    ]
    process.currentDirectoryURL = folder.url
    try process.run()
    process.waitUntilExit()
    #expect(try String(contentsOf: folder.url.appendingPathComponent("status"), encoding: .utf8) == "0\n")
  }

  @Test("a full disk is an error, not a trap") func aFullDiskIsAnErrorNot() throws {
    let folder = try Program.Folder()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", "\"$0\" schema >/dev/full 2>errors", Program.executable.path]
    process.currentDirectoryURL = folder.url
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 2)
    let errors = try String(contentsOf: folder.url.appendingPathComponent("errors"), encoding: .utf8)
    #expect(errors == "bootsim: error: standard output: No space left on device\n")
  }

  @Test("a copy of the program elsewhere has its schema, findings and profiles inside")
  func aCopyOfTheProgramElsewhereHas() throws {
    let folder = try Program.Folder()
    let copy = folder.url.appendingPathComponent("copied-bootsim")
    try FileManager.default.copyItem(at: Program.executable, to: copy)
    let schema = try Program.run(["schema"], in: folder, executable: copy)
    #expect(schema.status == 0 && schema.output == ScenarioSchema.document.text(indented: true) + "\n")
    let findings = try Program.run(["explain"], in: folder, executable: copy)
    #expect(findings.output.split(separator: "\n").count == Finding.all.count)
    for profile in EmbeddedProfiles.names {
      let scenario = try Program.run(["init", profile], in: folder, executable: copy)
      #expect(scenario.status == 0)
      try folder.write(scenario.output, "\(profile).json")
      let result = try Program.run(["run", "--nominal", "\(profile).json"], in: folder, executable: copy)
      // Not every fresh installation comes up and goes down clean; but each is simulated.
      #expect(result.status == 0 || result.status == 1, "\(profile): \(result.errors)")
      #expect(result.output.contains("in this one run"), "\(profile)")
    }
  }

  @Test("every finding is explained", arguments: Finding.all.map(\.code.rawValue))
  func everyFindingIsExplained(code: String) throws {
    let result = try Program.run(["explain", code], in: try Program.Folder())
    #expect(result.status == 0)
    #expect(result.output.hasPrefix("\(code): "))
    #expect(result.output.contains("What it means\n  ") && result.output.contains("What cures it\n  "))
  }
}
