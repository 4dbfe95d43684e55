import LinuxConfig

/// Interfaces, addresses, and whether a target's packets get through.
extension MachineModel {
  /// Index of the interface with a name; nil name: the first that has a cable.
  func nic(_ interface: String?) -> Int? {
    guard let interface else { return scenario.machine.nics.firstIndex { $0.cable } }
    return scenario.machine.nics.firstIndex { $0.interface == interface }
  }

  func linkUp(_ nic: Int, _ s: MachineState) -> Bool {
    s.network.present.has(nic) && s.network.up.has(nic) && scenario.machine.nics[nic].cable
      && !s.network.unplugged.has(nic)
  }

  /// The targets that the running system can exchange packets with.
  func reachableTargets(_ s: MachineState) -> Set64 {
    guard scenario.machine.nics.indices.contains(where: { linkUp($0, s) && s.network.address.has($0) })
    else { return [] }
    let reachable = s.network.targets.subtracting(s.network.dropped)
    guard !s.network.cut.isEmpty else { return reachable }
    return reachable.subtracting(
      Set64(
        s.network.cut.members.filter { s.iscsi.session($0) == .loggedIn }.map {
          Set64(rawValue: 1 << UInt64($0))
        }))
  }

  /// Follows what a change of links, addresses, firewall or targets means for the sessions.
  func pathsChanged(from before: Set64, _ s: inout MachineState, _ out: inout Out) {
    let now = reachableTargets(s)
    guard now != before else { return }
    for target in scenario.targets.indices where before.has(target) != now.has(target) {
      if now.has(target) {
        pathRestored(target, &s, &out)
      } else {
        let closed = !s.network.targets.has(target) && !s.targets.forgot.has(target)
        pathLost(target, closed: closed, &s, &out)
      }
    }
  }

  func setLink(_ nic: Int, up: Bool, _ s: inout MachineState, _ out: inout Out) {
    s.network.up.set(nic, up)
    out.note(.set(.path))
  }

  /// ifupdown's method `static` with a gateway: `ip addr add`, `ip route add default` (ifupdown 0.8; lab h5).
  func raiseStatic(
    _ interface: String, _ place: String, failTo: Int, part: String, _ s: inout MachineState, _ out: inout Out
  ) -> Flow {
    guard let nic = nic(interface), s.network.present.has(nic) else { return .next(Self.instant) }
    guard s.network.address.has(nic) else {
      s.network.notRaised.drop(nic)
      return .next(Self.instant)
    }
    s.network.notRaised.put(nic)
    say(part, "RTNETLINK answers: File exists", &out)
    say(part, "ifup: failed to bring up \(interface)", &out)
    explain(
      part, "\(place): \(interface) has its address and default route since the initramfs: ifup fails",
      because: [.address], sets: .interface, to: &out)
    return .to(failTo, Pace.between(5, 100, seen: 30))
  }

  /// `wait` conditions and instructions of the network.
  func executeConfigure(
    _ interface: String?, _ source: AddressSource, limit: Window, failTo: Int, timedOut: Bool, part: String,
    _ s: inout MachineState, _ out: inout Out
  ) -> Flow {
    guard let index = nic(interface), s.network.present.has(index) else {
      say(part, "\(interface ?? "network"): no such device", &out)
      s.iscsi.problem =
        (s.network.present.isEmpty ? LoginProblem.noInterface : .interfaceNotConfigured).rawValue
      explain(
        part, "there is no interface \(interface ?? "with a cable")", because: [.initramfs, .interface],
        sets: .login, to: &out)
      return .to(failTo, Self.instant)
    }
    let name = scenario.machine.nics[index].interface
    let source = effective(source, s)
    s.network.up.put(index)
    if s.network.address.has(index) {
      return .next(source == .dhcp ? Pace.between(700, 1800, seen: 1010) : Self.instant)
    }
    let answers = linkUp(index, s) && (source == .fixed || scenario.network.dhcp)
    if answers && !timedOut {
      s.network.address.put(index)
      for target in scenario.targets.indices { romSessionLeft(target, &s, &out) }
      explain(part, "\(name) is up and has its address", sets: .address, .path, to: &out)
      say(part, source == .dhcp ? "IP-Config: \(name) complete (dhcp)" : "IP-Config: \(name) complete", &out)
      return .next(source == .dhcp ? dhcpTime : Pace.about(60))
    }
    if timedOut {
      s.iscsi.problem = LoginProblem.noAddress.rawValue
      let why = linkUp(index, s) ? "no DHCP server answers" : "it has no link"
      say(part, "IP-Config: no response after 100 secs - giving up", &out)
      explain(part, "\(name) gets no address: \(why)", because: [.interface], sets: .login, to: &out)
      return .to(failTo, Self.instant)
    }
    return .wait(limit)
  }

  func effective(_ source: AddressSource, _ s: MachineState) -> AddressSource {
    guard source == .firmware else { return source }
    guard s.firmware.ibft > 0 else { return .dhcp }
    return scenario.machine.nics[Int(s.firmware.ibft) - 1].optionROM?.address == nil ? .dhcp : .fixed
  }

  var dhcpTime: Window {
    let delay = scenario.network.dhcpDelay
    return Window(.microseconds(delay.earliest), .microseconds(delay.latest))
  }

  /// What a story's step or an armed outage does to cable or target.
  func beginOutage(step: Int, _ s: inout MachineState, _ out: inout Out) {
    switch steps[step].plain {
    case .linkDown(let name, let length, _):
      guard let index = scenario.machine.nics.firstIndex(where: { $0.name == name || $0.interface == name })
      else { return }
      s.network.unplugged.put(index)
      explain("story", "the cable of \(name) is pulled" + forText(length), sets: .path, .story, to: &out)
      if let length { out.schedule(MachineEvent(.outageOver, step), Window(.microseconds(length))) }
    case .targetDown(let iqn, let length, _):
      guard let index = scenario.targets.firstIndex(where: { $0.iqn == iqn }) else { return }
      s.network.targets.drop(index)
      forgetSessions(index, &s, &out)
      explain("story", "the target \(iqn) stops" + forText(length), sets: .path, .story, to: &out)
      if let length { out.schedule(MachineEvent(.outageOver, step), Window(.microseconds(length))) }
    default: break
    }
  }

  private func forText(_ length: Int64?) -> String {
    length.map { " for \(SimTime.microseconds($0))" } ?? " for good"
  }

  func outageOver(_ step: Int, _ s: inout MachineState, _ out: inout Out) {
    switch steps[step].plain {
    case .linkDown(let name, _, _):
      if let index = scenario.machine.nics.firstIndex(where: { $0.name == name || $0.interface == name }) {
        s.network.unplugged.drop(index)
        explain("story", "the cable of \(name) is back", sets: .path, to: &out)
      }
    case .targetDown(let iqn, _, _):
      if let index = scenario.targets.firstIndex(where: { $0.iqn == iqn }) {
        s.network.targets.put(index)
        explain("story", "the target \(iqn) is back", sets: .path, to: &out)
      }
    case .targetCrash(let iqn, _, _): targetStarts(iqn, &s, &out)
    default: break
    }
  }
}
