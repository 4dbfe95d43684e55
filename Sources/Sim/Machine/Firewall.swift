/// What netfilter's INPUT chain lets in, as far as the target's packets go.
struct FirewallRules: Sendable {
  private var policyDrops = false
  private var rules: [[String]] = []

  /// One iptables command's arguments.
  mutating func apply(_ words: [String]) {
    guard !words.contains("-t") || words.contains("filter") else { return }
    let chain = words.firstIndex(of: "INPUT")
    switch words.first {
    case "-P" where chain == 1: policyDrops = words.count > 2 && words[2] == "DROP"
    case "-F": rules = []
    case "-A" where chain == 1: rules.append(Array(words.dropFirst(2)))
    case "-I" where chain == 1: rules.insert(Array(words.dropFirst(2)), at: 0)
    case "-D" where chain == 1: rules.removeAll { $0 == Array(words.dropFirst(2)) }
    default: break
    }
  }

  /// Do packets of an established connection from the targets' portals get in?
  func lets(_ scenario: Scenario) -> Bool {
    for rule in rules where matches(rule, scenario) {
      guard let jump = rule.firstIndex(of: "-j"), rule.indices.contains(jump + 1) else { continue }
      switch rule[jump + 1] {
      case "ACCEPT": return true
      case "DROP", "REJECT": return false
      default: continue
      }
    }
    return !policyDrops
  }

  private func matches(_ rule: [String], _ scenario: Scenario) -> Bool {
    func value(_ names: String...) -> String? {
      rule.indices.first { names.contains(rule[$0]) && rule.indices.contains($0 + 1) }.map { rule[$0 + 1] }
    }
    let ports = scenario.targets.map {
      $0.portal.split(separator: ":").dropFirst().first.map(String.init) ?? "3260"
    }
    let hosts = scenario.targets.map { MachineModel.host($0.portal) }
    if let interface = value("-i", "--in-interface"),
      !scenario.machine.nics.contains(where: { $0.interface == interface })
    {
      return false
    }
    if let proto = value("-p", "--protocol"), proto != "tcp", proto != "all" { return false }
    if let port = value("--sport", "--source-port"), !ports.contains(port) { return false }
    if let source = value("-s", "--source"),
      !hosts.contains(source.split(separator: "/").first.map(String.init) ?? source)
    {
      return false
    }
    if value("--dport", "--destination-port") != nil { return false }
    if let state = value("--state", "--ctstate"), !state.contains("ESTABLISHED") { return false }
    return true
  }
}
