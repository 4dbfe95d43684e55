import Testing

@testable import Sim

/// Names of disks: sd letters, INT13 numbers, and what comes and goes.
@Suite struct NamingTests {
  @Test(
    "sd names count as the kernel counts them",
    arguments: [
      (0, "sda"), (1, "sdb"), (25, "sdz"), (26, "sdaa"), (27, "sdab"), (51, "sdaz"), (52, "sdba"),
      (701, "sdzz"), (702, "sdaaa"),
    ]) func sdNamesCountAsTheKernelCountsThem(_ index: Int, _ name: String)
  {
    #expect(DiskNames.sd(index) == name)
  }

  @Test("a name leads back to its number") func aNameLeadsBackToItsNumber() {
    for index in 0..<2_000 {
      let whole = DiskNames.parse(DiskNames.sd(index))
      #expect(whole?.index == index && whole?.partition == nil && whole?.prefix == "sd")
      let third = DiskNames.parse(DiskNames.hd(index) + "3")
      #expect(third?.index == index && third?.partition == 3 && third?.prefix == "hd")
    }
  }

  @Test(
    "what is no name of a disk is none",
    arguments: [
      "", "sd", "sda0", "sdA", "sd1", "sdaaaa1", "nvme0n1", "sda1a", "sdä", "sda99999999999999999999",
    ])
  func whatIsNoNameOfADiskIsNone(_ text: String) {
    #expect(DiskNames.parse(text) == nil)
  }

  @Test("a disk that comes takes the lowest letter that is free, whoever had it before")
  func aDiskThatComesTakesTheLowestLetter() throws {
    var rig = try Rig(
      "debian-12",
      [
        .boot, .attach("u"), .attach("v"), .attach("w"), .detach("u"), .detach("v"), .attach("x"),
        .attach("u"),
      ])
    for name in ["u", "v", "w", "x"] { rig.stick(name, attached: false) }
    let report = rig.explored()
    #expect(report.summary == "boots")
    let disks = report.outcomes.map { $0.boots.first?.disks ?? [:] }
    #expect(disks == [["sda": "LUN 1", "sdb": "x", "sdc": "u", "sdd": "w"]])
  }

  @Test("LUs get their letters in the order of their numbers, whatever the order they are written in")
  func lusGetTheirLettersInTheOrderOfTheirNumbers() throws {
    var rig = try Rig("debian-12", [.boot])
    let empty = DiskContent(bootCode: .none, grub: nil, partitions: [])
    for lun in [30, 7, 2] {
      rig.scenario.targets[0].luns.insert(
        LUNSpec(lun: lun, size: 1 << 30, writeCache: false, content: empty), at: 0)
    }
    let outcome = try #require(rig.nominal())
    #expect(outcome.boots[0].disks == ["sda": "LUN 1", "sdb": "LUN 2", "sdc": "LUN 7", "sdd": "LUN 30"])
  }

  /// A machine whose target has more LUs, empty or with a partition each.
  private func rig(lus more: Int, empty: Bool) throws -> Rig {
    var rig = try Rig("debian-12", [.boot])
    for lun in 2..<(2 + more) {
      rig.scenario.targets[0].luns.append(
        LUNSpec(
          lun: lun, size: 1 << 30, writeCache: false,
          content: DiskContent(bootCode: .none, grub: nil, partitions: empty ? [] : [Rig.plainPartition])))
    }
    return rig
  }

  private func names(_ report: Report) -> Set<[String: String]> {
    Set(report.outcomes.flatMap { [$0.boots[0].disks] + $0.boots[0].otherDisks })
  }

  @Test(
    "since Linux 5.3 the LUs of a target get their letters in any order, before that in the order of their numbers",
    arguments: [("6.1", 6), ("5.3", 6), ("5.2.21", 1), ("4.19.0", 1), ("2.6.32", 1)])
  func theLUsOfATargetGetTheirLettersInAnyOrder(_ version: String, _ orders: Int) throws {
    var rig = try rig(lus: 2, empty: false)
    try rig.renameKernel(to: version)
    let report = rig.explored()
    #expect(report.summary == "boots" && report.complete && report.notLookedAt.isEmpty)
    #expect(names(report).count == orders)
    #expect(report.outcomes[0].boots[0].disks == ["sda": "LUN 1", "sdb": "LUN 2", "sdc": "LUN 3"])
  }

  @Test("a root that is named by its letter may be another LU, which is seldom seen")
  func aRootThatIsNamedByItsLetterMayBeAnotherLU() throws {
    var rig = try rig(lus: 1, empty: true)
    try rig.boot("root=/dev/sda2")
    let report = Bootsim.simulate(rig.scenario)
    #expect(report.summary == "may-fail: root-mount root-device-renamed")
    let failing = report.outcomes.filter { !$0.isGood }.reduce(0) { $0 + $1.share }
    #expect(failing > 0 && failing < 0.2)
    #expect(report.fixes.contains { $0.verified })
  }

  @Test(
    "LUs that nothing tells apart are not told apart: the root among them has one place of as many as there are"
  )
  func lusThatNothingTellsApart() throws {
    let report = try rig(lus: 30, empty: true).explored()
    #expect(report.summary == "boots" && report.complete && report.notLookedAt.isEmpty)
    #expect(names(report).count == 31)
    #expect(Set(report.outcomes.map { $0.boots[0].rootDevice }).count == 31)
    #expect(report.alike == [(2...31).map { "LUN \($0)" }])
  }

