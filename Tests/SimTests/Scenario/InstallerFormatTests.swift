import Testing

@testable import Sim

/// What a scenario says of installation systems, packages and what is typed.
@Suite struct InstallerFormatTests {
  private func problems(_ system: String, _ story: String) -> [String] {
    let text = """
      {"version": 1, "title": "t", "profile": "debian-12", "machine": {"usb": [{"name": "stick"}]},
       "system": \(system), "story": \(story)}
      """
    return ScenarioDecoder().load(Array(text.utf8), file: "s.json").problems.map(\.description)
  }

  @Test("what is right is read")
  func right() {
    let system = """
      {"installer": {"kernel": "6.1", "shell": "busybox", "drivers": ["e1000"], "files": {"/a": ["x"]},
        "media": {"stick": {"/b": "y"}}, "firstDisk": "LUN 1", "makesNodes": false},
       "packages": {"p": {"files": {"/c": null, "/d": {"link": "/c"}}, "postinst": ["true"], "ships": ["/etc/fstab"]}}}
      """
    let story = """
      ["installer", {"run": "true"}, {"install": "/dev/sda"}, "reboot", {"run": "true", "as": "user"},
       {"menu-entry": "1>2"}, "reboot", {"rescue": ["exit"]}]
      """
    #expect(problems(system, story) == [])
    #expect(
      problems("{\"installer\": {\"media\": {\"stick\": \"/tmp/iscsi\"}}}", "[\"installer\", \"install\"]")
        == [])
  }

  @Test(
    "a mistake is reported with its place",
    arguments: [
      ("{}", "[\"install\"]", "no installation system runs"),
      ("{}", "[\"installer\", \"reboot\", \"install\"]", "no installation system runs"),
      ("{}", "[\"boot\", {\"as\": \"user\"}]", "only goes with \"run\""),
      ("{}", "[\"boot\", {\"run\": \"x\", \"as\": \"nobody\"}]", "expected one of \"root\", \"user\""),
      ("{}", "[\"boot\", {\"rescue\": []}]", "needs at least 1 value"),
      ("{}", "[{\"rescue\": [\"exit\"]}]", "the machine is off"),
      ("{\"installer\": {\"media\": {\"stik\": {}}}}", "[\"boot\"]", "there is no device \"stik\""),
      ("{\"installer\": {\"firstDisk\": \"LUN 9\"}}", "[\"boot\"]", "there is no disk \"LUN 9\""),
      ("{\"installer\": {\"shell\": \"csh\"}}", "[\"boot\"]", "expected one of \"busybox\", \"full\""),
      ("{\"installer\": {\"target\": \"mnt\"}}", "[\"boot\"]", "is no absolute path"),
      ("{\"packages\": {\"p\": {\"files\": {\"a\": \"\"}}}}", "[\"boot\"]", "is no absolute path"),
      ("{\"packages\": {\"p\": {\"posinst\": []}}}", "[\"boot\"]", "unknown key"),
    ])
  func wrong(system: String, story: String, message: String) {
    let found = problems(system, story)
    #expect(found.contains { $0.contains(message) && $0.hasPrefix("s.json:") }, "\(found)")
  }
}
