import Foundation

// Compares fuse-lun with the raw file, with file systems that do nothing, and with its peers, in one run, and prints
// tables in Markdown; every round's figures go to a JSON file.

/// What the environment says.
struct Options {
  /// How often each cell is measured; the median counts.
  var rounds = 3
  /// How long each of them takes, in seconds.
  var seconds = 1.0
  /// The size of each of the four files, in bytes.
  var size = 256 << 20
  /// `tmpfs`, `disk`.
  var backings = ["tmpfs", "disk"]
  /// Only workloads and subjects whose name contains one of these; all of them where there is none.
  var workloads: [String] = []
  /// Whether memory, mount time and depth are measured too.
  var scales = true
  /// Where the results are written to.
  var output = "results.json"
  /// A folder on a disk.
  var disk = "/var/tmp"

  init(_ environment: [String: String]) throws {
    func number(_ name: String) throws -> Double? {
      guard let text = environment[name], !text.isEmpty else { return nil }
      guard let value = Double(text), value > 0 else {
        throw Failure("\(name)=\(text) is no positive number")
      }
      return value
    }
    func list(_ name: String) -> [String]? {
      environment[name].map { $0.split(separator: ",").map(String.init) }
    }
    rounds = try number("LUN_ROUNDS").map { Int($0) } ?? rounds
    seconds = try number("LUN_SECONDS") ?? seconds
    size = try number("LUN_MIB").map { Int($0) << 20 } ?? size
    backings = list("LUN_BACKINGS") ?? backings
    workloads = list("LUN_CELLS") ?? workloads
    scales = environment["LUN_SCALING"] != "0"
    output = environment["LUN_OUTPUT"] ?? output
    disk = environment["LUN_DISK"] ?? disk
  }
}

/// The results, as they are written.
struct Results: Codable {
  var machine: [String]
  var comparisons: [Comparison] = []
  var scaling: [String] = []
}

/// Writes the results to their file.
func save(_ results: Results, _ options: Options) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
  try encoder.encode(results).write(to: URL(fileURLWithPath: options.output))
}

/// Processor, cores, memory, kernel, and the versions of all that is compared.
func machine(_ fuseLun: String) -> [String] {
  let cpu = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
  let model = cpu?.split(separator: "\n").first { $0.hasPrefix("model name") }?.split(separator: ":").last
  let memory = Int(ProcessInfo.processInfo.physicalMemory >> 30)
  let kernel = (try? Tool.run(["uname", "-sr"])) ?? ""
  return [
    "\(ProcessInfo.processInfo.processorCount) x\(model ?? " unknown processor"), \(memory) GiB",
    kernel.trimmingCharacters(in: .whitespacesAndNewlines),
    Tool.version(["fio", "--version"]), Tool.version(["fusermount3", "--version"]),
    Tool.version(["qemu-storage-daemon", "--version"]), Tool.version(["nbdkit", "--version"]),
    Tool.version(["nbdfuse", "--version"]),
  ].compactMap { $0 }
}

/// Measures everything on one kind of backing.
func compare(_ backing: String, _ bench: Bench, _ options: Options) throws -> Comparison {
  func note(_ text: String) { FileHandle.standardError.write(Data("\(backing): \(text)\n".utf8)) }
  note("preparing")
  let raw = try bench.raw()
  var subjects = [raw, try bench.limit()]
  if let obstacle = RingSwitch.obstacle {
    note("without rings: \(obstacle)")
  } else {
    subjects.append(try bench.ringLimit())
    subjects.append(try bench.fuseLun(Name.device, options: ["-o", "transport=device"]))
  }
  subjects.append(try bench.fuseLun(Name.flat))
  for (name, make) in [
    (Name.deep, { try bench.fuseLun(Name.deep, depth: 32) }),
    (Name.passthrough, { try bench.fuseLun(Name.passthrough, options: ["-o", "passthrough"]) }),
    (Name.qemu, { try bench.qemu(raw) }), (Name.nbdfuse, { try bench.nbdfuse(raw) }),
  ] {
    do { subjects.append(try make()) } catch { note("without \(name): \(error)") }
  }
  var comparison = Comparison(backing: backing)
  // On a disk there is less to tell the subjects apart by, and fewer cells do.
  let workloads = Workload.all.filter { workload in
    (backing == "tmpfs" || workload.files == 1)
      && (options.workloads.isEmpty || options.workloads.contains { workload.name.contains($0) })
  }
  print("\n### Backing on \(backing)\n\n\(Comparison.header)")
  for workload in workloads {
    note(workload.name)
    try comparison.measure(workload, subjects, size: bench.size, options: options)
    print(comparison.row(workload))
    fflush(nil)
  }
  print("")
  comparison.verdicts(workloads).forEach { print("- \($0)") }
  return comparison
}

