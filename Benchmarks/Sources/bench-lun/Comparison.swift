import Foundation

/// The subjects side by side on one kind of backing: each cell is measured in rounds, in which all take their turn.
struct Comparison: Codable {
  /// One subject in one cell.
  struct Cell: Codable {
    var workload: String
    var subject: String
    /// One for each round.
    var rounds: [Measurement]

    /// The median of the rounds' rates, in operations a second.
    var rate: Double { median(rounds.map(\.rate)) }
  }

  var backing: String
  var cells: [Cell] = []

  /// Measures one workload with all subjects.
  mutating func measure(_ workload: Workload, _ subjects: [Subject], size: Int, options: Options) throws {
    var rounds: [String: [Measurement]] = [:]
    for round in 0..<options.rounds {
      // The one after a heavy writer would pay for what that one left to be written.
      for subject in round % 2 == 0 ? subjects : subjects.reversed() {
        sync()
        let one = try Fio.measure(workload, files: subject.files, size: size, seconds: options.seconds)
        rounds[subject.name, default: []].append(one)
      }
    }
    for subject in subjects {
      cells.append(Cell(workload: workload.name, subject: subject.name, rounds: rounds[subject.name]!))
    }
  }

  func rate(_ workload: Workload, _ subject: String) -> Double? {
    cells.first { $0.workload == workload.name && $0.subject == subject }?.rate
  }

  /// The row of a workload: rates, and the ratios that the aims are about.
  func row(_ workload: Workload) -> String {
    func text(_ subject: String) -> String {
      guard let rate = rate(workload, subject) else { return "-" }
      return workload.isSmall
        ? String(format: "%.1f k", rate / 1e3)
        : String(format: "%.2f GB/s", rate * Double(workload.blockSize) / 1e9)
    }
    func ratio(_ a: Double?, _ b: Double?) -> String {
      guard let a, let b else { return "-" }
      return String(format: "%.2f", a / b)
    }
    let ours = rate(workload, Name.flat)
    let fields = [
      text(Name.raw), text(Name.limit), text(Name.flat), ratio(ours, lower(workload)), text(Name.deep),
      ratio(rate(workload, Name.deep), ours), text(Name.passthrough),
      ratio(rate(workload, Name.passthrough), rate(workload, Name.raw)), text(Name.qemu),
      ratio(ours, rate(workload, Name.qemu)), text(Name.nbdfuse), ratio(ours, rate(workload, Name.nbdfuse)),
    ]
    return "| " + ([workload.name] + fields).joined(separator: " | ") + " |"
  }

  static let header = """
    | | raw file | FUSE limit | fuse-lun | of the lower | 32 deep | of flat | passthrough | of raw | \
    qemu-storage-daemon | times | nbdfuse + nbdkit | times |
    | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
    """

  /// The raw file's or the FUSE limit's rate, whichever is lower.
  private func lower(_ workload: Workload) -> Double? {
    [rate(workload, Name.raw), rate(workload, Name.limit)].compactMap { $0 }.min()
  }

  /// How the aims fare: one line each, with the cells that miss it.
  func verdicts(_ workloads: [Workload]) -> [String] {
    func verdict(_ aim: String, _ among: [Workload], _ value: (Workload) -> Double?, atLeast: Double)
      -> String
    {
      let known = among.compactMap { workload in value(workload).map { (workload, $0) } }
      let missed = known.filter { $0.1 < atLeast }.map { "\($0.0.name) (\(String(format: "%.2f", $0.1)))" }
      let lowest = known.map(\.1).min().map { String(format: "lowest %.2f", $0) } ?? "not measured"
      return "\(aim): \(known.count - missed.count) of \(known.count) cells, \(lowest)"
        + (missed.isEmpty ? "" : "; missed: " + missed.joined(separator: ", "))
    }
    let small = workloads.filter(\.isSmall)
    func over(_ peer: String) -> (Workload) -> Double? {
      { workload in rate(workload, Name.flat).flatMap { ours in rate(workload, peer).map { ours / $0 } } }
    }
    func ofLower(_ workload: Workload) -> Double? {
      rate(workload, Name.flat).flatMap { ours in lower(workload).map { ours / $0 } }
    }
    return [
      verdict("0.8 of the lower of raw file and FUSE limit at 4 KiB", small, ofLower, atLeast: 0.8),
      verdict(
        "32 deep within 10 % of flat", workloads,
        {
          workload in
          rate(workload, Name.deep).flatMap { deep in rate(workload, Name.flat).map { deep / $0 } }
        }, atLeast: 0.9),
      verdict("ahead of qemu-storage-daemon", workloads, over(Name.qemu), atLeast: 1),
      verdict("ahead of nbdfuse + nbdkit", workloads, over(Name.nbdfuse), atLeast: 1),
      verdict(
        "4 times qemu-storage-daemon at 4 KiB, depth 16", small.filter { $0.depth == 16 }, over(Name.qemu),
        atLeast: 4),
      verdict(
        "4 times nbdfuse + nbdkit at 4 KiB, depth 16", small.filter { $0.depth == 16 }, over(Name.nbdfuse),
        atLeast: 4),
    ]
  }
}

/// The subjects' names.
enum Name {
  static let raw = "raw file"
  static let limit = "FUSE limit"
  static let flat = "fuse-lun"
  static let deep = "fuse-lun, 32 deep"
  static let passthrough = "fuse-lun, passthrough"
  static let qemu = "qemu-storage-daemon"
  static let nbdfuse = "nbdfuse + nbdkit"
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  guard !sorted.isEmpty else { return 0 }
  return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
