import Glibc
import Sim

/// A machine under QEMU: SeaBIOS, the iPXE ROMs of its adapters, two serial lines.
final class VirtualMachine {
  /// The first serial line: the console of the firmware, GRUB and the kernel.
  let console: SerialLine
  /// The second: a root shell once the system is up.
  let shell: SerialLine
  /// Changes what is plugged in.
  let monitor: Monitor
  private let qemu: Tool

  /// Switches a machine on.
  ///
  /// - Parameters:
  ///   - folder: Where its sockets are.
  ///   - file: The file of a disk that is not behind iSCSI.
  init(
    _ plan: LabPlan, network: LabNetwork, folder: String, file: (LabPlan.Disk) -> String
  ) throws(LabError) {
    for name in ["con", "sh", "mon"] { unlink("\(folder)/\(name)") }
    let words = Self.words(plan, folder: folder, file: file)
    let log = "\(folder)/qemu.log"
    let qemu = try Tool(network.inside(words), log: log)
    self.qemu = qemu
    do throws(LabError) {
      monitor = try Monitor("\(folder)/mon") { qemu.isRunning }
      console = try SerialLine("\(folder)/con") { qemu.isRunning }
      shell = try SerialLine("\(folder)/sh") { qemu.isRunning }
    } catch {
      qemu.kill()
      throw LabError("QEMU does not start: \(error); see \(log)")
    }
    for adapter in plan.adapters where !adapter.hasCable { try monitor.setLink(adapter.name, up: false) }
    try monitor.execute("cont")
  }

  /// QEMU's command line. The machine waits for "cont" before its first instruction.
  static func words(_ plan: LabPlan, folder: String, file: (LabPlan.Disk) -> String) -> [String] {
    func serial(_ name: String) -> [String] {
      [
        "-chardev", "socket,id=\(name),path=\(folder)/\(name),server=on,wait=off", "-serial",
        "chardev:\(name)",
      ]
    }
    var words = [
      "qemu-system-x86_64", "-S", "-machine", "pc", "-accel", "tcg,thread=multi", "-m", "\(plan.memory)",
      "-smp",
      "\(plan.processors)", "-nographic", "-vga", "none", "-rtc", "base=utc", "-boot", "strict=on",
      "-nodefaults", "-no-reboot",
    ]
    words += serial("con") + serial("sh") + ["-qmp", "unix:\(folder)/mon,server=on,wait=off"]
    for adapter in plan.adapters {
      let place = adapter.bootIndex.map { ",bootindex=\($0)" } ?? ",romfile="
      words += [
        "-netdev", "tap,id=net\(adapter.slot),ifname=tap\(adapter.slot),script=no,downscript=no",
        "-device",
        "\(adapter.model),netdev=net\(adapter.slot),id=\(adapter.name),mac=\(adapter.mac),addr=\(adapter.slot)\(place)",
      ]
    }
    words += ["-device", "qemu-xhci,id=xhci,addr=6"]
    for disk in plan.disks where disk.isAttached {
      words += [
        "-blockdev", "driver=raw,node-name=d-\(disk.name),file.driver=file,file.filename=\(file(disk))",
      ]
      let model = disk.bus == .usb ? "usb-storage,bus=xhci.0" : "ide-hd"
      let place = disk.bootIndex.map { ",bootindex=\($0)" } ?? ""
      words += ["-device", "\(model),drive=d-\(disk.name),id=\(disk.name)\(place)"]
    }
    return words
  }

  deinit { qemu.kill() }

  /// Whether it has not been switched off.
  var isOn: Bool { qemu.isRunning }

  /// Takes its power away.
  func cutPower() { qemu.kill() }

  /// Plugs a disk in.
  func attach(_ disk: LabPlan.Disk, file: String) throws(LabError) {
    try monitor.execute(
      "blockdev-add",
      [
        "driver": "raw", "node-name": JSONValue(.string("d-\(disk.name)")),
        "file": ["driver": "file", "filename": JSONValue(.string(file))],
      ])
    try monitor.execute(
      "device_add",
      [
        "driver": "usb-storage", "bus": "xhci.0", "drive": JSONValue(.string("d-\(disk.name)")),
        "id": JSONValue(.string(disk.name)),
      ])
  }

  /// Pulls a disk out.
  func detach(_ disk: LabPlan.Disk) throws(LabError) {
    try monitor.execute("device_del", ["id": JSONValue(.string(disk.name))])
    // The node is free when the device is gone, which QEMU says later.
    let limit = monotonic() + 10
    while true {
      do throws(LabError) {
        return try monitor.execute("blockdev-del", ["node-name": JSONValue(.string("d-\(disk.name)"))])
      } catch {
        guard monotonic() < limit else { throw error }
        usleep(100_000)
      }
    }
  }
}
