/// Turns a traced run into what people read: timeline, boots and shutdowns, and why.
struct Narrator {
  let model: MachineModel
  let run: Run<MachineModel>

  init(_ model: MachineModel, _ run: Run<MachineModel>) {
    self.model = model
    self.run = run
  }

  func outcome(witness: String, share: Double, letters: Letters = Letters()) -> Outcome {
    let marks = milestones()
    let results = run.end.results
    var boots: [BootReport] = []
    for index in 0..<Int(results.bootCount) {
      guard let result = model.library.boot(results.boots[index]) else { continue }
      let span = index < marks.boots.count ? marks.boots[index] : Span(start: 0, end: 0, entry: 0, first: 0)
      boots.append(
        BootReport(
          outcome: result.outcome, stage: result.stage, finding: result.finding?.rawValue,
          at: span.end - span.start,
          because: reasons(result, span), console: console(span),
          rootDevice: result.rootDevice, disks: disks(result.letters),
          otherDisks: index < letters.byBoot.count ? others(letters.byBoot[index], than: result.letters) : [],
          lateBy: result.outcome == .degraded ? span.waited : nil))
    }
    var shutdowns: [ShutdownReport] = []
    for index in 0..<Int(results.shutdownCount) {
      guard let result = model.library.shutdown(results.shutdowns[index]) else { continue }
      let span =
        index < marks.shutdowns.count ? marks.shutdowns[index] : Span(start: 0, end: 0, entry: 0, first: 0)
      shutdowns.append(
        ShutdownReport(
          outcome: result.outcome, finding: result.finding?.rawValue, at: span.end - span.start,
          lostWrites: result.lostWrites,
          fileSystem: result.fileSystem,
          because: result.outcome == .clean ? [] : why(span.entry, from: span.first), console: console(span)))
    }
    return Outcome(witness: witness, share: share, boots: boots, shutdowns: shutdowns, timeline: timeline())
  }

  /// Why a boot failed, or what held it up.
  private func reasons(_ result: BootResult, _ span: Span) -> [String] {
    switch result.outcome {
    case .boots: []
    case .fails: why(span.entry, from: span.first)
    case .degraded: span.late.map { why($0, from: span.first) } ?? []
    }
  }

  /// In an order of their own: those in which the disks come first in the inventory's order.
  private func others(_ all: Set<SIMD64<UInt8>>, than shown: SIMD64<UInt8>) -> [[String: String]] {
    let others = all.filter { $0 != shown }.sorted { a, b in
      let first = model.inventory.disks.indices.first { a[$0] != b[$0] }
      return first.map { a[$0] < b[$0] } ?? false
    }
    return others.map(disks)
  }

  private func disks(_ letters: SIMD64<UInt8>) -> [String: String] {
    var result: [String: String] = [:]
    for disk in model.inventory.disks.indices where letters[disk] > 0 {
      result[DiskNames.sd(Int(letters[disk]) - 1)] = model.inventory.disks[disk].name
    }
    return result
  }

  // MARK: - Where boots and shutdowns begin and end

  struct Span {
    var start: Int64
    var end: Int64
    /// The trace entry that ended it.
    var entry: Int
    var first: Int
    /// How long it waited for what did not answer, and the entry in which that became too long.
    var waited: Int64 = 0
    var late: Int?
  }

  private var entries: [Trace<MachineEvent, Note>.Entry] { run.trace?.entries ?? [] }

