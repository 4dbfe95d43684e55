import CLinux
import Dispatch
import Glibc
import LUNStore
import Synchronization
import TestSupport
import Testing

/// How many times something crashes, and what the choices are made of. A longer run: FUSE_LUN_CRASH_ROUNDS=5000; the same
/// run again: FUSE_LUN_CRASH_SEED as in the message.
func crashSetting(_ name: String, _ usual: Int) -> Int {
  getenv("FUSE_LUN_CRASH_\(name)").flatMap { Int(String(cString: $0)) } ?? usual
}

/// A client of some LUNs that nobody else uses: it writes, flushes, discards, takes snapshots, and keeps account of what
/// it was told.
private final class CrashClient: @unchecked Sendable {
  static let sectors = 1024

  private let mount: Mount
  private let name: String
  private var random: SplitMix64
  private var lastWrite: UInt32 = 0
  private var lastName = 0
  var model = StoreModel()
  /// What it did, for messages.
  var story: [String] = []

  init(_ mount: Mount, _ name: String, seed: UInt64) throws {
    (self.mount, self.name) = (mount, name)
    random = SplitMix64(seed: seed)
    model.disks[try VolumeName(name)] = DiskModel(sectors: Self.sectors)
  }

  private func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }

  private var luns: [VolumeName] { model.disks.keys.filter { !"\($0)".contains("@") }.sorted() }
  private var snapshots: [VolumeName] { model.disks.keys.filter { "\($0)".contains("@") }.sorted() }

  /// Works until something fails, as everything does once the daemon is dead.
  ///
  /// - Returns: what must not be: a refusal while the daemon lives, bytes that are not what was written.
  func work() -> String? {
    while true {
      let lun = luns[below(luns.count)]
      if below(12) == 0 {
        guard command() else { return nil }
        continue
      }
      let file = open(mount("\(lun)"), O_RDWR | O_CLOEXEC)
      guard file >= 0 else { return nil }
      defer { close(file) }
      for _ in 0..<below(30) {
        switch step(on: lun, file) {
        case .success(true): continue
        case .success(false): return nil
        case .failure(let problem): return problem.text
        }
      }
    }
  }

  private struct Problem: Error { var text: String }

  /// One request. `false` if the daemon is dead.
  private func step(on lun: VolumeName, _ file: Int32) -> Result<Bool, Problem> {
    let length = 1 + (below(4) == 0 ? below(64) : below(12))
    let first = below(Self.sectors - length)
    let sectors = first..<(first + length)
    let (offset, count) = (off_t(first * DiskModel.sectorSize), length * DiskModel.sectorSize)
    switch below(10) {
    case 0..<6:
      lastWrite += 1
      model.disks[lun]!.write(lastWrite, sectors)
      story.append("\(lun): write \(String(lastWrite, radix: 16)) to \(sectors)")
      return .success(pwrite(file, bytes(of: lastWrite, sectors), count, offset) == count)
    case 6:
      model.disks[lun]!.write(0, sectors)
      story.append("\(lun): clear \(sectors)")
      let mode = below(2) == 0 ? LINUX_FALLOC_FL_PUNCH_HOLE : LINUX_FALLOC_FL_ZERO_RANGE
      return .success(
        linux_fallocate(file, Int32(mode | LINUX_FALLOC_FL_KEEP_SIZE), Int64(offset), Int64(count)) == 0)
    case 7:
      guard fsync(file) == 0 else { return .success(false) }
      model.disks[lun]!.flush()
      story.append("\(lun): flushed")
      return .success(true)
    default:
      var read = [UInt8](repeating: 0xEE, count: count)
      guard pread(file, &read, count, offset) == count else { return .success(false) }
      guard words(of: read) == Array(model.disks[lun]!.content[sectors]) else {
        return .failure(Problem(text: "\(lun): sectors \(sectors) are not what was written"))
      }
      return .success(true)
    }
  }

  /// A command that changes what there is. `false` if it failed: the daemon is dead.
  private func command() -> Bool {
    lastName += 1
    let lun = luns[below(luns.count)]
    switch below(5) {
    case 0 where model.disks.count < 8:
      let snapshot = "\(lun)@s\(lastName)"
      return change(.new(name(snapshot), of: lun), "snapshot", snapshot)
    case 1 where model.disks.count < 8:
      let sources = luns + snapshots
      let source = sources[below(sources.count)]
      let clone = "\(name)\(lastName)"
      return change(.new(name(clone), of: source), "clone", "\(source)", clone)
    case 2 where !snapshots.isEmpty:
      let snapshot = snapshots[below(snapshots.count)]
      return change(.rollback(.lun(snapshot.lun), to: snapshot), "rollback", "\(snapshot)")
    case 3 where !snapshots.isEmpty:
      let snapshot = snapshots[below(snapshots.count)]
      return change(.gone(snapshot), "delete", "\(snapshot)")
    case 4 where luns.count > 1 && !snapshots.contains { $0.lun == lun.lun }:
      return change(.gone(lun), "delete", "\(lun)")
    default: return true
    }
  }

  private func name(_ text: String) -> VolumeName {
    // Made of names that are in use, and digits.
    try! VolumeName(text)
  }

  private func change(_ change: StoreModel.Change, _ words: String...) -> Bool {
    model.begin(change)
    let outcome = run([fuseLun, words[0], mount.store] + words.dropFirst())
    story.append("\(words.joined(separator: " ")): \(outcome)")
    // Where the daemon is dead a command does its work by itself, and on what the crash has left. Only a daemon that
    // lives yet has seen all that was acknowledged.
    var status = stat()
    guard outcome.status == 0, stat(mount.point, &status) == 0 else { return false }
    model.acknowledge()
    return true
  }
}

