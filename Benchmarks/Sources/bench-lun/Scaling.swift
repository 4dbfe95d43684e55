import Foundation

/// What is measured of fuse-lun alone: memory, the time to mount, and what depth costs.
struct Scaling {
  let fuseLun: String
  let folder: String

  private func makeFolder(_ name: String) throws -> String {
    let path = "\(folder)/\(name)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  private func unmount(_ place: String, of store: String) throws {
    let daemon = try server(of: store)
    try Tool.run(["fusermount3", "-u", place])
    // It makes everything durable first, which is a matter of the disk.
    try Tool.wait(for: "the end of the mount at \(place)", seconds: 300) { kill(daemon, 0) != 0 }
  }

  /// The process that serves a store.
  private func server(of store: String) throws -> Int32 {
    let lines = try String(contentsOfFile: "\(store)/lock", encoding: .utf8).split(separator: "\n")
    guard let process = lines.first.flatMap({ Int32($0) }) else { throw Failure("nobody serves \(store)") }
    return process
  }

  /// The most memory that the daemon ever had resident, in bytes, after `count` blocks of 4 KiB were written at random
  /// places of a LUN of 1 TiB.
  ///
  /// - Parameter snapshots: how often a snapshot was taken in between.
  func memoryOfLargeLUN(snapshots: Int, count: Int) throws -> Int {
    let store = "\(folder)/large-\(snapshots)"
    let place = try makeFolder("large")
    try Tool.run([fuseLun, "create", store, "large", "--size", "1T"])
    try Tool.run([fuseLun, "mount", store, place])
    for part in 0...snapshots {
      if part > 0 { try Tool.run([fuseLun, "snapshot", store, "large@s\(part)"]) }
      try Fio.scatter("\(place)/large", size: 1 << 40, count: count / (snapshots + 1), seed: part)
    }
    let most = memory("VmHWM", of: try server(of: store))
    try unmount(place, of: store)
    try FileManager.default.removeItem(atPath: store)
    guard let most else { throw Failure("the daemon ended") }
    return most
  }

  /// The time that `mount` takes until the files can be opened, in seconds, and that the listing of them takes.
  func mountTime(luns: Int) throws -> (mount: Double, list: Double) {
    let store = "\(folder)/many"
    let place = try makeFolder("many-mount")
    for number in 0..<luns { try Tool.run([fuseLun, "create", store, "lun\(number)", "--size", "1G"]) }
    var mounts: [Double] = []
    var lists: [Double] = []
    for _ in 0..<3 {
      mounts.append(try seconds { try Tool.run([fuseLun, "mount", store, place]) })
      lists.append(try seconds { try Tool.run(["ls", "-l", place]) })
      try unmount(place, of: store)
    }
    return (median(mounts), median(lists))
  }

  /// Random reads of 4 KiB at depth 16 from LUNs that are this many snapshots deep, in operations a second, measured in
  /// turn.
  func readRates(depths: [Int], size: Int, options: Options) throws -> [(depth: Int, rate: Double)] {
    let store = "\(folder)/depths"
    let place = try makeFolder("depths-mount")
    for depth in depths { try Tool.run([fuseLun, "create", store, "deep\(depth)", "--size", String(size)]) }
    try Tool.run([fuseLun, "mount", store, place])
    for depth in depths {
      try Fio.fill("\(place)/deep\(depth)", size: size)
      for level in 0..<depth {
        try Tool.run([fuseLun, "snapshot", store, "deep\(depth)@s\(level)"])
        try Fio.scatter("\(place)/deep\(depth)", size: size, count: size / 4096 / (2 * depth), seed: level)
      }
    }
    let workload = Workload(operation: "randread", blockSize: 4096, depth: 16, files: 1)
    var rates: [Int: [Double]] = [:]
    for _ in 0..<options.rounds {
      for depth in depths {
        let one = try Fio.measure(
          workload, files: ["\(place)/deep\(depth)"], size: size, seconds: options.seconds)
        rates[depth, default: []].append(one.rate)
      }
    }
    try unmount(place, of: store)
    return depths.map { ($0, median(rates[$0]!)) }
  }

  private func seconds(_ body: () throws -> Void) rethrows -> Double {
    let clock = ContinuousClock()
    let elapsed = try clock.measure(body)
    return Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
  }
}
