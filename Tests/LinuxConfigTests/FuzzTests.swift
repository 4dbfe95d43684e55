import LinuxConfig
import Testing

/// SplitMix64: the same inputs on every machine, so that a failure can be repeated from its seed.
private struct Generator: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}

private struct NoDisks: GrubDelegate {
  mutating func search(_ search: GrubSearch) -> String? { nil }
  mutating func node(device: String, path: String) -> FileNode? { nil }
  mutating func environmentBlock(device: String, path: String) -> [String: String]? { ["default": "0>1"] }
  mutating func run(_ call: GrubCall) -> Bool { true }
}

/// Damaged input must never trap or hang, whatever the parser, and problems must point into the text.
@Suite struct FuzzTests {
  private static let seeds: [String] = [
    GrubLegacyMenuTests.menu, GrubConfigTests.config, LinuxISCSIConfigTests.text, OpenISCSITests.record,
    InterfacesTests.text, SystemdUnitTests.service, UpstartJobTests.rc,
    ShellInterpreterTests.snippets.map(\.script).joined(separator: "\n"),
    "(hd0) /dev/sda\n", "/dev/sda1 / ext3 defaults 1 1\nUUID=1 /x\\040 swap sw 0 0\n", "id:3:initdefault:\n",
    "InitiatorName=iqn.2001-04.com.example\n", "### BEGIN INIT INFO\n# Provides: x\n### END INIT INFO\n",
    "alias eth0 e1000\noptions a b \\\n c\n",
    "a=\"b c\" root=iscsi:u:p@1.2.3.4::3260:0:iqn.2001-04.com.example:x -- y",
  ]

  private static let tokens = [
    "$(", "`", "${", "}", "((", "))", "$((", "\"", "'", "\\", "\n", "<<E\n", "if ", "fi\n", "case x in ",
    "esac\n", "do ",
    "done\n", "{ ", "(", ")", ";;", "&&", "|", "[[ ", " ]]", "\0", "\u{FFFD}", "\r\n", "=", "é", "%%", "*",
    "[!", "999999999999999999999",
  ]

  private static func parseAll(_ text: String) {
    var problems: [Problem] = []
    problems += KernelCommandLine.parse(text, file: "f").problems
    problems += GrubLegacyMenu.parse(text, file: "f").problems
    problems += GrubConfig.parse(text, file: "f").problems
    problems += DeviceMap.parse(text, file: "f").problems
    problems += Fstab.parse(text, file: "f").problems
    problems += InitiatorName.parse(text, file: "f").problems
    problems += LinuxISCSIConfig.parse(text, file: "f").problems
    problems += IscsidConf.parse(text, file: "f").problems
    problems += NodeRecord.parse(text, file: "f").problems
    problems += ShellScript.parse(text, file: "f").problems
    problems += Interfaces.parse(text, file: "f").problems
    problems += Inittab.parse(text, file: "f").problems
    problems += LSBHeader.parse(text, file: "f").problems
    problems += InitramfsModules.parse(text, file: "f").problems
    problems += ModprobeConf.parse(text, file: "f").problems
    problems += SystemdUnit.parse(text, file: "f").problems
    problems += UpstartJob.parse(text, file: "f").problems
    problems += ISCSIRootParameters.merge(commandLine: KernelCommandLine(text), initramfs: nil).problems
    let lines = text.utf8.count { $0 == 0x0A } + 1
    for problem in problems {
      #expect((0...lines).contains(problem.line))
      #expect(problem.column.map { $0 > 0 } ?? true)
      #expect(!problem.message.isEmpty)
    }
  }

  private static func interpret(_ text: String) {
    var limits = ShellLimits()
    limits.steps = 2_000
    limits.turns = 50
    let tree = MemoryFileTree(["/etc/a": text, "/bin/x": ""])
    var shell = ShellInterpreter(tree: tree, delegate: IgnorantShellDelegate(), limits: limits)
    let run = shell.run(ShellScript.parse(text, file: "/etc/a"), file: "/etc/a", arguments: ["stop", "*"])
    // Commands that touch files of the tree never touch the tree that was given.
    #expect(tree.text("/etc/a") == text)
    #expect(run.commands.count <= 2_000)
    var grub = GrubEvaluator(delegate: NoDisks(), root: "hd0", prefix: "(hd0)/")
    grub.stepLimit = 2_000
    grub.run(GrubConfig.parse(text, file: "f").value, file: "f")
    _ = grub.bootDefault()
    _ = ShellVariables.parse(text, file: "f")
  }

  @Test("Mutated files never trap a parser and end", arguments: 0..<8)
  func mutations(seed: UInt64) {
    var random = Generator(state: seed)
    for _ in 0..<12 {
      var bytes = Array(Self.seeds[Int.random(in: 0..<Self.seeds.count, using: &random)].utf8)
      for _ in 0..<Int.random(in: 1...12, using: &random) {
        let at = Int.random(in: 0...bytes.count, using: &random)
        switch Int.random(in: 0..<5, using: &random) {
        case 0: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
        case 1: if at < bytes.count { bytes[at] = UInt8.random(in: 0...255, using: &random) }
        case 2: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 0...20, using: &random)))
        case 3:
          bytes.insert(
            contentsOf: Self.tokens[Int.random(in: 0..<Self.tokens.count, using: &random)].utf8, at: at)
        default: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 30)], at: at)
        }
      }
      let text = String(decoding: bytes, as: UTF8.self)
      Self.parseAll(text)
      Self.interpret(text)
    }
  }

  @Test("Random tokens never trap a parser and end", arguments: 0..<8)
  func soup(seed: UInt64) {
    var random = Generator(state: seed &+ 1000)
    for _ in 0..<20 {
      var text = ""
      for _ in 0..<Int.random(in: 1...60, using: &random) {
        text += Self.tokens[Int.random(in: 0..<Self.tokens.count, using: &random)]
        if Bool.random(using: &random) { text += "x" }
      }
      Self.parseAll(text)
      Self.interpret(text)
    }
  }

  @Test(
    "Deep nesting and long lines are bounded",
    arguments: [
      "$(", "${a:-", "((", "{ ", "if ", "`", "$((", "\"$(", "[[ ( ", "while ", "(", "! ", "a && ", "a | ",
      "case a in (", "\\\n", "<<E ",
      "menuentry a { ", "[ ! ", "root=iscsi:", "f() { ",
    ])
  func deep(token: String) {
    let text = String(repeating: token, count: 3_000)
    Self.parseAll(text)
    Self.interpret(text)
    Self.interpret(
      "[ " + String(repeating: "! ", count: 3_000) + "a ]; [ " + String(repeating: "( ", count: 3_000) + " ]")
    Self.interpret("echo $((" + String(repeating: "(", count: 3_000) + "1))")
  }

  @Test("A file of a megabyte is read to its end")
  func large() {
    let line = "case \"$1\" in stop) echo \"${x:-y}\" ;; esac\n"
    let text = String(repeating: line, count: 1_000_000 / line.utf8.count)
    #expect(ShellScript.parse(text, file: "f").value.commands.count == 1_000_000 / line.utf8.count)
  }
}
