/// What the shell of an initramfs answered to the laboratory's questions.
///
/// Answers are known by their form, so that neither the order of the questions nor kernel messages between them
/// matter.
struct ShellAnswers {
  /// What the laboratory asks at the shell of an initramfs, initramfs-tools' or dracut's, one command a line.
  static let questions = [
    "cat /proc/cmdline", "cat /proc/partitions", "ls -l /dev/disk/by-path /dev/disk/by-uuid",
    "ls -d /sbin/iscsistart /usr/sbin/iscsistart", "cat /proc/modules", "ip addr",
    "ls -d /sys/firmware/ibft/*",
    "ls /sys/class/iscsi_session",
  ]

  /// Something was asked and answered.
  private(set) var isAsked = false
  /// Whether iscsistart is in the image; nil: not asked.
  private(set) var hasInitiator: Bool?
  private(set) var modules: Set<String> = []
  private(set) var interfaces: [String] = []
  private(set) var addresses: [String] = []
  private(set) var hasIBFT = false
  private(set) var sessions: [String] = []
  /// UUID to "sda2".
  private(set) var uuids: [String: String] = [:]
  /// by-path name to "sda".
  private(set) var paths: [String: String] = [:]
  /// "sda" to KiB.
  private(set) var sizes: [String: Int64] = [:]

  mutating func read(_ text: String) {
    let words = text.split(separator: " ").map(String.init)
    guard let first = words.first else { return }
    // The prompt and what was typed after it.
    if first == "(initramfs)" || first.hasSuffix("#") { return }
    isAsked = true
    if text.holds("No such file or directory") {
      if text.holds("sbin/iscsistart") { hasInitiator = hasInitiator ?? false }
    } else if first.hasSuffix("sbin/iscsistart") {
      hasInitiator = true
    } else if let arrow = words.firstIndex(of: "->"), arrow > 0, arrow + 1 < words.count,
      words[arrow + 1].hasPrefix("../../")
    {
      let name = words[arrow + 1].split(separator: "/").last.map(String.init) ?? ""
      let isPath = words[arrow - 1].hasPrefix("ip-") || words[arrow - 1].hasPrefix("pci-")
      if isPath { paths[words[arrow - 1]] = name } else { uuids[words[arrow - 1]] = name }
    } else if words.count == 4, Int(words[0]) != nil, Int(words[1]) != nil, let size = Int64(words[2]) {
      sizes[words[3]] = size
    } else if words.count >= 4, Int(words[1]) != nil, Int(words[2]) != nil {
      modules.insert(first)
    } else if first.hasSuffix(":"), Int(first.dropLast()) != nil, words.count > 1 {
      interfaces.append(String(words[1].dropLast()))
    } else if first == "inet", words.count > 1 {
      addresses.append(words[1])
    } else if first.hasPrefix("/sys/firmware/ibft/") {
      hasIBFT = true
    } else {
      sessions += words.filter { $0.hasPrefix("session") && Int($0.dropFirst(7)) != nil }
    }
  }
}
