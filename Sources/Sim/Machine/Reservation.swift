/// A persistent reservation of a LU (SPC-3, 5.6): who else may write to it.
enum ReservationRequest: Hashable, Sendable {
  /// PERSISTENT RESERVE OUT, REGISTER: the initiator leaves its key.
  case register
  /// RESERVE with a type that keeps others from writing; only who has registered may.
  case reserve
  case release

  /// The arguments of sg_persist(8); nil where it only asks, or asks for something else.
  init?(_ words: [String]) {
    guard words.contains("--out") || words.contains("-o") else { return nil }
    if words.contains("--register") || words.contains("-G") || words.contains("--register-ignore") {
      self = .register
    } else if words.contains("--reserve") || words.contains("-R") {
      self = .reserve
    } else if words.contains("--release") || words.contains("-L") || words.contains("--clear") {
      self = .release
    } else {
      return nil
    }
  }
}

extension MachineModel {
  /// Keys and reservations belong to name and ISID, not to the connection: they outlive a session, and without APTPL not the
  /// target's power.
  func executeReservation(
    _ request: ReservationRequest, node: String, part: String, _ s: inout MachineState, _ out: inout Out
  ) -> Flow {
    guard let name = node.dropping("/dev/"), let disk = resolve(.node(name), s)?.disk,
      let target = inventory.disks[disk].target, s.iscsi.session(target) == .loggedIn,
      reachableTargets(s).has(target)
    else {
      say(part, "sg_persist: error opening file: \(node): No such device or address", &out)
      return .next(Self.instant)
    }
    let device = UInt8(disk + 1)
    switch request {
    case .register:
      s.targets.registered = device
    case .reserve:
      guard s.targets.registered == device else {
        say(part, "persistent reserve out: Reservation conflict", &out)
        return .next(Self.instant)
      }
      s.targets.reserved = device
      explain(
        "target", "\(inventory.disks[disk].name) is reserved: only this machine may write to it",
        because: [.story], sets: .otherMachine, to: &out)
    case .release:
      if s.targets.registered == device {
        s.targets.registered = 0
        s.targets.reserved = 0
      }
    }
    return .next(Pace.between(5, 100, seen: 20))
  }
}
