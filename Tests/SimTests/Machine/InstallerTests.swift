import LinuxConfig
import Testing

@testable import Sim

/// The console of an installation system, and the installation.
@Suite struct InstallerTests {
  /// A stick is sda, a LU with /boot and / comes next; what is typed, and what becomes of it.
  private func rig(_ story: [StoryStep], _ edit: (inout InstallerSpec) -> Void = { _ in }) throws -> Rig {
    var rig = try Rig("sles9-sp3", story)
    rig.stick("stick")
    rig.scenario.installer.kernel = "2.6.5-7.244-default"
    rig.scenario.installer.media["stick"] = .files(MemoryFileTree(["/a": "one\n", "/dir/b": "bee\n"]))
    edit(&rig.scenario.installer)
    return rig
  }

  private func typed(_ lines: String..., install: Bool = true) throws -> DiskFiles {
    let steps: [StoryStep] = lines.map { .run($0) }
    let (model, state) = try rig([.installer] + (install ? [.install()] : []) + steps).end()
    return model.library.files(state.tree)
  }

  @Test("what is mounted is seen at its place, and what is written there is kept by the disk")
  func mounts() throws {
    let files = try typed(
      "mkdir /media/s; mount /dev/sda /media/s; cp /media/s/a /tmp; echo x > /media/s/c; umount /media/s")
    #expect(files.console?.memory.text("/tmp/a") == "one\n")
    #expect(files.media["stick"]?.text("/c") == "x\n")
    #expect(files.console?.memory.exists("/media/s/a") == false)
  }

  @Test(
    "a mount that cannot be leaves the directory as it was",
    arguments: ["mount /dev/sdq /media/s", "mount /dev/sda /nowhere", "mount /dev/sda2 /media/s"])
  func refusedMounts(line: String) throws {
    let files = try typed("mkdir /media/s", line)
    #expect(files.console?.mounts.allSatisfy { $0.point.hasPrefix("/mnt") } == true)
  }

  @Test("the installed system is below the installer's mount point, in a chroot too")
  func installedSystem() throws {
    #expect(try typed("echo x > /mnt/etc/new").tree.text("/etc/new") == "x\n")
    #expect(
      try typed("chroot /mnt", "echo x > /boot/new", "exit", "echo y > /etc/mine").tree.text("/boot/new")
        == "x\n")
    #expect(try typed("chroot /mnt", "exit", "echo y > /etc/mine").tree.exists("/etc/mine") == false)
    #expect(try typed("chroot /mnt touch /etc/new").tree.exists("/etc/new"))
    #expect(try typed("echo x > /mnt/etc/new", install: false).tree.exists("/etc/new") == false)
  }

  @Test("without /boot mounted what is written to /boot is hidden on the root's partition (S-49)")
  func hiddenBoot() throws {
    let prepare = "umount /mnt/boot; umount /mnt; mkdir /r; mount /dev/sdb2 /r"
    let hidden = try typed(
      prepare, "chroot /r", "mkinitrd -b /boot -k 'vmlinuz' -i initrd", "touch /boot/new")
    #expect(!hidden.tree.exists("/boot/new") && hidden.hidden.exists("/boot/new"))
    let seen = try typed(prepare, "mount /dev/sdb1 /r/boot", "chroot /r", "touch /boot/new")
    #expect(seen.tree.exists("/boot/new") && seen.hidden.paths.isEmpty)
    // A second look at the root shows it again.
    #expect(
      try typed(prepare, "touch /r/boot/new", "umount /r", "mount /dev/sdb2 /r; cp /r/boot/new /tmp/found")
        .console?.memory.exists("/tmp/found") == true)
  }

  @Test("the installation writes the names that disks have at that moment into menu, fstab and device.map")
  func names() throws {
    let tree = try typed().tree
    #expect(tree.text("/boot/grub/menu.lst")?.contains("root=/dev/sdb2") == true)
    #expect(tree.text("/etc/fstab")?.contains("/dev/sdb2 ") == true)
    #expect(tree.text("/etc/fstab")?.contains("/dev/sdb1 ") == true)
    #expect(tree.text("/boot/grub/device.map") == "(hd0)\t/dev/sdb\n")
  }

  @Test(
    "modules are taken by the kernel they were built for alone (S-02)",
    arguments: [
      ("vermagic: 2.6.5-7.244-default 586\n", true), ("vermagic: 2.6.5-7.97-default 586\n", false),
      ("machine: i386\n", true), ("machine: x86_64\n", false), ("", true),
    ])
  func modules(text: String, isTaken: Bool) throws {
    let rig = try rig([
      .installer, .run("cd /tmp"), .run("mkdir /s; mount /dev/sda /s; cp /s/iscsi.ko /tmp; insmod iscsi.ko"),
    ]) {
      $0.logsIn = false
      $0.architecture = "i386"
      $0.media["stick"] = .files(MemoryFileTree(["/iscsi.ko": text]))
    }
    let (model, state) = rig.end()
    #expect(model.loaded("iscsi", state) == isTaken)
  }

  @Test("a node made by hand is the disk of its number, whatever it is called (S-23)")
  func nodes() throws {
    let lines: [StoryStep] = [.run("mkdir /s; mknod /dev/sdx b 8 0; mount /dev/sdx /s; cp /s/a /tmp")]
    let (model, state) = try rig([.installer] + lines) { $0.makesNodes = false }.end()
    #expect(model.library.files(state.tree).console?.memory.exists("/tmp/a") == true)
    let other: [StoryStep] = [.run("mkdir /s; mount /dev/sda /s; cp /s/a /tmp")]
    let without = try rig([.installer] + other) { $0.makesNodes = false }.end()
    #expect(without.model.library.files(without.state.tree).console?.memory.exists("/tmp/a") == false)
  }

  @Test("an installation on a node that is another disk ends there, and so does one that finds none")
  func failures() throws {
    #expect(
      try rig([.installer, .install(on: "/dev/sda"), .reboot]).explored().failures == ["wrong-disk-written"])
    // The right one; the menu then names sdb, and the stick takes no letter in this initrd (S-13).
    let right = try rig([.installer, .install(on: "/dev/sdb"), .reboot]).explored()
    #expect(right.failures == ["root-device-renamed"])
    let nothing = try rig([.installer, .install(), .reboot]) { $0.logsIn = false }.explored()
    #expect(
      nothing.failures == ["installer-finds-no-disk"] && nothing.outcomes.allSatisfy { $0.boots.count == 1 })
  }

  @Test("a stick that is pulled out takes its mount with it; the shell and its files end with the boot")
  func pulledOut() throws {
    let steps: [StoryStep] = [
      .installer, .run("mkdir /s; mount /dev/sda /s"), .detach("stick"), .run("cp /s/a /tmp"),
      .run("echo x > /tmp/y"),
    ]
    let (model, state) = try rig(steps).end()
    let memory = model.library.files(state.tree).console?.memory
    #expect(memory?.exists("/tmp/a") == false && memory?.exists("/tmp/y") == true)
    let after = try rig(steps + [.install(), .reboot]).end()
    #expect(after.model.library.files(after.state.tree).console == nil)
  }
}

