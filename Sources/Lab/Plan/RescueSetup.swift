import LinuxConfig
import Sim

/// GRUB legacy's `grub-install` in a rescue system, before the machine's first own boot (S-14): through the system's
/// device.map, onto whichever disk that says.
///
/// No rescue system runs here: the laboratory has GRUB's own `setup` work on the disks as files, with the same map.
struct RescueSetup: Sendable, Equatable {
  /// A LU that the map names.
  struct Unit: Sendable, Equatable {
    var iqn: String
    var lun: Int
  }

  /// The map's drives from (hd0) on.
  var drives: [Unit]
  /// The drive whose first sector is written, "(hd0)".
  var onto: String
  /// The drive that has /boot in its first partition.
  var boot: Int

  /// The steps of a story that are such a set-up; the laboratory's story begins behind them.
  static func steps(of story: [StoryStep]) -> Int {
    guard story.count > 3, story[0] == .installer, story[2] == .shutdown, drive(story[1]) != nil else {
      return 0
    }
    return 3
  }

  /// "(hd0)" of `grub-install '(hd0)'`.
  private static func drive(_ step: StoryStep) -> String? {
    guard case .run(let line, asUser: false) = step else { return nil }
    let words = line.split(separator: " ")
    let drive = words.last?.filter { $0 != "'" && $0 != "\"" }
    guard words.count == 2, words[0] == "grub-install", let drive,
      GrubDevice(drive, style: .legacy)?.disk != nil
    else { return nil }
    return drive
  }

  /// The set-up that a scenario's story begins with; nil: none, or one that cannot be done here.
  init?(_ scenario: Scenario, _ reasons: inout [String]) {
    guard Self.steps(of: scenario.story) > 0, let onto = Self.drive(scenario.story[1]) else { return nil }
    let path = "/boot/grub/device.map"
    guard scenario.files.exists("/boot/grub/menu.lst") else {
      reasons.append("grub-install in a rescue system is done here for GRUB legacy only")
      return nil
    }
    let map = DeviceMap.parse(scenario.files.text(path) ?? "", file: path).value
    var drives: [Unit] = []
    for number in 0..<2 {
      guard let node = map.device(disk: number) else { break }
      guard let unit = Self.unit(node, scenario) else {
        reasons.append("\(path): \(node) is no name by path of a LU, as a rescue system here would need it")
        return nil
      }
      drives.append(unit)
    }
    let boot = drives.firstIndex { unit in
      let content = scenario.targets.first { $0.iqn == unit.iqn }?.luns.first { $0.lun == unit.lun }?.content
      return content?.partitions.contains { $0.number == 1 && $0.holds == "/boot" } == true
    }
    guard let boot else {
      reasons.append("\(path): neither (hd0) nor (hd1) has /boot in its first partition")
      return nil
    }
    (self.drives, self.onto, self.boot) = (drives, onto, boot)
  }

  /// The LU behind `/dev/disk/by-path/ip-ADDRESS:PORT-iscsi-IQN-lun-NUMBER`.
  private static func unit(_ node: String, _ scenario: Scenario) -> Unit? {
    for target in scenario.targets {
      for unit in target.luns where node.hasSuffix("-iscsi-\(target.iqn)-lun-\(unit.lun)") {
        return Unit(iqn: target.iqn, lun: unit.lun)
      }
    }
    return nil
  }
}

extension Report {
  /// What the laboratory can see of a story that begins in a rescue system: all but that.
  public func seenInLaboratory(_ story: [StoryStep]) -> Report {
    guard RescueSetup.steps(of: story) > 0 else { return self }
    var report = self
    for index in report.outcomes.indices {
      report.outcomes[index].boots.removeFirst(min(1, report.outcomes[index].boots.count))
      report.outcomes[index].shutdowns.removeFirst(min(1, report.outcomes[index].shutdowns.count))
    }
    return report
  }
}