  @Test(
    "where there are too many orders, LUs that hold nothing of the system keep theirs, and the report says so",
    arguments: [6, 40])
  func whereThereAreTooManyOrders(more: Int) throws {
    let report = try rig(lus: more, empty: false).explored()
    #expect(report.summary == "boots" && report.complete)
    #expect(report.notLookedAt.contains { $0.contains("sd names of the \(more + 1) LUs") })
    #expect(names(report).count == more + 1)
    #expect(Set(report.outcomes.map { $0.boots[0].rootDevice }).count == more + 1)
  }

  @Test("many LUs that all hold something of the system move by a place at most")
  func manyLUsThatAllHoldSomething() throws {
    var rig = try rig(lus: 6, empty: false)
    for lun in rig.scenario.targets[0].luns.indices.dropFirst() {
      rig.scenario.targets[0].luns[lun].content.partitions[0].holds = "/srv\(lun)"
    }
    let report = rig.explored()
    #expect(report.summary == "boots" && report.complete)
    #expect(report.notLookedAt.contains { $0.contains("moved by one place at most") })
    #expect(
      Set(report.outcomes.map { $0.boots[0].rootDevice }) == ["/dev/sda2", "/dev/sdb2", "/dev/sdc2"])
  }

  @Test("LUs that a command of the story could write to are told apart")
  func lusThatACommandCouldWriteTo() throws {
    var rig = try rig(lus: 2, empty: true)
    #expect(names(rig.explored()).count == 3)
    rig.scenario.story = [.boot, .run("true"), .shutdown]
    #expect(names(rig.explored()).count == 6)
  }

  @Test("the twenty-eighth disk is sdab") func theTwentyEighthDiskIsSdab() throws {
    var rig = try Rig("debian-12", [.boot])
    let empty = DiskContent(bootCode: .none, grub: nil, partitions: [])
    for lun in 2...28 {
      rig.scenario.targets[0].luns.append(
        LUNSpec(lun: lun, size: 1 << 30, writeCache: false, content: empty))
    }
    let outcome = try #require(rig.nominal())
    #expect(outcome.boots[0].disks["sdab"] == "LUN 28" && outcome.boots[0].disks["sdz"] == "LUN 26")
  }

  @Test("a stick that may be slower than the login has either letter, and each is found with a witness")
  func aStickThatMayBeSlowerThanTheLogin() throws {
    var rig = try Rig("debian-12", [.boot])
    rig.stick("u", settles: 1_000_000...12_000_000)
    let report = rig.explored()
    #expect(report.summary == "boots")
    #expect(
      Set(report.outcomes.map { $0.boots[0].disks }) == [
        ["sda": "u", "sdb": "LUN 1"], ["sda": "LUN 1", "sdb": "u"],
      ])
    #expect(Set(report.outcomes.map { $0.boots[0].rootDevice }) == ["/dev/sda2", "/dev/sdb2"])
    try rig.boot("root=/dev/sda2")
    #expect(rig.explored().summary == "may-fail: root-mount root-device-renamed")
    try rig.boot("root=/dev/sdb2")
    #expect(rig.explored().summary == "may-fail: root-mount root-device-renamed")
  }

  @Test("the BIOS has the LU as its first drive, then what is plugged in, and no other LU")
  func theBIOSHasTheLUAsItsFirstDrive() throws {
    var rig = try Rig("debian-12", [.boot])
    let empty = DiskContent(bootCode: .none, grub: nil, partitions: [])
    rig.scenario.targets[0].luns.append(LUNSpec(lun: 2, size: 1 << 30, writeCache: true, content: empty))
    rig.disk("local", .sata)
    rig.stick("plugged")
    rig.stick("drawer", attached: false)
    rig.disk("floppy", .floppy)
    rig.disk("cd", .cd)
    let (model, state) = rig.end()
    #expect(model.drives(state).map { model.inventory.disks[$0].name } == ["LUN 1", "local", "plugged"])
    #expect(model.filesSeen(state) == "the BIOS shows (hd0) = LUN 1, (hd1) = local, (hd2) = plugged")
  }

  @Test("a stick that the machine boots from is the first drive, and no LU is there at all")
  func aStickThatTheMachineBootsFrom() throws {
    var rig = try Rig("debian-12", [.boot])
    rig.disk("local", .sata)
    rig.stick("u", bootCode: .other)
    rig.scenario.machine.bootOrder = ["u", "nic0"]
    let (model, state) = rig.end()
    #expect(model.drives(state).map { model.inventory.disks[$0].name } == ["u", "local"])
    #expect(rig.explored().summary == "fails: firmware booted-other-medium")
  }

  @Test(
    "a disk takes an sd letter only when it is of a kind that has one, and is driven",
    arguments: [
      (DiskSpec.Bus.sata, ["sda": "d", "sdb": "LUN 1"]), (.ide, ["sda": "d", "sdb": "LUN 1"]),
      (.scsi, ["sda": "d", "sdb": "LUN 1"]), (.floppy, ["sda": "LUN 1"]), (.cd, ["sda": "LUN 1"]),
    ]) func aDiskTakesAnSdLetterOnlyWhenItIsOfAKind(_ bus: DiskSpec.Bus, _ expected: [String: String]) throws
  {
    var rig = try Rig("debian-12", [.boot])
    rig.disk("d", bus)
    #expect(rig.nominal()?.boots[0].disks == expected)
  }

  @Test("an IDE disk of a kernel of 2006 is hda and takes no sd letter") func anIDEDiskOfAKernelOf2006()
    throws
  {
    var rig = try Rig("rhel4-u4", [.boot])
    rig.disk("ide0", .ide)
    let outcome = try #require(rig.nominal())
    #expect(outcome.boots[0].outcome == .boots)
    #expect(outcome.boots[0].disks == ["sda": "LUN 0", "sdb": "LUN 1"])
  }
}
