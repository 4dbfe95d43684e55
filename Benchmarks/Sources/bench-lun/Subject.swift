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
  /// The do-nothing file system.
  let nullfs: String

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
  func limit() throws -> Subject {
    let place = try makeFolder("null")
    let files = Self.lunNames.map { "\(place)/\($0)" }
    let process = try Running([nullfs, place, String(size)])
    try Tool.wait(for: "nullfs") { access(files[0], F_OK) == 0 }
    return Subject("FUSE limit", files: files) { Self.unmount(place, process) }
  }

  /// A store of four filled LUNs.
  ///
  /// - Parameter depth: how many snapshots deep they are, with some blocks written between any two.
  func fuseLun(_ name: String, depth: Int = 0, options: [String] = []) throws -> Subject {
    let store = "\(folder)/store-\(name.filter { $0.isLetter || $0.isNumber })"
    let place = try makeFolder("mount-\(name.filter { $0.isLetter || $0.isNumber })")
    let files = Self.lunNames.map { "\(place)/\($0)" }
    for lun in Self.lunNames { try Tool.run([fuseLun, "create", store, lun, "--size", String(size)]) }
    try Tool.run([fuseLun, "mount", store, place] + options)
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

private func fileSize(_ path: String) -> Int? {
  var status = stat()
  return stat(path, &status) == 0 ? Int(status.st_size) : nil
}
