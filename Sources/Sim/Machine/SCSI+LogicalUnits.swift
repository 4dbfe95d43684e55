/// The LUs of a target that the machine has logged in to, until each has its sd name.
///
/// A scan finds them in the order of their numbers, a moment apart, and registers each at once. Which letter it takes is
/// decided when it is probed (drivers/scsi/sd.c, sd_probe). Before Linux 5.3 the scan waited for that. Since then a kernel
/// thread of its own does it, and on a busy machine a later LU may come first: with 27 LUs, the second to fourth changed
/// places in one real boot (lab p27); with three they never did.
extension MachineModel {
  /// From one LU's registration to the next (lab p27: 1 ms, on a machine with nothing else to do).
  private static let step: Int64 = 1

  func probeLUs(of target: Int, _ s: inout MachineState, _ out: inout Out) {
    let found = inventory.lus(of: target).filter { s.scsi.letters[$0] == 0 && !s.scsi.settling.has($0) }
    guard loaded("sd_mod", s) else { return }
    guard found.count > 1, probesAsynchronously(s) else {
      for disk in found { name(disk, &s, &out) }
      return
    }
    if let omission = probeOrder.omissions[target] {
      library.notLooked("sd names of the \(found.count) LUs of \(scenario.targets[target].iqn): \(omission)")
    }
    let moves = probeOrder.reach[target] ?? found.count
    for (place, disk) in found.enumerated() {
      s.scsi.settling.put(disk)
      let usual = Int64(place) * Self.step
      if probeOrder.isAlone(disk) {
        out.schedule(
          MachineEvent(.diskReady, disk),
          Window(
            .milliseconds(max(0, usual - Int64(moves) * Self.step)),
            .milliseconds(min(usual + Int64(moves) * Self.step, Int64(found.count) * Self.step)),
            seldomElse: .milliseconds(usual)))
      } else if !found.prefix(place).contains(where: { probeOrder.follows($0, disk) }) {
        out.schedule(MachineEvent(.diskReady, disk), Window(.milliseconds(usual)))
      }
    }
  }

  /// The LU takes its name, and the next of those that keep their order among themselves is probed.
  func luReady(_ disk: Int, _ s: inout MachineState, _ out: inout Out) {
    name(disk, &s, &out)
    let lus = inventory.disks[disk].target.map(inventory.lus) ?? []
    guard let place = lus.firstIndex(of: disk),
      let next = lus.dropFirst(place + 1).firstIndex(where: {
        s.scsi.settling.has($0) && probeOrder.follows(disk, $0)
      })
    else { return }
    out.schedule(MachineEvent(.diskReady, lus[next]), Window(.milliseconds(Int64(next - place) * Self.step)))
  }
}

/// In which orders the LUs of a target are probed, where that is not certain: in all, as far as they make a difference and
/// are not too many.
struct ProbeOrder: Sendable {
  /// More orders than this are too many to be followed, each with all that comes after it.
  private static let most = 720

  /// For each device the first of those with which it keeps its order.
  private var chains: [Int]
  /// Where not all orders are followed, by how many places a LU is moved at most; by target.
  private(set) var reach: [Int: Int] = [:]
  /// What is left out, by target.
  private(set) var omissions: [Int: String] = [:]

  init(_ inventory: Inventory) {
    // Which of those that are alike comes first makes no difference.
    chains = inventory.alike
    for target in Set(inventory.disks.compactMap(\.target)) {
      let lus = inventory.lus(of: target)
      guard Self.orders(lus.map { chains[$0] }) > Self.most else { continue }
      let others = lus.filter { !inventory.disks[$0].isOfTheSystem }
      for disk in others { chains[disk] = others[0] }
      var omission =
        "since Linux 5.3 they come in any order; those that hold nothing of the system were kept in one order"
      if Self.orders(lus.map { chains[$0] }) > Self.most {
        reach[target] = 1
        omission += ", the others moved by one place at most"
      }
      omissions[target] = omission
    }
  }

  /// Whether a device keeps no order with any other.
  func isAlone(_ disk: Int) -> Bool {
    !chains.indices.contains { $0 != disk && follows($0, disk) }
  }

  /// Whether two devices keep their order.
  func follows(_ a: Int, _ b: Int) -> Bool { chains[a] == chains[b] }

  /// In how many orders things can come, of which those of one kind are not told apart; or some number above ``most``.
  private static func orders(_ kinds: [Int]) -> Int {
    var orders = 1
    var seen: [Int: Int] = [:]
    for (place, kind) in kinds.enumerated() {
      seen[kind, default: 0] += 1
      // A multinomial coefficient, factor by factor: always whole.
      orders = orders * (place + 1) / (seen[kind] ?? 1)
      if orders > most * Inventory.limit { break }
    }
    return orders
  }
}
