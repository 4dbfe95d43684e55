import LinuxConfig
import Testing

@Suite struct ShellVariablesTests {
  @Test(
    "Values are those a shell would have after sourcing the file",
    arguments: [
      ("A=1\nA=\"$A -i\"\n", "A", "1 -i", 2), ("NETDOWN='no'", "NETDOWN", "no", 1),
      ("export INITRD_MODULES=\"ata_piix e1000 iscsi\"", "INITRD_MODULES", "ata_piix e1000 iscsi", 1),
      ("X=y\n[ \"$X\" = y ] && Z=3\n", "Z", "3", 2), (": ${D:=def}\n", "D", "def", 1),
      ("if [ -f /etc/none ]; then B=1; else B=2; fi\n", "B", "2", 1), ("C=a\\\nb\n", "C", "ab", 1),
      ("case linux in lin*) K=v;; esac", "K", "v", 1),
    ] as [(String, String, String?, Int)])
  func values(text: String, name: String, value: String?, line: Int) {
    let parsed = ShellVariables.parse(text, file: "v")
    #expect(parsed.value[name] == value)
    #expect(parsed.value.variables[name]?.line == line)
    #expect(parsed.problems.isEmpty)
  }

  @Test(
    "Blanks around the equals sign, open quotes and outside commands are reported",
    arguments: [
      ("HALT = poweroff\n", 1), ("A=1\nB='open\n", 2), ("A=$(hostname)\n", 1), ("A=1\r\nB=2\r\n", 1),
    ])
  func damage(text: String, line: Int) {
    let parsed = ShellVariables.parse(text, file: "v")
    #expect(parsed.problems.map(\.line).contains(line))
    #expect(ShellVariables.parse("A=$(hostname)\n", file: "v").value["A"] == nil)
  }

  @Test("Yes is spelt in many ways")
  func yes() {
    let variables = ShellVariables.parse("A=YES\nB=no\nC=1\nD=\n", file: "v").value
    #expect(["A", "B", "C", "D", "E"].map(variables.isYes) == [true, false, true, false, false])
  }
}

@Suite struct InterfacesTests {
  static let text = """
    auto lo eth0
    iface lo inet loopback
    # a comment
    allow-hotplug eth1
    iface eth0 inet static
        address 192.168.1.2/24
        gateway 192.168.1.1
        pre-up /bin/true
        pre-up /bin/echo one \\
          two
    iface eth0 inet6 manual
    mapping eth2
      script /bin/pick
      map one two
    source interfaces.d/*
    source-directory /etc/network/more
    """

  @Test("Stanzas, options, classes, mappings and sourced files")
  func stanzas() {
    let tree = MemoryFileTree([
      "/etc/network/interfaces": Self.text,
      "/etc/network/interfaces.d/10": "auto eth3\niface eth3 inet manual\n",
      "/etc/network/interfaces.d/.no": "bad", "/etc/network/more/eth4": "iface eth4 inet dhcp\n",
      "/etc/network/more/eth4.bak": "bad\n",
    ])
    let parsed = Interfaces.load("/etc/network/interfaces", from: tree)
    #expect(parsed?.problems.isEmpty == true)
    let value = parsed?.value
    #expect(value?.auto == ["lo", "eth0", "eth3"])
    #expect(value?.hotplug == ["eth1"])
    #expect(value?.interfaces.map(\.name) == ["lo", "eth0", "eth0", "eth3", "eth4"])
    #expect(value?.stanzas("eth0").map(\.family) == ["inet", "inet6"])
    #expect(value?.stanzas("eth0").first?.value("address") == "192.168.1.2/24")
    #expect(value?.stanzas("eth0").first?.values("pre-up") == ["/bin/true", "/bin/echo one       two"])
    #expect(value?.stanzas("eth3").first?.file == "/etc/network/interfaces.d/10")
    #expect(value?.mappings.first?.script == "/bin/pick")
    #expect(value?.stanzas("eth0").first?.options.last?.line == 9)
  }

  @Test("Files that source each other end")
  func loop() {
    let tree = MemoryFileTree(["/a": "source /b\n", "/b": "source /a\niface x inet manual\n"])
    #expect(Interfaces.load("/a", from: tree)?.value.interfaces.count == 1)
    #expect(Interfaces.load("/none", from: tree) == nil)
  }

