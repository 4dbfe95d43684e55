import LinuxConfig
import Testing

@testable import Sim

/// What commands of a story leave in the files, and who may write them.
@Suite struct TypedFilesTests {
  /// The files after lines typed on a running Debian.
  private func files(_ lines: String..., asUser: Bool = false) throws -> MemoryFileTree {
    var rig = try Rig("debian-12", [.boot] + lines.map { .run($0, asUser: asUser) })
    rig.write("/etc/a", "one", "two")
    rig.write("/etc/dir/b", "bee")
    rig.scenario.files.link("/etc/link", to: "a")
    let (model, state) = rig.end()
    return model.tree(state)
  }

  @Test("What is written where a partition is not mounted is below it when it is mounted again (S-49)")
  func unmounted() throws {
    let menu = "/boot/grub/grub.cfg"
    let without = try files("umount /boot", "echo x > /boot/a")
    #expect(without.text("/boot/a") == "x\n" && !without.exists(menu))
    for mount in ["mount /boot", "mount -a"] {
      let again = try files("umount /boot", "echo x > /boot/a", mount)
      #expect(!again.exists("/boot/a") && again.exists(menu))
    }
    let below = try files("umount /boot", "echo x > /boot/a", "mount /boot", "umount /boot")
    #expect(below.exists("/boot/a") && !below.exists(menu))
  }

  @Test("An image that is made while /boot is not mounted is not the one that boots (S-49)")
  func imageBelowBoot() throws {
    for (between, expected) in [
      ("true", "boots"), ("umount /boot", "fails: initramfs-iscsi initiator-not-configured"),
    ] {
      var rig = try Rig(
        "debian-12",
        [
          .boot, .run("sed -i 's/ iscsi_.*//' /boot/grub/grub.cfg"), .run(between),
          .run("echo ISCSI_AUTO=true >/etc/iscsi/iscsi.initramfs"),
          .run("update-initramfs -c -k 6.1.0-50-amd64"), .reboot,
        ])
      rig.remove("/etc/iscsi/iscsi.initramfs")
      try rig.replace(
        "console=tty0 console=ttyS0,115200n8",
        "iscsi_initiator=iqn.2024-01.lab:host iscsi_target_name=iqn.2024-01.lab:disk iscsi_target_ip=10.0.2.2",
        in: rig.menu)
      #expect(rig.explored().summary == expected, "\(between)")
    }
  }

  @Test(
    "A command leaves the file that it leaves on a real machine",
    arguments: [
      ("echo three >> /etc/a", "/etc/a", "one\ntwo\nthree\n"),
      ("echo x > /etc/link", "/etc/a", "x\n"),
      ("echo x | tee /etc/a /etc/c", "/etc/c", "x\n"),
      ("echo x | tee -a /etc/a >/dev/null", "/etc/a", "one\ntwo\nx\n"),
      ("sed -i 's/two/2/' /etc/a", "/etc/a", "one\n2\n"),
      ("sed -i.old '1d' /etc/a", "/etc/a.old", "one\ntwo\n"),
      ("cp /etc/a /etc/dir", "/etc/dir/a", "one\ntwo\n"),
      ("cp -r /etc/dir /etc/copy", "/etc/copy/b", "bee\n"),
      ("mv /etc/dir /etc/moved", "/etc/moved/b", "bee\n"),
      ("ln -sf /etc/dir/b /etc/link", "/etc/link", "bee\n"),
      ("touch /etc/new", "/etc/new", ""),
      ("install -m 644 /etc/a /etc/new", "/etc/new", "one\ntwo\n"),
      ("cat >> /etc/a <<E\nthree\nE", "/etc/a", "one\ntwo\nthree\n"),
      ("cd /etc && echo x > rel", "/etc/rel", "x\n"),
      ("for f in /etc/dir/*; do echo more >> $f; done", "/etc/dir/b", "bee\nmore\n"),
      ("test -f /etc/a && grep -q two /etc/a && echo yes > /etc/new", "/etc/new", "yes\n"),
      ("cp /etc/a /etc/b; sed -i s/one/1/ /etc/b; cat /etc/b > /etc/c", "/etc/c", "1\ntwo\n"),
      ("sh -c 'echo x > /etc/new'", "/etc/new", "x\n"),
      ("printf '#!/bin/sh\\necho \"$1\" > /etc/new\\n' > /usr/local/bin/tool; tool arg", "/etc/new", "arg\n"),
      ("find /etc -name 'b' -exec cp {} /etc/found \\;", "/etc/found", "bee\n"),
      ("echo iscsi | sudo tee -a /etc/a", "/etc/a", "one\ntwo\niscsi\n"),
      ("X='a b'; printf '%s,' ${X:+-u \"$X\"} ${Y:-c d} > /etc/new", "/etc/new", "-u,a b,c,d,"),
    ])
  func leaves(line: String, path: String, text: String) throws {
    #expect(try files(line).text(path) == text)
  }

