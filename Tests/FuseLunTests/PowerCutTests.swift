import Dispatch
import Glibc
@testable import LUNStore
import Synchronization
import TestSupport
import Testing

/// The power of the host fails: what its file system had not flushed is lost, or any part of it is.
///
/// The store is on an ext4 on a LUN of another store, and whatever is written to that LUN is logged. From the log the
/// disk is made as it may be after a power cut at any point; the kernel mounts it, and the store on it is compared with
/// what its client had been told by then.
@Suite(
  "After a power cut", .enabled(if: whyNoLoop == nil, Comment(rawValue: whyNoLoop ?? "")),
  .enabled(if: hasTools("mkfs.ext4"), "needs e2fsprogs"), .timeLimit(.minutes(60)))
struct PowerCutTests {
  /// What may be found if the power fails after an entry of the log, and before the next state's.
  private struct State {
    var after: UInt64
    var model: StoreModel
    /// How long the client's story was.
    var story: Int
  }

  /// A session of a client, told by the log of the disk below.
  private struct Recording {
    let outer: Mount
    let seed: UInt64
    /// The disk before the first entry.
    let base: String
    var states: [State] = []
    var story: [String] = []
    /// The number of the last entry.
    var last: UInt64 = 0

    func reader(from position: WriteLog.Position = .start) throws -> WriteLog.Reader {
      try Store.open(outer.store).log(of: LUNName("disk"), from: position).reader
    }
  }

  private func record(turns: Int, seed: UInt64) throws -> Recording {
    let outer = try Mount(("disk", "64M"))
    try outer.mount()
    try #require(
      run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", outer("disk")).status == 0)
    var recording = Recording(outer: outer, seed: seed, base: outer.folder("base"))
    try #require(run("cp", outer("disk"), recording.base).status == 0)
    let begun = run(fuseLun, "log", outer.store, "disk", "record")
    try #require(begun.status == 0, "\(begun)")

    let inner = try Mount()
    mkdir(inner.store, 0o700)
    let disk = try LoopMount(outer("disk"), at: inner.store)
    try inner.create("a", "\(CrashClient.sectors * DiskModel.sectorSize)")
    let client = try CrashClient(inner, "a", seed: seed)
    try inner.mount()
    var end = WriteLog.Position.start
    var states: [State] = []
    func note() throws {
      var reader = try recording.reader(from: end)
      while try reader.next() != nil {}
      end = reader.position
      states.append(State(after: end.number, model: client.model, story: client.story.count))
    }
    try note()
    var failure: (any Error)?
    client.whenBegun = { do { try note() } catch { failure = error } }
    let meddler = CrashMeddler(inner, beside: ["a"], seed: seed, image: outer.folder)
    let meddling = Mutex<String?>(nil)
    let group = DispatchGroup()
    DispatchQueue.global().async(group: group) {
      if let problem = meddler.work() { meddling.withLock { $0 = problem } }
    }
    let problem = client.work(turns: turns)
    meddler.end()
    group.wait()
    try #require(problem == nil && failure == nil, "\(problem ?? "") \(failure.map { "\($0)" } ?? "")")
    try #require(meddling.withLock { $0 } == nil)
    client.whenBegun = {}
    try inner.unmount()
    try note()
    try disk.unmount()
    try #require(run(fuseLun, "log", outer.store, "disk", "record", "--stop").status == 0)
    try outer.unmount()
    (recording.states, recording.story, recording.last) = (states, client.story, end.number)
    return recording
  }

  @Test(
    "of the host at any point, what was flushed is there, what was not is old or new, and snapshots are as they were"
  )
  func powerCuts() throws {
    let seed = UInt64(crashSetting("SEED", Int(time(nil))))
    let recording = try record(turns: crashSetting("TURNS", 60), seed: seed)
    let first = recording.states[0].after
    let cuts = crashSetting("CUTS", 100)
    let disks = try Disks(recording.base, in: recording.outer.folder.folder("cuts"))
    var position = WriteLog.Position.start
    for number in 0..<UInt64(cuts) {
      // Everywhere, in order.
      let point = first + (recording.last - first) * number / UInt64(cuts)
      let reader = try recording.reader(from: position)
      let durable = try reader.durability(at: point).prefix
      position = try WriteLog.rebuild(disks.base, from: reader, to: .init(point: durable))
      try disks.copy()
      let cut = WriteLog.Cut(seed: seed, point: point, index: number + 1)
      try WriteLog.rebuild(
        disks.cut, from: recording.reader(from: position), to: .init(point: point, cut: cut))
      let state = recording.states.last { $0.after <= point }!
      var model = state.model
      var problem: String?
      do {
        let found = try disks.withMountedCut { folder in try volumes(in: folder, checked: number % 8 == 0) }
        problem = model.recover(found)
      } catch { problem = "\(error)" }
      try #require(
        problem == nil,
        """
        cut \(number) after entry \(point) (all up to \(durable) is durable, the session begins at \(first)), \
        FUSE_LUN_CRASH_SEED=\(seed): \(problem ?? "")
        \(recording.story.prefix(state.story).suffix(60).joined(separator: "\n"))
        """)
    }
    print("\(cuts) power cuts, nothing lost that was flushed")
  }

  /// What the volumes of a store hold that is opened as by whoever is going to serve it.
  private func volumes(in folder: String, checked: Bool) throws -> [VolumeName: [UInt64]] {
    var found: [VolumeName: [UInt64]] = [:]
    let store = try OpenStore(folder, at: "")
    for name in try store.volumes() where "\(name)".hasPrefix("a") && !"\(name)".contains("@export-") {
      let volume = try store.volume(name)
      var bytes = [UInt8](repeating: 0xEE, count: Int(volume.size))
      let count = try bytes.withUnsafeMutableBytes { buffer in
        try Result { () throws(IOError) in try volume.read(into: buffer, at: 0) }.get()
      }
      try #require(count == bytes.count)
      let content: [UInt64] = try #require(words(of: bytes), "\(name) has a sector that nobody wrote")
      found[name] = content
    }
    try store.release()
    if checked {
      let check = run(fuseLun, "check", folder)
      try #require(check.status == 0, "\(check)")
    }
    return found
  }
}

/// The disk as it certainly is, and as it may be: two LUNs that are flat files, which a loop device can be put on.
private final class Disks {
  let base: LUN
  let cut: LUN
  private let store: OpenStore
  private let folder: String

  init(_ image: String, in folder: String) throws {
    self.folder = folder
    let path = "\(folder)/store"
    for name in ["base", "cut"] {
      try #require(run(fuseLun, "create", path, name, "--size", "64M").status == 0)
    }
    store = try OpenStore(path, at: "")
    (base, cut) = (try store.lun(LUNName("base")), try store.lun(LUNName("cut")))
    try Self.copy(image, to: Self.file(of: base))
    mkdir("\(folder)/mnt", 0o700)
  }

  private static func file(of lun: LUN) throws -> String {
    try #require(lun.withFlatFile { "/proc/\(getpid())/fd/\($0)" })
  }

  private static func copy(_ source: String, to target: String) throws {
    let copied = run("cp", "--sparse=always", source, target)
    try #require(copied.status == 0, "\(copied)")
  }

  /// Makes the disk that may be what the one is that certainly is.
  func copy() throws { try Self.copy(Self.file(of: base), to: Self.file(of: cut)) }

  func withMountedCut<Result>(_ body: (String) throws -> Result) throws -> Result {
    let mount = try LoopMount(try Self.file(of: cut), at: "\(folder)/mnt")
    let result = try body("\(folder)/mnt")
    try mount.unmount()
    return result
  }
}
