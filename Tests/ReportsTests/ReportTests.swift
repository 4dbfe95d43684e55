import Foundation
import Testing

@testable import Reports
@testable import Sim

@Suite struct ReportJSONTests {
  @Test("the JSON has the members that are promised, in their order") func theJSONHasTheMembersThatAre() {
    let report = Fixture.report(.mayFail, [Fixture.good, Fixture.bad], fixes: [Fixture.fix])
    let json = report.json(file: "s.json")
    #expect(
      json.members.map(\.name) == [
        "scenario", "file", "source", "verdict", "orders", "outcomes", "fixes", "alike", "notLookedAt",
      ])
    #expect(json["orders"]?.text() == #"{"states":214,"complete":true}"#)
    let outcome = json["outcomes"]?.elements[1]
    #expect(outcome?.members.map(\.name) == ["witness", "share", "boots", "shutdowns", "timeline"])
    #expect(outcome?["share"]?.text() == "0.31")
    #expect(
      outcome?["boots"]?.elements[0].text() == """
        {"outcome":"fails","stage":"root-mount","finding":"root-device-renamed","at":"12.400s",\
        "because":["The stick was found first.","The kernel opens /dev/sda2."],\
        "console":["ALERT!  /dev/sda2 does not exist."],"rootDevice":null,\
        "disks":{"sda":"usb0","sdb":"lun1","sdaa":"x"},"otherDisks":[],"lateBy":null}
        """)
    #expect(
      json["outcomes"]?.elements[0]["shutdowns"]?.elements[0].text() == """
        {"outcome":"clean","finding":null,"at":"4.000s","lostWrites":0,"fileSystem":"clean","because":[],"console":[]}
        """)
    #expect(
      json["fixes"]?.elements[0]["edits"]?.elements[1].text()
        == #"{"place":"machine.firmware.bootOrder","line":null,"old":null,"new":"[\"eth0\"]"}"#)
  }

  @Test("another reader of JSON reads it") func anotherReaderOfJSONReadsIt() throws {
    let report = Fixture.report(.fails, [Fixture.bad], fixes: [Fixture.fix])
    let data = Data(report.json(file: "a\"\u{1}\\\u{2028}é😀.json").text(indented: true).utf8)
    let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(object["file"] as? String == "a\"\u{1}\\\u{2028}é😀.json")
    #expect(object["verdict"] as? String == "fails")
  }

  @Test(
    "a share is written with at most four places",
    arguments: [
      (0.0, "0"), (1.0, "1"), (0.5, "0.5"), (1.0 / 3, "0.3333"), (0.00001, "0"), (0.0004, "0.0004"),
      (0.99999, "1"),
      (.nan, "0"), (-1, "0"), (7, "1"),
    ])
  func aShareIsWrittenWithAtMost(share: Double, text: String) {
    var outcome = Fixture.good
    outcome.share = share
    #expect(outcome.json["share"]?.text() == text)
  }

  @Test(
    "a time is written in seconds with three places",
    arguments: [
      (0, "0.000s"), (499, "0.000s"), (500, "0.001s"), (12_400_000, "12.400s"), (59_999_999, "60.000s"),
      (-1_500_000, "-1.500s"), (.max, "9223372036854.775s"), (.min, "-9223372036854.775s"),
    ] as [(Int64, String)])
  func aTimeIsWrittenInSecondsWith(time: Int64, text: String) {
    #expect(Time.text(time) == text)
  }
}