  @Test(
    "A command that removes leaves nothing",
    arguments: [
      ("rm /etc/a", "/etc/a"), ("rm -rf /etc/dir", "/etc/dir"), ("find /etc -name 'b' -delete", "/etc/dir/b"),
      ("mv /etc/a /etc/z", "/etc/a"), ("find /etc -name b | xargs rm", "/etc/dir/b"),
      ("rm -f /etc/d*/b", "/etc/dir/b"),
    ])
  func removes(line: String, path: String) throws { #expect(try !files(line).exists(path)) }

  @Test("cd in one line holds for the next, and not beyond a boot")
  func directory() throws {
    #expect(try files("cd /etc/dir", "echo x > here").text("/etc/dir/here") == "x\n")
    var rig = try Rig("debian-12", [.boot, .run("cd /etc"), .shutdown, .boot, .run("echo x > here")])
    rig.write("/root/a", "")
    let (model, state) = rig.end()
    #expect(model.tree(state).text("/root/here") == "x\n")
  }

  @Test("What cannot be known, and a failed command, leave the file as it was")
  func unknownStaysAsItWas() throws {
    #expect(try files("date > /etc/a").text("/etc/a") == "one\ntwo\n")
    #expect(try files("rm /etc/dir").exists("/etc/dir/b"))
    #expect(try files("false && rm /etc/a").exists("/etc/a"))
    var rig = try Rig("debian-12", [.boot, .run("date > /etc/a")])
    rig.write("/etc/a", "one")
    #expect(rig.explored().notLookedAt.contains { $0.contains("/etc/a cannot be known") })
  }

  @Test(
    "A user's shell opens no file of root's, whatever sudo runs (S-37)",
    arguments: [
      ("sudo echo x >> /etc/a", false), ("sudo echo x > /etc/a", false), ("echo x > /etc/a", false),
      ("rm /etc/a", false), ("sed -i s/one/x/ /etc/a", false), ("echo x | tee /etc/a", false),
      ("echo x | sudo tee -a /etc/a", true), ("sudo sh -c 'echo x >> /etc/a'", true),
      ("sudo sed -i s/one/x/ /etc/a", true), ("sudo -u root rm /etc/a", true),
    ])
  func users(line: String, isChanged: Bool) throws {
    #expect(try (files(line, asUser: true).text("/etc/a") != "one\ntwo\n") == isChanged)
  }

  @Test("A user writes his own files")
  func usersOwn() throws {
    #expect(try files("echo x > /tmp/mine; touch /home/u/f", asUser: true).exists("/home/u/f"))
  }

  @Test("Nothing is typed at a machine that did not come up, and nothing is written to a read-only root")
  func onlyWhatIsUp() throws {
    var dead = try Rig("debian-12", [.boot, .run("touch /etc/new")])
    try dead.boot("root=/dev/sdz9 ro")
    let (model, state) = dead.end()
    #expect(!model.tree(state).exists("/etc/new"))
    let lost = try Rig(
      "debian-12",
      [
        .boot, .run("echo 1 > /etc/x"), .linkDown(nic: "nic0", microseconds: 400_000_000, at: nil),
        .run("touch /etc/new"),
      ])
    let end = lost.end()
    #expect(end.model.tree(end.state).exists("/etc/x") && !end.model.tree(end.state).exists("/etc/new"))
  }

  @Test("A loop that writes thousands of times is followed to its end")
  func longLoop() throws {
    let line =
      "for a in 1 2 3 4 5 6 7 8 9 0; do for b in 1 2 3 4 5 6 7 8 9 0; do for c in 1 2 3 4 5; do echo $a$b$c > /etc/a; done; done; done"
    #expect(try files(line).text("/etc/a") == "005\n")
  }

  @Test("A line that edits a file and uses it uses the edited one")
  func editedAndUsed() throws {
    var rig = try Rig(
      "debian-12-sysv", [.boot, .run("sed -i 's/up/down/' /etc/init.d/mine; /etc/init.d/mine start")])
    rig.write("/etc/init.d/mine", "#!/bin/sh", "ip link set ens3 up")
    #expect(rig.explored().verdict != .boots)
  }

  @Test(
    "Links of runlevels are made and removed as the tools do",
    arguments: [
      ("update-rc.d -f x remove", [String]()), ("update-rc.d x remove", ["K05x", "S20x"]),
      ("update-rc.d x defaults", ["K05x", "S20x"]), ("update-rc.d x disable", ["K05x", "K80x"]),
      ("rm /etc/rc?.d/*x; update-rc.d x defaults 30 40", ["K40x", "S30x"]),
      ("insserv -r x", []),
    ])
  func runlevels(line: String, expected: [String]) throws {
    var rig = try Rig("debian-12-sysv", [.boot, .run(line)])
    rig.write("/etc/init.d/x", "#!/bin/sh")
    for (level, name) in [("0", "K05x"), ("2", "S20x")] {
      rig.scenario.files.link("/etc/rc\(level).d/\(name)", to: "../init.d/x")
    }
    let (model, state) = rig.end()
    let tree = model.tree(state)
    let found = ["0", "2"].flatMap { level in
      tree.list("/etc/rc\(level).d").filter { $0.hasSuffix("x") && $0.count == 4 }
    }
    #expect(found == expected)
  }
}

/// Images are built when they are built, from what is there then, into the file that is named.
@Suite struct ImageBuildTests {
  private func summary(_ profile: String, _ lines: [String], _ edit: (inout Rig) throws -> Void = { _ in })
    throws
    -> Verdict
  {
    var rig = try Rig(profile, [.boot] + lines.map { .run($0) } + [.reboot])
    try edit(&rig)
    return rig.explored().verdict
  }

