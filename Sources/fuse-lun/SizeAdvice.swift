import LUNStore

/// What a client has to do, or to be told, before it sees the new size of a LUN that it has open.
///
/// Each of these was tried with the program that it is about; LIO's is what drivers/target/target_core_file.c says
/// (`fd_get_blocks`: the size of a regular file is the one that it was set up with).
struct SizeAdvice {
  /// A command that does it, if one does.
  let command: String?
  /// What there is to say about it.
  let text: String

  init(for client: OpenClient, path: String, size: Int64) {
    switch client.kind {
    case .loopDevice:
      command = "losetup -c \(client.name)"
      text = "'\(command!)'; then its partitions and file systems can grow (growpart, resize2fs, xfs_growfs)"
    case .lio:
      command = nil
      text = """
        delete the backstore in targetcli and make it again, or 'fuse-lun target STORE … --format lio' and 'targetcli \
        restoreconfig': LIO keeps the size that a file had when it was set up
        """
    case .process where client.name == "tgtd":
      let update = "tgtadm --lld iscsi --mode logicalunit --op update --tid TID --lun LUN --params"
      command = "\(update) online=0 && \(update) path='\(path)' && \(update) online=1"
      text = """
        with TID and LUN from 'tgtadm --mode target --op show', \(command!); then initiators scan anew \
        ('iscsiadm -m session -R')
        """
    case .process where client.name.hasPrefix("qemu-storage-d"):
      command = nil
      text = """
        over QMP, block-export-del, {"execute": "block_resize", "arguments": {"node-name": "NODE", "size": \(size)}}, \
        block-export-add: an export keeps its size
        """
    case .process where client.name == "qemu-nbd":
      command = nil
      text = "end it and start it again: an NBD export keeps its size"
    case .process where client.name.hasPrefix("qemu-"):
      command = #"{"execute": "block_resize", "arguments": {"node-name": "NODE", "size": \#(size)}}"#
      text = """
        over QMP \(command!) with NODE from query-named-block-nodes, or in the monitor 'block_resize DEVICE \
        \(size)B'; the guest sees it at once
        """
    case .process:
      command = nil
      text = "sees it when it next asks for the size of the file"
    }
  }

  /// What `resize` prints: nothing where nobody has the LUN open.
  static func text(for clients: [OpenClient], of lun: String, _ answer: ResizeRequest.Answer) -> String {
    guard let path = answer.path else { return "" }
    var lines = [
      "'\(lun)' has \(ByteCount(answer.size)) now (\(bytesText(answer.size))). Those who have it open:"
    ]
    lines += clients.map { "  \($0): \(SizeAdvice(for: $0, path: path, size: answer.size).text)" }
    if clients.isEmpty {
      lines = [
        "'\(lun)' has \(ByteCount(answer.size)) now (\(bytesText(answer.size))). It is open in a process that cannot "
          + "be seen from here:"
      ]
      for (name, kind) in [
        ("a loop device", OpenClient.Kind.loopDevice), ("tgtd", .process), ("qemu-system-x86_64", .process),
        ("LIO", .lio),
      ] {
        let client = OpenClient(name: kind == .loopDevice ? "/dev/loopN" : name, kind: kind)
        lines.append("  \(name): \(SizeAdvice(for: client, path: path, size: answer.size).text)")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
