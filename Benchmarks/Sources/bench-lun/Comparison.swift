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
      text(Name.raw), text(Name.limit), text(Name.ringLimit), text(Name.flat), ratio(ours, limit(workload)),
      ratio(ours, rate(workload, Name.limit)), text(Name.device),
      ratio(rate(workload, Name.device), rate(workload, Name.limit)), text(Name.deep),
      ratio(rate(workload, Name.deep), ours), text(Name.passthrough),
      ratio(rate(workload, Name.passthrough), rate(workload, Name.raw)), text(Name.qemu),
      ratio(ours, rate(workload, Name.qemu)), text(Name.nbdfuse), ratio(ours, rate(workload, Name.nbdfuse)),
    ]
    return "| " + ([workload.name] + fields).joined(separator: " | ") + " |"
  }

  static let header = """
    | | raw file | nothing, libfuse | nothing, rings | fuse-lun | of its nothing | of libfuse's | by /dev/fuse | \
    of libfuse's | 32 deep | of flat | passthrough | of raw | qemu-storage-daemon | times | nbdfuse + nbdkit | times |
    | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
    """

  /// What the file system that does nothing reaches on the transport that fuse-lun has.
  private func limit(_ workload: Workload) -> Double? {
    rate(workload, Name.ringLimit) ?? rate(workload, Name.limit)
  }

  /// What a write comes to that is copied twice, once from the client to the daemon and once from there to the file, and
  /// costs nothing beside: the time that the file system which does nothing takes to receive it, and then the time that
  /// the raw file takes to be written.
  private func twoCopies(_ workload: Workload) -> Double? {
    guard let received = limit(workload), let written = rate(workload, Name.raw) else { return nil }
    return 1 / (1 / received + 1 / written)
  }

  /// How the aims fare: one line each, with the cells that miss it.
  func verdicts(_ workloads: [Workload]) -> [String] {
    func verdict(
      _ aim: String, atLeast: Double, _ among: [Workload], _ value: (Workload) -> Double?,
      of yardstick: (Workload) -> Double?
    ) -> String {
      let known = among.compactMap { workload -> (Workload, Double)? in
        guard let value = value(workload), let yardstick = yardstick(workload) else { return nil }
        return (workload, value / yardstick)
      }
      let missed = known.filter { $0.1 < atLeast }.map { "\($0.0.name) (\(String(format: "%.2f", $0.1)))" }
      let lowest = known.map(\.1).min().map { String(format: "lowest %.2f", $0) } ?? "not measured"
      return "\(aim): \(known.count - missed.count) of \(known.count) cells, \(lowest)"
        + (missed.isEmpty ? "" : "; missed: " + missed.joined(separator: ", "))
    }
    func of(_ name: String) -> (Workload) -> Double? { { rate($0, name) } }
    let small = workloads.filter(\.isSmall)
    let large = workloads.filter { !$0.isSmall }
    let deep = small.filter { $0.depth == 16 }
    let ours = of(Name.flat)
    let hasRings = cells.contains { $0.subject == Name.ringLimit }
    let byRings = [
      verdict(
        "by rings, 0.9 of the do-nothing file system by rings at 4 KiB", atLeast: 0.9, small, ours,
        of: of(Name.ringLimit)),
      verdict(
        "by rings, 1.2 of the do-nothing libfuse file system at 4 KiB", atLeast: 1.2, small, ours, of: of(Name.limit)),
    ]
    return (hasRings ? byRings : []) + [
      verdict(
        "by /dev/fuse, 0.9 of the do-nothing libfuse file system at 4 KiB", atLeast: 0.9, small,
        hasRings ? of(Name.device) : ours, of: of(Name.limit)),
      verdict(
        "0.9 of the limit of two copies at 1 MiB writes", atLeast: 0.9, large.filter { $0.operation == "write" }, ours,
        of: twoCopies),
      verdict("32 deep 0.9 of flat at 4 KiB", atLeast: 0.9, small, of(Name.deep), of: ours),
      verdict(
        "32 deep 0.85 of flat at 1 MiB reads", atLeast: 0.85, large.filter { $0.operation == "read" }, of(Name.deep),
        of: ours),
      verdict("ahead of qemu-storage-daemon", atLeast: 1, workloads, ours, of: of(Name.qemu)),
      verdict("ahead of nbdfuse + nbdkit", atLeast: 1, workloads, ours, of: of(Name.nbdfuse)),
      verdict("4 times qemu-storage-daemon at 4 KiB, depth 16", atLeast: 4, deep, ours, of: of(Name.qemu)),
      verdict("4 times nbdfuse + nbdkit at 4 KiB, depth 16", atLeast: 4, deep, ours, of: of(Name.nbdfuse)),
    ]
  }
}

/// The subjects' names.
enum Name {
  static let raw = "raw file"
  static let limit = "nothing, libfuse"
  static let ringLimit = "nothing, rings"
  static let flat = "fuse-lun"
  static let device = "fuse-lun, device"
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
