/// What netfilter's INPUT and OUTPUT chains let through of an established connection to a target.
///
/// Both have to: without what the target sends nothing arrives, and without our acknowledgements the connection dies, too.
struct FirewallRules: Sendable {
  private struct Chain: Sendable {
    var policyDrops = false
    var rules: [[String]] = []
  }

  /// What a packet of the connection looks like to a chain.
  private struct Packet {
    var interfaceFlags: [String]
    var source: String?
    var destination: String?
    var sourcePorts: ClosedRange<Int>
    var destinationPorts: ClosedRange<Int>
    /// What connection tracking calls it.
    var state: String
  }

  /// net.ipv4.ip_local_port_range: our side of the connection.
  private static let ephemeral = 32768...60999

  /// INPUT, OUTPUT, and the chains that rules of theirs lead to.
  private var chains: [String: Chain] = [:]

  /// One iptables command's arguments.
  mutating func apply(_ words: [String]) {
    var words = words
    if let table = words.firstIndex(where: { $0 == "-t" || $0 == "--table" }), table + 1 < words.count {
      guard words[table + 1] == "filter" else { return }
      words.removeSubrange(table...table + 1)
    }
    guard let command = words.first else { return }
    guard let name = words.dropFirst().first else {
      for name in chains.keys { Self.apply(command, [], to: &chains[name, default: Chain()]) }
      return
    }
    Self.apply(command, Array(words.dropFirst(2)), to: &chains[name, default: Chain()])
  }

  private static func apply(_ command: String, _ rest: [String], to chain: inout Chain) {
    switch command {
    case "-P", "--policy": chain.policyDrops = rest.first == "DROP"
    case "-F", "--flush": chain.rules = []
    case "-A", "--append":
      // A rule that stands there already decides nothing the second time.
      if !chain.rules.contains(rest) { chain.rules.append(rest) }
    case "-I", "--insert":
      let number = rest.first.flatMap { Int($0) }
      let rule = number == nil ? rest : Array(rest.dropFirst())
      chain.rules.insert(rule, at: min(max((number ?? 1) - 1, 0), chain.rules.count))
    case "-D", "--delete":
      if let number = rest.first.flatMap({ Int($0) }) {
        if chain.rules.indices.contains(number - 1) { chain.rules.remove(at: number - 1) }
      } else if let index = chain.rules.firstIndex(of: rest) {
        chain.rules.remove(at: index)
      }
    default: break
    }
  }

  /// The targets whose packets, or packets to whom, are dropped.
  func drops(_ scenario: Scenario) -> Set64 { refused("ESTABLISHED", scenario) }

  /// The targets to whom a new connection would work while that which was there before the rules does not: tracking never
  /// saw its beginning and calls its packets invalid.
  func cuts(_ scenario: Scenario) -> Set64 {
    refused("INVALID", scenario).subtracting(drops(scenario))
  }

  private func refused(_ state: String, _ scenario: Scenario) -> Set64 {
    var refused: Set64 = []
    for (index, target) in scenario.targets.enumerated() where !lets(target, state, scenario) {
      refused.put(index)
    }
    return refused
  }

  private func lets(_ target: TargetSpec, _ state: String, _ scenario: Scenario) -> Bool {
    let port = target.portal.split(separator: ":").last.flatMap { Int($0) } ?? 3260
    let host = MachineModel.host(target.portal)
    return lets(
      "INPUT",
      Packet(
        interfaceFlags: ["-i", "--in-interface"], source: host, destination: nil, sourcePorts: port...port,
        destinationPorts: Self.ephemeral, state: state), scenario)
      && lets(
        "OUTPUT",
        Packet(
          interfaceFlags: ["-o", "--out-interface"], source: nil, destination: host,
          sourcePorts: Self.ephemeral, destinationPorts: port...port, state: state), scenario)
  }

