import Dispatch
import Glibc
import LUNStore
import Synchronization
import TestSupport
import Testing

/// How many times something crashes, and what the choices are made of. A longer run: `make crash`; the same run again:
/// FUSE_LUN_CRASH_SEED as in the message.
func crashSetting(_ name: String, _ usual: Int) -> Int {
  getenv("FUSE_LUN_CRASH_\(name)").flatMap { Int(String(cString: $0)) } ?? usual
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
      // What the death of an export leaves behind is nobody's.
      if name.contains("@export-") { continue }
      let bytes = try #require(contents(of: mount(name)), "\(name) cannot be read")
      let content: [UInt64] = try #require(words(of: bytes), "\(name) has a sector that nobody wrote")
      found[try VolumeName(name)] = content
    }
    return found
  }

  @Test(
    "of the daemon, whatever commands are at work, what was flushed is there, snapshots are as they were, all is sound"
  )
  func killed() throws {
    let seed = UInt64(crashSetting("SEED", Int(time(nil))))
    var random = SplitMix64(seed: seed)
    let names = ["a", "b"]
    let size = "\(CrashClient.sectors * DiskModel.sectorSize)"
    let mount = try Mount(("a", size), ("b", size))
    let clients = try names.map { try CrashClient(mount, $0, seed: random.next()) }
    let meddler = CrashMeddler(mount, beside: names, seed: random.next(), image: mount.folder)
    try mount.mount()
    let rounds = crashSetting("ROUNDS", 100)
    for round in 0..<rounds {
      let place: Comment = "round \(round), FUSE_LUN_CRASH_SEED=\(seed)"
      let server = try #require(try mount.server(), place)
      let group = DispatchGroup()
      let problems = Problems()
      for client in clients {
        DispatchQueue.global().async(group: group) {
          if let problem = client.work() { problems.add(problem) }
        }
      }
      meddler.begin()
      DispatchQueue.global().async(group: group) {
        if let problem = meddler.work() { problems.add(problem) }
      }
      // The kill may come at any point of what the clients do; sometimes they get some commands done first.
      usleep(useconds_t(random.next() % (round % 4 == 0 ? 400_000 : 60_000)))
      kill(server, SIGKILL)
      meddler.end()
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
    let check = run(fuseLun, "check", mount.store)
    #expect(check.status == 0, "\(check)")
    let flushes = clients.reduce(0) { $0 + $1.flushes }
    print(
      "\(rounds) kills, \(flushes) flushes acknowledged, none lost; commands beside them: \(meddler.summary)")
  }
}

/// What clients on several threads have to report.
private final class Problems: Sendable {
  private let list = Mutex<[String]>([])

  func add(_ problem: String) { list.withLock { $0.append(problem) } }

  var all: [String] { list.withLock { $0 } }
}