@Suite struct TerminalReportTests {
  @Test("the report reads from console to cure") func theReportReadsFromConsoleToCure() {
    let report = Fixture.report(.mayFail, [Fixture.good, Fixture.bad], fixes: [Fixture.fix])
    #expect(
      TerminalReport.text(report, style: .plain) == """
        A stick takes the letter (S-13, S-29)

             0.400  iPXE    SAN device 0x80
             9.100  kernel  sd 2:0:0:1: [sda]

        MAY FAIL: in some orders it does not come up, it ends in root-mount (root-device-renamed); so in 31 % of the \
        sampled runs [214 states, all orders]

        Why the boot fails after 12.400s
          1. The stick was found first.
          2. The kernel opens /dev/sda2.
             More: bootsim explain root-device-renamed

        Outcome 2, 31 % of the sampled runs: ends in root-mount (root-device-renamed)
             the same things up to 0.400s, then
             9.100  kernel     sd 0:0:0:0: [sda]
            12.400  initramfs  -- there is no file system on it

        What cures it (each simulated: comes up and goes down clean in every order)
          1. Name the root by its UUID
             /boot/grub/grub.cfg:12
             - linux /vmlinuz root=/dev/sda2
             + linux /vmlinuz root=UUID=1
             machine.firmware.bootOrder
             + ["eth0"]

        Not looked at (could matter, and was left out)
             /etc/rc.local:3: eval

        """)
  }

  @Test("names that depend on the order are listed, boot by boot, but for LUs that nothing tells apart")
  func namesThatDependOnTheOrder() {
    func boot(_ disks: [String: String], _ others: [String: String]...) -> BootReport {
      var boot = Fixture.boot(.boots)
      boot.disks = disks
      boot.otherDisks = others
      return boot
    }
    func names(_ first: [BootReport], _ second: [BootReport]) -> [Substring] {
      var report = Fixture.report(
        .boots,
        [first, second].map { boots in
          var outcome = Fixture.good
          outcome.boots = boots
          return outcome
        })
      report.alike = [["e", "f"]]
      return TerminalReport.text(report, style: .plain).split(separator: "\n")
        .drop { $0 != "Names that depend on the order" }.dropFirst().prefix { $0.hasPrefix("     ") }
        .map { $0.dropFirst(5) }
    }
    #expect(names([boot(["sda": "a"])], [boot(["sda": "a"])]) == [])
    #expect(names([boot(["sda": "a"]), boot(["sdb": "a"])], [boot(["sda": "a"])]) == [])
    #expect(
      names([boot(["sda": "a", "sdb": "e"])], [boot(["sdb": "a", "sda": "e"], ["sdc": "a"])])
        == ["a is sda, sdb or sdc"])
    #expect(
      names(
        [boot(["sda": "a"]), boot(["sda": "a"])], [boot(["sda": "a"]), boot(["sda": "b", "sdaa": "a"])])
        == ["boot 2: a is sda or sdaa"])
    let many = (0..<8).map { [DiskNames.sd($0 + 20): "a"] }
    var all = boot(many[0])
    all.otherDisks = Array(many.dropFirst())
    #expect(names([all], [all]) == ["a is one of 8, from sdu to sdab"])
  }

  @Test("each verdict is one line that says what was covered") func eachVerdictIsOneLineThatSays() {
    func verdict(_ report: Report) -> String { TerminalReport.verdict(report, style: .plain) }
    #expect(
      verdict(Fixture.report(.boots, [Fixture.good]))
        == "BOOTS: comes up and goes down clean in every order [214 states, all orders]")
    #expect(
      verdict(Fixture.report(.boots, [Fixture.good], complete: false))
        == "BOOTS: comes up and goes down clean in every order that was tried [214 states, then the budget was used up]"
    )
    #expect(
      verdict(Fixture.report(.fails, [Fixture.bad]))
        == "FAILS: does not come up, it ends in root-mount (root-device-renamed) in every order [214 states, all orders]"
    )
    let hang = Outcome(
      witness: "", share: 1, boots: [Fixture.boot(.boots)], shutdowns: [Fixture.shutdown(.hang, "root-lost")],
      timeline: [])
    #expect(
      verdict(Fixture.report(.fails, [hang]))
        == "FAILS: does not go down clean (root-lost) in every order [214 states, all orders]")
  }

  @Test("a single run claims nothing about other orders") func aSingleRunClaimsNothingAboutOther() {
    let report = Fixture.report(.boots, [Fixture.good], complete: false)
    #expect(
      TerminalReport.verdict(report, extent: .nominal, style: .plain)
        == "BOOTS: comes up and goes down clean in this one run "
        + "[everything at its usual time; no other order was looked at]")
  }

  @Test("a boot that comes up late says by how much, and why") func aBootThatComesUpLate() {
    var late = Fixture.good
    late.boots[0] = Fixture.boot(.degraded, "boot-held-up", because: ["The cable is pulled."])
    late.boots[0].lateBy = 27_200_000
    let text = TerminalReport.text(Fixture.report(.boots, [late]), style: .plain)
    #expect(text.contains("\nBOOTS: comes up late and goes down clean in every order "))
    #expect(
      text.contains("\nWhy the boot comes up late, after 12.400s, by 27.200s\n  1. The cable is pulled.\n"))
    #expect(text.contains("More: bootsim explain boot-held-up"))
    let json = Fixture.report(.boots, [late]).json(file: "s.json").text()
    #expect(json.contains(#""lateBy":"27.200s""#))
    let both = TerminalReport.verdict(Fixture.report(.boots, [Fixture.good, late]), style: .plain)
    #expect(both.hasPrefix("BOOTS: comes up, in some orders late, and goes down clean in every order"))
  }

  @Test("a boot that fails as another did is told once") func aBootThatFailsAsAnotherDid() {
    var outcome = Fixture.bad
    outcome.boots.append(outcome.boots[0])
    let text = TerminalReport.text(Fixture.report(.fails, [outcome]), style: .plain)
    #expect(text.contains("\nWhy boot 1 fails after 12.400s\n  1. The stick"))
    #expect(text.contains("\nBoot 2 fails after 12.400s, for the reasons of boot 1\n"))
    #expect(text.split(separator: "The stick was found first.").count == 2)
  }

  @Test("two timelines part where something new is said, not where the order differs")
  func twoTimelinesPartWhereSomethingNewIs() {
    func timeline(_ texts: String) -> [TimelineEntry] {
      texts.map { TimelineEntry(time: 0, part: "p", text: String($0), console: true) }
    }
    for (nominal, other, count) in [
      ("abcd", "bacx", 3), ("abcd", "abcd", 4), ("abcd", "abdc", 2), ("abcd", "ab", 2), ("ab", "abb", 2),
      ("", "a", 0),
      ("a", "", 0),
    ] {
      #expect(TerminalReport.agreement(timeline(nominal), timeline(other)) == count, "\(nominal) \(other)")
    }
  }

  @Test("an unverified cure is not shown") func anUnverifiedCureIsNotShown() {
    var fix = Fixture.fix
    fix.verified = false
    let text = TerminalReport.text(Fixture.report(.fails, [Fixture.bad], fixes: [fix]), style: .plain)
    #expect(!text.contains("cures"))
  }

  @Test("no byte of a scenario reaches the terminal as a command") func noByteOfAScenarioReachesThe() {
    var report = Fixture.report(.fails, [Fixture.bad], fixes: [Fixture.fix])
    report.title = "red \u{1B}[31m"
    report.sources = ["\u{9B}2J"]
    report.outcomes[0].timeline[0].text = "bell \u{7}"
    report.outcomes[0].boots[0].because = ["del \u{7F}"]
    report.fixes[0].edits[0].old = "tab\tand \r return"
    let text = TerminalReport.text(report, style: .plain)
    let controls = text.unicodeScalars.filter {
      $0 != "\n" && ($0.value < 0x20 || (0x7F...0x9F).contains($0.value))
    }
    #expect(controls.isEmpty)
  }

  @Test("colour marks are there when asked for and change no text") func colourMarksAreThereWhenAskedFor() {
    let report = Fixture.report(.mayFail, [Fixture.good, Fixture.bad], fixes: [Fixture.fix])
    let colored = TerminalReport.text(report, style: Style(isColored: true, width: 100))
    #expect(colored.contains("\u{1B}[1;33mMAY FAIL\u{1B}[0m"))
    #expect(colored.replacing(/\u{1B}\[[0-9;]*m/, with: "") == TerminalReport.text(report, style: .plain))
  }

  @Test("long sentences are broken at the width") func longSentencesAreBrokenAtTheWidth() {
    let style = Style(isColored: false, width: 40)
    let sentence = String(repeating: "word ", count: 30)
    let lines = style.wrap(sentence, indentation: 5).split(separator: "\n")
    #expect(lines.count > 3)
    #expect(lines.dropFirst().allSatisfy { $0.count <= 40 && $0.hasPrefix("     word") })
  }
}

