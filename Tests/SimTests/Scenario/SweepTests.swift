import Testing

@testable import Sim

@Suite struct SweepTests {
  /// Minimal failing selections found by trying every selection and every combination: slow, and plainly
  /// right.
  private func bruteForce(_ sizes: [Int], _ failing: Set<Int>) -> Set<SweepReport.Selection> {
    let count = sizes.reduce(1, *)
    let combinations = (0..<count).map {
      SweepReport.Selection(number: $0, sizes: sizes).choices.map(\.choice)
    }
    // Each axis takes one of its choices, or (the last value) is left open.
    let open = sizes.map { $0 + 1 }
    let selections = (0..<open.reduce(1, *)).map { number in
      let picks = SweepReport.Selection(number: number, sizes: open).choices
      return SweepReport.Selection(choices: picks.filter { $0.choice < sizes[$0.axis] })
    }
    let failed = selections.filter { selection in
      combinations.indices.allSatisfy { index in
        failing.contains(index) || !selection.choices.allSatisfy { combinations[index][$0.axis] == $0.choice }
      }
    }
    return Set(
      failed.filter { selection in
        !failed.contains { other in
          other.choices.count < selection.choices.count
            && other.choices.allSatisfy(selection.choices.contains)
        }
      })
  }

  @Test("the smallest sets are those that trying everything finds") func theSmallestSetsAreThoseThatTrying() {
    var random = SplitMix(seed: 7)
    for round in 0..<200 {
      let sizes = (0..<Int(random.next() % 4 + 1)).map { _ in Int(random.next() % 3 + 1) }
      let count = sizes.reduce(1, *)
      let density = random.next() % 4 + 1
      let failing = (0..<count).filter { _ in random.next() % 5 < density }
      var finder = MinimalSelections(sizes: sizes, failing: failing)
      let (minimal, complete) = finder.find()
      #expect(complete)
      #expect(Set(minimal) == bruteForce(sizes, Set(failing)), "round \(round): \(sizes) \(failing)")
      #expect(Set(minimal).count == minimal.count)
    }
  }

  private struct SplitMix {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }

  @Test("everything failing is the empty set, and nothing failing is none")
  func everythingFailingIsTheEmptySetAnd() {
    var all = MinimalSelections(sizes: [2, 3], failing: Array(0..<6))
    #expect(all.find().minimal == [SweepReport.Selection(choices: [])])
    var none = MinimalSelections(sizes: [2, 3], failing: [])
    #expect(none.find().minimal.isEmpty)
  }

  @Test("when there are too many sets of axes to try, what is found covers every failure")
  func whenThereAreTooManySetsOf() {
    let sizes = [Int](repeating: 2, count: 9)
    // Fails with axes 0 and 1 both 1, or with axes 2 to 7 all 1; the second is beyond the sets that are
    // tried.
    let failing = (0..<512).filter { $0 >> 7 == 3 || $0 >> 1 & 63 == 63 }
    var finder = MinimalSelections(sizes: sizes, failing: failing, budget: failing.count * 60)
    let (minimal, complete) = finder.find()
    #expect(!complete)
    #expect(minimal.map { $0.choices.map(\.axis) } == [[0, 1], Array(2...7)])
    var patient = MinimalSelections(sizes: sizes, failing: failing)
    #expect(patient.find().minimal == minimal)
  }

  private func outcome(_ finding: String?, share: Double = 1) -> Outcome {
    let boot = BootReport(
      outcome: finding == nil ? .boots : .fails, stage: finding == nil ? nil : .rootMount, finding: finding,
      at: 0,
      because: [], console: [], rootDevice: nil, disks: [:])
    return Outcome(witness: "", share: share, boots: [boot], shutdowns: [], timeline: [])
  }

  private func report(_ verdict: Verdict, _ outcomes: [Outcome]) -> Report {
    Report(
      title: "t", sources: [], verdict: verdict, states: 1, complete: true, outcomes: outcomes, fixes: [],
      notLookedAt: [])
  }