/// Packages, menus that are written anew, and what is chosen in them.
@Suite struct PackageTests {
  private func tree(_ profile: String, _ lines: String..., edit: (inout Rig) -> Void = { _ in }) throws
    -> MemoryFileTree
  {
    var rig = try Rig(profile, [.boot] + lines.map { .run($0) })
    rig.write("/etc/x.conf", "shipped")
    rig.write("/usr/share/x", "old")
    var package = PackageSpec()
    package.files = ["/etc/x.conf": .file(Array("new\n".utf8)), "/usr/share/x": .file(Array("new\n".utf8))]
    package.postinst = "echo ran >> /tmp/log\n"
    package.version = "9.9"
    rig.scenario.packages = ["x": package]
    edit(&rig)
    let (model, state) = rig.end()
    return model.tree(state)
  }

  @Test(
    "a package's files are put in place and its script runs, by whichever manager",
    arguments: [
      "apt-get install x", "aptitude safe-upgrade", "apt-get -y dist-upgrade", "dpkg -i /tmp/x_1.0_i386.deb",
      "apt-get install --reinstall x",
    ])
  func installed(line: String) throws {
    let tree = try tree("debian-12", line)
    #expect(tree.text("/usr/share/x") == "new\n" && tree.text("/tmp/log") == "ran\n")
    #expect(tree.text("/etc/x.conf") == "new\n")
  }