@Suite(
  "After a crash", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")),
  .timeLimit(.minutes(60)))
struct CrashTests {
  /// Everything in the mount that is a client's, by name.
  private func volumes(_ mount: Mount, of client: String) throws -> [VolumeName: [UInt64]] {
    var found: [VolumeName: [UInt64]] = [:]
    for line in run("ls", "-A", mount.point).output.split(separator: "\n") where line.hasPrefix(client) {
      let name = String(line)
      let bytes = try #require(contents(of: mount(name)), "\(name) cannot be read")
      let content: [UInt64] = try #require(words(of: bytes), "\(name) has a sector that nobody wrote")
      found[try VolumeName(name)] = content
    }
    return found
  }

  @Test(
    "of the daemon, what was flushed is there, what was not is old or new, and snapshots are as they were")
  func killed() throws {
    let seed = UInt64(crashSetting("SEED", Int(time(nil))))
    var random = SplitMix64(seed: seed)
    let names = ["a", "b"]
    let size = "\(CrashClient.sectors * DiskModel.sectorSize)"
    let mount = try Mount(("a", size), ("b", size))
    let clients = try names.map { try CrashClient(mount, $0, seed: random.next()) }
    try mount.mount()
    for round in 0..<crashSetting("ROUNDS", 150) {
      let place: Comment = "round \(round), FUSE_LUN_CRASH_SEED=\(seed)"
      let server = try #require(try mount.server(), place)
      let group = DispatchGroup()
      let problems = Problems()
      for client in clients {
        DispatchQueue.global().async(group: group) {
          if let problem = client.work() { problems.add(problem) }
        }
      }
      // The kill may come at any point of what the clients do; sometimes they get some commands done first.
      usleep(useconds_t(random.next() % (round % 4 == 0 ? 400_000 : 60_000)))
      kill(server, SIGKILL)
      group.wait()
      try #require(
        problems.all.isEmpty, "\(place): \(problems.all)")
      run("fusermount3", "-u", "-z", "-q", mount.point)
      try #require(eventually { (try? mount.server()) == .some(nil) }, place)
      if round % 10 == 0 {
        let check = run(fuseLun, "check", mount.store)
        try #require(check.status == 0, "\(place): \(check)")
      }
      try mount.mount()
      for (client, name) in zip(clients, names) {
        client.story.append("killed")
        let problem = client.model.recover(try volumes(mount, of: name))
        try #require(
          problem == nil, "\(place): \(problem ?? "")\n\(client.story.suffix(100).joined(separator: "\n"))")
      }
    }
    try mount.unmount()
    #expect(eventually { (try? mount.server()) == .some(nil) })
    let check = run(fuseLun, "check", mount.store)
    #expect(check.status == 0, "\(check)")
  }
}

/// What clients on several threads have to report.
private final class Problems: Sendable {
  private let list = Mutex<[String]>([])

  func add(_ problem: String) { list.withLock { $0.append(problem) } }

  var all: [String] { list.withLock { $0 } }
}
