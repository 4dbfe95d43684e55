import Foundation
import LinuxConfig
import Sim
import Testing

@testable import Lab

@Suite struct LabResultTests {
  static func result(_ name: String, _ recorded: String, runs: Int = 1) throws -> LabResult {
    let scenario = try AgreementTests.scenario(name)
    var result = LabResult(
      scenario: "Scenarios/modern/\(name).json", title: scenario.title, sources: scenario.sources,
      image: "debian-12", packages: [("open-iscsi", "2.1.8-1"), ("grub-pc-bin", "2.06-13+deb12u2")],
      prediction: AgreementTests.prediction(scenario))
    let seen = try AgreementTests.recorded(recorded, scenario)
    for _ in 0..<runs {
      result.add(LabResult.Run(date: "2026-11-20", seconds: 66.25, seen: seen), to: result)
    }
    return result
  }

  @Test(
    "what is written is read",
    arguments: [
      ("lab-c-usb-takes-sda", "c-sda2-usb"), ("lab-i3-link-150s", "i3-link-150s"),
      ("lab-l3-usb-unbootable-first", "l3-usb-unbootable-first"), ("lab-c-slow-usb-race", "c-sda2-usb"),
    ]) func whatIsWrittenIsRead(name: String, recorded: String) throws
  {
    let result = try Self.result(name, recorded, runs: 2)
    let parsed = LabResult.parse([UInt8](result.text.utf8), file: "result.json")
    #expect(parsed.problems == [])
    let read = try #require(parsed.value)
    #expect(read.text == result.text)
    #expect(read.name == name)
    #expect(read.runs.map(\.seen) == result.runs.map(\.seen))
    #expect(read.agreements == result.agreements)
  }

  @Test(
    "a run is kept with those before it, unless something else was predicted since, or done, or other software booted"
  )
  func aRunIsKeptWithThoseBeforeIt() throws {
    let first = try Self.result("lab-c-usb-takes-sda", "c-sda2-usb")
    let run = first.runs[0]
    var result = first
    result.add(run, to: first)
    #expect(result.runs.count == 2)
    var slower = first
    slower.prediction.courses[0].boots[0].at += 3
    result.add(run, to: slower)
    #expect(result.runs.count == 3)
    #expect(result.prediction == slower.prediction)
    var mended = first
    mended.prediction.courses[0].boots[0].stage = .kernel
    result.add(run, to: mended)
    #expect(result.runs.count == 1)
    var upgraded = mended
    upgraded.packages[0].version = "2.1.9-1"
    result.add(run, to: upgraded)
    #expect(result.runs.count == 1)
    var another = upgraded
    another.title = "The link is gone for 40 s"
    result.add(run, to: another)
    #expect(result.runs.count == 1)
  }

  @Test(
    "what is damaged is named with its place",
    arguments: [
      ("\"date\": \"2026-11-20\"", "\"dat\": \"2026-11-20\"", "there is no \"date\" in an object"),
      ("\"outcome\": \"fails\"", "\"outcome\": \"flies\"", "\"flies\" is no outcome"),
      ("\"stage\": \"root-mount\"", "\"stage\": 7", "a string belongs here, not a number"),
      ("\"seconds\": 66.25", "\"seconds\": \"66\"", "\"seconds\" is a string, not a number of seconds"),
      ("\"source\": [", "\"source\": {}, \"x\": [", "\"source\" is an object, not a list"),
      ("   55.44 con  ALERT!", "ALERT!", "is no line of a transcript"),
      ("\"verdict\": \"fails\"", "\"verdict\": null", "\"verdict\" has no value"),
    ]) func whatIsDamagedIsNamed(good: String, bad: String, message: String) throws
  {
    let text = try Self.result("lab-c-usb-takes-sda", "c-sda2-usb").text
    let damaged = text.replacing(good, with: bad)
    #expect(damaged != text, "the file has no \(good)")
    let parsed = LabResult.parse([UInt8](damaged.utf8), file: "result.json")
    #expect(parsed.value == nil)
    let problem = try #require(parsed.problems.first { $0.message.contains(message) }, "\(parsed.problems)")
    #expect(problem.file == "result.json")
    #expect(problem.line > 1)
  }

  @Test("a result that is cut off anywhere is a problem and no crash") func aResultThatIsCutOffIsAProblem()
    throws
  {
    let bytes = [UInt8](try Self.result("lab-c-usb-takes-sda", "c-sda2-usb").text.utf8)
    for length in stride(from: 0, to: bytes.count - 2, by: 97) {
      let parsed = LabResult.parse(Array(bytes.prefix(length)), file: "result.json")
      #expect(parsed.value == nil)
      #expect(!parsed.problems.isEmpty)
    }
  }
}
