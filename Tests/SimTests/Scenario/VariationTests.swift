import LinuxConfig
import Testing

@testable import Sim

@Suite struct VariationTests {
  static func load(_ vary: String, story: String = "[\"boot\", \"reboot\", \"shutdown\"]") -> Parsed<
    LoadedScenario?
  > {
    ScenarioDecoder().load(
      Array(
        """
        {"version": 1, "title": "t",
         "machine": {"disks": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
          "usb": [{"name": "usb0"}]},
         "targets": [{"name": "iqn.a:t", "portal": "10.0.0.1", "luns": [{"lun": 0}, {"lun": 5}]}],
         "system": {"files": {"/etc/default/halt": "HALTARGS=-d"}},
         "story": \(story),
         "vary": \(vary)}
        """.utf8), file: "s.json")
  }

  private func variation(_ vary: String, story: String = "[\"boot\", \"reboot\", \"shutdown\"]") throws
    -> Variation
  {
    let loaded = Self.load(vary, story: story)
    #expect(loaded.problems.map(\.description) == [])
    return try #require(loaded.value).variation
  }

  private func scenarios(_ variation: Variation) throws -> [Scenario] {
    try (0..<variation.count).map { number in
      let parsed = variation.scenario(variation.choices(of: number))
      #expect(parsed.problems.map(\.description) == [])
      return try #require(parsed.value)
    }
  }

  @Test("every combination comes once, the last axis counting fastest")
  func everyCombinationComesOnceTheLastAxis() throws {
    let variation = try variation(
      """
      [{"path": "machine.memory", "values": ["512MiB", "1GiB"]},
       {"name": "halt", "path": "system.files['/etc/default/halt']", "values": ["x", null, ["y", "z"]]}]
      """)
    #expect(variation.count == 6)
    let scenarios = try scenarios(variation)
    #expect(scenarios.map(\.machine.memoryMiB) == [512, 512, 512, 1024, 1024, 1024])
    #expect(scenarios.map { $0.files.text("/etc/default/halt") } == ["x", nil, "y\nz\n", "x", nil, "y\nz\n"])
    #expect(variation.axes.map(\.name) == ["machine.memory", "halt"])
  }

  @Test(
    "a place is named by index or by name",
    arguments: [
      "machine.usb[0].attached", "machine.usb[usb0].attached", "machine.usb[name=usb0].attached",
    ])
  func aPlaceIsNamedByIndexOr(path: String) throws {
    let variation = try variation("{\"\(path)\": [true, false]}")
    #expect(try scenarios(variation).map { $0.machine.disks[3].attached } == [true, false])
  }

  @Test("what is not there yet is made on the way") func whatIsNotThereYetIsMade() throws {
    let variation = try variation("{\"machine.firmware.bootOrder\": [[\"a\"], [\"b\", \"a\"]]}")
    #expect(try scenarios(variation).map(\.machine.bootOrder) == [["a"], ["b", "a"]])
    let cache = try self.variation("{\"targets[iqn.a:t].luns[lun=5].writeCache\": [false]}")
    #expect(try scenarios(cache)[0].targets[0].luns.map(\.writeCache) == [true, false])
  }

  @Test("a list comes in every order") func aListComesInEveryOrder() throws {
    let variation = try variation("{\"order\": \"machine.disks\"}")
    let orders = try scenarios(variation).map {
      $0.machine.disks.filter { $0.bus == .sata }.map(\.name).joined()
    }
    #expect(orders == ["abc", "acb", "bac", "bca", "cab", "cba"])
  }

  @Test("a device is there or not at each boot") func aDeviceIsThereOrNotAt() throws {
    let variation = try variation(
      "{\"usb\": \"usb0\"}", story: "[\"boot\", \"reboot\", \"shutdown\", \"boot\"]")
    #expect(variation.axes.map(\.name) == ["usb0 at boot 1", "usb0 at boot 2", "usb0 at boot 3"])
    for scenario in try scenarios(variation) {
      // Walks the story as the machine would, and notes what is there at each boot.
      var attached = scenario.machine.disks[3].attached
      var seen: [Bool] = []
      for step in scenario.story {
        if step == .attach("usb0") || step == .detach("usb0") {
          #expect(attached == (step == .detach("usb0")), "a step that does nothing")
          attached = step == .attach("usb0")
        }
        if step == .boot || step == .reboot { seen.append(attached) }
      }
      #expect(seen.count == 3)
    }
    let presence = try (0..<8).map { number -> [StoryStep] in
      try #require(variation.scenario(variation.choices(of: number)).value).story
    }
    #expect(Set(presence.map { "\($0)" }).count >= 4)
    #expect(presence[2] == [.boot, .attach("usb0"), .reboot, .shutdown, .detach("usb0"), .boot])
  }

