/// The part of a transcript that belongs to one boot or to one shutdown.
struct Episode {
  enum Kind { case boot, shutdown }
  var kind: Kind
  /// When it begins: power-on, or when the shutdown was asked for.
  var start: Double
  var lines: [Transcript.Line] = []
  /// A shutdown after which the machine started again by itself.
  var isRestart = false

  /// The boots and shutdowns of a transcript, in order. What comes before the first power-on belongs to none.
  static func all(in transcript: Transcript) -> [Episode] {
    var episodes: [Episode] = []
    for line in transcript.lines {
      switch line.event {
      case .restarted:
        if let last = episodes.indices.last { episodes[last].isRestart = true }
        episodes.append(Episode(kind: .boot, start: line.time))
      case .powerOn: episodes.append(Episode(kind: .boot, start: line.time))
      case .shutdownAsked: episodes.append(Episode(kind: .shutdown, start: line.time))
      default: break
      }
      if !episodes.isEmpty { episodes[episodes.count - 1].lines.append(line) }
    }
    return episodes
  }
}

extension Transcript.Line {
  /// What the laboratory did; nil for what others wrote.
  var event: LabEvent? { source == .lab ? LabEvent(text) : nil }
}
