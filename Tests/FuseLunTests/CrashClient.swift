import CLinux
import Glibc
import LUNStore
import TestSupport

/// A client of some LUNs that nobody else uses: it writes, flushes, discards, takes snapshots, and keeps account of what
/// it was told.
final class CrashClient: @unchecked Sendable {
  static let sectors = 1024

  private let mount: Mount
  private let name: String
  private var random: SplitMix64
  private var lastWrite: UInt32 = 0
  private var lastName = 0
  var model = StoreModel()
  /// What it did, for messages.
  var story: [String] = []
  /// How many flushes were acknowledged.
  private(set) var flushes = 0
  /// Called when something is about to be asked for, and in the model as such.
  var whenBegun: () -> Void = {}

  init(_ mount: Mount, _ name: String, seed: UInt64) throws {
    (self.mount, self.name) = (mount, name)
    random = SplitMix64(seed: seed)
    model.disks[try VolumeName(name)] = DiskModel(sectors: Self.sectors)
  }

  private func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }

  private var luns: [VolumeName] { model.disks.keys.filter { !"\($0)".contains("@") }.sorted() }
  private var snapshots: [VolumeName] { model.disks.keys.filter { "\($0)".contains("@") }.sorted() }

  /// Works until something fails, as everything does once the daemon is dead, or until so many files were opened and
  /// commands given.
  ///
  /// - Returns: what must not be: a refusal while the daemon lives, bytes that are not what was written.
  func work(turns: Int = .max) -> String? {
    for _ in 0..<turns {
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
    return nil
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
      begin("\(lun): write \(String(lastWrite, radix: 16)) to \(sectors)")
      return .success(pwrite(file, bytes(of: lastWrite, sectors), count, offset) == count)
    case 6:
      model.disks[lun]!.write(0, sectors)
      begin("\(lun): clear \(sectors)")
      let mode = below(2) == 0 ? LINUX_FALLOC_FL_PUNCH_HOLE : LINUX_FALLOC_FL_ZERO_RANGE
      return .success(
        linux_fallocate(file, Int32(mode | LINUX_FALLOC_FL_KEEP_SIZE), Int64(offset), Int64(count)) == 0)
    case 7:
      begin("\(lun): flush")
      guard fsync(file) == 0 else { return .success(false) }
      model.disks[lun]!.flush()
      flushes += 1
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

  private func begin(_ what: String) {
    story.append(what)
    whenBegun()
  }

  private func name(_ text: String) -> VolumeName {
    // Made of names that are in use, and digits.
    VolumeName(bytes: text)!
  }

  private func change(_ change: StoreModel.Change, _ words: String...) -> Bool {
    model.begin(change)
    begin(words.joined(separator: " "))
    let outcome = run([fuseLun, words[0], mount.store] + words.dropFirst())
    story.append("\(outcome)")
    // Where the daemon is dead a command does its work by itself, and on what the crash has left. Only a daemon that
    // lives yet has seen all that was acknowledged.
    var status = stat()
    guard outcome.status == 0, stat(mount.point, &status) == 0 else { return false }
    model.acknowledge()
    return true
  }
}