/// Memory, mount time and depth.
func scale(_ scaling: Scaling, _ options: Options) throws -> [String] {
  var lines: [String] = []
  func say(_ line: String) {
    lines.append(line)
    print("- " + line)
    fflush(nil)
  }
  print("\n### fuse-lun alone\n")
  for snapshots in [0, 4] {
    let most = try scaling.memoryOfLargeLUN(snapshots: snapshots, count: 400_000)
    say("1 TiB LUN, 400,000 random blocks written, \(snapshots) snapshots: \(most >> 20) MiB at most")
  }
  let times = try scaling.mountTime(luns: 1000)
  say(String(format: "1,000 LUNs: mounted in %.2f s, listed in %.2f s", times.mount, times.list))
  let rates = try scaling.readRates(depths: [0, 1, 8, 32, 128], size: options.size, options: options)
  let text = rates.map { String(format: "%d deep %.1f k", $0.depth, $0.rate / 1e3) }
  say("4 KiB random reads at depth 16: " + text.joined(separator: ", "))
  return lines
}

/// Unmounts what is mounted in a folder, and removes it.
func clear(_ folder: String) {
  let mounts = (try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)) ?? ""
  for mount in mounts.split(separator: "\n").map({ $0.split(separator: " ") })
  where mount.count > 1 && mount[1].hasPrefix(folder + "/") {
    _ = try? Tool.run(["fusermount3", "-u", "-z", String(mount[1])])
  }
  _ = try? Tool.run(["rm", "-rf", "--one-file-system", folder])
}

/// Ends what was started and removes what was made, when somebody ends the benchmark before its time.
func endOnSignal(_ options: Options) -> [any DispatchSourceSignal] {
  [SIGINT, SIGTERM, SIGHUP].map { number in
    signal(number, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
    source.setEventHandler {
      // fuse-lun's daemons are not among them; each goes with its mount.
      Running.terminateAll()
      // More than once: a mount that has just begun is not there yet.
      for _ in 0..<5 {
        ["/dev/shm", options.disk].forEach { clear("\($0)/fuse-lun-bench-\(getpid())") }
        usleep(200_000)
      }
      exit(128 + number)
    }
    source.resume()
    return source
  }
}

do {
  guard CommandLine.arguments.count == 4 else { throw Failure("usage: bench-lun FUSE-LUN NULLFS NULLRING") }
  let options = try Options(ProcessInfo.processInfo.environment)
  let endings = endOnSignal(options)
  defer { withExtendedLifetime(endings) {} }
  let fuseLun = CommandLine.arguments[1]
  let (nullfs, nullring) = (CommandLine.arguments[2], CommandLine.arguments[3])
  var results = Results(machine: machine(fuseLun))
  results.machine.forEach { print("- " + $0) }
  print("- median of \(options.rounds) rounds of \(options.seconds) s, all subjects in turn in each")
  for backing in options.backings {
    let parent = backing == "tmpfs" ? "/dev/shm" : options.disk
    let folder = "\(parent)/fuse-lun-bench-\(getpid())"
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    defer { _ = try? Tool.run(["rm", "-rf", "--one-file-system", folder]) }
    let bench = Bench(
      folder: folder, size: options.size, fuseLun: fuseLun, nullfs: nullfs, nullring: nullring)
    results.comparisons.append(try compare(backing, bench, options))
  }
  try save(results, options)
  if options.scales {
    let folder = "\(options.disk)/fuse-lun-bench-\(getpid())"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { _ = try? Tool.run(["rm", "-rf", "--one-file-system", folder]) }
    results.scaling = try scale(Scaling(fuseLun: fuseLun, folder: folder), options)
  }
  try save(results, options)
} catch {
  FileHandle.standardError.write(Data("bench-lun: \(error)\n".utf8))
  exit(1)
}
