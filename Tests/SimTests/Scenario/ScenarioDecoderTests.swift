import LinuxConfig
import Testing

@testable import Sim

@Suite struct ScenarioDecoderTests {
  static func load(_ text: String, profiles: [String: String] = [:]) -> Parsed<LoadedScenario?> {
    let resources = ScenarioResources(
      profile: { (name, _) throws(ScenarioResources.Failure) in
        guard let text = profiles[name] else {
          throw ScenarioResources.Failure("there is no such profile", hint: nil)
        }
        return ScenarioResources.Document(Array(text.utf8), file: name)
      },
      folder: { (path, _) throws(ScenarioResources.Failure) in
        guard path == "root" else { throw ScenarioResources.Failure("no such folder") }
        return MemoryFileTree(["/etc/a": "from the folder\n", "/etc/b": "b\n"])
      },
      image: { (path, _) throws(ScenarioResources.Failure) in
        guard path == "disk.img" else { throw ScenarioResources.Failure("no such file") }
        let partition = PartitionSpec(
          number: 1, fileSystem: "ext4", uuid: "u-1", label: nil, holds: nil, size: 1 << 30)
        let content = DiskContent(bootCode: .grub, grub: nil, partitions: [partition])
        return ScenarioResources.Image(size: 2 << 30, content: content)
      })
    return ScenarioDecoder(resources).load(Array(text.utf8), file: "s.json")
  }

  private func scenario(_ text: String, profiles: [String: String] = [:]) throws -> Scenario {
    let loaded = Self.load(text, profiles: profiles)
    #expect(loaded.problems.map(\.description) == [])
    return try #require(loaded.value).scenario
  }

  static let whole = """
    {
      "version": 1, "title": "t", "source": ["S-13"],
      "machine": {
        "firmware": {"bootOrder": ["eth0", "usb0"]}, "memory": "768MiB",
        "nics": [{"name": "eth0", "interface": "ens3", "mac": "52:54:00:12:34:56", "driver": "e1000",
          "optionROM": {"kind": "ipxe", "initiator": "iqn.a:i", "target": "iqn.a:t", "portal": "10.0.2.2",
            "lun": 1, "address": "10.0.2.15/24", "chap": {"username": "u", "password": "p"}}}],
        "disks": [{"name": "ide0", "bus": "ide", "size": "4GiB"}],
        "usb": [{"name": "usb0", "attached": false, "settles": ["1s", "2.5s"]}],
        "floppies": [{"name": "fd0"}], "cds": [{"name": "cd0", "bootCode": "other"}],
      },
      "network": {"dhcp": true, "dhcpDelay": "10ms"},
      "targets": [{"name": "iqn.a:t", "portal": "10.0.2.2:3261", "maxSessions": 2, "acl": ["iqn.a:i"],
        "luns": [{"lun": 1, "size": "10GiB", "writeCache": true,
          "grub": {"version": "legacy", "prefix": "(hd0,0)"},
          "partitions": [{"number": 1, "fs": "ext3", "holds": "/boot", "size": "100MiB"},
            {"number": 2, "fs": "ext3", "uuid": "x", "label": "root", "holds": "/"}]}]}],
      "system": {"files": {"/etc/fstab": ["a", "b"], "/etc/rc0.d/K1x": {"link": "../init.d/x"}, "/gone": null},
        "initrd": {"/boot/initrd": {"omit": ["usb-storage"], "files": {"/etc/x": "y", "/etc/z": null}}}},
      "story": ["boot", {"attach": "usb0"}, {"restart": "iscsid"}, {"write": {"/a": "b"}},
        {"link-down": "ens3", "for": "30s", "at": "running"}, "reboot", {"target-down": "iqn.a:t"}, "shutdown"],
      "expect": {"verdict": "may-fail", "stage": "root-mount", "disks": {"sda": "usb0"}, "at": ["40s", "1min"]}
    }
    """

