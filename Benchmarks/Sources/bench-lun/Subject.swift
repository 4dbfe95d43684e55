import Foundation

/// One of those that are compared: what gives a client four files.
final class Subject {
  /// As in the table.
  let name: String
  /// The files that a client opens.
  let files: [String]
  private let stop: () -> Void

  init(_ name: String, files: [String], stop: @escaping () -> Void = {}) {
    (self.name, self.files, self.stop) = (name, files, stop)
  }

  deinit { stop() }
}

/// A folder with everything that the subjects on one kind of backing need.
struct Bench {
  /// Where it all is; removed in the end.
  let folder: String
  /// The size of each file, in bytes.
  let size: Int
  /// The program under test.
  let fuseLun: String
  /// The do-nothing file systems: on libfuse, and on rings.
  let nullfs: String
  let nullring: String

  static let lunNames = (0..<4).map { "lun\($0)" }

  private func makeFolder(_ name: String) throws -> String {
    let path = "\(folder)/\(name)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  /// The raw files, which are also what the peers serve.
  func raw() throws -> Subject {
    let place = try makeFolder("raw")
    let files = Self.lunNames.map { "\(place)/\($0)" }
    for file in files { try Fio.fill(file, size: size) }
    return Subject("raw file", files: files)
  }

  /// The most that libfuse gives: a file system that does nothing.
  func limit() throws -> Subject { try nothing(Name.limit, nullfs) }

  /// The most that FUSE over io_uring gives, likewise.
  func ringLimit() throws -> Subject { try RingSwitch.whileOn { try nothing(Name.ringLimit, nullring) } }

  private func nothing(_ name: String, _ program: String) throws -> Subject {
    let place = try makeFolder("null-\(name.filter { $0.isLetter })")
    let files = Self.lunNames.map { "\(place)/\($0)" }
    let process = try Running([program, place, String(size)])
    try Tool.wait(for: program) { access(files[0], F_OK) == 0 }
    return Subject(name, files: files) { Self.unmount(place, process) }
  }

  /// A store of four filled LUNs.
  ///
  /// - Parameter depth: how many snapshots deep they are, with some blocks written between any two.
  func fuseLun(_ name: String, depth: Int = 0, options: [String] = []) throws -> Subject {
    let store = "\(folder)/store-\(name.filter { $0.isLetter || $0.isNumber })"
    let place = try makeFolder("mount-\(name.filter { $0.isLetter || $0.isNumber })")
    let files = Self.lunNames.map { "\(place)/\($0)" }
    for lun in Self.lunNames { try Tool.run([fuseLun, "create", store, lun, "--size", String(size)]) }
    // Rings, where there are any, unless the options say otherwise.
    try RingSwitch.whileOn { _ = try Tool.run([fuseLun, "mount", store, place] + options) }
    let subject = Subject(name, files: files) { Self.unmount(place, nil) }
    for file in files { try Fio.fill(file, size: size) }
    for level in 0..<depth {
      for (lun, file) in zip(Self.lunNames, files) {
        try Tool.run([fuseLun, "snapshot", store, "\(lun)@s\(level)"])
        try Fio.scatter(file, size: size, count: size / 4096 / (2 * depth), seed: level)
      }
    }
    return subject
  }

  /// QEMU's storage daemon with a FUSE export of each raw file.
  func qemu(_ raw: Subject) throws -> Subject {
    let place = try makeFolder("qemu")
    let files = Self.lunNames.map { "\(place)/\($0)" }
    var words = ["qemu-storage-daemon"]
    for (name, (file, image)) in zip(Self.lunNames, zip(files, raw.files)) {
      try Data().write(to: URL(fileURLWithPath: file))
      words += ["--blockdev", "driver=file,filename=\(image),node-name=\(name)"]
      words += ["--export", "type=fuse,id=\(name),node-name=\(name),mountpoint=\(file),writable=on"]
    }
    let process = try Running(words)
    try Tool.wait(for: "qemu-storage-daemon") { files.allSatisfy { fileSize($0) == size } }
    return Subject("qemu-storage-daemon", files: files) {
      process.terminate()
      process.wait()
    }
  }

  /// nbdfuse with nbdkit's file plugin, one of each for each raw file.
  func nbdfuse(_ raw: Subject) throws -> Subject {
    let places = try Self.lunNames.map { try makeFolder("nbdfuse-\($0)") }
    let files = places.map { "\($0)/lun" }
    var processes: [Running] = []
    for (file, image) in zip(files, raw.files) {
      processes.append(try Running(["nbdfuse", file, "[", "nbdkit", "file", image, "]"]))
    }
    try Tool.wait(for: "nbdfuse") { files.allSatisfy { fileSize($0) == size } }
    return Subject("nbdfuse + nbdkit", files: files) {
      for (place, process) in zip(places, processes) { Self.unmount(place, process) }
    }
  }

  /// Unmounts and waits for the end of who served.
  private static func unmount(_ place: String, _ process: Running?) {
    _ = try? Tool.run(["fusermount3", "-u", "-z", place])
    process?.wait()
  }
}

/// The kernel's switch for FUSE over io_uring, which counts when a mount begins; the whole machine's.
enum RingSwitch {
  private static let parameter = "/sys/module/fuse/parameters/enable_uring"

  /// Why there are no rings here; `nil` if there are.
  static var obstacle: String? {
    guard access(parameter, F_OK) == 0 else { return "FUSE over io_uring needs Linux 6.14" }
    return access(parameter, W_OK) == 0 ? nil : "only root may write \(parameter)"
  }

  /// Runs `body` with the switch on, if that can be, and then puts it back to where it was.
  static func whileOn<Result>(_ body: () throws -> Result) throws -> Result {
    guard obstacle == nil else { return try body() }
    let before = try String(contentsOfFile: parameter, encoding: .utf8)
    try set("Y")
    defer { try? set(before) }
    return try body()
  }

  private static func set(_ value: String) throws {
    guard let file = FileHandle(forWritingAtPath: parameter) else { throw Failure("cannot write \(parameter)") }
    try file.write(contentsOf: Data(value.utf8))
    try file.close()
  }
}

private func fileSize(_ path: String) -> Int? {
  var status = stat()
  return stat(path, &status) == 0 ? Int(status.st_size) : nil
}
