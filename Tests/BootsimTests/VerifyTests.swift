import Foundation
import Testing

/// `bootsim verify` without a boot: real transcripts are judged again.
@Suite struct VerifyTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent()
    .deletingLastPathComponent().path
  private static let transcripts = "\(root)/Tests/LabTests/Transcripts"
  private static let recipes = ["--recipes", "\(root)/Lab/images"]

  private func scenario(_ name: String) -> String { "\(Self.root)/Scenarios/modern/\(name).json" }

  @Test func aBootThatWentAsPredictedAgrees() throws {
    let result = try Program.run(
      ["verify", "--again", "--transcripts", Self.transcripts, scenario("lab-c-usb-takes-sda")]
        + Self.recipes,
      in: try Program.Folder())
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.contains("finding      root-device-renamed"))
    #expect(result.output.contains("AGREES"))
  }

  @Test func nothingIsBootedAgainHoweverManyAtATime() throws {
    let scenarios = ["lab-a-base", "lab-c-usb-takes-sda"].map(scenario)
    let result = try Program.run(
      ["verify", "--again", "--jobs", "2", "--transcripts", Self.transcripts] + scenarios + Self.recipes,
      in: try Program.Folder())
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.errors == "")
  }

  @Test func aBootThatWentAnotherWayDiffersAndSaysWhere() throws {
    let folder = try Program.Folder()
    // What a machine did that the stick kept from booting, held against one without a stick.
    let other = try String(contentsOfFile: "\(Self.transcripts)/lab-c-usb-takes-sda.log", encoding: .utf8)
    try folder.write(other, "kept/lab-a-base.log")
    let result = try Program.run(
      ["verify", "--again", "--transcripts", "kept", scenario("lab-a-base")] + Self.recipes, in: folder)
    #expect(result.status == 1, "\(result.errors)")
    #expect(result.output.contains("DIFFERS: outcome of boot 1, stage of boot 1"))
  }

  @Test func whatTheLaboratoryCannotDoIsSaidBeforeAnythingIsDone() throws {
    let folder = try Program.Folder()
    try folder.write(#"{ "version": 1, "title": "x", "profile": "rhel4-u4" }"#, "old.json")
    try folder.write(
      #"{ "version": 1, "title": "x", "profile": "debian-12", "story": ["installer", "boot"] }"#,
      "installer.json")
    let result = try Program.run(["verify", "old.json", "installer.json"] + Self.recipes, in: folder)
    #expect(result.status == 2)
    #expect(result.output == "")
    #expect(
      result.errors.contains(
        "old.json: error: out of the laboratory's reach: there is no image for the profile"))
    #expect(
      result.errors.contains("installer.json: error: out of the laboratory's reach: no installation system"))
    #expect(folder.names == ["installer.json", "old.json"])
  }

  @Test func resultsAreKeptAndWhatTheyHaveIsNotDoneAgain() throws {
    let folder = try Program.Folder()
    try FileManager.default.createDirectory(
      at: folder.url.appendingPathComponent("results"), withIntermediateDirectories: true)
    let words = [
      "verify", "--again", "--transcripts", Self.transcripts, "--results", "results", "--page", "PAGE.md",
      scenario("lab-a-base"),
    ]
    func runs() throws -> Int {
      let data = try Data(contentsOf: folder.url.appendingPathComponent("results/lab-a-base.json"))
      let object = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
      return try #require(object["runs"] as? [Any]).count
    }
    #expect(try Program.run(words + Self.recipes, in: folder).status == 0)
    #expect(try runs() == 1)
    #expect(try Program.run(words + ["--resume"] + Self.recipes, in: folder).status == 0)
    #expect(try runs() == 1)
    #expect(try Program.run(words + Self.recipes, in: folder).status == 0)
    #expect(try runs() == 2)
    let page = try String(contentsOf: folder.url.appendingPathComponent("PAGE.md"), encoding: .utf8)
    #expect(page.contains("| boots recorded | 2 |"))
    #expect(page.contains("[lab-a-base]"))
  }

  @Test(arguments: [
    ["--resume"], ["--page", "x"], ["--again"], ["--jobs", "0"], ["--times", "0"],
  ]) func optionsThatMakeNoSenseAreRefused(options: [String]) throws {
    let result = try Program.run(["verify", scenario("lab-a-base")] + options, in: try Program.Folder())
    #expect(result.status == 2)
    #expect(result.errors.contains("Error: --"))
  }
}
