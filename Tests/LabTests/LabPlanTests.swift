import LinuxConfig
import Sim
import Testing

@testable import Lab

@Suite struct LabPlanTests {
  @Test func whatAScenarioLeavesAsItsProfileHasItIsTheImageUnchanged() throws {
    let plan = try plan("")
    #expect(plan.edit.isEmpty)
    #expect(plan.image == "debian-12")
    #expect(plan.targets.map(\.iqn) == ["iqn.2024-01.lab:disk"])
    #expect(plan.targets[0].units.map(\.medium.kept) == [[1, 2]])
    #expect(
      plan.script == """
        #!ipxe
        set initiator-iqn iqn.2024-01.lab:host
        set keep-san 1
        sanboot iscsi:10.0.2.2::3260:1:iqn.2024-01.lab:disk

        """)
  }

  @Test func onlyTheFilesThatAScenarioChangesAreLaidOverTheImage() throws {
    let plan = try plan(
      """
      "system": { "files": {
        "/etc/hostname": "another", "/etc/iscsi/iscsi.initramfs": null, "/usr/sbin/program": "",
        "/etc/rc0.d/K01x": { "link": "../init.d/x" }
      } }
      """)
    #expect(plan.edit.files.map(\.path) == ["/etc/hostname", "/etc/rc0.d/K01x", "/usr/sbin/program"])
    #expect(plan.edit.files.map(\.file) == [.text("another\n"), .link("../init.d/x"), .presence])
    #expect(plan.edit.removed == ["/etc/iscsi/iscsi.initramfs"])
  }

  @Test(arguments: [
    ("/etc/hostname", false), ("/etc/fstab", false), ("/boot/grub/grub.cfg", false),
    ("/etc/initramfs-tools/modules", true), ("/etc/iscsi/iscsid.conf", true),
    ("/etc/dracut.conf.d/x.conf", true),
  ]) func theInitramfsIsMadeAgainWhenWhatItIsMadeFromChanges(path: String, rebuilds: Bool) throws {
    #expect(try plan("\"system\": { \"files\": { \"\(path)\": \"x\" } }").edit.rebuilds == rebuilds)
  }

  @Test func everyKernelOfABootMenuWritesToTheConsoleThatIsRead() throws {
    let plan = try plan(
      """
      "system": { "files": { "/boot/grub/grub.cfg": [
        "menuentry 'a' {", "\\tlinux /vmlinuz-6.1.0-50-amd64 root=/dev/sda2 ro", "}",
        "menuentry 'b' {", "\\tlinux /vmlinuz-6.1.0-50-amd64 root=/dev/sda2 console=ttyS0", "}"
      ] } }
      """)
    let menu = "/boot/grub/grub.cfg"
    guard case .text(let text)? = plan.edit.files.first(where: { $0.path == menu })?.file else {
      Issue.record("\(menu) is not written")
      return
    }
    #expect(
      text == """
        menuentry 'a' {
        \tlinux /vmlinuz-6.1.0-50-amd64 root=/dev/sda2 ro console=tty0 console=ttyS0,115200n8
        }
        menuentry 'b' {
        \tlinux /vmlinuz-6.1.0-50-amd64 root=/dev/sda2 console=ttyS0
        }

        """)
  }

  @Test func aKernelOfTheProfileStandsForTheOneThatTheImageHas() throws {
    let plan = try plan(
      """
      "system": { "files": { "/boot/initrd.img-6.1.0-50-amd64": "x",
        "/etc/x": "/vmlinuz-6.1.0-50-amd64" } }
      """, kernel: "6.1.0-51-amd64")
    #expect(plan.edit.files.map(\.path) == ["/boot/initrd.img-6.1.0-51-amd64", "/etc/x"])
    #expect(plan.edit.files.last?.file == .text("/vmlinuz-6.1.0-51-amd64\n"))
  }

  @Test func disksAreBootedFromInTheOrderThatTheFirmwareHas() throws {
    let plan = try plan(
      """
      "machine": {
        "firmware": { "bootOrder": ["stick", "nic0"] },
        "usb": [{ "name": "stick", "size": "64MiB", "bootCode": "signature-only",
          "partitions": [{ "number": 1 }] },
          { "name": "later", "attached": false }]
      }
      """)
    #expect(plan.adapters.map(\.bootIndex) == [1])
    #expect(plan.disks.map(\.bootIndex) == [0, nil])
    let words = VirtualMachine.words(plan, folder: "/run", file: { "/\($0.name).img" }).joined(separator: " ")
    #expect(words.contains("usb-storage,bus=xhci.0,drive=d-stick,id=stick,bootindex=0"))
    #expect(words.contains("e1000,netdev=net3,id=nic0,mac=52:54:00:12:34:56,addr=3,bootindex=1"))
    #expect(!words.contains("later"))
  }

  @Test func aPartitionThatAnotherLUHoldsIsTakenFromTheFirst() throws {
    let plan = try plan(
      """
      "targets": [{ "name": "iqn.2024-01.lab:disk", "luns": [
        { "lun": 1, "partitions": [{ "number": 1, "fs": null, "uuid": null, "label": null, "holds": null }] },
        { "lun": 2, "size": "1GiB", "partitions": [
          { "number": 1, "fs": "ext4", "uuid": "18311587-8c6e-4a3c-b4ca-9fead0c9fe7b", "holds": "/boot" }] }
      ] }]
      """)
    #expect(plan.targets[0].units.map(\.medium.kept) == [[2], [1]])
    #expect(plan.targets[0].units.map { $0.medium.made.map(\.number) } == [[1], []])
  }

  @Test func allThatIsOutOfReachIsSaidAtOnce() throws {
    let error = #expect(throws: OutOfReach.self) {
      try plan(
        """
        "machine": {
          "nics": [{ "name": "nic0", "interface": "eth0", "driver": "bnx2" }],
          "usb": [
            { "name": "rescue", "bootCode": "other" },
            { "name": "grub", "bootCode": "grub", "grub": { "version": "2", "prefix": "(hd0,msdos1)" } }
          ]
        },
        "story": ["installer", "boot"]
        """)
    }
    #expect(
      error?.reasons == [
        "QEMU has no adapter for the driver bnx2", "rescue: no other system that boots by itself is here",
        "grub: GRUB is on clones of the image only", "no installation system runs here",
      ])
  }

  @Test func anotherSystemsRootFolderIsNotPutOntoAnImage() throws {
    let error = #expect(throws: OutOfReach.self) { try plan("", root: "/mnt/backup") }
    #expect(
      error?.reasons == [
        "the system's files are those of /mnt/backup; the laboratory boots images of its own"
      ])
  }

  @Test func whatARescueSystemDoesWithGRUBLegacyIsDoneThroughTheMapAndLeftOutOfTheStory() throws {
    let path = "/dev/disk/by-path/ip-10.0.2.2:3260-iscsi-iqn.2024-01.lab:disk-lun-"
    func members(_ map: String...) -> String {
      let lines = map.map { "\"\($0)\"" }.joined(separator: ", ")
      return """
        "targets": [{ "name": "iqn.2024-01.lab:disk", "luns": [{ "lun": 1 }, { "lun": 2, "size": "1GiB" }] }],
        "system": { "files": { "/boot/grub/menu.lst": [], "/boot/grub/device.map": [\(lines)] } },
        "story": ["installer", { "run": "grub-install '(hd0)'" }, "shutdown", "boot"]
        """
    }
    let made = try plan(members("(hd0) \(path)2", "(hd1) \(path)1"), profile: "debian-12-sysv")
    #expect(made.story == [.boot])
    let unit = { RescueSetup.Unit(iqn: "iqn.2024-01.lab:disk", lun: $0) }
    #expect(made.rescue?.drives == [unit(2), unit(1)])
    #expect(made.rescue?.boot == 1 && made.rescue?.onto == "(hd0)")
    for (map, reason) in [
      ("(hd0) /dev/sda", "/boot/grub/device.map: /dev/sda is no name by path"),
      ("(hd0) \(path)2", "/boot/grub/device.map: neither (hd0) nor (hd1) has /boot"),
    ] {
      let error = #expect(throws: OutOfReach.self) {
        _ = try plan(members(map), profile: "debian-12-sysv")
      }
      #expect(error?.reasons.count == 1 && error?.reasons[0].hasPrefix(reason) == true)
    }
  }

  @Test(arguments: ["debian-12", "debian-12-sysv"])
  func aScenarioOfAProfileAloneCanBeBooted(profile: String) throws {
    #expect(try plan("", profile: profile).isSysV == (profile == "debian-12-sysv"))
  }

  private func plan(
    _ members: String, profile: String = "debian-12", kernel: String = "6.1.0-50-amd64", root: String? = nil
  ) throws -> LabPlan {
    func scenario(_ text: String) throws -> Scenario {
      let parsed = ScenarioDecoder(.embedded).load(Array(text.utf8), file: "x.json")
      return try #require(parsed.value, "\(parsed.problems)").scenario
    }
    let head = "{ \"version\": 1, \"title\": \"x\", \"profile\": \"\(profile)\""
    var planned = try scenario("\(head)\(members.isEmpty ? "" : ", ")\(members) }")
    planned.root = root
    return try LabPlan(planned, profile: try scenario("\(head) }"), kernel: kernel)
  }
}
