import LinuxConfig

/// What iscsid does with a session that it has no node record of.
extension MachineModel {
  /// iscsid of open-iscsi 2.0.871 (Ubuntu 10.04) cannot take such a session over and takes its connection down
  /// (document B, Lucid); later ones go on with what was negotiated (usr/iscsid.c, sync_session; lab i).
  func dropsUnknownSession(_ target: Int, _ s: MachineState) -> Bool {
    library.parsed("drops \(target) \(s.tree)") {
      let tree = tree(s)
      return packageVersion("open-iscsi", tree) == KernelVersion("2.0.871")
        && !nodeRecords(tree).contains { isRecord($0, of: target) }
    }
  }

  /// Somebody restores a lost connection: the kernel itself, or an iscsid that knows the session.
  func logsInAgain(_ target: Int, _ s: MachineState) -> Bool {
    recoversByItself(s) || s.iscsi.daemon && !dropsUnknownSession(target, s)
  }

  func dropUnknownSession(_ target: Int, _ s: inout MachineState, _ out: inout Out) {
    s.iscsi.sessions[target] = InitiatorState.Session.failed.rawValue
    endErrorHandling(target, &s, &out)
    s.iscsi.loss = LossCause.noRecord.rawValue
    say("iscsid", "iscsid: Could not get record for session to \(scenario.targets[target].iqn)", &out)
    say("kernel", "connection1:0: detected conn error (1011)", &out)
    explain(
      "initiator",
      "iscsid finds the session with \(scenario.targets[target].iqn) and no record of it below /etc/iscsi/nodes: it takes the connection down",
      because: [.daemon], sets: .session, .path, to: &out)
    startRecovery(target, &s, &out)
  }
}
