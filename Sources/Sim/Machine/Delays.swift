/// A boot that is held up: it waits for something that does not answer.
///
/// Late is a boot in which such a wait lasted longer than `lateAfter` at a stretch. What takes its time on every boot
/// (drivers, DHCP's round, a `sleep`) is no wait: the same machine without the hold-up has it, too.
struct DelayState: Hashable, Sendable {
  /// Something is waited for now.
  var waits = false
  /// The option ROM tries again and again to read for the boot loader.
  var readsAgain = false
  /// What held the boot up: index of a finding's code + 1; 0: nothing did.
  var finding: UInt8 = 0
  /// Where: index into `Stage.allCases`.
  var stage: UInt8 = 0
}

extension MachineModel {
  /// Shorter waits are what retries and time-outs usually cost (a ping's 5 + 5 s, a login tried again).
  static let lateAfter = Window(.seconds(10))

  /// The boot cannot go on: a program waits, or the root does not answer, whoever asks next.
  private func isHeldUp(_ s: MachineState) -> Bool {
    if s.phase == .loader { return s.delay.readsAgain }
    guard s.phase == .initramfs || s.phase == .initialising else { return false }
    // The installation system has no root, and somebody sits before it.
    if s.phase == .initialising, s.root.disk == 0 { return false }
    return s.program.waiting != 0 || s.root.mount != .none && rootIO(s) == .blocked
  }

  /// After every event: begins and ends of waits.
  func watchDelays(_ s: inout MachineState, _ out: inout Out) {
    // At a prompt somebody has taken over: what comes of it is not late.
    if s.phase == .stuck { s.delay.finding = 0 }
    let waits = isHeldUp(s)
    guard waits != s.delay.waits else { return }
    s.delay.waits = waits
    out.note(.mark(waits ? .waitBegins : .waitEnds))
    if waits {
      out.schedule(MachineEvent(.heldUp), Self.lateAfter)
    } else {
      out.cancel(MachineEvent(.heldUp))
    }
  }

  /// A wait has become too long; the first one gives the boot its finding.
  func heldUp(_ s: inout MachineState, _ out: inout Out) {
    guard s.delay.waits, s.delay.finding == 0 else { return }
    let (finding, sentence, facts) = holdUp(s)
    s.delay.finding = finding.number
    s.delay.stage = s.stage
    out.note(.mark(.isLate))
    explain("verdict", "the boot is held up: \(sentence)", because: facts, to: &out)
  }

  /// What is waited for, read off the machine as it is.
  private func holdUp(_ s: MachineState) -> (Finding.Code, String, [Fact]) {
    if s.delay.readsAgain {
      return (.bootHeldUp, "the option ROM gets no answer from the target", [.path, .bootDevice])
    }
    if s.root.mount != .none, rootIO(s) == .blocked {
      let facts: [Fact] = [.path, .session, .daemon]
      switch LossCause(rawValue: s.iscsi.loss) ?? .none {
      case .firewall: return (.firewallCutsRoot, "the firewall keeps the root's packets back", facts)
      case .interfaceDown, .addressRemoved:
        return (.networkTakenFromRoot, "the network was taken from under the root", facts)
      default: return (.bootHeldUp, "the root does not answer", facts)
      }
    }
    switch waitingOp(s) {
    case .login?, .loginFromFirmware?:
      let problem = LoginProblem(rawValue: s.iscsi.problem) ?? .unreachable
      return (
        problem == .sessionLimit ? .sessionLimit : .bootHeldUp,
        "the initiator does not get in: \(problem.reason)", [.login, .path, .romSession]
      )
    case .configure?, .waitInterface?: return (.bootHeldUp, "no address comes", [.interface, .path])
    case .waitRoot?: return (.bootHeldUp, "the root's device does not appear", [.selection, .session])
    case .mountEntries?:
      return (.fstabDeviceMissing, "a device of /etc/fstab does not appear", [.root, .program])
    default: return (.bootHeldUp, "what is waited for does not come", [.program])
    }
  }

  /// How the boot that comes up now went.
  func outcomeOfBoot(_ s: MachineState) -> (BootOutcome, Stage?, Finding.Code?) {
    guard let finding = Finding.Code.numbered(s.delay.finding) else { return (.boots, nil, nil) }
    return (.degraded, Stage.allCases[Int(s.delay.stage)], finding)
  }
}