  @Test(
    "Damage is reported on its line",
    arguments: [
      ("address 1\n", [1]), ("iface\n", [1]), ("iface eth0 inet\n", [1]), ("iface eth0 foo dhcp\n", [1]),
      ("iface eth0 inet static\n", [1]), ("auto eth0\n", [1]), ("iface e inet manual\n  mtu\n", [2]),
      ("iface e inet manual x\n", [1]), ("mapping a\n  grip b\n", [2]),
    ])
  func damage(text: String, lines: [Int]) {
    #expect(Interfaces.parse(text, file: "i").problems.map(\.line) == lines)
  }
}

@Suite struct RunlevelTests {
  @Test("Links in the order rc runs them, with what dangles")
  func links() {
    var tree = MemoryFileTree([
      "/etc/rc.d/init.d/network": "", "/etc/rc.d/init.d/iscsi": "", "/etc/rc.d/init.d/halt": "",
      "/etc/rc.d/rc6.d/README": "", "/etc/rc.d/rc6.d/backup~": "",
    ])
    tree.link("/etc/rc.d/rc6.d/K90network", to: "../init.d/network")
    tree.link("/etc/rc.d/rc6.d/K89iscsi", to: "../init.d/iscsi")
    tree.link("/etc/rc.d/rc6.d/S01reboot", to: "../init.d/halt")
    tree.link("/etc/rc.d/rc6.d/K10gone", to: "../init.d/gone")
    tree.link("/etc/rc6.d", to: "rc.d/rc6.d")
    let parsed = RunlevelLinks.read(from: tree)
    #expect(parsed.value.order("6").map(\.fileName) == ["K10gone", "K89iscsi", "K90network", "S01reboot"])
    let network = parsed.value.order("6")[2]
    #expect(network.number == 90 && network.name == "network" && !network.isStart)
    #expect(network.script == "/etc/rc.d/init.d/network")
    #expect(parsed.value.order("6")[0].script == nil)
    #expect(parsed.problems.map(\.file) == ["/etc/rc6.d/K10gone", "/etc/rc6.d/backup~"])
    #expect(parsed.value.order("3").isEmpty)
  }

  @Test("inittab gives the default runlevel and its actions")
  func inittab() {
    let parsed = Inittab.parse(
      "# c\nid:3:initdefault:\nsi::sysinit:/etc/rc.d/rc.sysinit\nl6:6:wait:/etc/rc.d/rc 6\nca::ctrlaltdel:/sbin/shutdown -t3 -r now\n",
      file: "inittab")
    #expect(parsed.value.defaultLevel == "3")
    #expect(parsed.value.entries(action: "wait").map(\.process) == ["/etc/rc.d/rc 6"])
    #expect(parsed.problems.isEmpty)
    #expect(
      Inittab.parse("id:6:initdefault:\nx:y\nlonger:3:wate:z\n", file: "i").problems.map(\.line) == [
        1, 2, 3, 3,
      ])
    #expect(Inittab().defaultLevel == nil)
  }

  @Test("LSB headers and chkconfig lines")
  func headers() {
    let text = """
      #!/bin/sh
      # chkconfig: 2345 13 89
      ### BEGIN INIT INFO
      # Provides:          iscsi open-iscsi
      # Required-Start:    $network $local_fs
      # Required-Stop:     $network $local_fs sendsigs
      # Default-Start:     S
      # Default-Stop:      0 1 6
      # Description:       Starts
      #  and stops
      ### END INIT INFO
      # Provides: not this
      """
    let parsed = LSBHeader.parse(text, file: "s")
    #expect(parsed.value.provides == ["iscsi", "open-iscsi"])
    #expect(parsed.value.requiredStop == ["$network", "$local_fs", "sendsigs"])
    #expect(parsed.value.defaultStop == ["0", "1", "6"])
    #expect(parsed.value.startPriority == 13 && parsed.value.stopPriority == 89)
    #expect(parsed.value.chkconfigLevels == "2345")
    #expect(parsed.problems.isEmpty)
    let bad = LSBHeader.parse("# chkconfig: x\n### BEGIN INIT INFO\n# Requird-Start: a\n", file: "s")
    #expect(bad.problems.map(\.line) == [1, 3, 2])
  }
}