  @Test(
    "An edit reaches the boot when the image that boots is built after it (S-42)",
    arguments: [
      (["sed -i d /etc/iscsi/iscsi.initramfs"], Verdict.boots),
      (["sed -i d /etc/iscsi/iscsi.initramfs", "update-initramfs -u"], .fails),
      (["sed -i d /etc/iscsi/iscsi.initramfs; update-initramfs -u -k all"], .fails),
      (["update-initramfs -u; sed -i d /etc/iscsi/iscsi.initramfs"], .boots),
      (["sed -i d /etc/iscsi/iscsi.initramfs", "update-initramfs -u -k 5.10.0-1-amd64"], .boots),
      (
        [
          "sed -i d /etc/iscsi/iscsi.initramfs",
          "echo update_initramfs=no > /etc/initramfs-tools/update-initramfs.conf", "update-initramfs -u",
        ], .boots
      ),
      (
        [
          "sed -i d /etc/iscsi/iscsi.initramfs", "sed -i /COMPRESS/d /etc/initramfs-tools/initramfs.conf",
          "update-initramfs -u",
        ], .boots
      ),
      (
        [
          "sed -i d /etc/iscsi/iscsi.initramfs", "sed -i /COMPRESS/d /etc/initramfs-tools/initramfs.conf",
          "echo COMPRESS=gzip > /etc/initramfs-tools/conf.d/gzip", "update-initramfs -u",
        ], .fails
      ),
      (["sed -i d /etc/iscsi/iscsi.initramfs", "mkinitramfs -o /boot/other.img 6.1.0-50-amd64"], .boots),
      (
        [
          "cp /boot/initrd.img-6.1.0-50-amd64 /boot/good", "sed -i d /etc/iscsi/iscsi.initramfs",
          "update-initramfs -u", "mv /boot/good /boot/initrd.img-6.1.0-50-amd64",
        ], .boots
      ),
      (["sed -i d /etc/iscsi/iscsi.initramfs", "mkdir /x; cd /x; sh -c 'update-initramfs -u'"], .fails),
    ])
  func debian(lines: [String], verdict: Verdict) throws {
    #expect(try summary("debian-12", lines) == verdict)
  }

  @Test(
    "update-initramfs -u says what it does not do: nothing since 0.138, where there is no image (S-49)",
    arguments: [
      ("0.142", "update-initramfs -u", ""), ("0.142", "update-initramfs -u -k all", ""),
      ("0.142", "update-initramfs -c -k all", ""),
      ("0.142", "update-initramfs -u -k 6.1.0-50-amd64", "Generating /boot/initrd.img-6.1.0-50-amd64"),
      ("0.137", "update-initramfs -u -k 6.1.0-50-amd64", "does not exist. Cannot update."),
    ])
  func withoutAnImage(version: String, line: String, says: String) throws {
    var rig = try Rig("debian-12", [.boot, .run("umount /boot"), .run(line), .shutdown])
    try rig.replace("Version: 0.142", "Version: \(version)", in: "/var/lib/dpkg/status")
    let outcome = try #require(rig.nominal())
    let after = outcome.timeline.drop { !$0.text.contains(line) }.filter(\.console).map(\.text)
    #expect(says.isEmpty ? !after.contains { $0.contains("initr") } : after.contains { $0.contains(says) })
  }

  @Test(
    "SUSE's mkinitrd builds for every kernel or the one that is named",
    arguments: [
      ("mkinitrd", Verdict.fails), ("mkinitrd -D eth0", .fails), ("mkinitrd -k vmlinuz -i initrd", .fails),
      ("mkinitrd -i initrd-test", .boots), ("true", .boots),
    ])
  func suse(line: String, verdict: Verdict) throws {
    #expect(
      try summary("sles9-sp3", ["sed -i 's/ iscsi\"/\"/' /etc/sysconfig/kernel", line]) == verdict)
  }

  @Test(
    "Red Hat's mkinitrd builds the file that it names, an existing one only with -f",
    arguments: [
      ("mkinitrd -f /boot/initrd-2.6.9-42.EL.img 2.6.9-42.EL", Verdict.fails),
      ("mkinitrd /boot/initrd-2.6.9-42.EL.img 2.6.9-42.EL", .boots),
      ("mkinitrd /boot/new.img 2.6.9-42.EL", .boots),
    ])
  func redHat(line: String, verdict: Verdict) throws {
    let lines = ["sed -i '/iscsi_sfnet/d' /etc/modprobe.conf", line]
    #expect(
      try summary("rhel4-u4", lines) {
        $0.remove("/etc/rc.d/rc6.d/K90network")
        try $0.replace("-i -d", "-d", in: "/etc/rc.d/init.d/halt")
      } == verdict)
  }
}