  private func lets(_ name: String, _ packet: Packet, _ scenario: Scenario) -> Bool {
    decision(name, packet, scenario, depth: 0) ?? !(chains[name]?.policyDrops ?? false)
  }

  /// Nil: the packet comes back out of the chain.
  private func decision(_ name: String, _ packet: Packet, _ scenario: Scenario, depth: Int) -> Bool? {
    // The kernel refuses chains that lead to themselves.
    guard depth < 16 else { return nil }
    for rule in chains[name]?.rules ?? [] where Self.matches(rule, packet, scenario) {
      guard let jump = rule.firstIndex(where: { $0 == "-j" || $0 == "--jump" }), jump + 1 < rule.count
      else { continue }
      switch rule[jump + 1] {
      case "ACCEPT": return true
      case "DROP", "REJECT": return false
      case "RETURN": return nil
      case let other:
        if let taken = decision(other, packet, scenario, depth: depth + 1) { return taken }
      }
    }
    return nil
  }

  private static func matches(_ rule: [String], _ packet: Packet, _ scenario: Scenario) -> Bool {
    /// Whether a condition, if the rule has it, is met; "!" before the flag or before the value turns it round.
    func meets(_ flags: [String], _ test: (String) -> Bool) -> Bool {
      guard let index = rule.firstIndex(where: flags.contains) else { return true }
      let rest = rule[(index + 1)...]
      let inside = rest.first == "!"
      guard let value = rest.dropFirst(inside ? 1 : 0).first else { return true }
      let outside = index > 0 && rule[index - 1] == "!"
      return test(value) != (inside || outside)
    }
    return meets(packet.interfaceFlags) { name in scenario.machine.nics.contains { $0.interface == name } }
      && meets(["-p", "--protocol"]) { ["tcp", "6", "all", "0"].contains($0) }
      && meets(["-s", "--source", "--src"]) { covers($0, packet.source ?? "") }
      && meets(["-d", "--destination", "--dst"]) { covers($0, packet.destination ?? "") }
      && meets(["--sport", "--source-port"]) { holds($0, packet.sourcePorts) }
      && meets(["--dport", "--destination-port"]) { holds($0, packet.destinationPorts) }
      && meets(["--state", "--ctstate"]) { $0.split(separator: ",").map(String.init).contains(packet.state) }
      && rule.indices.allSatisfy { rule[$0] != "--syn" || $0 > 0 && rule[$0 - 1] == "!" }
  }

  /// "3260" or "1024:65535": every one of the ports is in it.
  private static func holds(_ text: String, _ ports: ClosedRange<Int>) -> Bool {
    let ends = text.split(separator: ":", omittingEmptySubsequences: false)
    guard let low = ends.first.map({ $0.isEmpty ? 0 : Int($0) }) ?? nil,
      let high = ends.last.map({ $0.isEmpty ? 65535 : Int($0) }) ?? nil, low <= high
    else { return false }
    return low <= ports.lowerBound && ports.upperBound <= high
  }

  /// "10.0.2.2", "10.0.2.0/24" or "10.0.2.0/255.255.255.0" covers an address.
  private static func covers(_ network: String, _ address: String) -> Bool {
    let parts = network.split(separator: "/", maxSplits: 1).map(String.init)
    guard let wanted = parts.first.flatMap(number), let own = number(address) else {
      return network == address
    }
    let mask: UInt32
    if parts.count < 2 {
      mask = .max
    } else if let length = Int(parts[1]), (0...32).contains(length) {
      mask = length == 0 ? 0 : .max << UInt32(32 - length)
    } else {
      mask = number(parts[1]) ?? .max
    }
    return wanted & mask == own & mask
  }

  /// An IPv4 address as a number.
  private static func number(_ address: String) -> UInt32? {
    let octets = address.split(separator: ".", omittingEmptySubsequences: false).compactMap { UInt8($0) }
    return octets.count == 4 ? octets.reduce(0) { $0 << 8 | UInt32($1) } : nil
  }
}
