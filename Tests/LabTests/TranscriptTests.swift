import Testing

@testable import Lab

@Suite struct TranscriptTests {
  @Test func aTranscriptIsReadAsItWasWritten() {
    let transcript = Transcript([
      .init(time: -1.5, source: .lab, text: LabEvent.note("a clone is made").text),
      .init(time: 0, source: .lab, text: LabEvent.powerOn(boot: 1).text),
      .init(time: 12.345, source: .console, text: "  Filesystem type is ext2fs, partition type 0x83"),
      .init(time: 13, source: .console, text: ""),
      .init(time: 1234.5, source: .dhcp, text: "DHCPACK(tap0) 10.0.2.15"),
    ])
    var rounded = transcript
    rounded.lines[2].time = 12.35
    #expect(Transcript(parsing: transcript.text) == rounded)
  }

  @Test(arguments: [
    LabEvent.powerOn(boot: 1), .restarted(boot: 2), .step("restart iscsid"), .shutdownAsked(shutdown: 3),
    .off,
    .gaveUp(seconds: 300), .probing, .probed,
    .fileSystem(lun: 1, partition: 2, state: "clean needs_recovery"),
    .checked(lun: 1, partition: 2, status: 4), .note("x: y"),
  ]) func whatTheLaboratoryWritesItReads(event: LabEvent) {
    #expect(LabEvent(event.text) == event)
  }
}
