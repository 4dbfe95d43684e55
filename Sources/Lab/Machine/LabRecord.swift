import Glibc

/// The lines of a transcript as they come, with the seconds since the first power-on; also in a file, for who looks on.
final class LabRecord {
  private(set) var transcript = Transcript()
  /// When the first machine was switched on.
  private var start = monotonic()
  private let file: UnsafeMutablePointer<FILE>?

  /// A record that is also written to a file.
  init(file path: String) { file = fopen(path, "we") }

  deinit { if let file { fclose(file) } }

  /// From now on, times count from now.
  func begin() { start = monotonic() }

  /// Seconds since the first power-on.
  var now: Double { monotonic() - start }

  func add(_ source: Transcript.Source, _ text: String) {
    let line = Transcript.Line(time: now, source: source, text: text)
    transcript.lines.append(line)
    guard let file else { return }
    fputs(line.description + "\n", file)
    fflush(file)
  }

  func add(_ event: LabEvent) { add(.lab, event.text) }
}
