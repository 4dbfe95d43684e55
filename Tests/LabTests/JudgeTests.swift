import Sim
import Testing

@testable import Lab

/// Real transcripts, shortened to what tells; who watched the machines says what became of them.
@Suite struct JudgeTests {
  @Test("a recorded boot is judged as the one who watched it did", arguments: RecordedBoot.all)
  func aRecordedBootIsJudged(recorded: RecordedBoot) throws {
    let observation = Observation(judging: try recorded.transcript(), devices: recorded.devices)
    let boot = try #require(observation.boots.first)
    #expect(observation.boots.count == 1)
    #expect(boot.outcome == recorded.outcome)
    #expect(boot.stage == recorded.stage)
    #expect(boot.rootDevice == recorded.root)
    #expect(boot.disks == recorded.disks)
    let shutdown = observation.shutdowns.first
    #expect(shutdown?.outcome == recorded.shutdown)
    #expect(shutdown?.fileSystem == recorded.fileSystem)
    let found = boot.outcome == .fails ? boot.findings : shutdown?.findings ?? []
    #expect(found == recorded.findings.map(\.rawValue))
  }
}
