/// What netfilter's INPUT and OUTPUT chains let through of an established connection to a target.
///
/// Both have to: without what the target sends nothing arrives, and without our acknowledgements the connection dies, too.
/// Chains of the system's own are not followed.
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
  }

  /// net.ipv4.ip_local_port_range: our side of the connection.
  private static let ephemeral = 32768...60999

  private var input = Chain()
  private var output = Chain()

  /// One iptables command's arguments.
  mutating func apply(_ words: [String]) {
    var words = words
    if let table = words.firstIndex(where: { $0 == "-t" || $0 == "--table" }), table + 1 < words.count {
      guard words[table + 1] == "filter" else { return }
      words.removeSubrange(table...table + 1)
    }
    guard let command = words.first else { return }
    let name = words.dropFirst().first
    if name == "INPUT" || name == nil { Self.apply(command, Array(words.dropFirst(2)), to: &input) }
    if name == "OUTPUT" || name == nil { Self.apply(command, Array(words.dropFirst(2)), to: &output) }
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
  func drops(_ scenario: Scenario) -> Set64 {
    var dropped: Set64 = []
    for (index, target) in scenario.targets.enumerated() where !lets(target, scenario) { dropped.put(index) }
    return dropped
  }

  private func lets(_ target: TargetSpec, _ scenario: Scenario) -> Bool {
    let port = target.portal.split(separator: ":").last.flatMap { Int($0) } ?? 3260
    let host = MachineModel.host(target.portal)
    return Self.lets(
      input,
      Packet(
        interfaceFlags: ["-i", "--in-interface"], source: host, destination: nil, sourcePorts: port...port,
        destinationPorts: Self.ephemeral), scenario)
      && Self.lets(
        output,
        Packet(
          interfaceFlags: ["-o", "--out-interface"], source: nil, destination: host,
          sourcePorts: Self.ephemeral, destinationPorts: port...port), scenario)
  }

  private static func lets(_ chain: Chain, _ packet: Packet, _ scenario: Scenario) -> Bool {
    for rule in chain.rules where matches(rule, packet, scenario) {
      guard let jump = rule.firstIndex(where: { $0 == "-j" || $0 == "--jump" }), jump + 1 < rule.count
      else { continue }
      switch rule[jump + 1] {
      case "ACCEPT": return true
      case "DROP", "REJECT": return false
      default: continue
      }
    }
    return !chain.policyDrops
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
      && meets(["--state", "--ctstate"]) { $0.split(separator: ",").contains("ESTABLISHED") }
      && !rule.contains("--syn")
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
