import CLinux
import Glibc

/// The network of one run: a namespace of its own with a bridge, a tap device for each adapter of the machine, and a
/// DHCP and TFTP server. Nothing in it reaches any other network.
final class LabNetwork {
  /// The address of the machine that runs the targets, as in the profiles.
  static let host = "10.0.2.2"
  /// The address that the machine is given.
  static let guest = "10.0.2.15"

  /// The namespace's name.
  let name: String
  private let folder: String
  private let plan: LabPlan
  private var server: Tool?

  /// Makes the namespace.
  ///
  /// - Parameter folder: Where the server keeps its leases, its log and the files that it gives away.
  init(_ plan: LabPlan, folder: String) throws(LabError) {
    self.plan = plan
    self.folder = folder
    name = "\(Self.prefix)\(getpid())"
    try Self.sweep()
    try Tool.run(["ip", "netns", "add", name])
    // Connections to a machine that has restarted must not begin with what was learnt of the one before.
    try Tool.run(inside(["sysctl", "-q", "-w", "net.ipv4.tcp_no_metrics_save=1"]))
    try ip("link", "set", "lo", "up")
    try ip("link", "add", "br0", "type", "bridge")
    try ip("address", "add", "\(Self.host)/24", "dev", "br0")
    for address in Set(plan.targets.map(\.address)).sorted() where address != Self.host {
      try ip("address", "add", "\(address)/32", "dev", "lo")
    }
    try ip("link", "set", "br0", "up")
    for adapter in plan.adapters {
      try ip("tuntap", "add", "tap\(adapter.slot)", "mode", "tap")
      try ip("link", "set", "tap\(adapter.slot)", "master", "br0", "up")
    }
    if plan.hasDHCP || plan.hasStaticROM { try startDHCP() }
  }

  deinit { end() }

  private static let prefix = "bootsim-lab-"

  /// Removes the namespaces of programs that were killed.
  private static func sweep() throws(LabError) {
    for line in try Tool.run(["ip", "netns", "list"]).split(separator: "\n") {
      let name = line.prefix { $0 != " " }
      guard name.hasPrefix(prefix), let process = pid_t(name.dropFirst(prefix.count)) else { continue }
      if kill(process, 0) != 0 || process == getpid() {
        try Tool.run(["ip", "netns", "delete", String(name)])
      }
    }
  }

  /// A command line that runs in the namespace.
  func inside(_ words: [String]) -> [String] { ["nsenter", "--net=/run/netns/\(name)", "--"] + words }

  /// Lets packets between the machine and everything else through, or drops them without a word.
  func carry(_ isCarrying: Bool) throws(LabError) {
    for adapter in plan.adapters { try ip("link", "set", "tap\(adapter.slot)", isCarrying ? "up" : "down") }
  }

  /// Connects to a portal from inside.
  ///
  /// - Returns: the socket; nil: nobody listens.
  func connect(to address: String, port: Int) throws(LabError) -> Int32? {
    let own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)
    let inner = open("/run/netns/\(name)", O_RDONLY | O_CLOEXEC)
    defer {
      close(own)
      close(inner)
    }
    // A socket belongs to the namespace that its thread was in when it was made.
    guard linux_setns(inner) == 0 else { throw LabError("setns: \(String(cString: strerror(errno)))") }
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard linux_setns(own) == 0 else { throw LabError("setns: \(String(cString: strerror(errno)))") }
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_port = in_port_t(port).bigEndian
    inet_pton(AF_INET, address, &place.sin_addr)
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isConnected = withUnsafePointer(to: &place) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(socket, $0, size) == 0 }
    }
    if isConnected { return socket }
    close(socket)
    return nil
  }

  private func ip(_ words: String...) throws(LabError) { try Tool.run(["ip", "-netns", name] + words) }

  /// Where the server's log is.
  var log: String { "\(folder)/dnsmasq.log" }

  /// Begins to answer.
  func startDHCP() throws(LabError) {
    let words = [
      "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=br0",
      "--bind-interfaces",
      "--dhcp-range=10.0.2.16,10.0.2.60,255.255.255.0,12h", "--dhcp-option=option:router,\(Self.host)",
      // iPXE's own option no-pxedhcp: there is no proxy DHCP server that it has to wait for.
      "--dhcp-option=encap:175,176,1b", "--dhcp-authoritative", "--no-ping",
      "--dhcp-leasefile=\(folder)/leases", "--enable-tftp",
      "--tftp-root=\(folder)/tftp", "--dhcp-boot=boot.ipxe", "--log-dhcp", "--log-facility=-", "--user=root",
      "--group=root", "--pid-file=",
    ]
    // The first adapter always gets the same address, the one that the profiles name.
    let known = plan.adapters.prefix(1).map { "--dhcp-host=\($0.mac),\(Self.guest)" }
    // iPXE's script comes by DHCP even where nobody else is answered.
    let silent = plan.hasDHCP ? [] : ["--dhcp-userclass=set:ipxe,iPXE", "--dhcp-ignore=tag:!ipxe"]
    server = try Tool(inside(words + known + silent), log: log)
  }

  /// Ends the server and removes the namespace.
  func end() {
    server?.kill()
    server = nil
    _ = try? Tool.run(["ip", "netns", "delete", name])
  }
}
