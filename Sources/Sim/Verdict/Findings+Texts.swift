extension Finding.Code {
  /// The text of `bootsim explain`.
  public var info: Finding {
    func text(_ title: String, _ meaning: String, _ recognise: String, _ cure: String, _ sources: [String])
      -> Finding
    {
      Finding(code: self, title: title, meaning: meaning, recognise: recognise, cure: cure, sources: sources)
    }
    switch self {
    case .installerFindsNoDisk:
      return text(
        "the installation system finds no disk to install on",
        "Discovery and login did not happen in the installation system: the initiator was never there, was not started, or its files could not be read from the driver disk. Nothing is installed.",
        "No \"Attached scsi disk\" line; An error has occurred - no valid devices were found on which to create new file systems",
        "Attach the driver disk before the step that needs it, mount the right node (dmesg, /proc/partitions), run the pre-install script, and look for \"Attached scsi disk\" before going on. An installation medium that cannot install open-iscsi (busybox) is the wrong one.",
        ["S-03", "S-21", "S-23", "S-35"])
    case .installerSourceHidden:
      return text(
        "the installation system's own directory is mounted over",
        "The installation system keeps its packages and the new system below /mnt. A driver disk mounted at that very place hides them.",
        "Unable to read the package ... from the installation source",
        "Mount the driver disk at any other place, such as /mnt/usb.", ["S-22"])
    case .moduleRefused:
      return text(
        "the kernel refuses a module that was built for another kernel",
        "A module carries the version and architecture of the kernel that it was built for, and no other kernel takes it. Without the initiator's module there is no disk.",
        "insmod: error inserting 'iscsi.ko': -1 Invalid module format (dmesg: version magic '...' should be '...')",
        "Take the module from the very kernel that runs, of the same architecture, and build the initrd with it.",
        ["S-02"])
    case .wrongDiskWritten:
      return text(
        "the installation was written to another disk",
        "The node that was named is another disk this time: letters follow the order in which disks were found. What was on that disk is lost.",
        "sd 8:0:0:0: [sdg] ... in dmesg, and another letter in the partitioner",
        "Read the LU's letter in dmesg after the login, and partition that one.", ["S-48", "S-23"])
    case .noBootableDevice:
      return text(
        "no device of the boot order can be booted",
        "The firmware walked its whole boot order and found no option ROM that exposes a LU and no disk with a boot sector.",
        "No bootable device.",
        "Put the adapter with the option ROM, or the disk, into the boot order; install boot code.",
        ["S-05", "S-08"])
    case .bootedOtherMedium:
      return text(
        "another medium is booted instead",
        "A bootable USB stick, CD or disk comes before the iSCSI adapter in the boot order, so the machine starts from that.",
        "The other medium's own loader or installer appears.",
        "Remove the medium, or put the adapter first in the boot order.", ["S-27", "S-68", "lab l"])
    case .bootSectorHangs:
      return text(
        "the firmware jumps into a boot sector without a loader",
        "A partitioning tool leaves a boot signature (55AA) without a loader. The firmware takes that for bootable, jumps there and never comes back; no later device gets its turn.",
        "Booting from Hard Disk... and nothing more.",
        "Remove that disk from the boot order, or install boot code on the disk that is meant (device.map decides which one GRUB writes to).",
        ["S-14", "lab l3", "lab g6b"])
    case .optionROMNotConfigured:
      return text(
        "the option ROM has no target to log in to",
        "The adapter's ROM needs an initiator name, a portal and a target name, by its set-up menu or by DHCP.",
        "No root path or target configured", "Configure the ROM (initiator, portal, target, LUN).", ["S-05"])
    case .optionROMNoAddress:
      return text(
        "the option ROM gets no address",
        "No link, or no DHCP server that answers: the ROM cannot reach the target.",
        "No configuration methods succeeded",
        "A cable, a DHCP server on that network, or static settings in the ROM.", ["S-76", "F-14"])
    case .optionROMTargetUnreachable:
      return text(
        "nothing answers at the option ROM's portal",
        "The portal's address or port is wrong, or the target is not running.",
        "Could not open SAN device: Connection reset (http://ipxe.org/0f0a6039)",
        "Start the target first; check the portal.", ["lab q"])
    case .optionROMLoginRefused:
      return text(
        "the target refuses the option ROM's login",
        "The target name is unknown there, the initiator name is not admitted, CHAP fails, or the target admits no further session.",
        "Could not open SAN device: Error 0x430d6601",
        "Make target name, initiator name and CHAP secret the same in the ROM and at the target.",
        ["S-04", "S-71", "lab k"])
    case .optionROMNoLU:
      return text(
        "the target has no LU with the option ROM's number",
        "The ROM asks for one LUN (iPXE reads it as hexadecimal); the target has none with that number.",
        "Could not open SAN device: Input/output error (http://ipxe.org/1d704039)",
        "Set the LUN in the ROM to that of the boot LU.", ["F-04", "lab w4"])
    case .optionROMBlockSize:
      return text(
        "the option ROM cannot read the LU's first sector",
        "A BIOS reads sectors of 512 bytes; the LU has logical blocks of 4096. It is registered as a drive, and booting from it fails.",
        "Boot from SAN device 0x80 failed: Input/output error (http://ipxe.org/1d852039)",
        "Give the boot LU logical blocks of 512 bytes (512e), or boot by UEFI.", ["F-08", "F-09", "lab v2"])
    case .bootFilesNotVisible:
      return text(
        "the boot loader cannot see the disk its files are on",
        "GRUB reads BIOS drives only, and the option ROM exposes exactly one LU. Whatever part of /boot is on another LU does not exist for the loader.",
        "Error 21 / error: no such device / grub rescue>",
        "Keep all of /boot and the loader's own files on the LU that the ROM exposes.",
        ["S-06", "lab e", "lab e2", "lab g8a"])
    case .menuMissing:
      return text(
        "the boot loader finds no menu",
        "GRUB starts, but neither menu.lst/grub.conf nor grub.cfg is where it looks.", "grub>",
        "Put the menu where GRUB's prefix points.", ["S-14"])
    case .menuDriveMissing:
      return text(
        "the menu names a BIOS drive that does not exist",
        "An entry reads from (hdN,P), and the firmware shows fewer drives: only the exposed LU and local disks are there.",
        "Error 21: Selected disk does not exist",
        "Name the drive as the firmware numbers it: the boot LU is (hd0).", ["S-14", "lab g4"])
    case .kernelFileMissing:
      return text(
        "the menu names a kernel or initrd that is not there",
        "The file was renamed or removed, or the menu was not updated with it.",
        "Error 15: File not found", "Correct the path in the menu, or install the kernel again.", ["lab g5"])
    case .bootVariablesOverflow:
      return text(
        "the kernel line has more unknown words than the kernel passes on",
        "Words of the form KEY=value that the kernel does not know go to the environment of init, which has room for 31 of them. At the next the kernel panics.",
        "Kernel panic - not syncing: Too many boot env vars at `ISCSI_...'",
        "Fewer words: put the parameters into /etc/iscsi/iscsi.initramfs and build the initramfs again.",
        ["S-45", "F-64"])
    case .initiatorNotInInitramfs:
      return text(
        "the initramfs holds no initiator",
        "Without iscsistart (or iscsid) and the iSCSI modules in the initramfs nothing logs in before the root is needed.",
        "ALERT!  UUID=... does not exist.  Dropping to a shell!",
        "Install the initiator, lift what keeps it out (NO_ISCSI_IN_INITRAMFS), list its modules, and rebuild the initramfs.",
        ["S-07", "S-10", "S-39", "lab g"])
    case .moduleUnresolved:
      return text(
        "a module that the initiator needs is not loaded before it",
        "The initrd's insmod loads one file after the other and resolves nothing. RHEL 4's iscsi_sfnet needs scsi_transport_iscsi before it; each of its sessions asks for crc32c (which needs libcrc32c), and one with CHAP for md5.",
        "iscsi_sfnet: Unknown symbol; insmod: error inserting '/lib/iscsi_sfnet.ko': -1 Unknown symbol in module",
        "Put scsi_transport_iscsi, libcrc32c, crc32c, md5 and iscsi_sfnet into the initrd, in this order.",
        ["S-67"])
    case .initiatorDoesNotStart:
      return text(
        "iscsid does not start in the initramfs",
        "The image has the initiator, but its unit fails: a program that the unit runs first was not copied. Debian's iscsid.service has such a line, and dracut 059 does not know of it.",
        "Failed to start iscsid.service - iSCSI initiator daemon (iscsid)., again and again; no login",
        "Put the programs of ExecStartPre= into the image: install_items+=\" /lib/open-iscsi/startup-checks.sh /bin/grep /bin/cat \" in /etc/dracut.conf.d; build it again.",
        ["lab d1m", "F-54"])
    case .initiatorNotConfigured:
      return text(
        "the initramfs's initiator knows no target",
        "The boot script leaves silently where it has neither ISCSI_AUTO nor target name and address (or iscsi.conf no DiscoveryAddress). An empty ISCSI_TARGET_IP= counts as none, and initramfs scripts of 2009 do not read the iBFT.",
        "Begin: Running /scripts/local-top ... done. (nothing in between), then ALERT!",
        "ISCSI_AUTO=true in /etc/iscsi/iscsi.initramfs, or iscsi_* parameters on the kernel line; then rebuild the initramfs.",
        ["S-03", "S-44", "S-45", "lab f2"])
    case .noIBFT:
      return text(
        "there is no iBFT to take the settings from",
        "The initramfs asks the firmware's iBFT for the target; it exists only when an option ROM logged in on this very boot.",
        "iscsistart: Could not get boot entry.",
        "Boot through the option ROM, or give iscsi_* parameters as well.", ["S-20", "lab l"])
    case .nicDriverMissing:
      return text(
        "the initramfs has no driver for the adapter", "No interface appears, so no address and no login.",
        "Waiting up to 180 secs for any network device to become available ... Failure",
        "Add the adapter's module (MODULES=, INITRD_MODULES, modprobe.conf) and rebuild.",
        ["S-01", "S-10", "lab n"])
    case .interfaceNotConfigured:
      return text(
        "the initramfs configures no interface, or another one",
        "The driver is there and so is the adapter's interface, but nothing in the initramfs gives it an address: mkinitrd was not told which interface, or DEVICE=, ip= or -D has the name that the adapter bears elsewhere.",
        "iscsid: cannot make connection to ...; Waiting for device /dev/sda2 to appear: not found / ipconfig: eth0: SIOCGIFINDEX: No such device",
        "The name that the interface has at boot, not the one it had at the installation: mkinitrd -D ethX; DEVICE= in /etc/initramfs-tools/initramfs.conf, or ip=, and the initramfs built again.",
        ["S-12", "S-65", "F-53", "F-67"])
    case .interfaceNotReady:
      return text(
        "the initiator runs before the adapter's driver is loaded",
        "udev loads drivers beside the initramfs's scripts. The initiator's script runs before it has come to the adapter, finds no interface and leaves; a moment later the interface is there, and the same script works by hand.",
        "ipconfig: eth0: SIOCGIFINDEX: No such device, then ALERT! ... does not exist.",
        "Let a script that starts udev and waits for it run first: nfs-top/udev copied to local-top/early_udev, in /etc/initramfs-tools/scripts, and the initramfs built again.",
        ["S-41", "S-50"])
    case .noAddress:
      return text(
        "the interface gets no address in the initramfs", "No link, or nobody answers DHCP.",
        "IP-Config: no response after ... secs - giving up",
        "A DHCP server, or static settings.", ["S-76"])
    case .targetUnreachable:
      return text(
        "the portal does not answer the initramfs",
        "The initiator tries every three seconds, without an end; no time-out ends it.",
        "iscsistart: connect to ... failed (Connection refused)", "Start the target; check address and port.",
        ["S-45", "lab r"])
    case .targetNameUnknown:
      return text(
        "the portal has no target of that name",
        "Target names are compared letter by letter; capitals count.",
        "login rejected: target not found (02/03)", "The identical IQN, in lower case, everywhere.", ["S-63"])
    case .chapRefused:
      return text(
        "the target refuses the operating system's CHAP",
        "The target wants CHAP. The boot ROM has name and secret, the initramfs has none or others.",
        "Login failed to authenticate with target",
        "Put name and secret where the initramfs takes them from (iBFT, iscsi_* parameters, the image's iscsi.conf) and rebuild.",
        ["S-04", "S-11", "lab k3"])
    case .initiatorNotAdmitted:
      return text(
        "the target does not admit the operating system's initiator name",
        "The target's list of initiators holds another name than the initramfs uses; the option ROM may use a third.",
        "Initiator failed authorization with target (02/02)",
        "One initiator name in ROM, initramfs and the target's list.", ["S-71", "F-06"])
    case .sessionLimit:
      return text(
        "the target admits one session, and the boot ROM's still counts",
        "The ROM does not log out. Until the target notices that its peer is gone, the operating system's login is refused.",
        "login rejected: target error (03/02)", "Allow two sessions, or a target that drops dead sessions.",
        ["S-61", "lab j2"])
    case .rootDiskMissing:
      return text(
        "the disk with the root file system is not there",
        "The login worked, but the LU with the root is not among those that it shows.",
        "ALERT! ... does not exist.", "Map the root's LU to this initiator.", ["F-24", "F-25"])
    case .fileSystemDriverMissing:
      return text(
        "the initramfs cannot read the root's file system",
        "The module of the root's file system is not in the initramfs.",
        "mount: unknown filesystem type 'ext4'",
        "List the module (/etc/initramfs-tools/modules, INITRD_MODULES) and rebuild.", ["F-48"])
    case .rootDeviceRenamed:
      return text(
        "root= names a device that is another one this time",
        "sd letters are given in the order in which disks are discovered. A stick that comes or goes, a local disk, an IDE disk that became a LU, and since Linux 5.3 another LU of the same target: the name in root= leads elsewhere or nowhere.",
        "ALERT!  /dev/sdX2 does not exist. / VFS: Cannot open root device",
        "root=UUID=... or LABEL=..., in the menu and in fstab.", ["S-13", "S-29", "S-32", "lab c", "lab g2"])
    case .partitionTableMisread:
      return text(
        "the kernel finds no partitions where the root's are",
        "A partition table counts in blocks of the disk. It was written for blocks of 512 bytes, and the LU has blocks of 4096: every partition begins eight times as far in.",
        "sdb: p2 start 3276800 is beyond EOD, truncated",
        "Serve the LU with the blocks that it was partitioned with, or partition it anew and copy the files.",
        ["F-09", "lab v3"])
    case .rootNotFoundByName:
      return text(
        "no file system has the UUID or label of root=",
        "The file system was made anew, or copied to one with another UUID.",
        "ALERT!  UUID=... does not exist.", "The UUID that blkid shows, in the menu and in fstab.", ["S-66"])
    case .fstabDeviceRenamed:
      return text(
        "fstab names a device that is another one this time",
        "The root is up, but a line of fstab mounts what a letter means today.",
        "Failed to mount ... / You are in emergency mode", "UUID= or LABEL= in fstab.", ["S-15", "lab f1"])
    case .fstabDeviceMissing:
      return text(
        "fstab names a device that does not exist", "The init system waits for it, or stops at the check.",
        "Timed out waiting for device / Give root password for maintenance",
        "UUID= or LABEL=, or nofail for what the boot does not need.", ["S-15", "F-90"])
    case .bootHangs:
      return text(
        "the boot does not go on", "Something waits for what never comes.", "nothing more",
        "See the chain of causes.", [])
    case .networkTakenFromRoot:
      return text(
        "the network is taken from under the running root",
        "Whatever configures the interface again (ifup, dhclient's script, NetworkManager, a restart of networking) cuts the session's path, and needs the disk to put it back.",
        "freeze; ping timeout of 5 secs expired",
        "Keep the interface out of the hands of networking scripts: iface ethX inet manual, which NetworkManager leaves alone too where its ifupdown plugin has managed=false.",
        ["S-16", "S-17", "S-43", "lab h3"])
    case .firewallCutsRoot:
      return text(
        "the firewall drops the session's packets",
        "A policy or rule drops what comes from the target; ten seconds later the session is given up, two minutes later the root.",
        "ping timeout of 5 secs expired; Input/output error",
        "All rules in one transaction, with ESTABLISHED let in first.", ["S-33", "lab s8e"])
    case .outageTooLong:
      return text(
        "the outage is longer than the session's recovery time-out",
        "When node.session.timeo.replacement_timeout is over the kernel fails all I/O; ext4 aborts its journal and stays read-only even when the disk returns.",
        "session recovery timed out after 120 secs; Remounting filesystem read-only",
        "A longer replacement_timeout where there is no other path.", ["S-58", "lab i3"])
    case .nobodyLogsInAgain:
      return text(
        "the connection is gone and no iscsid logs in again",
        "With open-iscsi the session lives in the kernel, but only iscsid restores a lost connection. linux-iscsi restores it in the kernel.",
        "session recovery timed out after 120 secs", "Leave iscsid running.", ["S-19", "S-55", "lab s7c"])
    case .sessionLoggedOut:
      return text(
        "the root's session is logged out",
        "A plain logout of all sessions takes the root with it, at once and without any time-out.",
        "Logout of [...] successful; device offline error, dev sda",
        "Log out of named targets only; node.startup=onboot for the root's record; no K links of open-iscsi (find /etc -name 'K*open-iscsi'), and no job that stops it.",
        ["S-51", "S-53", "S-54", "F-102", "lab s6d"])
    case .dumpNotWritten:
      return text(
        "a crash leaves no memory dump",
        "A crashed kernel writes to a disk only through a driver that can work without interrupts; an initiator is not one of them, so a disk behind the adapter receives nothing. Without a dump service nothing is written at all.",
        "Kernel panic, then nothing: no \"start dumping\" or \"netdump activated\", and no vmcore afterwards",
        "Dump over the network: NETDUMPADDR= in /etc/sysconfig/netdump, a netdump server there, `chkconfig netdump on` (today: kdump over the network).",
        ["S-34"])
    case .sessionWithoutRecord:
      return text(
        "iscsid takes down a session that it has no record of",
        "The initramfs logged in without a node record. iscsid of open-iscsi 2.0.871 cannot take such a session over: it takes the connection down and never logs in again. Later versions go on with what was negotiated.",
        "detected conn error (1011); session recovery timed out after 120 secs; I/O errors right after iscsid starts",
        "The target's record in /etc/iscsi/nodes of the image: log in to it once with iscsiadm, which makes the record.",
        ["S-52"])
    case .networkDownAtShutdown:
      return text(
        "the shutdown takes the network away while the root still needs it",
        "What comes after has to be read from a disk that does not answer. Ten seconds later the session is given up, 120 seconds later the disk; nothing is left that could power the machine off.",
        "ping timeout of 5 secs expired; Failed to execute shutdown binary; INIT: no more processes left in this runlevel",
        "Keep the interface out of /etc/network/interfaces, or remove the K links of networking.",
        ["S-26", "S-43", "S-51", "lab h", "lab s2b"])
    case .finalFlushBlocked:
      return text(
        "the kernel's last cache flush waits for a network that `halt -i` took down",
        "The initiator of this system waits without end for its connection; the LU has a write cache, so the kernel wants to flush it.",
        "Synchronizing SCSI cache", "HALTARGS=\"-d\" (or NETDOWN=no): leave the interfaces up.", ["S-26"])
    case .rootNotUnmounted:
      return text(
        "the machine goes off with its root still mounted for writing",
        "Nothing remounted the root read-only before the power went.",
        "recovery required on the next boot", "Bring back the script that remounts the root read-only.",
        ["S-26"])
    case .bootHeldUp:
      return text(
        "the boot comes up late: something it needed did not answer",
        "A cable, a switch or the target was away for a while during the boot. What needs the disk waits until the session is back (within replacement_timeout), a login is tried again and again: nothing is lost but time.",
        "connect to ... failed (Connection refused), again and again; ping timeout of 5 secs expired; Power-on or device reset occurred",
        "Have network and target up before the machine; nothing else has to be changed.",
        ["lab m", "lab s8a"])
    case .mediumRolledBack:
      return text(
        "the session goes on with a disk that has lost what it had acknowledged",
        "The LU's write cache is volatile, and the target's host lost power. When the target is back before replacement_timeout is over the session resumes, and the file system goes on as if its last writes were on the disk. No message says otherwise; the file system is damaged from then on.",
        "Power-on or device reset occurred; much later: EXT4-fs error (device sda3): ..., bad entry in directory",
        "Write cache off at the LU (sd: Write cache: disabled); or force a journal replay: do not start the target by itself after a crash, reset the clients first, or a replacement_timeout that ends before the target is back.",
        ["S-59", "S-60", "S-64"])
    case .mountedTwice:
      return text(
        "two machines have mounted one LU for writing",
        "ext3, ext4 and reiserfs are file systems of one machine. A second one that mounts the LU has its own cache and its own journal, and replays the first one's journal while that is in use: the file system is destroyed within minutes.",
        "EXT4-fs warning: mounting fs with errors; EXT4-fs error: ... bad block bitmap checksum, deleted inode referenced",
        "Let the target admit one initiator name for each LU (ACL), or reserve the LU; then restore from a backup.",
        ["S-62", "F-30"])
    case .fileSystemDamaged:
      return text(
        "the check of the root file system finds damage that it cannot mend by itself",
        "Replaying the journal makes whole what the journal knows of. Where two systems wrote, or the disk went back in time under a running system, the file system contradicts itself.",
        "UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY. / A maintenance shell will now be started.",
        "fsck by hand, then compare with a backup; and remove the cause.", ["S-59", "S-62"])
    case .dataLostBehindJournal:
      return text(
        "files are empty or half written, though the journal was replayed",
        "With metadata-only journalling the journal can name files whose data never reached the disk. After a drop the file system is whole and the files are not: a package database is the first to suffer.",
        "recovery complete; then: dpkg: error: parsing file '/var/lib/dpkg/status' near line 0",
        "rootflags=data=journal on the kernel line (and data=journal in fstab): half the write speed.",
        ["S-57"])
    case .rootStaysReadOnly:
      return text(
        "the root cannot be remounted for writing",
        "fstab asks for a data= mode other than the one that the root was mounted with, and a mounted file system cannot change it.",
        "EXT4-fs: Cannot change data mode on remount; mount: / not mounted already, or bad option",
        "The same mode in rootflags= on the kernel line, or tune2fs -o journal_data.", ["S-57"])
    case .initiatorNameTwice:
      return text(
        "two machines log in with one initiator name",
        "A target tells sessions apart by initiator name and ISID. A second machine with the same name ends the first one's session, which logs in again and ends the second one's, without an end; access lists cannot tell the two apart either.",
        "detected conn error (1020), Power-on or device reset occurred, every two or three seconds",
        "One InitiatorName for each machine: in /etc/iscsi/initiatorname.iscsi, on the kernel line, in the ROM; then rebuild the initramfs.",
        ["S-38", "F-29"])
    }
  }
}
