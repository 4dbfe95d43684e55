/// Whether a boot or shutdown has come to an end that nothing follows, by what the console shows.
struct LineEnding {
  private(set) var isUp = false
  private(set) var isShell = false
  private(set) var isFrozen = false
  private(set) var isOver = false

  mutating func see(_ line: String, isWhole: Bool) {
    if line.contains("==BOOT-OK") { isUp = true; isOver = true }
    if !isWhole, line.hasPrefix("(initramfs)") { isShell = true; isOver = true }
    if !isWhole, line.hasPrefix("grub rescue>") || line.hasPrefix("grub>") { isOver = true }
    for text in [
      "Press any key to continue", "Press Enter for maintenance", "Press Control-D to continue",
      "(or press Control-D", "No bootable device", "Kernel panic", "INIT: no more processes left",
    ] where line.contains(text) { isOver = true; isFrozen = true }
    if line.contains("Freezing execution") { isFrozen = true }
  }
}