  @Test("a story's own plugging is taken into account") func aStorySOwnPluggingIsTaken() throws {
    let variation = try variation(
      "{\"usb\": \"usb0\"}", story: "[\"boot\", {\"detach\": \"usb0\"}, \"reboot\", \"shutdown\"]")
    let stories = try scenarios(variation).map(\.story)
    #expect(stories[0] == [.boot, .reboot, .shutdown])
    #expect(stories[1] == [.boot, .attach("usb0"), .reboot, .shutdown])
    #expect(stories[2] == [.boot, .detach("usb0"), .reboot, .shutdown])
    #expect(stories[3] == [.boot, .detach("usb0"), .attach("usb0"), .reboot, .shutdown])
  }

  @Test("what an installer saw stays as it was, and the boot after it varies")
  func whatAnInstallerSawStaysAsIt() throws {
    let variation = try variation("{\"usb\": \"usb0\"}", story: "[\"installer\", \"boot\"]")
    let scenarios = try scenarios(variation)
    #expect(scenarios.map { $0.machine.disks[3].attached } == [true, true])
    #expect(scenarios.map(\.story) == [[.installer, .detach("usb0"), .boot], [.installer, .boot]])
  }

  @Test(
    "an axis that leads nowhere is an error of the file",
    arguments: [
      ("{\"machine.usbb[0].attached\": [true]}", "there is no \"usbb\"\n  hint: did you mean \"usb\"?"),
      ("{\"machine.usb[7].attached\": [true]}", "there is no [7]\n  hint: the list has 1 elements"),
      ("{\"machine.usb[usb9].attached\": [true]}", "has the name \"usb9\"\n  hint: did you mean \"usb0\"?"),
      ("{\"machine.usb[0].atached\": [true]}", "there is no \"atached\"\n  hint: did you mean \"attached\"?"),
      ("{\"machine.usb[0.attached\": [true]}", "is no path"), ("{\"machine..usb\": [true]}", "is no path"),
      ("{\"machin.memory\": [\"1GiB\"]}", "the path has to begin with one of"),
      ("{\"expect.verdict\": [\"boots\"]}", "the path has to begin with one of"),
      ("{\"title.x\": [\"1GiB\"]}", "the path has to begin with one of"),
      ("{\"machine.memory\": []}", "needs at least 1 value, has 0"),
      ("{\"machine.memory\": [\"1GiB\", \"2\"]}", "s.json:7:38: error: machine.memory: \"2\" has no unit"),
      ("{\"machine.memory\": [\"1GiB\", \"1GiB\"]}", "the values 0 and 1 are the same"),
      ("{\"usb\": \"usb1\"}", "there is no disk or USB device \"usb1\""),
      ("{\"order\": \"machine.memory\"}", "which is not given here"),
      ("{\"order\": \"machine.disks[0].name\"}", "expected a list of 1 to 6 elements, found a string"),
      ("[{\"path\": \"machine.memory\"}]", "\"values\" is missing"),
      ("[{\"usb\": \"usb0\", \"order\": \"machine.disks\"}]", "do not go together"),
      ("[{\"path\": \"machine.memory\", \"values\": [\"1GiB\"], \"labels\": []}]", "1 values, but 0 labels"),
      ("\"usb\"", "expected a list"),
    ])
  func anAxisThatLeadsNowhereIsAn(vary: String, problem: String) {
    let loaded = Self.load(vary)
    #expect(loaded.value == nil)
    let all = loaded.problems.map(\.description)
    #expect(all.contains { $0.contains(problem) }, "\(all)")
  }

  @Test("too many combinations are refused, not tried") func tooManyCombinationsAreRefusedNotTried() {
    let values = (1...300).map { "\"\($0)MiB\"" }.joined(separator: ", ")
    let axes = (0..<3).map { "{\"name\": \"\($0)\", \"path\": \"machine.memory\", \"values\": [\(values)]}" }
    let loaded = Self.load("[\(axes.joined(separator: ", "))]")
    #expect(loaded.problems.contains { $0.message.contains("more than 16777216 combinations") })
  }
}
