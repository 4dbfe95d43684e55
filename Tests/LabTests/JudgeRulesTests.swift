import Sim
import Testing

@testable import Lab

/// What no recorded boot shows by itself: recorded ones are put together, or a line of them is another one.
@Suite struct JudgeRulesTests {
  private func lines(_ name: String) throws -> [Transcript.Line] {
    try RecordedBoot(name: name).transcript().lines
  }

  private func observe(_ lines: [Transcript.Line]) -> Observation {
    Observation(judging: Transcript(lines), devices: RecordedBoot.devices)
  }

  private func lab(_ event: LabEvent, at time: Double) -> Transcript.Line {
    Transcript.Line(time: time, source: .lab, text: event.text)
  }

  /// A boot and a shutdown; nobody looked at the file systems.
  private func unlooked(_ name: String) throws -> [Transcript.Line] {
    try lines(name).filter { line in
      switch line.event {
      case .fileSystem, .checked: false
      default: true
      }
    }
  }

  /// The lines of a boot that is the story's next one.
  private func next(_ name: String, by event: LabEvent, recovering: Bool = false) throws -> [Transcript.Line]
  {
    var lines = try lines(name)
    lines[0] = lab(event, at: 0)
    if recovering {
      let place = try #require(lines.firstIndex { $0.text.contains("mounted filesystem") })
      lines.insert(
        Transcript.Line(
          time: lines[place].time, source: .console, text: "[    9.5] EXT4-fs (sda2): recovery complete"),
        at: place)
    }
    return lines.map { line in
      var line = line
      line.time += 1000
      return line
    }
  }

  @Test("a shutdown that ends in a restart has ended") func aShutdownThatEndsInARestartHasEnded() throws {
    let first = try unlooked("s1r-reboot").filter { $0.event != .off }
    let seen = observe(first + (try next("a-base.solo", by: .restarted(boot: 2))))
    #expect(seen.boots.map(\.outcome) == [.boots, .boots])
    #expect(seen.shutdowns.map(\.outcome) == [.clean, .clean])
    #expect(seen.shutdowns.map(\.fileSystem) == [.clean, .clean])
  }

  @Test("what nobody looked at after a shutdown, the journal's replay at the next boot tells")
  func theReplayAtTheNextBootTells() throws {
    let first = try unlooked("a-base.solo")
    let whole = observe(first + (try next("b-sda2", by: .powerOn(boot: 2))))
    #expect(whole.shutdowns.first?.outcome == .clean)
    let torn = observe(first + (try next("b-sda2", by: .powerOn(boot: 2), recovering: true)))
    #expect(torn.shutdowns.map(\.outcome) == [.lostRoot, .clean])
    #expect(torn.shutdowns.map(\.fileSystem) == [.needsRecovery, .clean])
    let blind = observe(first + (try next("q-target-down", by: .powerOn(boot: 2))))
    #expect(blind.shutdowns.map(\.fileSystem) == [nil])
  }

  @Test("a replay after a power cut says nothing of the shutdown before it")
  func aReplayAfterAPowerCutSaysNothingOfTheShutdown() throws {
    let up = try unlooked("b-sda2").prefix { $0.event != .shutdownAsked(shutdown: 1) }
    let first =
      try unlooked("a-base.solo")
      + up.map { line in
        line.event == .powerOn(boot: 1) ? lab(.powerOn(boot: 2), at: line.time) : line
      }
    let seen = observe(first + (try next("b-sda2", by: .powerOn(boot: 3), recovering: true)))
    #expect(seen.boots.map(\.outcome) == [.boots, .boots, .boots])
    #expect(seen.shutdowns.map(\.outcome) == [.clean, .clean])
  }