  private func milestones() -> (boots: [Span], shutdowns: [Span]) {
    var boots: [Span] = []
    var shutdowns: [Span] = []
    var start: (time: Int64, entry: Int)?
    var down: (time: Int64, entry: Int)?
    var waited: Int64 = 0
    var waitingSince: Int64?
    var late: Int?
    for (index, entry) in entries.enumerated() {
      let time = entry.time.microseconds
      for note in entry.notes {
        guard case .mark(let mark) = note else { continue }
        switch mark {
        case .powerOn:
          start = (time, index)
          waited = 0
          waitingSince = nil
          late = nil
        case .waitBegins: waitingSince = time
        case .waitEnds:
          waited += waitingSince.map { time - $0 } ?? 0
          waitingSince = nil
        case .isLate: late = late ?? index
        case .shutdownBegins: down = (time, index)
        case .bootEnds:
          boots.append(
            Span(
              start: start?.time ?? 0, end: time, entry: index, first: start?.entry ?? 0,
              waited: waited + (waitingSince.map { time - $0 } ?? 0), late: late))
        case .bootFailsLater:
          if !boots.isEmpty {
            let last = boots.count - 1
            boots[last].first = boots[last].entry + 1
            boots[last].end = time
            boots[last].entry = index
          }
        case .shutdownEnds:
          shutdowns.append(
            Span(
              start: down?.time ?? time, end: lastHappening(before: index), entry: index,
              first: down?.entry ?? 0))
        }
      }
    }
    return (boots, shutdowns)
  }

  /// A hang is found when nothing is left to happen: it began with the last thing that did.
  private func lastHappening(before index: Int) -> Int64 { entries[index].time.microseconds }

  // MARK: - Text

  private func timeline() -> [TimelineEntry] {
    entries.flatMap { entry in
      entry.notes.compactMap { note in
        switch note {
        case .console(let part, let text):
          TimelineEntry(time: entry.time.microseconds, part: part, text: text, console: true)
        case .says(let part, let text, _):
          TimelineEntry(time: entry.time.microseconds, part: part, text: text, console: false)
        case .set, .mark: nil
        }
      }
    }
  }

  /// The last lines of the console before a boot or shutdown ended.
  private func console(_ span: Span) -> [String] {
    guard span.first <= span.entry, span.entry < entries.count else { return [] }
    var lines: [String] = []
    for entry in entries[span.first...span.entry] {
      for note in entry.notes {
        if case .console(_, let text) = note, lines.last != text { lines.append(text) }
      }
    }
    return lines.suffix(12).map { $0 }
  }

  // MARK: - Why

  /// The chain of causes of an entry, the first cause first: back from its last sentence over the facts that made it so,
  /// each to the entry that set the fact.
  func why(_ end: Int, from first: Int) -> [String] {
    guard end < entries.count else { return [] }
    var sentences: [(entry: Int, order: Int, text: String, outlives: Bool)] = []
    var seen: Set<String> = []
    var queue: [(entry: Int, note: Int, outlives: Bool)] = []
    func addLastSentence(of entry: Int) {
      if let note = entries[entry].notes.lastIndex(where: { if case .says = $0 { true } else { false } }) {
        queue.append((entry, note, false))
      }
    }
    addLastSentence(of: end)
    while let (entry, note, outlives) = queue.popLast(), sentences.count < 24 {
      guard case .says(_, let text, let facts) = entries[entry].notes[note],
        seen.insert("\(entry) \(text)").inserted
      else { continue }
      sentences.append((entry, note, text, outlives))
      for fact in facts {
        guard let source = setter(of: fact, before: entry, note) else { continue }
        // What is on a disk, and what a target remembers, may be so since an earlier boot.
        queue.append((source.entry, source.note, outlives || Self.outliving.contains(fact)))
      }
    }
    var result: [String] = []
    for sentence in sentences.sorted(by: { ($0.entry, $0.order) < ($1.entry, $1.order) })
    where (sentence.entry >= first || sentence.outlives) && !result.contains(sentence.text) {
      result.append(sentence.text)
    }
    return result
  }

  private static let outliving: [Fact] = [.data, .otherMachine, .leftSessions]

  /// The sentence of the entry that last set a fact before a place.
  private func setter(of fact: Fact, before entry: Int, _ note: Int) -> (entry: Int, note: Int)? {
    var index = entry
    while index >= 0 {
      let notes = entries[index].notes
      let limit = index == entry ? note : notes.count
      var position = limit - 1
      while position >= 0 {
        if case .set(let other) = notes[position], other == fact {
          var said = position
          while said >= 0 {
            if case .says = notes[said] { return (index, said) }
            said -= 1
          }
        }
        position -= 1
      }
      index -= 1
    }
    return nil
  }
}