  @Test(
    "apt-get update, a query and another package change nothing",
    arguments: ["apt-get update", "dpkg -l", "apt-get install y"])
  func nothing(line: String) throws { #expect(try tree("debian-12", line).text("/usr/share/x") == "old\n") }

  @Test(
    "dpkg keeps a configuration file that was edited or removed; rpm puts it aside, or keeps it where it is noreplace"
  )
  func configurationFiles() throws {
    let edited = try tree("debian-12", "echo mine > /etc/x.conf", "apt-get upgrade")
    #expect(edited.text("/etc/x.conf") == "mine\n" && edited.text("/etc/x.conf.dpkg-dist") == "new\n")
    #expect(try !tree("debian-12", "rm /etc/x.conf", "apt-get upgrade").exists("/etc/x.conf"))
    let replaced = try tree("sles9-sp3", "echo mine > /etc/x.conf", "rpm -Uvh x-1.0-1.i586.rpm")
    #expect(replaced.text("/etc/x.conf") == "new\n" && replaced.text("/etc/x.conf.rpmsave") == "mine\n")
    let kept = try tree("sles9-sp3", "echo mine > /etc/x.conf", "rpm -U x-1.0-1.i586.rpm") {
      $0.scenario.packages["x"]?.noReplace = ["/etc/x.conf"]
    }
    #expect(kept.text("/etc/x.conf") == "mine\n" && kept.text("/etc/x.conf.rpmnew") == "new\n")
  }

  @Test("a package that ships a file brings it as it was when the story began")
  func ships() throws {
    let tree = try tree("sles9-sp3", "sed -i '1a mine' /etc/rc.d/network", "rpm -U x-1.rpm") {
      $0.scenario.packages["x"]?.ships = ["/etc/rc.d/network"]
    }
    #expect(tree.text("/etc/init.d/network")?.contains("mine") == false)
    #expect(tree.text("/etc/init.d/network.rpmsave")?.contains("mine") == true)
  }

  @Test("update-grub writes every kernel with the options of /etc/default/grub, and boots as before")
  func grub2() throws {
    var rig = try Rig("debian-12", [.boot, .run("update-grub"), .reboot])
    rig.write(
      "/etc/default/grub", "GRUB_TIMEOUT=0", "GRUB_CMDLINE_LINUX=\"a b\"", "GRUB_CMDLINE_LINUX_DEFAULT=quiet")
    #expect(rig.explored().verdict == .boots)
    let (model, state) = rig.end()
    let text = model.tree(state).text("/boot/grub/grub.cfg") ?? ""
    #expect(
      text.contains(" ro a b quiet\n") && text.contains(" ro single a b\n") && !text.contains("console=ttyS0")
    )
  }

  @Test(
    "what is chosen in the menu holds for one boot",
    arguments: [("1", "single"), ("1>1", "single"), ("0", "quiet")])
  func menuEntry(entry: String, word: String) throws {
    let version = entry.contains(">") ? "debian-12" : "ubuntu-10.04"
    var rig = try Rig(version, [.boot, .run("update-grub"), .shutdown, .menuEntry(entry), .boot])
    if version == "debian-12" { rig.write("/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=quiet") }
    let (model, state) = rig.end()
    #expect(model.library.selection(state.firmware.selection)?.commandLine.contains(word) == true)
    #expect(state.menuEntry == 0)
  }
}

/// What is typed at the prompt of an initramfs that gave up.
@Suite struct RescueTests {
  @Test(
    "the boot goes on where the commands take it (S-73)",
    arguments: [
      (["/scripts/local-top/iscsi", "exec switch-root"], Verdict.boots),
      (["/scripts/local-top/iscsi"], .fails), (["exec switch-root"], .fails), (["nonsense"], .fails),
    ])
  func rescue(lines: [String], verdict: Verdict) throws {
    for (profile, early) in [("ubuntu-9.04", "/usr/share/initramfs-tools/scripts/local-top/early_udev")] {
      var rig = try Rig(profile, [.boot, .rescue(lines)])
      rig.remove(early)
      let report = rig.explored()
      #expect(report.verdict == verdict)
      #expect(report.outcomes.allSatisfy { $0.boots.count == 1 })
    }
  }

  @Test("an image whose scripts are not among the files is taken up the same way")
  func withoutScripts() throws {
    let down = StoryStep.linkDown(nic: "nic0", microseconds: 900_000_000, at: .initramfsNetwork)
    let lines = ["/scripts/local-top/iscsi", "exit"]
    #expect(try Rig("debian-12", [down, .boot, .rescue(lines)]).explored().verdict == .boots)
    #expect(try Rig("debian-12", [down, .boot]).explored().verdict == .fails)
  }

  @Test("at a machine that came up, or panicked, there is no such prompt") func noPrompt() throws {
    #expect(try Rig("ubuntu-9.04", [.boot, .rescue(["exit"])]).explored().verdict == .boots)
    var rig = try Rig("rhel4-u4", [.boot, .rescue(["exit"])])
    try rig.boot("root=/dev/sdz9")
    #expect(rig.explored().verdict == .fails)
  }
}

extension Report {
  /// The findings with which outcomes fail first, each once.
  fileprivate var failures: [String] {
    Set(outcomes.compactMap { $0.boots.first { $0.outcome == .fails }?.finding }).sorted()
  }
}
