import LinuxConfig
import Testing

@testable import Sim

/// update-initramfs and the initramfs it makes: hooks and scripts of the system's own files, run.
@Suite struct InitramfsToolsTests {
  private static let hook = "/usr/share/initramfs-tools/hooks/iscsi"
  private static let scripts = "/usr/share/initramfs-tools/scripts"
  private static let menu = "/boot/grub/menu.lst"

  private func image(_ rig: Rig) -> InitramfsImage {
    MachineModel(rig.scenario).madeByInitramfsTools(rig.scenario.files)
  }

  // MARK: - The maker

  @Test("the hooks of a package of today are known, whether the files hold them or not; others are named")
  func theHooksOfAPackageOfToday() throws {
    var rig = try Rig("debian-12", [.boot])
    let summary = rig.explored().summary
    for name in ["iscsi", "kmod", "udev"] {
      rig.write("/usr/share/initramfs-tools/hooks/\(name)", "#!/bin/sh", "exit 1")
    }
    #expect(image(rig).hasInitiator && rig.explored().summary == summary)
    #expect(rig.explored().notLookedAt.isEmpty)
    rig.write("/etc/initramfs-tools/hooks/own", "#!/bin/sh", "rm -f $DESTDIR/sbin/iscsistart")
    let own = "/etc/initramfs-tools/hooks/own: what it does in the image is not followed"
    #expect(rig.explored().notLookedAt == [own])
    rig.remove("/usr/share/initramfs-tools/hooks/iscsi")
    #expect(!image(rig).hasInitiator)
    #expect(rig.explored().summary == "fails: initramfs-iscsi initiator-not-in-initramfs")
  }