@Suite struct JUnitReportTests {
  private func scenario(expecting verdict: Verdict?) throws -> Scenario {
    let expect = verdict.map { ", \"expect\": {\"verdict\": \"\($0.rawValue)\"}" } ?? ""
    let text = "{\"version\": 1, \"title\": \"a <b> & \\\"c\\\"\"\(expect)}"
    return try #require(ScenarioDecoder().load(Array(text.utf8), file: "s.json").value).scenario
  }

  @Test("a result that does not hold says what was expected and what came") func aResultThatDoesNotHoldSays()
    throws
  {
    let result = TestResult(
      file: "x/s.json", scenario: try scenario(expecting: .boots),
      report: Fixture.report(.fails, [Fixture.bad]), seconds: 1)
    #expect(!result.holds)
    #expect(
      result.text(style: .plain) == """
        FAIL x/s.json: a <b> & "c"
               verdict
                 - boots  expected
                 + fails  came

        """)
  }

  @Test("a scenario that expects nothing does not hold") func aScenarioThatExpectsNothingDoesNot() throws {
    let result = TestResult(
      file: "s.json", scenario: try scenario(expecting: nil), report: Fixture.report(.boots, [Fixture.good]),
      seconds: 0)
    #expect(!result.holds)
    #expect(result.text(style: .plain).contains("add \"expect\""))
  }

  @Test("the XML is well formed and counts the failures") func theXMLIsWellFormedAndCounts() throws {
    let results = try [Verdict.boots, .fails, nil].map { verdict in
      TestResult(
        file: "x\u{1}/s.json", scenario: try scenario(expecting: verdict),
        report: Fixture.report(.fails, [Fixture.bad]),
        seconds: 0.25)
    }
    let text = JUnitReport.text(results)
    #expect(text.contains("tests=\"3\" failures=\"2\" errors=\"0\" time=\"0.750\""))
    #expect(text.contains("name=\"a &lt;b&gt; &amp; &quot;c&quot;\""))
    #expect(text.contains("<failure message=\"verdict: expected boots, came fails\">"))
    #expect(!text.unicodeScalars.contains("\u{1}"))
  }
}

