import Foundation
import LinuxConfig
import Testing

@testable import Lab

@Suite struct AgreementPageTests {
  @Test("Lab/AGREEMENT.md is current") func thePageIsCurrent() throws {
    let folder = project.appendingPathComponent("Lab")
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path + "/results")) ?? []
    var results: [LabResult] = []
    for file in files.sorted() where file.hasSuffix(".json") {
      let bytes = [UInt8](try Data(contentsOf: folder.appendingPathComponent("results/\(file)")))
      let parsed = LabResult.parse(bytes, file: "Lab/results/\(file)")
      results.append(try #require(parsed.value, "\(parsed.problems)"))
    }
    let outOfReach = try? String(
      contentsOf: folder.appendingPathComponent("out-of-reach.md"), encoding: .utf8)
    let wanted = AgreementPage.text(results, outOfReach: outOfReach)
    let page = folder.appendingPathComponent("AGREEMENT.md")
    if ProcessInfo.processInfo.environment["UPDATE_AGREEMENT_PAGE"] != nil {
      try wanted.write(to: page, atomically: true, encoding: .utf8)
    }
    let found = try? String(contentsOf: page, encoding: .utf8)
    #expect(found == wanted, "UPDATE_AGREEMENT_PAGE=1 swift test --filter AgreementPageTests makes it anew")
  }

  @Test("of many predicted ways the first few are listed, each once")
  func ofManyPredictedWaysTheFirstFewAreListed() throws {
    var result = try LabResultTests.result("lab-b-sda2", "b-sda2")
    let course = result.prediction.courses[0]
    func page(ways: Int) -> String {
      result.prediction.courses = (0..<ways).map { way in
        var course = course
        course.boots[0].disks = ["sda": "LUN \(way / 2)"]
        return course
      }
      return AgreementPage.text([result], outOfReach: nil)
    }
    #expect(page(ways: 12).contains("(sda = LUN 5)") && !page(ways: 12).contains("other ways"))
    #expect(page(ways: 14).contains("(sda = LUN 4)") && !page(ways: 14).contains("(sda = LUN 5)"))
    #expect(page(ways: 14).contains("<br>or one of 2 other ways |"))
  }

  @Test("a row says what was predicted, what was seen how often, and whether that is the same")
  func aRowSaysWhetherItIsTheSame() throws {
    var other = try LabResultTests.result("lab-b-sda2", "b-sda2")
    other.runs.append(try LabResultTests.result("lab-b-sda2", "h-auto-dhcp").runs[0])
    let results = [other, try LabResultTests.result("lab-c-usb-takes-sda", "c-sda2-usb", runs: 20)]
    let page = AgreementPage.text(results, outOfReach: "- UEFI\n")
    #expect(page.contains("| boots recorded | 22 |"))
    #expect(page.contains("| agree on outcome and stage | 43 of 44 (97 %) |"))
    #expect(
      page.contains(
        """
        | [lab-c-usb-takes-sda](../Scenarios/modern/lab-c-usb-takes-sda.json): A USB stick takes /dev/sda | lab c, S-29, S-13 \
        | fails, root-mount: root-device-renamed (sda = usb0, sdb = LUN 1) \
        | fails, root-mount: root-device-renamed (sda = usb0, sdb = LUN 1) (20 times) | yes |
        """))
    #expect(page.contains("| **no**: outcome of shutdown 1, file system of shutdown 1 |"))
    #expect(page.hasSuffix("## Out of the model's reach\n\n- UEFI\n"))
  }
}
