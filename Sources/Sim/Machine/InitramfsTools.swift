import LinuxConfig

/// The initramfs of Debian 12, whose scripts are not among the system's files: what real boots of it did.
extension MachineModel {
  /// /init of initramfs-tools with open-iscsi's local-top script (open-iscsi 2.1.8, initramfs-tools 0.142).
  func initramfsToolsOps(_ image: InitramfsImage, _ selection: BootSelection) -> [Op] {
    if image.files.isDirectory("/scripts/local-top") { return scriptedInitramfsOps(image, selection) }
    let root = rootName(selection.commandLine)
    var ops = OpList()
    ops.add(.say("Loading, please wait..."))
    ops.add(.pause(Pace.about(1900)))
    ops.add(.modules(image.available.filter { !isInitiator($0) }))
    ops.add(.pause(Pace.about(400)))
    ops.add(.say("Begin: Loading essential drivers ... done."))
    let delay = Int64(KernelCommandLine(selection.commandLine).last("rootdelay") ?? "") ?? 0
    let wait = Pace.milliseconds(ofSeconds: max(30, delay))
    ops.add(.startRootWait(Pace.between(wait + 700, wait + 2300, seen: wait + 1000)))
    // /init sleeps as long as rootdelay= says, once the drivers are in; the wait for the root has begun before (lab).
    if delay > 0 { ops.add(.pause(Window(.milliseconds(Pace.milliseconds(ofSeconds: delay))))) }
    ops.add(.pause(Pace.about(200)))
    ops.add(.say("Begin: Mounting root file system ... Begin: Running /scripts/local-top ..."))
    let end = ops.label()
    let parameters = rootParameters(image.files, selection.commandLine)
    let kernelLine = IPParameter(KernelCommandLine(selection.commandLine).last("ip") ?? "")
    if !image.hasInitiator {
      ops.add(.noteProblem(.noInitiator))
    } else if !parameters.isActive {
      ops.add(.noteProblem(.noParameters))
    } else {
      ops.add(.stage(.initramfsNetwork))
      if parameters.isAutomatic {
        ops.add(.modules(["iscsi_ibft"]))
        ops.add(.waitInterface(limit: Pace.between(178_000, 184_000, seen: 180_000), failTo: end))
        ops.add(
          .configure(
            interface: nil, .firmware, limit: Pace.between(240_000, 290_000, seen: 265_000), failTo: end)
        )
      } else {
        ops.add(.waitInterface(limit: Pace.between(178_000, 184_000, seen: 180_000), failTo: end))
        // Nothing has brought the interface up before: the first DHCP request goes nowhere (seen: 1.6 s once, 10 to 11 s three times).
        ops.add(.pause(Pace.between(1600, 11_000, seen: 10_000)))
        ops.add(
          .configure(
            interface: nil, kernelLine.client == nil ? .dhcp : .fixed,
            limit: Pace.between(240_000, 290_000, seen: 265_000), failTo: end)
        )
      }
      ops.add(.stage(.initramfsISCSI))
      ops.add(
        .modules(
          ["scsi_transport_iscsi", "libiscsi", "iscsi_tcp", "crc32c", "libcrc32c"].filter {
            image.available.contains($0)
          }))
      ops.add(.say("iscsistart: version 2.1.8"))
      ops.add(.pause(Pace.between(1000, 1300, seen: 1050)))
      if parameters.isAutomatic {
        ops.add(.unlessIBFT(end))
        ops.add(.loginFromFirmware(failTo: end))
      } else {
        let name =
          parameters.initiator ?? read(InitiatorName.self, "/etc/initiatorname.iscsi", image.files)?.name
        let chap = parameters.values["ISCSI_USERNAME"].map {
          Credentials(username: $0, password: parameters.values["ISCSI_PASSWORD"] ?? "")
        }
        let logins = parameters.targetAddresses.map {
          Login(
            initiator: name, target: parameters.targetName ?? "", portal: "\($0):\(parameters.port)",
            chap: chap)
        }
        ops.add(.login(logins, failTo: end))
      }
    }
    ops.place(end)
    ops.add(.waitRoot(root))
    ops.add(.mountRoot(root))
    ops.add(.switchRoot(initPath: "/sbin/init"))
    return ops.finished
  }

  private func isInitiator(_ module: String) -> Bool {
    KernelModules.initiators.contains(KernelModules.normalized(module))
  }

  /// What open-iscsi's local-top script works with: file and kernel line merged by its own precedence.
  private func rootParameters(_ files: MemoryFileTree, _ commandLine: String) -> ISCSIRootParameters {
    read(
      ISCSIRootParameters.merge(
        commandLine: KernelCommandLine(commandLine),
        initramfs: read(IscsiInitramfs.self, "/etc/iscsi.initramfs", files)))
  }
}