@Suite struct InitramfsFilesTests {
  @Test("conf.d is read after initramfs.conf, the package's before it")
  func merge() {
    let tree = MemoryFileTree([
      "/etc/initramfs-tools/initramfs.conf": "MODULES=most\nBOOT=local\nDEVICE=\n",
      "/etc/initramfs-tools/conf.d/a": "MODULES=dep\nNO_ISCSI_IN_INITRAMFS=yes\n",
      "/etc/initramfs-tools/conf.d/b.dpkg-old": "MODULES=list\n",
      "/usr/share/initramfs-tools/conf.d/z": "BOOT=nfs\nIP=dhcp\n",
    ])
    let parsed = InitramfsConf.load(from: tree)
    #expect(parsed?.value.modules == "dep")
    #expect(parsed?.value.boot == "local")
    #expect(parsed?.value.device == nil)
    #expect(parsed?.value.ip == "dhcp")
    #expect(parsed?.value.excludesISCSI == true)
    #expect(parsed?.problems.isEmpty == true)
    #expect(InitramfsConf.load(from: MemoryFileTree()) == nil)
    #expect(InitramfsConf.parse("MODULES=all\n", file: "f").problems.map(\.line) == [1])
  }

  @Test("Modules are compared as the kernel does")
  func modules() {
    let parsed = InitramfsModules.parse("# c\niscsi-tcp\ne1000 debug=1 # here\n/lib/x.ko\n", file: "m")
    #expect(parsed.value.contains("iscsi_tcp"))
    #expect(parsed.value.modules[1].parameters == ["debug=1"])
    #expect(parsed.problems.map(\.line) == [4])
  }

  @Test("Aliases, host adapters and options of modprobe.conf")
  func modprobe() {
    let parsed = ModprobeConf.parse(
      """
      alias eth0 e1000
      alias scsi_hostadapter1 iscsi_sfnet
      alias scsi_hostadapter ata_piix
      alias scsi_hostadapter2 usb-storage
      options e1000 InterruptThrottleRate=0 \\
        Speed=1000
      install usb-storage :
      blacklist i2c-dev
      alis eth1 x
      options
      """, file: "modprobe.conf")
    #expect(parsed.value.interfaces == ["eth0": "e1000"])
    #expect(parsed.value.hostAdapters == ["ata_piix", "iscsi_sfnet", "usb-storage"])
    #expect(parsed.value.options("e1000") == ["InterruptThrottleRate=0", "Speed=1000"])
    #expect(parsed.value.install("usb_storage") == ":")
    #expect(parsed.value.isBlacklisted("i2c_dev"))
    #expect(parsed.value.alias("eth0") == "e1000")
    #expect(parsed.problems.map(\.line) == [9, 10])
  }
}

@Suite struct IfcfgTests {
  @Test(
    "Red Hat's and SUSE's words",
    arguments: [
      (
        "ifcfg-eth0", "DEVICE=eth0\nBOOTPROTO=dhcp\nHWADDR=00:11:22:33:44:55\nONBOOT=yes\n", "eth0", true,
        false, "dhcp"
      ),
      ("ifcfg-eth1", "DEVICE=eth1\nONBOOT=no\nNM_CONTROLLED=no\n", "eth1", false, false, nil),
      ("ifcfg-eth2", "BOOTPROTO='static'\nSTARTMODE='nfsroot'\n", "eth2", true, true, "static"),
      ("ifcfg-eth3", "STARTMODE=manual\n", "eth3", false, false, nil),
    ] as [(String, String, String, Bool, Bool, String?)])
  func words(name: String, text: String, device: String, starts: Bool, staysUp: Bool, method: String?) {
    let parsed = Ifcfg.parse(text, file: "/etc/sysconfig/network-scripts/" + name)
    #expect(parsed.problems.isEmpty)
    #expect(parsed.value.device == device)
    #expect(parsed.value.startsAtBoot == starts)
    #expect(parsed.value.staysUp == staysUp)
    #expect(parsed.value.bootProtocol == method)
  }

  @Test("Files are found without leftovers, and mistakes are reported")
  func find() {
    let tree = MemoryFileTree([
      "/etc/sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth1\nONBOOT=yess\n",
      "/etc/sysconfig/network-scripts/ifcfg-eth0.bak": "", "/etc/sysconfig/network-scripts/ifup": "",
    ])
    let found = Ifcfg.find(in: tree)
    #expect(found.map(\.path) == ["/etc/sysconfig/network-scripts/ifcfg-eth0"])
    #expect(found.first?.file.problems.map(\.line).sorted() == [1, 2])
  }
}

@Suite struct SystemdUnitTests {
  static let service = """
    # comment
    [Unit]
    Description=Login to default iSCSI targets
    After=network-online.target iscsid.service
    Before=remote-fs-pre.target
    Wants=network-online.target
    DefaultDependencies=no
    [Service]
    Type=oneshot
    ExecStart=/sbin/iscsiadm -m node \\
    # in between
      --loginall=automatic
    ExecStop=/bin/sync
    [Install]
    WantedBy=sysinit.target
    """