  @Test("failures are grouped by finding and reduced to the choices that matter")
  func failuresAreGroupedByFindingAndReduced() throws {
    let loaded = try #require(
      VariationTests.load(
        """
        [{"usb": "usb0"}, {"name": "memory", "path": "machine.memory", "values": ["512MiB", "1GiB", "2GiB"]}]
        """, story: "[\"boot\"]"
      ).value)
    // A made-up machine: 512 MiB never is enough; a stick that is there may take the letter unless there is 2
    // GiB.
    let sweep = Sweep.run(loaded) { scenario in
      if scenario.machine.memoryMiB == 512 { return report(.fails, [outcome("too-little")]) }
      if scenario.machine.disks[3].attached, scenario.machine.memoryMiB == 1024 {
        return report(.mayFail, [outcome(nil, share: 0.5), outcome("letter", share: 0.5)])
      }
      return report(.boots, [outcome(nil)])
    }
    #expect(sweep.count == 6 && sweep.boots == 3 && sweep.share == 0.5)
    try #require(sweep.groups.map(\.finding) == ["too-little", "letter"])
    #expect(sweep.groups[0].minimal.map { $0.choices.map { [$0.axis, $0.choice] } } == [[[1, 0]]])
    #expect(sweep.groups[1].minimal.map { $0.choices.map { [$0.axis, $0.choice] } } == [[[0, 1], [1, 1]]])
    #expect(sweep.failures.map(\.verdict) == [.fails, .fails, .mayFail])
  }

  @Test("combinations that make no scenario are found before anything is simulated")
  func combinationsThatMakeNoScenarioAreFound() throws {
    // Each value is good alone; a boot order with a name that another axis takes away is not.
    let loaded = try #require(
      VariationTests.load(
        """
        {"machine.disks[0].name": ["a", "z"], "machine.firmware.bootOrder": [["b"], ["a"]]}
        """
      ).value)
    let problems = Sweep.problems(of: loaded.variation)
    #expect(problems.map(\.message) == ["machine.firmware.bootOrder[0]: there is no device \"a\""])
  }
}

@Suite struct ExpectationTests {
  private func report(_ verdict: Verdict, _ outcomes: [Outcome]) -> Report {
    Report(
      title: "t", sources: [], verdict: verdict, states: 1, complete: true, outcomes: outcomes, fixes: [],
      notLookedAt: [])
  }

  private func boot(_ outcome: BootOutcome, _ finding: String?, at: Int64) -> BootReport {
    BootReport(
      outcome: outcome, stage: outcome == .boots ? nil : .rootMount, finding: finding, at: at, because: [],
      console: [],
      rootDevice: "/dev/sda2", disks: ["sda": "lun1"])
  }

  private func shutdown(_ outcome: ShutdownOutcome, _ finding: String?, at: Int64) -> ShutdownReport {
    ShutdownReport(
      outcome: outcome, finding: finding, at: at, lostWrites: 0,
      fileSystem: outcome == .clean ? .clean : .needsRecovery,
      because: [], console: [])
  }

  private func expectation(_ json: String) throws -> Sim.Expectation {
    let problems = ProblemList()
    let value = try #require(JSONParser.parse(json, file: "e").value)
    let read = ScenarioFormat.expectation.read(value, "expect", problems)
    #expect(problems.problems.isEmpty)
    return try #require(read)
  }

  @Test("an expectation that holds has no differences") func anExpectationThatHoldsHasNoDifferences() throws {
    let outcome = Outcome(
      witness: "", share: 1, boots: [boot(.boots, nil, at: 44_000_000)],
      shutdowns: [shutdown(.hang, "root-lost", at: 138_000_000)], timeline: [])
    let expectation = try self.expectation(
      """
      {"verdict": "fails", "stage": "shutdown", "finding": "root-lost", "rootDevice": "/dev/sda2",
       "disks": {"sda": "lun1"}, "shutdown": "hang", "fileSystem": "needs-recovery", "at": ["130s", "150s"],
       "findings": ["root-lost"]}
      """)
    #expect(expectation.differences(from: report(.fails, [outcome])) == [])
  }

  @Test("each thing that came out otherwise is a difference") func eachThingThatCameOutOtherwiseIs() throws {
    let clean = Outcome(
      witness: "", share: 0.5, boots: [boot(.boots, nil, at: 44_000_000)],
      shutdowns: [shutdown(.clean, nil, at: 1)],
      timeline: [])
    let failing = Outcome(
      witness: "", share: 0.5, boots: [boot(.fails, "root-renamed", at: 1)], shutdowns: [], timeline: [])
    let expectation = try self.expectation(
      """
      {"verdict": "boots", "stage": "kernel", "finding": "x", "rootDevice": "/dev/sdb2", "disks": {"sdb": "y"},
       "shutdown": "clean", "fileSystem": "clean", "at": "45s", "findings": ["root-renamed", "z"]}
      """)
    let differences = expectation.differences(from: report(.mayFail, [clean, failing]))
    #expect(
      differences.map { "\($0.what) \($0.expected) \($0.came)" } == [
        "verdict boots may-fail", "stage kernel root-mount", "finding x root-renamed", "shutdown clean none",
        "fileSystem clean none", "rootDevice /dev/sdb2 /dev/sda2", "disks.sdb y none",
        "at 45.000s to 45.000s 44.000s", "findings z root-renamed",
      ])
  }
}