  @Test("a root that cannot be written to is lost, whatever the console says; one that can again is not")
  func aRootThatCannotBeWrittenToIsLost() throws {
    let all = try lines("lab-i2-link-20s")
    #expect(all.contains { $0.text.contains("==WRITTEN") })
    #expect(observe(all).boots.map(\.outcome) == [.boots])
    let unanswered = all.filter { $0.text.trimmed != "==WRITTEN" }
    #expect(observe(unanswered).boots.map(\.stage) == [.running])
    let place = try #require(all.firstIndex { $0.event == .probing })
    let early = [lab(.probing, at: all[place].time), lab(.probed, at: all[place].time)]
    #expect(observe(Array(all[..<place]) + early + all[place...]).boots.map(\.outcome) == [.boots])
  }

  @Test("damage after an outage that went unnoticed is a medium that was rolled back")
  func damageAfterAnOutageIsAMediumThatWasRolledBack() throws {
    var all = try lines("m-tgt-20s")
    all.append(lab(.checked(lun: 1, partition: 2, status: 4), at: 200))
    let seen = observe(all)
    #expect(seen.boots.map(\.findings) == [["medium-rolled-back"]])
    #expect(seen.shutdowns.map(\.fileSystem) == [.damaged])
    #expect(seen.shutdowns.map(\.outcome) == [.lostRoot])
  }

  @Test("only what e2fsck finds after the replay is damage") func onlyWhatIsFoundAfterTheReplayIsDamage()
    throws
  {
    let asked = try unlooked("a-base.solo")
    func state(_ events: LabEvent...) -> FileSystemState? {
      observe(asked + events.map { lab($0, at: 99) }).shutdowns.first?.fileSystem
    }
    #expect(state() == nil)
    #expect(state(.fileSystem(lun: 1, partition: 1, state: "clean needs_recovery")) == nil)
    #expect(state(.fileSystem(lun: 1, partition: 2, state: "clean")) == .clean)
    #expect(
      state(.fileSystem(lun: 1, partition: 2, state: "clean with errors needs_recovery")) == .needsRecovery)
    #expect(state(.fileSystem(lun: 1, partition: 2, state: "not clean")) == .needsRecovery)
    #expect(
      state(
        .fileSystem(lun: 1, partition: 2, state: "clean needs_recovery"),
        .checked(lun: 1, partition: 2, status: 0))
        == .needsRecovery)
    #expect(
      state(.fileSystem(lun: 1, partition: 2, state: "clean"), .checked(lun: 1, partition: 2, status: 4))
        == .damaged)
  }

  @Test("a session that is made anew over and over is a name that two machines have")
  func aSessionMadeAnewOverAndOver() throws {
    var all = try lines("a-base.solo")
    let place = try #require(all.firstIndex { $0.event == .shutdownAsked(shutdown: 1) })
    let duel = (0..<4).flatMap { round in
      [
        "[   50.1]  connection1:0: detected conn error (1020)",
        "[   52.1] sd 2:0:0:1: Power-on or device reset occurred",
      ].map {
        Transcript.Line(time: all[place].time + Double(round) / 10, source: .console, text: $0)
      }
    }
    all.insert(contentsOf: duel, at: place)
    #expect(observe(all).boots.map(\.findings) == [["initiator-name-twice"]])
  }

  @Test("an empty transcript, and one without any power-on, show nothing") func nothingIsSeenOfNothing() {
    #expect(observe([]) == Observation(boots: [], shutdowns: []))
    #expect(observe([lab(.note("x"), at: 0), lab(.off, at: 1)]) == Observation(boots: [], shutdowns: []))
    let silent = observe([lab(.powerOn(boot: 1), at: 0), lab(.gaveUp(seconds: 240), at: 240)])
    #expect(silent.boots.map(\.stage) == [.firmware])
    #expect(silent.boots.map(\.findings) == [[]])
  }

  @Test("a transcript that is cut off anywhere is judged without a crash") func aCutTranscriptIsJudged()
    throws
  {
    let all = try lines("i3-link-150s")
    for length in 0...all.count { _ = observe(Array(all.prefix(length))) }
  }
}
