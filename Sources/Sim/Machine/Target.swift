/// What a target admits.
extension MachineModel {
  /// The target's answer to a login, or nil where it lets the initiator in.
  func refusal(_ login: Login, by target: Int, asking: Asking, _ s: MachineState) -> LoginProblem? {
    let spec = scenario.targets[target]
    if let acl = spec.acl {
      guard let initiator = login.initiator, acl.contains(initiator) else { return .notAdmitted }
    }
    if let wanted = spec.chap, login.chap != wanted { return .wrongSecret }
    if let limit = spec.maxSessions, countedSessions(target, for: asking, s) >= limit { return .sessionLimit }
    return nil
  }

  /// Targets behind a portal: "10.0.2.2" and "10.0.2.2:3260" are the same.
  func targets(atPortal portal: String) -> [Int] {
    scenario.targets.indices.filter {
      Self.fullPortal(scenario.targets[$0].portal) == Self.fullPortal(portal)
    }
  }

  /// Targets that a discovery at an address shows: those on the same host.
  func targets(discoveredAt address: String) -> [Int] {
    let host = Self.host(address)
    return scenario.targets.indices.filter { Self.host(scenario.targets[$0].portal) == host }
  }

  static func fullPortal(_ portal: String) -> String {
    portal.contains(":") ? portal : portal + ":3260"
  }

  static func host(_ portal: String) -> String {
    portal.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).first.map(String.init)
      ?? portal
  }

  /// The option ROM never logs out. Its session ends when the target notices: it retransmits what was not acknowledged,
  /// and the operating system, having the same address, answers with a reset (lab, "iPXE's session").
  func romSessionLeft(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    guard s.iscsi.romSessions.has(target), let delay = scenario.targets[target].dropsDeadSessionsAfter else {
      return
    }
    out.schedule(
      MachineEvent(.romSessionGone, target),
      Window(.microseconds(delay.earliest), .microseconds(delay.latest)))
  }

  func romSessionGone(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    s.iscsi.romSessions.drop(target)
    explain(
      "target", "\(scenario.targets[target].iqn) drops the boot ROM's session", sets: .romSession, to: &out)
  }
}