@Suite struct SweepReportTests {
  private func report() throws -> SweepReport {
    let text = """
      {"version": 1, "title": "sweep", "machine": {"usb": [{"name": "usb0"}]},
       "vary": {"usb": "usb0", "machine.memory": ["512MiB", "1GiB"]}, "story": ["boot"]}
      """
    let loaded = try #require(ScenarioDecoder().load(Array(text.utf8), file: "s.json").value)
    return Sweep.run(loaded) { scenario in
      scenario.machine.disks[0].attached
        ? Fixture.report(.mayFail, [Fixture.good, Fixture.bad]) : Fixture.report(.boots, [Fixture.good])
    }
  }

  @Test("the terminal says what comes up and what is enough to fail") func theTerminalSaysWhatComesUpAnd()
    throws
  {
    #expect(
      SweepTerminalReport.text(try report(), style: .plain) == """
        sweep

          usb0 at the boot: absent | present
          machine.memory: 512MiB | 1GiB

        50 % come up and go down clean in every order: 2 of 4 combinations (0 fail, 2 may fail)

        root-device-renamed: 2 combinations
          Enough for it:
            usb0 at the boot = present
          Combinations:
            may fail: usb0 at the boot = present, machine.memory = 512MiB
            may fail: usb0 at the boot = present, machine.memory = 1GiB

        """)
  }

  @Test("the JSON has every failing combination and the smallest sets")
  func theJSONHasEveryFailingCombinationAnd() throws {
    let json = try report().json(file: "s.json")
    #expect(json["configurations"]?.text() == "4")
    #expect(json["share"]?.text() == "0.5")
    #expect(json["groups"]?.elements[0]["smallest"]?.text() == #"[{"usb0 at the boot":"present"}]"#)
    #expect(
      json["failing"]?.elements.map { $0["choices"]?.text() } == [
        #"{"usb0 at the boot":"present","machine.memory":"512MiB"}"#,
        #"{"usb0 at the boot":"present","machine.memory":"1GiB"}"#,
      ])
  }
}
