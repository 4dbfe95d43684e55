/// The rows of the two documents that the regression suite is held against, one behaviour each.
///
/// "S-17" in a scenario's or a finding's sources is a row.
public struct DocumentRow: Sendable {
  /// What the suite has to show of a row.
  public enum Shows: Sendable {
    /// A failure, and its cure.
    case cure
    /// Something that does not fail, beside rows that do.
    case contrast
  }

  /// "S-17".
  public let name: String
  /// "A 146-150": the lines of Intel's page; "B": of the howto.
  public let lines: String
  /// What the suite shows of it.
  public let shows: Shows
  /// One clause.
  public let title: String

  /// Document and lines in words.
  public var place: String {
    lines.split(separator: ";").map { part in
      let words = part.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
      let document = words.first == "A" ? Self.intel : Self.howto
      return "\(document), line\(words[1].contains { ",-".contains($0) } ? "s" : "") \(words[1])"
    }.joined(separator: "; ")
  }

  private static let intel = "Intel, Linux Installation on Intel iSCSI Remote Boot"
  private static let howto = "etherboot.org, sanboot/ubuntu_iscsi"

  /// The row with a name, or nil.
  public static func named(_ name: String) -> DocumentRow? { all.first { $0.name == name } }

  /// All of them, in order.
  public static let all: [DocumentRow] = [
    .init(
      "S-01", "A 15",
      "the network adapter is newer than the distribution's drivers"),
    .init(
      "S-02", "A 45,53,171",
      "the initiator's module was built for another kernel or architecture"),
    .init(
      "S-03", "A 49,69",
      "iscsi.conf names no DiscoveryAddress"),
    .init(
      "S-04", "A 51",
      "the target asks for CHAP, and the initiator's files do not match it"),
    .init(
      "S-05", "A 57,212",
      "the adapter cannot boot from iSCSI, or its option ROM is not set up"),
    .init(
      "S-06", "A 94,264",
      "/boot is on a LU that the option ROM does not expose"),
    .init(
      "S-07", "A 95-101",
      "the iSCSI package was not selected at the installation"),
    .init(
      "S-08", "A 103-106,266-267",
      "the disk that is installed to is not the first in the drive order"),
    .init(
      "S-09", "A 107,269; B 139",
      "rebooted right after the installation, before initrd and loader were edited"),
    .init(
      "S-10", "A 110-112",
      "INITRD_MODULES lacks the adapter's driver or the initiator"),
    .init(
      "S-11", "A 114-118",
      "mkinitrd does not write the CHAP name and secret into the initrd"),
    .init(
      "S-12", "A 120",
      "mkinitrd was run without -D, or with another interface"),
    .init(
      "S-13", "A 123-127",
      "root= names the node of the installation"),
    .init(
      "S-14", "A 129-133,274-278",
      "device.map names the node of the installation"),
    .init(
      "S-15", "A 135-139",
      "fstab names the nodes of the installation"),
    .init(
      "S-16", "A 145",
      "YaST's second stage configures the adapter under the root"),
    .init(
      "S-17", "A 146-150",
      "the network script resets the adapter under the root"),
    .init(
      "S-18", "A 146",
      "the line against S-17 is in the wrong place, or an update took it away"),
    .init(
      "S-19", "A 152",
      "iscsid is killed: harmless with linux-iscsi, with open-iscsi nobody logs in again"),
    .init(
      "S-20", "A 160",
      "RHEL 5.1 does not read the iBFT"),
    .init(
      "S-21", "A 214",
      "the driver disk is attached too late"),
    .init(
      "S-22", "A 219",
      "the driver disk is mounted over /mnt, which the installer uses"),
    .init(
      "S-23", "A 231-251",
      "the stick's node or minor number was guessed wrong"),
    .init(
      "S-24", "A 255",
      "the stick is taken out in mid-installation"),
    .init(
      "S-25", "A 261",
      "which LUN has which node was not noted after discovery"),
    .init(
      "S-26", "A 288-290",
      "the shutdown takes the network away from the root (HALTARGS, K90network)"),
    .init(
      "S-27", "A 292",
      "a bootable stick is left in at the reboot"),
    .init(
      "S-28", "A 295",
      "kudzu is told to configure the adapter"),
    .init(
      "S-29", "A 299-317",
      "a stick was there at the installation and is gone at the boot"),
    .init(
      "S-30", "A 319-321",
      "a stick is attached after the boot, and is still there at the next one"),
    .init(
      "S-31", "A 323",
      "local disks and card readers take the first letters"),
    .init(
      "S-32", "A 327",
      "installed on a local IDE disk that became a LU"),
    .init(
      "S-33", "A 331-345",
      "iptables-restore holds the boot up"),
    .init(
      "S-34", "A 347-353",
      "a crash dump to a disk behind the adapter"),
    .init(
      "S-35", "B 10,105",
      "an installer's shell cannot install packages"),
    .init(
      "S-36", "B 36-38",
      "the list of modules lacks the initiator's"),
    .init(
      "S-37", "B 38,42",
      "sudo echo >> file: the redirection is the user's"),
    .init(
      "S-38", "B 40",
      "two machines have one initiator name"),
    .init(
      "S-39", "B 44-46",
      "the indicator file iscsi.initramfs is missing"),
    .init(
      "S-40", "B 48-59",
      "Jaunty's hook copies iscsistart from the wrong place"),
    .init(
      "S-41", "B 61-69",
      "udev starts too late for local-top"),
    .init(
      "S-42", "B 71-74",
      "files are edited and the initramfs is not rebuilt"),
    .init(
      "S-43", "B 78-85",
      "the network scripts or NetworkManager configure the adapter again"),
    .init(
      "S-44", "B 87",
      "nothing reads the iBFT, so nobody knows the target"),
    .init(
      "S-45", "B 97",
      "ISCSI_TARGET_IP is empty, as in the howto's own sample"),
    .init(
      "S-46", "B 99,205",
      "an upgrade writes the boot menu anew"),
    .init(
      "S-47", "B 117-126",
      "the node record has no CHAP name and secret"),
    .init(
      "S-48", "B 126-137",
      "on the live CD the LUN has another letter than expected"),
    .init(
      "S-49", "B 141-149",
      "the initramfs is built in a chroot without the separate /boot"),
    .init(
      "S-50", "B 154-159",
      "local-top runs before the adapter's driver is loaded"),
    .init(
      "S-51", "B 161-181",
      "networking and open-iscsi are stopped at the shutdown"),
    .init(
      "S-52", "B 192",
      "the image has no record of its target, and iscsid takes the session down"),
    .init(
      "S-53", "B 194-196",
      "sysv-rc-conf leaves links behind"),
    .init(
      "S-54", "B 197",
      "an upgrade of the package brings the links back"),
    .init(
      "S-55", "B 198-203",
      "no link starts iscsid any more"),
    .init(
      "S-56", "B 205-206",
      "the options are only on the normal menu entry"),
    .init(
      "S-57", "B 209-211",
      "journalling of metadata only, and the connection drops"),
    .init(
      "S-58", "B 212",
      "replacement_timeout is shorter than the outage"),
    .init(
      "S-59", "B 212",
      "replacement_timeout is infinite, and the target lost what it had acknowledged"),
    .init(
      "S-60", "B 212",
      "the target starts by itself after its crash"),
    .init(
      "S-61", "B 213",
      "the target admits one session, and the boot ROM's still counts"),
    .init(
      "S-62", "B 213",
      "two machines mount the LUN for writing"),
    .init(
      "S-63", "B 97",
      "capitals in the target's name in one place and not in the other"),
    .init(
      "S-64", "B 133",
      "the LU's write cache is enabled"),
    .init(
      "S-65", "B 78-85",
      "the interface has another name in the initramfs"),
    .init(
      "S-66", "B 94-97",
      "root=UUID= is of the file system before the copy"),
    .init(
      "S-67", "A 187-198",
      "modules that iscsi_sfnet needs are missing in the initrd, or come after it"),
    .init(
      "S-68", "A 143,294",
      "the installation CD is left in at the reboot"),
    .init(
      "S-69", "A 19,158-160", "systems that boot from iSCSI natively, by static settings or by the iBFT",
      .contrast),
    .init(
      "S-70", "A 214",
      "a local disk is there at the installation and gone at the boot"),
    .init(
      "S-71", "A 69; B 42",
      "the initiator's name is not the one that the target admits"),
    .init("S-72", "A 221", "the driver disk is an IDE floppy: no letter is taken", .contrast),
    .init(
      "S-73", "B 154-159",
      "from the busybox prompt the boot goes on by hand"),
    .init("S-74", "B 204", "10.04 sees that its root is on iSCSI and goes down clean", .contrast),
    .init("S-75", "B 96", "root=UUID= does not mind letters", .contrast),
    .init(
      "S-76", "B 8,20,96",
      "nobody answers DHCP"),
  ]

  private init(_ name: String, _ lines: String, _ title: String, _ shows: Shows = .cure) {
    (self.name, self.lines, self.shows, self.title) = (name, lines, shows, title)
  }
}