  @Test("a hook puts into the image what it copies, writes and names") func aHook() throws {
    var rig = try Rig("ubuntu-9.04", [.boot])
    rig.write("/etc/data", "one")
    rig.write(
      "/etc/initramfs-tools/hooks/mine", "#!/bin/sh", "[ \"$1\" = prereqs ] && exit 0",
      ". /usr/share/initramfs-tools/hook-functions", "copy_exec /sbin/iscsid /bin",
      "mkdir -p $DESTDIR/opt", "cp -p /etc/data $DESTDIR/opt/", "echo two >> ${DESTDIR}/opt/data",
      "ln -s /opt/data $DESTDIR/etc/link", "touch $DESTDIR/etc/gone", "rm $DESTDIR/etc/gone",
      "manual_add_modules tg3", "force_load e1000e", "copy_exec /sbin/nothing")
    let image = image(rig)
    #expect(image.files.isFile("/bin/iscsid") && image.files.isFile("/sbin/iscsistart"))
    #expect(image.files.text("/opt/data") == "one\ntwo\n" && image.files.text("/etc/link") == "one\ntwo\n")
    #expect(!image.files.exists("/etc/gone"))
    #expect(image.available.contains("tg3") && image.ordered == ["e1000e"])
    #expect(
      image.remarks == [
        "/etc/initramfs-tools/hooks/mine:13: `copy_exec /sbin/nothing`: there is no /sbin/nothing"
      ])
  }

  @Test("the administrator's script takes the place of the package's of the same name")
  func theAdministratorsScript() throws {
    var rig = try Rig("ubuntu-9.04", [.boot])
    rig.write("/etc/initramfs-tools/scripts/local-top/iscsi", "#!/bin/sh", "exit 0")
    #expect(image(rig).files.text("/scripts/local-top/iscsi") == "#!/bin/sh\nexit 0\n")
    #expect(rig.explored().summary == "fails: initramfs-iscsi initiator-not-configured")
  }

  @Test(
    "scripts run by name, those that are named as prerequisites first; a circle is run by name",
    arguments: [
      (["b": "", "a": ""], ["a", "b"]), (["a": "c", "b": "", "c": ""], ["b", "c", "a"]),
      (["a": "missing", "b": ""], ["a", "b"]), (["a": "b c", "b": "c", "c": ""], ["c", "b", "a"]),
      (["a": "b", "b": "a", "c": ""], ["c", "a", "b"]),
    ])
  func scriptsRunByName(_ scripts: [String: String], _ expected: [String]) throws {
    var tree = MemoryFileTree()
    for (name, needs) in scripts {
      tree.write(
        "#!/bin/sh\nPREREQ=\"\(needs)\"\ncase $1 in\nprereqs) echo \"$PREREQ\" ;;\nesac\n", to: "/d/\(name)")
    }
    let model = MachineModel(try Rig("ubuntu-9.04").scenario)
    #expect(InitramfsScripts.inOrder("/d", of: tree, model: model) == expected.map { "/d/\($0)" })
  }

  // MARK: - What decides, and what does not

  @Test("what the scripts are told decides; what plays no part does not move the verdict")
  func whatTheScriptsAreTold() throws {
    let cases: [(String, String, @Sendable (inout Rig) throws -> Void)] = [
      ("as it is", "boots", { _ in }),
      (
        "a hook that ends early", "fails: initramfs-iscsi initiator-not-in-initramfs",
        { try $0.replace("copy_exec /sbin/iscsistart /sbin", "exit 0", in: Self.hook) }
      ),
      (
        "an initiator's module that is not copied", "fails: initramfs-iscsi initiator-not-in-initramfs",
        { try $0.replace("crc32c libcrc32c", "md5", in: Self.hook) }
      ),
      (
        "the adapter's driver loaded by name needs no udev", "boots",
        {
          $0.write("/etc/initramfs-tools/modules", "e1000")
          $0.remove("\(Self.scripts)/local-top/early_udev")
        }
      ),
      (
        "no udev at all", "fails: initramfs-network nic-driver-missing",
        { $0.remove("\(Self.scripts)/init-premount/udev") }
      ),
      (
        "udev waits before local-top already", "boots",
        {
          $0.remove("\(Self.scripts)/local-top/early_udev")
          try $0.replace(
            "udevadm trigger\n", "udevadm trigger\nudevadm settle\n", in: "\(Self.scripts)/init-premount/udev"
          )
        }
      ),
      (
        "a wait that is too short", "fails: initramfs-network interface-not-ready",
        {
          try $0.replace(
            "udevadm settle", "udevadm settle --timeout=0", in: "\(Self.scripts)/local-top/early_udev")
        }
      ),
      (
        "a script that does nothing", "boots",
        {
          $0.write("\(Self.scripts)/local-top/aaa", "#!/bin/sh", "[ \"$1\" = prereqs ] && exit 0", "sleep 1")
        }
      ),
      (
        "the file in the image overrides the environment", "fails: initramfs-iscsi target-name-unknown",
        { $0.write("/etc/iscsi/iscsi.initramfs", "ISCSI_TARGET_NAME=iqn.2009-04.other:x") }
      ),
      (
        "the lower-case word overrides the file", "boots",
        {
          $0.write("/etc/iscsi/iscsi.initramfs", "ISCSI_TARGET_NAME=iqn.2009-04.other:x")
          try $0.replace(
            " ro\n", " ro iscsi_target_name=iqn.2009-04.arbeitsgruppe:general.ubuntu\n", in: Self.menu)
        }
      ),
      (
        "the name in the file serves where the line has none", "boots",
        { try $0.replace("ISCSI_INITIATOR=iqn.2009-04.arbeitsgruppe:general ", "", in: Self.menu) }
      ),
      (
        "a local-top without /etc/iscsi.initramfs ends where it reads it",
        "fails: initramfs-iscsi initiator-not-configured",
        { try $0.replace("cp /etc/iscsi/iscsi.initramfs $DESTDIR/etc\n", "", in: Self.hook) }
      ),
    ]
    for (name, expected, edit) in cases {
      var rig = try Rig("ubuntu-9.04", [.boot])
      try edit(&rig)
      #expect(rig.explored().summary == expected, "\(name)")
    }
  }

  @Test("CHAP name and secret reach iscsistart from the kernel line") func chap() throws {
    var rig = try Rig("ubuntu-9.04", [.boot])
    let chap = Credentials(username: "user", password: "secretsecret")
    rig.scenario.targets[0].chap = chap
    rig.scenario.machine.nics[0].optionROM?.chap = chap
    #expect(rig.explored().summary == "fails: initramfs-iscsi chap-refused")
    try rig.replace(" ro\n", " ro ISCSI_USERNAME=user ISCSI_PASSWORD=secretsecret\n", in: Self.menu)
    #expect(rig.explored().summary == "boots")
  }

  @Test("the root is waited for as long as scripts/local says, or rootdelay=") func theRootWait() throws {
    func seconds(_ arguments: String, _ profile: String = "ubuntu-9.04") throws -> Double {
      var rig = try Rig(profile, [.boot])
      rig.remove("/etc/iscsi/iscsi.initramfs")
      if !arguments.isEmpty { try rig.replace(" ro", " ro \(arguments)", in: rig.menu) }
      return Double(rig.nominal()?.boots.first?.at ?? 0) / 1_000_000
    }
    let jaunty = try seconds("")
    let short = try seconds("rootdelay=20")
    let lucid = try seconds("", "ubuntu-10.04")
    #expect((190...210).contains(jaunty) && abs(jaunty - short - 160) < 5)
    #expect((40...60).contains(lucid))
  }

  // MARK: - The kernel's environment

  @Test("the kernel hands 31 unknown words to init and panics at the next") func theEnvironment() throws {
    for (count, expected) in [(26, "boots"), (27, "fails: kernel kernel-variables-overflow")] {
      var rig = try Rig("ubuntu-9.04", [.boot])
      // Five words are there already: ip= and four of ISCSI_.
      let words = (0..<count).map { "X\($0)=1" } + ["a.b=1", "X0=2", "quiet", "rootfstype=ext4"]
      try rig.replace(" ro\n", " ro \(words.joined(separator: " "))\n", in: Self.menu)
      #expect(rig.explored().summary == expected, "\(count)")
    }
  }
}
