/// Connection tracking, as far as a session that is older than the firewall's rules meets it.
extension MachineModel {
  /// From 2.6.20 on a connection picked up in its middle is tracked liberally ("to handle window scaling", net/ipv4/netfilter/
  /// ip_conntrack_proto_tcp.c, later nf_conntrack_proto_tcp.c, tcp_new). Before, its packets fall out of a window that nobody
  /// knew the scale of, and are INVALID. Seen on Linux 6.1: nothing happens (lab s8c).
  private func tracksLiberally(_ s: MachineState) -> Bool { !(kernelVersion(s) < KernelVersion("2.6.20")) }

  /// Rules are loaded that let established connections in. Sessions from the initrd are not among them.
  func cutConnections(
    _ cuts: Set64, _ why: String, part: String, _ s: inout MachineState, _ out: inout Out
  ) {
    s.network.cut = []
    guard !cuts.isEmpty, !tracksLiberally(s) else { return }
    for target in cuts.members where s.iscsi.session(target) == .loggedIn {
      s.network.cut.put(target)
      s.iscsi.loss = LossCause.firewall.rawValue
      explain(
        part,
        "\(why); connection tracking begins with them and has not seen this session's: its packets are no longer let in, a new connection's would be",
        because: [.program], sets: .path, to: &out)
    }
  }
}
