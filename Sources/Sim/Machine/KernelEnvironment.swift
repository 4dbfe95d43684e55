import LinuxConfig

/// What the kernel makes of the words of its command line that it does not know (init/main.c, unknown_bootoption).
extension MachineModel {
  /// Parameters of the kernel's own, as far as boot menus have them with a value.
  private static let kernelParameters: Set<String> = [
    "acpi", "apic", "apparmor", "audit", "clocksource", "console", "crashkernel", "earlyprintk", "elevator",
    "enforcing", "hpet", "idle", "init", "initrd", "intel_iommu", "iommu", "isolcpus", "lapic", "loglevel",
    "lpj", "max_loop", "maxcpus", "mce", "mem", "netconsole", "nmi_watchdog", "panic", "pci", "pcie_aspm",
    "possible_cpus", "printk", "ramdisk_size", "rdinit", "reboot", "resume", "root", "rootdelay", "rootflags",
    "rootfstype", "security", "selinux", "smp", "swiotlb", "sysrq_always_enabled", "tsc", "vga", "vdso",
    "video", "vt", "zswap",
  ]

  /// The environment of init besides HOME and TERM: unknown words with a value, in order, each name once. Names with a dot
  /// are taken for a module's.
  static func initEnvironment(_ commandLine: KernelCommandLine) -> [(name: String, value: String)] {
    var all: [(name: String, value: String)] = []
    for argument in commandLine.kernelArguments {
      guard let value = argument.value, !argument.key.contains("."),
        !kernelParameters.contains(argument.key)
      else { continue }
      if let known = all.firstIndex(where: { $0.name == argument.key }) {
        all[known].value = value
      } else {
        all.append((argument.key, value))
      }
    }
    return all
  }

  /// MAX_INIT_ENVS is 32, and HOME and TERM have two of the 33 places: the word that is one too many.
  func overflowingVariable(_ commandLine: String) -> String? {
    let all = Self.initEnvironment(KernelCommandLine(commandLine))
    return all.count > 31 ? all[31].name : nil
  }
}
