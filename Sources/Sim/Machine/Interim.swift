import LinuxConfig
// Until LinuxConfig has these.
struct SystemdUnit { 
  struct E { var key: String; var value: String; var section: String; var file: String; var line: Int }
  struct P { var value: SystemdUnit }
  var all: [E] = []; var isMasked = false
  func values(_ k: String, in s: String) -> [String] { all.filter { $0.key == k && $0.section == s }.flatMap { $0.value.split(separator: " ").map(String.init) } }
  func entries(_ k: String, in s: String) -> [E] { all.filter { $0.key == k && $0.section == s } }
  static func load(_ name: String, _ tree: MemoryFileTree) -> P? {
    for d in MachineModel.unitDirectories {
      let p = "\(d)/\(name)"
      if tree.linkTarget(p) == "/dev/null" { return P(value: SystemdUnit(isMasked: true)) }
      guard let text = tree.text(p) else { continue }
      var u = SystemdUnit(); var sec = ""
      for (i, l) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
        if l.hasPrefix("[") { sec = String(l.dropFirst().prefix { $0 != "]" }); continue }
        if l.hasPrefix("#") { continue }
        if let e = l.firstIndex(of: "=") { u.all.append(E(key: String(l[..<e]), value: String(l[l.index(after: e)...]), section: sec, file: p, line: i + 1)) }
      }
      return P(value: u)
    }
    return nil
  }
}
struct DeviceMap { struct E { var device: GrubDevice; var path: String }; var entries: [E]; struct P { var value: DeviceMap }
  static func parse(_ t: String, file: String) -> P {
    P(value: DeviceMap(entries: t.split(separator: "\n").compactMap { l in let w = l.split(whereSeparator: { $0 == " " || $0 == "\t" }); guard w.count == 2, let d = GrubDevice(String(w[0]), style: .legacy) else { return nil }; return E(device: d, path: String(w[1])) }))
  } }
struct LinuxISCSIConfig { var d: [String: String]; struct P { var value: LinuxISCSIConfig }
  var discoveryAddresses: [String] { d["DiscoveryAddress"].map { [$0] } ?? [] }
  func username(for: String) -> String? { d["Username"] }
  func password(for: String) -> String? { d["Password"] }
  static func parse(_ t: String, file: String) -> P { var d: [String: String] = [:]; for l in t.split(separator: "\n") where !l.hasPrefix("#") { let w = l.drop { $0 == " " || $0 == "\t" }.split(separator: "=", maxSplits: 1).map(String.init); if w.count == 2 { d[w[0]] = w[1] } }; return P(value: LinuxISCSIConfig(d: d)) } }
struct InitiatorName { var name: String?; struct P { var value: InitiatorName }
  static func parse(_ t: String, file: String) -> P { P(value: InitiatorName(name: t.split(separator: "\n").compactMap { String($0).dropping("InitiatorName=") }.first)) } }