  @Test("every field of a whole scenario arrives") func everyFieldOfAWholeScenarioArrives() throws {
    let scenario = try scenario(Self.whole)
    #expect(scenario.machine.bootOrder == ["eth0", "usb0"])
    #expect(scenario.machine.memoryMiB == 768)
    let rom = try #require(scenario.machine.nics[0].optionROM)
    #expect(rom.portal == "10.0.2.2:3260")
    #expect(rom.lun == 1 && rom.ibft && rom.address == "10.0.2.15/24")
    #expect(rom.chap == Credentials(username: "u", password: "p"))
    #expect(scenario.machine.disks.map(\.bus) == [.ide, .usb, .floppy, .cd])
    #expect(scenario.machine.disks[1].settles == Delay(earliest: 1_000_000, latest: 2_500_000))
    #expect(scenario.network.dhcpDelay == Delay(earliest: 10_000, latest: 10_000))
    let lun = scenario.targets[0].luns[0]
    #expect(lun.size == 10 << 30 && lun.writeCache && lun.content.bootCode == .grub)
    #expect(lun.content.grub?.legacy == true)
    #expect(lun.content.partitions.map(\.holds) == ["/boot", "/"])
    let rest: Int64 = 10 * 1024 - 101
    #expect(lun.content.partitions.map { $0.size >> 20 } == [100, rest])
    #expect(scenario.files.text("/etc/fstab") == "a\nb\n")
    #expect(scenario.files.linkTarget("/etc/rc0.d/K1x") == "../init.d/x")
    #expect(scenario.initrds["/boot/initrd"]?.files == ["/etc/x": "y", "/etc/z": nil])
    #expect(
      scenario.story == [
        .boot, .attach("usb0"), .service(action: "restart", name: "iscsid"), .write(path: "/a", text: "b"),
        .linkDown(nic: "eth0", microseconds: 30_000_000, at: .running), .reboot,
        .targetDown(iqn: "iqn.a:t", microseconds: nil, at: nil), .shutdown,
      ])
    #expect(scenario.expect?.at == Delay(earliest: 40_000_000, latest: 60_000_000))
  }

  @Test("what is left out has its default") func whatIsLeftOutHasItsDefault() throws {
    let scenario = try scenario(
      """
      {"version": 1, "title": "t",
       "machine": {"nics": [{"name": "eth0", "optionROM": {}}, {"name": "eth1"}], "disks": [{"name": "d"}],
        "usb": [{"name": "u"}]}}
      """)
    #expect(scenario.machine.bootOrder == ["eth0", "d"])
    #expect(scenario.story == [.boot, .shutdown])
    #expect(scenario.machine.nics.map(\.interface) == ["eth0", "eth1"])
    #expect(scenario.machine.nics.map(\.mac) == ["52:54:00:00:00:01", "52:54:00:00:00:02"])
    #expect(scenario.machine.disks[1].settles == Delay(earliest: 1_000_000, latest: 2_000_000))
  }

  /// Each row: what is changed in the whole scenario, and the first problem that must come of it, without its
  /// file.
  @Test(
    "a mistake is reported with its place, path and cure",
    arguments: [
      ("\"version\": 1", "\"version\": 2", "2:14: error: version: this program reads version 1"),
      ("\"title\": \"t\"", "\"titel\": \"t\"", "1:1: error: \"title\" is missing"),
      (
        "\"lun\": 1, \"address\"", "\"lun\": \"one\", \"address\"",
        "7:16: error: machine.nics[0].optionROM.lun: expected a whole number, found a string"
      ),
      (
        "\"lun\": 1, \"address\"", "\"lun\": 99999, \"address\"",
        "99999 is not a whole number from 0 to 16383"
      ),
      (
        "\"ipxe\"", "\"ipex\"",
        "expected one of \"intel\", \"gpxe\", \"ipxe\", found \"ipex\"\n  hint: did you mean \"ipxe\"?"
      ),
      ("\"driver\"", "\"drivr\"", "machine.nics[0]: unknown key \"drivr\"\n  hint: did you mean \"driver\"?"),
      ("\"768MiB\"", "768", "machine.memory: expected a text, found a number"),
      ("\"768MiB\"", "\"768MB\"", "\"768MB\" is no possible amount of memory"),
      ("\"4GiB\"", "\"4\"", "machine.disks[0].size: \"4\" has no unit"),
      ("\"4GiB\"", "\"4G\"", "\"4G\" has an unknown unit, \"G\"\n  hint: write \"4GiB\""),
      ("\"4GiB\"", "\"0GiB\"", "\"0GiB\" is no possible size"),
      ("\"4GiB\"", "\"-4GiB\"", "\"-4GiB\" is not a size\n  hint: negative"),
      ("\"4GiB\"", "\"99999999999TiB\"", "\"99999999999TiB\" is too large"),
      ("\"4GiB\"", "\"4GiBs\"", "has an unknown unit"),
      ("\"4GiB\"", "\"1000B\"", "is not a whole number of sectors"),
      ("[\"1s\", \"2.5s\"]", "[\"5s\", \"2.5s\"]", "machine.usb[0].settles: ends before it begins"),
      ("[\"1s\", \"2.5s\"]", "[\"5s\"]", "needs at least 2 values, has 1"),
      ("[\"1s\", \"2.5s\"]", "\"-1s\"", "\"-1s\" is not a time"),
      ("\"for\": \"30s\"", "\"for\": \"0s\"", "story[4].for: \"0s\" is no possible time here"),
      (
        "[\"eth0\", \"usb0\"]", "[\"eth0\", \"usb1\"]",
        "machine.firmware.bootOrder[1]: there is no device \"usb1\"\n  hint: did you mean \"usb0\"?"
      ),
      ("[\"eth0\", \"usb0\"]", "[\"eth0\", \"eth0\"]", "\"eth0\" is there twice"),
      ("\"attach\": \"usb0\"", "\"attach\": \"usbb0\"", "story[1]: there is no disk or USB device \"usbb0\""),
      ("\"attach\": \"usb0\"", "\"detach\": \"usb0\"", "story[1]: \"usb0\" is not attached already"),
      (
        "\"attach\": \"usb0\"", "\"attatch\": \"usb0\"",
        "unknown key \"attatch\"\n  hint: did you mean \"attach\"?"
      ),
      ("\"link-down\": \"ens3\"", "\"link-down\": \"ens4\"", "there is no adapter \"ens4\""),
      ("\"target-down\": \"iqn.a:t\"", "\"target-down\": \"iqn.a:x\"", "there is no target \"iqn.a:x\""),
      (
        "\"boot\", {\"attach\": \"usb0\"}", "{\"attach\": \"usb0\"}",
        "story[1]: the machine is off\n  hint: \"boot\" comes first"
      ),
      ("{\"restart\": \"iscsid\"}", "{\"restart\": \"iscsid\", \"stop\": \"x\"}", "do not go together"),
      ("{\"restart\": \"iscsid\"}", "{\"run\": \"x\", \"at\": \"kernel\"}", "only goes with"),
      ("{\"restart\": \"iscsid\"}", "{}", "says nothing to do"),
      ("\"number\": 2", "\"number\": 1", "targets[0].luns[0].partitions[1].number: 1 is there twice"),
      ("\"holds\": \"/\"}", "\"holds\": \"/boot\"}", "\"/boot\" is held by another partition as well"),
      ("\"size\": \"100MiB\"", "\"size\": \"100GiB\"", "its partitions do not fit into 10GiB"),
      ("\"name\": \"fd0\"", "\"name\": \"ide0\"", "the name \"ide0\" is also in machine.disks"),
      ("\"10.0.2.2:3261\"", "\"target.example:3261\"", "\"target.example:3261\" is no portal"),
      ("\"10.0.2.2:3261\"", "\"10.0.2.256:3261\"", "is no portal"),
      ("\"10.0.2.2:3261\"", "\"10.0.2.2:0\"", "is no portal"),
      ("\"name\": \"iqn.a:t\"", "\"name\": \"a:t\"", "\"a:t\" is no iSCSI name"),
      ("52:54:00:12:34:56", "53:54:00:12:34:56", "is no adapter's address"),
      ("\"/etc/fstab\": [\"a\", \"b\"]", "\"etc/fstab\": []", "\"etc/fstab\" is no absolute path"),
      ("\"/etc/fstab\": [\"a\", \"b\"]", "\"/etc\": \"x\"", "\"/etc\" is a file, so nothing can be below it"),
      ("\"/etc/fstab\": [\"a\", \"b\"]", "\"/etc/fstab\": 5", "expected the file's text, found a number"),
      ("\"luns\": [", "\"luns\": [{\"lun\": 1},", "targets[0].luns[1].lun: 1 is there twice"),
      (
        "\"verdict\": \"may-fail\"", "\"verdict\": \"maybe\"",
        "expected one of \"boots\", \"may-fail\", \"fails\""
      ),
      ("\"bus\": \"ide\"", "\"bus\": \"usb\"", "expected one of \"sata\", \"ide\", \"scsi\", found \"usb\""),
    ])
  func aMistakeIsReportedWithItsPlace(old: String, new: String, problem: String) throws {
    #expect(Self.whole.contains(old))
    let loaded = Self.load(Self.whole.replacing(old, with: new, maxReplacements: 1))
    #expect(loaded.value == nil)
    let all = loaded.problems.map(\.description)
    #expect(all.contains { $0.contains(problem) }, "\(all)")
    #expect(loaded.problems.allSatisfy { $0.file == "s.json" && $0.line > 0 })
  }

  @Test("all mistakes come at once") func allMistakesComeAtOnce() {
    var text = Self.whole
    for (old, new) in [
      ("\"768MiB\"", "\"768\""), ("\"driver\"", "\"drivr\""), ("\"usb0\"]", "\"usb9\"]"),
      ("\"10GiB\"", "\"10G\""),
    ] {
      text.replace(old, with: new, maxReplacements: 1)
    }
    #expect(Self.load(text).problems.count == 4)
  }

  @Test("a wrong IQN or LUN of the option ROM is simulated, not refused") func aWrongIQNOrLUNOfThe() throws {
    let text = Self.whole.replacing("\"target\": \"iqn.a:t\"", with: "\"target\": \"iqn.a:nowhere\"")
    #expect(try scenario(text).machine.nics[0].optionROM?.target == "iqn.a:nowhere")
  }

  // MARK: Profiles

  static let profiles = [
    "base": """
    {"version": 1, "machine": {"memory": "512MiB", "nics": [{"name": "eth0", "driver": "e100"}]},
     "system": {"files": {"/a": "base", "/b": "base", "/c": "base"}}}
    """,
    "child": """
    {"version": 1, "extends": "base", "machine": {"nics": [{"name": "eth0", "optionROM": {"kind": "gpxe"}}]},
     "targets": [{"name": "iqn.a:t", "portal": "10.0.0.1", "luns": [{"lun": 0, "size": "1GiB"}]}],
     "system": {"files": {"/b": "child"}}}
    """,
    "left": "{\"version\": 1, \"extends\": \"right\"}", "right": "{\"version\": 1, \"extends\": \"left\"}",
    "wrong": "{\"version\": 1,\n \"machine\": {\"memory\": \"512\"}}",
    "titled": "{\"version\": 1, \"story\": []}",
  ]

  @Test("a scenario is laid over its profile, and that over the one it extends")
  func aScenarioIsLaidOverItsProfile() throws {
    let scenario = try scenario(
      """
      {"version": 1, "title": "t", "profile": "child",
       "machine": {"nics": [{"name": "eth1"}, {"name": "eth0", "interface": "ens3"}]},
       "targets": [{"name": "iqn.a:t", "luns": [{"lun": 0, "writeCache": true}, {"lun": 5}]}],
       "system": {"files": {"/c": null, "/d": "scenario"}}}
      """, profiles: Self.profiles)
    #expect(scenario.machine.memoryMiB == 512)
    #expect(scenario.machine.nics.map(\.name) == ["eth0", "eth1"])
    #expect(scenario.machine.nics[0].interface == "ens3" && scenario.machine.nics[0].driver == "e100")
    #expect(scenario.machine.nics[0].optionROM?.kind == .gpxe)
    #expect(scenario.targets[0].luns.map(\.lun) == [0, 5])
    #expect(scenario.targets[0].luns[0].size == 1 << 30 && scenario.targets[0].luns[0].writeCache)
    #expect(scenario.files == MemoryFileTree(["/a": "base", "/b": "child", "/d": "scenario"]))
  }

  @Test("null takes back what a profile says") func nullTakesBackWhatAProfileSays() throws {
    let scenario = try scenario(
      """
      {"version": 1, "title": "t", "profile": "child", "targets": null,
       "machine": {"memory": null, "nics": [{"name": "eth0", "optionROM": null}]}}
      """, profiles: Self.profiles)
    #expect(scenario.targets.isEmpty)
    #expect(scenario.machine.memoryMiB == 1024)
    #expect(scenario.machine.nics[0].optionROM == nil)
  }

  @Test(
    "a profile's mistake is reported where it stands",
    arguments: [
      ("left", "left:1:27: error: extends: profiles extend one another in a circle: left -> right -> left"),
      ("none", "s.json:1:41: error: profile: profile \"none\": there is no such profile"),
      ("wrong", "wrong:2:24: error: machine.memory: \"512\" has no unit"),
      ("titled", "titled:1:16: error: unknown key \"story\""),
    ])
  func aProfileSMistakeIsReportedWhere(profile: String, problem: String) {
    let loaded = Self.load(
      "{\"version\": 1, \"title\": \"t\", \"profile\": \"\(profile)\"}", profiles: Self.profiles)
    #expect(loaded.value == nil)
    let first = loaded.problems.first?.description.split(separator: "\n").first.map(String.init)
    if profile == "left" {
      #expect(
        first?.contains("extends: profiles extend one another in a circle: left -> right -> left") == true)
    } else {
      #expect(first == problem)
    }
  }

  // MARK: Images and folders

  @Test("an image gives partitions, and the document completes them")
  func anImageGivesPartitionsAndTheDocument() throws {
    let scenario = try scenario(
      """
      {"version": 1, "title": "t", "targets": [{"name": "iqn.a:t", "portal": "10.0.0.1", "luns": [
        {"lun": 1, "image": "disk.img", "grub": {"prefix": "(hd0,msdos1)"},
         "partitions": [{"number": 1, "holds": "/"}]}]}]}
      """)
    let lun = scenario.targets[0].luns[0]
    #expect(lun.size == 2 << 30 && lun.content.bootCode == .grub)
    #expect(lun.content.partitions.map(\.uuid) == ["u-1"])
    #expect(lun.content.partitions.map(\.holds) == ["/"])
  }

  @Test("an image that GRUB boots needs to be told where GRUB looks") func anImageThatGRUBBootsNeedsTo() {
    let loaded = Self.load(
      "{\"version\": 1, \"title\": \"t\", \"machine\": {\"disks\": [{\"name\": \"d\", \"image\": \"disk.img\"}]}}"
    )
    #expect(loaded.value == nil)
    #expect(loaded.problems.first?.hint?.contains("add \"grub\"") == true)
  }

  @Test("a folder's files lie below those of the document") func aFolderSFilesLieBelowThose() throws {
    let scenario = try scenario(
      """
      {"version": 1, "title": "t", "system": {"root": "root", "files": {"/etc/a": "mine", "/etc/b": null}}}
      """)
    #expect(scenario.files.text("/etc/a") == "mine")
    #expect(!scenario.files.exists("/etc/b"))
    #expect(scenario.root == "root")
  }

  @Test(
    "a folder takes the place of the files of the profiles below it",
    arguments: [
      ("{\"root\": \"root\"}", ["/etc/a", "/etc/b"]), ("{\"root\": null}", ["/a", "/b", "/c"]),
      ("{\"root\": \"root\", \"files\": {\"/d\": \"d\", \"/etc/a\": null}}", ["/d", "/etc/b"]),
    ]) func aFolderTakesThePlaceOfTheFiles(system: String, paths: [String]) throws
  {
    let scenario = try scenario(
      "{\"version\": 1, \"title\": \"t\", \"profile\": \"child\", \"system\": \(system)}",
      profiles: Self.profiles)
    #expect(scenario.files.paths.filter { scenario.files.text($0) != nil } == paths)
    #expect(scenario.machine.memoryMiB == 512)
  }

  @Test("an image and a folder that are not there are errors at their place") func anImageAndAFolderThatAre()
  {
    let loaded = Self.load(
      """
      {"version": 1, "title": "t", "system": {"root": "nowhere"},
       "machine": {"disks": [{"name": "d", "image": "x.img"}]}}
      """)
    #expect(
      loaded.problems.map(\.description) == [
        "s.json:2:47: error: machine.disks[0].image: \"x.img\": no such file",
        "s.json:1:49: error: system.root: \"nowhere\": no such folder",
      ])
  }
}
