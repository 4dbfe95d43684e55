import Glibc
import LUNStore
import Synchronization
import TestSupport

/// Whoever else works on a store while its clients do: all commands, at random, on LUNs of their own, whose names begin
/// with `m`, and those that change nothing for a client on the clients' LUNs too.
///
/// A command may fail, as it does once the daemon is dead. It must not say that the store is damaged, and not die.
final class CrashMeddler: @unchecked Sendable {
  private let mount: Mount
  /// LUNs of clients, which come and go.
  private let others: [String]
  private var random: SplitMix64
  private var last = 0
  private let image: String
  private let isToEnd = Atomic(false)
  /// How many commands of each name succeeded, so that it can be seen that they do.
  private var done: [String: Int] = [:]

  /// - Parameter folder: where the image is that lazy copies are of; it has to stay for as long as the store is looked at.
  init(_ mount: Mount, beside others: [String], seed: UInt64, image folder: TemporaryFolder) {
    (self.mount, self.others) = (mount, others)
    random = SplitMix64(seed: seed)
    image = folder("image")
    write(pattern(1, 300_000), to: image)
  }

  /// To be called before `work` is begun again, on whatever thread that will be.
  func begin() { isToEnd.store(false, ordering: .relaxed) }

  /// From any thread: `work` is to return after the command that it is at, or at once when it begins.
  func end() { isToEnd.store(true, ordering: .relaxed) }

  /// `check 12, clone 3, …`
  var summary: String {
    done.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
  }

  private func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }

  private func any(_ names: [String]) -> String? { names.isEmpty ? nil : names[below(names.count)] }

  /// Works until it is told to end, or has given so many commands.
  ///
  /// - Returns: what must not be.
  func work(turns: Int = .max) -> String? {
    for _ in 0..<turns {
      if isToEnd.load(ordering: .relaxed) { break }
      guard let words = command() else { continue }
      let outcome = run([fuseLun] + words)
      if outcome.status == 0 { done[words[0], default: 0] += 1 }
      let isDamaged = words[0] == "check" && "\(outcome)".contains("damage")
      if isDamaged || ![0, 1, 2].contains(outcome.status) {
        return "\(words.joined(separator: " ")): \(outcome)"
      }
    }
    return nil
  }

  /// The LUNs and snapshots that are its own.
  private var own: [String] {
    let names = (try? Store.open(mount.store).names()) ?? []
    return names.map(\.description).filter { $0.hasPrefix("m") }
  }

  private func command() -> [String]? {
    last += 1
    let (store, own) = (mount.store, own)
    let (luns, snapshots) = (own.filter { !$0.contains("@") }, own.filter { $0.contains("@") })
    let (lun, new) = (any(luns), "m\(last)")
    switch below(20) {
    case 0..<3: return ["check", store]
    case 3..<5: return ["check", "--repair", store]
    case 5: return ["list", "--json", store]
    case 6: return ["info", store, any(others + luns)!]
    case 7:
      // Takes a snapshot of a client's LUN, reads it, and has it merged again.
      return ["export", store, any(others + luns)!, mount.folder("exported"), "--force", "--no-sync"]
    case 8 where luns.count < 4: return ["create", store, new, "--size", "\(1 + below(60))K"]
    case 9 where luns.count < 4: return ["create", store, new, "--from", image]
    case 10 where luns.count < 4: return ["create", store, new, "--from", image, "--lazy"]
    case 11: return lun.map { ["fetch", store, $0] }
    case 12: return lun.map { ["snapshot", store, "\($0)@s\(last)"] }
    case 13 where luns.count < 4: return any(own).map { ["clone", store, $0, new] }
    case 14: return any(snapshots).map { ["rollback", store, $0] }
    case 15: return lun.map { ["resize", store, $0, "\(1 + below(200))K", "--shrink", "--force"] }
    case 16:
      return lun.map {
        ["log", store, $0] + [["record"], ["record", "--stop"], ["show"], ["remove"]][below(4)]
      }
    case 17: return lun.map { ["fault", "add", store, $0, "delay", "--for", "1ms"] }
    case 18: return lun.map { ["fault", "clear", store, $0] }
    default: return any(own).map { ["delete", store, $0] + ($0.contains("@") ? [] : ["--snapshots"]) }
    }
  }
}
