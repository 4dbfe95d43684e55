import LinuxConfig

/// What is typed at the prompt of an initramfs that gave up its root (S-73).
extension MachineModel {
  /// Begins at the prompt: the modules that are loaded by now stay, the boot goes on where the commands take it.
  func beginRescue(_ lines: [String], _ index: Int, _ s: inout MachineState, _ out: inout Out) -> Bool {
    guard s.phase == .stuck, s.prompt == .initramfs,
      let selection = library.selection(s.firmware.selection)
    else { return false }
    explain("story", "typed at the prompt: \(lines.joined(separator: "; "))", sets: .story, to: &out)
    s.prompt = .rescued
    s.phase = .initramfs
    let boot = initramfsProgram(selection, s)
    let image = image(selection, build(ofImage: selection.initrdPath, s))
    startProgram(rescueProgram(lines, index, boot, image, selection), &s, &out)
    return true
  }

  private func rescueProgram(
    _ lines: [String], _ index: Int, _ boot: UInt16, _ image: InitramfsImage, _ selection: BootSelection
  ) -> UInt16 {
    library.program("rescue \(index) \(library.fingerprint(boot))") {
      let program = library.program(boot)
      let ops = program?.tasks.first?.ops ?? []
      // In an image whose scripts are not among the files, what comes before the root is waited for is local-top's.
      let wait = ops.firstIndex { if case .waitRoot = $0 { true } else { false } } ?? ops.count
      let begin = ops.firstIndex { if case .startRootWait = $0 { true } else { false } }.map { $0 + 1 } ?? 0
      var result: [Op] = []
      func append(_ range: Range<Int>) {
        let offset = result.count - range.lowerBound
        result += ops[range].map { op in
          op.retargeted { min(max($0, range.lowerBound), range.upperBound) + offset }
        }
      }
      for line in lines {
        let words = line.split(separator: " ").map(String.init)
        result.append(.say("(initramfs) \(line)"))
        switch (words.first ?? "", words.dropFirst().first ?? "") {
        case ("exec", "switch-root"), ("exec", "switch_root"), ("exec", "run-init"), ("exit", _):
          append(wait..<ops.count)
        case ("modprobe", _), ("insmod", _):
          result.append(.modules(words.dropFirst().filter { !$0.hasPrefix("-") }.map { TreePath.name($0) }))
        case ("sleep", let seconds):
          result.append(.pause(Window(.milliseconds(Pace.milliseconds(ofSeconds: Int64(seconds) ?? 0)))))
        case (let script, _) where image.files.isFile(script):
          var shell = InitramfsShell(self, image, selection)
          let offset = result.count
          result += shell.byHand(script).map { $0.retargeted { $0 + offset } }
        case (let script, _)
        where script.hasPrefix("/scripts/local-top") && !image.files.isDirectory("/scripts"):
          append(min(begin, wait)..<wait)
        default:
          library.notLooked("story: `\(line)` at the initramfs's prompt is not understood")
        }
      }
      result.append(.prompt)
      return Program(part: program?.part ?? "initramfs", tasks: [Program.Task(name: "rescue", ops: result)])
    }
  }
}
