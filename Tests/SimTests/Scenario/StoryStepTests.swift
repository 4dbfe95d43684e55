import LinuxConfig
import Testing

@testable import Sim

/// Steps of a story that concern targets, power and other machines.
@Suite struct StoryStepTests {
  private static func load(_ story: String) -> Parsed<LoadedScenario?> {
    ScenarioDecoderTests.load(
      """
      {"version": 1, "title": "t",
       "machine": {"nics": [{"name": "nic0", "interface": "eth0", "mac": "52:54:00:12:34:56", "driver": "e1000"}],
         "usb": [{"name": "usb0"}]},
       "targets": [{"name": "iqn.a:t", "portal": "10.0.2.2", "luns": [{"lun": 3}, {"lun": 2}]},
         {"name": "iqn.a:u", "portal": "10.0.2.2"}],
       "story": [\(story)]}
      """)
  }

  @Test("steps are read with their defaults") func stepsAreRead() throws {
    func other(_ target: String = "iqn.a:t", _ lun: Int = 2, mounts: Bool = true, chap: Credentials? = nil)
      -> StoryStep
    {
      .otherMachine(
        OtherMachine(initiator: "iqn.a:other", target: target, lun: lun, mounts: mounts, chap: chap))
    }
    let delay = Delay(earliest: 1_000_000, latest: 9_000_000)
    let cases: [(String, [StoryStep])] = [
      (#"{"target-crash": "iqn.a:t"}"#, [.targetCrash(iqn: "iqn.a:t", microseconds: nil, at: nil)]),
      (
        #"{"target-crash": "iqn.a:t", "for": "20s", "at": "running"}"#,
        [.targetCrash(iqn: "iqn.a:t", microseconds: 20_000_000, at: .running)]
      ),
      (#"{"target-start": "iqn.a:u"}"#, [.targetStart("iqn.a:u")]),
      (#""power-cut""#, [.powerCut]), (#"{"power-cut": true}"#, [.powerCut]),
      (#"{"power-cut": true, "after": ["1s", "9s"]}"#, [.after(delay, .powerCut)]),
      (
        #"{"link-down": "eth0", "for": "5s", "after": "2s"}"#,
        [
          .after(
            Delay(earliest: 2_000_000, latest: 2_000_000),
            .linkDown(nic: "nic0", microseconds: 5_000_000, at: nil))
        ]
      ),
      (#"{"detach": "usb0", "after": ["1s", "9s"]}"#, [.after(delay, .detach("usb0"))]),
      (#"{"other-machine": {"initiator": "iqn.a:other"}}"#, [other()]),
      (
        #"{"other-machine": {"initiator": "iqn.a:other", "lun": 3, "mounts": false, "chap": {"username": "u", "password": "p"}}}"#,
        [other("iqn.a:t", 3, mounts: false, chap: Credentials(username: "u", password: "p"))]
      ),
    ]
    for (text, expected) in cases {
      let loaded = Self.load("\"boot\", \(text), \"boot\"")
      #expect(loaded.problems.map(\.description) == [], "\(text)")
      #expect(try #require(loaded.value).scenario.story == [.boot] + expected + [.boot], "\(text)")
    }
  }

  @Test("what cannot be is an error with its place")
  func whatCannotBeIsAnError() {
    let cases: [(String, String)] = [
      (#"{"target-crash": "iqn.a:x"}"#, "story[1]: there is no target \"iqn.a:x\""),
      (#"{"target-start": "iqn.a:x"}"#, "there is no target \"iqn.a:x\""),
      (
        #"{"other-machine": {"initiator": "iqn.a:o", "target": "iqn.a:x"}}"#, "there is no target \"iqn.a:x\""
      ),
      (#"{"other-machine": {"initiator": "iqn.a:o", "lun": 7}}"#, "iqn.a:t has no LU 7"),
      (#"{"other-machine": {"initiator": "iqn.a:o", "target": "iqn.a:u"}}"#, "iqn.a:u has no LU"),
      (#"{"other-machine": {}}"#, "\"initiator\" is missing"), (#"{"power-cut": false}"#, "expected true"),
      (#"{"run": "true", "after": "1s"}"#, "does not go with what root types"),
      (#"{"attach": "usb0", "for": "1s"}"#, "only goes with"),
      (#"{"link-down": "eth0", "at": "init", "after": "1s"}"#, "does not go with \"at\""),
      (#"{"target-crash": "iqn.a:t", "power-cut": true}"#, "do not go together"),
      (#""power-cut", {"run": "true"}"#, "the machine is off"),
    ]
    for (text, message) in cases {
      let loaded = Self.load("\"boot\", \(text)")
      #expect(loaded.value == nil, "\(text)")
      #expect(
        loaded.problems.contains { $0.description.contains(message) }, "\(loaded.problems.map(\.description))"
      )
      #expect(loaded.problems.allSatisfy { $0.line > 0 })
    }
  }
}