  @Test("Sections, continued lines, repeated keys and drop-ins")
  func dropIns() {
    var tree = MemoryFileTree([
      "/lib/systemd/system/open-iscsi.service": Self.service,
      "/etc/systemd/system/open-iscsi.service.d/10.conf":
        "[Service]\nExecStop=\nExecStop=/bin/true\n[Unit]\nAfter=x.service\n",
      "/lib/systemd/system/open-iscsi.service.d/10.conf": "[Service]\nExecStop=/hidden\n",
      "/usr/lib/systemd/system/open-iscsi.service.d/05.conf": "[Service]\nEnvironment=A=1\n",
      "/lib/systemd/system/open-iscsi.service.d/20.conf": "[Service]\nExecStop=/never\n",
    ])
    tree.link("/etc/systemd/system/open-iscsi.service.d/20.conf", to: "/dev/null")
    tree.link(
      "/etc/systemd/system/sysinit.target.wants/open-iscsi.service",
      to: "/lib/systemd/system/open-iscsi.service")
    tree.link("/etc/systemd/system/iscsi.service", to: "/dev/null")
    let unit = SystemdUnit.load("open-iscsi.service", from: tree)
    #expect(unit?.problems.isEmpty == true)
    #expect(unit?.value.after == ["network-online.target", "iscsid.service", "x.service"])
    #expect(unit?.value.execStart == ["/sbin/iscsiadm -m node    --loginall=automatic"])
    #expect(unit?.value.execStop == ["/bin/true"])
    #expect(unit?.value.files.map(TreePath.name) == ["open-iscsi.service", "05.conf", "10.conf"])
    #expect(unit?.value.wantedBy == ["sysinit.target"])
    #expect(unit?.value.installWantedBy == ["sysinit.target"])
    #expect(unit?.value.hasDefaultDependencies == false)
    #expect(unit?.value.isMasked == false)
    #expect(SystemdUnit.load("iscsi.service", from: tree)?.value.isMasked == true)
    #expect(SystemdUnit.load("none.service", from: tree) == nil)
    #expect(SystemdUnit.names(in: tree) == ["iscsi.service", "open-iscsi.service"])
  }

  @Test("An instance is read from its template, and /etc comes before /lib")
  func templates() {
    let tree = MemoryFileTree([
      "/lib/systemd/system/getty@.service": "[Unit]\nDescription=lib\n",
      "/etc/systemd/system/getty@.service": "[Unit]\nDescription=etc\n",
      "/etc/systemd/system/getty@tty1.service.d/a.conf": "[Unit]\nAfter=b.service\n",
    ])
    let unit = SystemdUnit.load("getty@tty1.service", from: tree)
    #expect(unit?.value.value("Unit", "Description") == "etc")
    #expect(unit?.value.after == ["b.service"])
  }

  @Test(
    "Specifiers are replaced by what the unit is called",
    arguments: [
      ("modprobe@dm_mod.service", "/sbin/modprobe -abq %i", "/sbin/modprobe -abq dm_mod"),
      ("fsck@dev-disk-by\\x2duuid-a.service", "%p %P %I", "fsck fsck dev/disk/by-uuid/a"),
      ("fsck@dev-disk-by\\x2duuid-a.service", "%i", "dev-disk-by\\x2duuid-a"),
      ("a.b.service", "%n %N", "a.b.service a.b"), ("a.service", "[%i] %t/x %%i %S", "[] /run/x %i /var/lib"),
      ("a.service", "%H %? 50% %", "%H %? 50% %"), ("a@%p.service", "%i", "%p"),
      ("a@\\xé.service", "%I", "\\xé"),
    ])
  func specifiers(name: String, value: String, expanded: String) {
    let file = name.contains("@") ? "\(name.prefix { $0 != "@" })@.service" : name
    let tree = MemoryFileTree([
      "/lib/systemd/system/\(file)": "[Unit]\nAfter=x.target\n[Service]\nExecStart=\(value)\n"
    ])
    let unit = SystemdUnit.load(name, from: tree)
    #expect(unit?.value.execStart == [expanded])
    #expect(unit?.value.after == ["x.target"])
  }

  @Test(
    "Damage is reported on its line",
    arguments: [
      ("After=x\n", 1), ("[Unit\n", 1), ("[Unit]\nAfter\n", 2), ("[]\n", 1),
    ])
  func damage(text: String, line: Int) {
    #expect(SystemdUnit.parse(text, file: "u").problems.map(\.line) == [line])
  }
}
