import Foundation

/// What a client does with files: one cell of the table.
struct Workload: Hashable {
  var operation: String
  var blockSize: Int
  var depth: Int
  var files: Int

  var isSmall: Bool { blockSize == 4096 }

  var name: String {
    let kind = [
      "randread": "random read", "randwrite": "random write", "read": "seq. read", "write": "seq. write",
    ]
    let size = isSmall ? "4 KiB" : "1 MiB"
    return "\(size) \(kind[operation]!), depth \(depth), \(files) LUN\(files == 1 ? "" : "s")"
  }

  /// What the table consists of.
  static let all: [Workload] = [1, 4].flatMap { files in
    let small = ["randread", "randwrite"].flatMap { operation in
      [1, 16].map { Workload(operation: operation, blockSize: 4096, depth: $0, files: files) }
    }
    return small
      + ["read", "write"].map { Workload(operation: $0, blockSize: 1 << 20, depth: 4, files: files) }
  }
}

/// What fio measured in one round.
struct Measurement: Codable {
  /// Operations a second, of all files together.
  var rate: Double
  /// Completion latency in nanoseconds: the median and the 99th percentile.
  var median: Double
  var percentile99: Double
}

/// fio as the client: O_DIRECT and libaio, one job for each file.
enum Fio {
  private struct Report: Decodable {
    struct Job: Decodable {
      struct Direction: Decodable {
        struct Latency: Decodable { var percentile: [String: Double]? }
        var iops: Double
        var clat_ns: Latency
      }
      var read: Direction
      var write: Direction
    }
    var jobs: [Job]
  }

  /// Runs a workload for a while.
  ///
  /// - Parameter size: how much of each file is used, in bytes.
  static func measure(_ workload: Workload, files: [String], size: Int, seconds: Double) throws -> Measurement
  {
    var words = [
      "fio", "--output-format=json", "--ioengine=libaio", "--direct=1", "--invalidate=0", "--group_reporting",
      "--norandommap", "--rw=\(workload.operation)", "--bs=\(workload.blockSize)",
      "--iodepth=\(workload.depth)",
      "--size=\(size)", "--time_based", "--runtime=\(Int(seconds * 1000))ms", "--ramp_time=200ms",
    ]
    for (index, file) in files.prefix(workload.files).enumerated() {
      words += ["--name=lun\(index)", "--filename=\(file)"]
    }
    let text = try Tool.run(words)
    // fio puts warnings in front.
    let json = text[(text.firstIndex(of: "{") ?? text.startIndex)...]
    let job = try JSONDecoder().decode(Report.self, from: Data(json.utf8)).jobs[0]
    let direction = workload.operation.contains("read") ? job.read : job.write
    let percentiles = direction.clat_ns.percentile ?? [:]
    guard direction.iops > 0 else { throw Failure("fio did nothing: \(words.joined(separator: " "))") }
    return Measurement(
      rate: direction.iops, median: percentiles["50.000000"] ?? 0, percentile99: percentiles["99.000000"] ?? 0
    )
  }

  /// Fills a file with bytes that no layer below can compress or share.
  static func fill(_ file: String, size: Int) throws {
    try Tool.run([
      "fio", "--output-format=json", "--name=fill", "--filename=\(file)", "--rw=write", "--bs=1M",
      "--size=\(size)",
      "--ioengine=psync", "--refill_buffers", "--end_fsync=1",
    ])
  }

  /// Writes `count` blocks of 4 KiB at random places of a file.
  static func scatter(_ file: String, size: Int, count: Int, seed: Int) throws {
    try Tool.run([
      "fio", "--output-format=json", "--name=scatter", "--filename=\(file)", "--rw=randwrite", "--bs=4k",
      "--size=\(size)", "--number_ios=\(count)", "--ioengine=libaio", "--iodepth=16", "--direct=1",
      "--norandommap",
      "--randseed=\(seed)", "--invalidate=0",
    ])
  }
}
