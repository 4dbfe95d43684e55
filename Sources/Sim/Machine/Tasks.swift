/// Running programs: tasks, their order, waiting.
extension MachineModel {
  /// Where a task goes after an instruction.
  enum Flow {
    case next(Window)
    case to(Int, Window)
    /// Until `canGoOn` says so, or a time-out.
    case wait(Window?)
    /// Nothing more of this program happens.
    case stop
  }

  static let instant = Window(.zero)

  func startProgram(
    _ number: UInt16, _ s: inout MachineState, _ out: inout Out, after delay: Window = instant
  ) {
    abandonProgram(&s, &out)
    s.program = ProgramState()
    s.program.number = number
    startReadyTasks(&s, &out, after: delay)
  }

  /// Forgets what runs: a crash, a reset, or the kernel halting.
  func abandonProgram(_ s: inout MachineState, _ out: inout Out) {
    guard let program = library.program(s.program.number) else { return }
    for task in program.tasks.indices
    where s.program.started >> UInt32(task) & 1 == 1 && s.program.done >> UInt32(task) & 1 == 0 {
      let counter = Int(s.program.counters[task])
      out.cancel(MachineEvent(.task, task, counter, Int(s.program.number)))
      out.cancel(MachineEvent(.timeout, task, counter, Int(s.program.number)))
    }
    s.program = ProgramState()
  }

  private func startReadyTasks(_ s: inout MachineState, _ out: inout Out, after delay: Window) {
    guard let program = library.program(s.program.number) else { return }
    for (index, task) in program.tasks.enumerated() {
      let bit: UInt32 = 1 << UInt32(index)
      guard s.program.started & bit == 0, task.after & ~s.program.done == 0 else { continue }
      s.program.started |= bit
      s.program.counters[index] = 0
      out.schedule(MachineEvent(.task, index, 0, Int(s.program.number)), delay)
    }
  }

  func runTask(_ task: Int, at counter: Int, program number: Int, _ s: inout MachineState, _ out: inout Out) {
    guard Int(s.program.number) == number, let program = library.program(UInt16(number)) else { return }
    let ops = program.tasks[task].ops
    var counter = counter
    var timedOut = s.program.timedOut >> UInt32(task) & 1 == 1
    s.program.timedOut &= ~(1 << UInt32(task))
    // Instructions that take no time belong to one instant: nothing comes between them.
    for _ in 0...ops.count {
      guard counter < ops.count else { return finish(task, &s, &out) }
      s.program.counters[task] = UInt16(truncatingIfNeeded: counter)
      let flow = execute(ops[counter], part: program.part, timedOut: timedOut, &s, &out)
      timedOut = false
      // The instruction may have ended the program (halt, panic) or started another.
      guard Int(s.program.number) == number else { return }
      switch flow {
      case .next(let window) where window == Self.instant: counter += 1
      case .to(let target, let window) where window == Self.instant: counter = target
      case .next(let window): return go(task, to: counter + 1, window, &s, &out)
      case .to(let target, let window): return go(task, to: target, window, &s, &out)
      case .wait(let limit):
        s.program.waiting |= 1 << UInt32(task)
        if let limit { out.schedule(MachineEvent(.timeout, task, counter, number), limit) }
        return
      case .stop: return
      }
    }
    go(task, to: counter, Self.instant, &s, &out)
  }

  private func go(_ task: Int, to counter: Int, _ window: Window, _ s: inout MachineState, _ out: inout Out) {
    s.program.counters[task] = UInt16(truncatingIfNeeded: counter)
    out.schedule(MachineEvent(.task, task, counter, Int(s.program.number)), window)
  }

  private func finish(_ task: Int, _ s: inout MachineState, _ out: inout Out) {
    s.program.done |= 1 << UInt32(task)
    startReadyTasks(&s, &out, after: Self.instant)
  }

  func taskTimedOut(
    _ task: Int, at counter: Int, program number: Int, _ s: inout MachineState, _ out: inout Out
  ) {
    guard Int(s.program.number) == number, s.program.waiting >> UInt32(task) & 1 == 1,
      Int(s.program.counters[task]) == counter
    else { return }
    s.program.waiting &= ~(1 << UInt32(task))
    s.program.timedOut |= 1 << UInt32(task)
    runTask(task, at: counter, program: number, &s, &out)
  }

  /// After every event: tasks whose condition has come true go on.
  func wakeTasks(_ s: inout MachineState, _ out: inout Out) {
    guard s.program.waiting != 0, let program = library.program(s.program.number) else { return }
    for task in program.tasks.indices where s.program.waiting >> UInt32(task) & 1 == 1 {
      let counter = Int(s.program.counters[task])
      guard canGoOn(program.tasks[task].ops[counter], s) else { continue }
      s.program.waiting &= ~(1 << UInt32(task))
      out.cancel(MachineEvent(.timeout, task, counter, Int(s.program.number)))
      out.schedule(MachineEvent(.task, task, counter, Int(s.program.number)), Pace.between(0, 200, seen: 50))
    }
  }

  /// The instruction a stuck program waits at; for the explanation.
  func waitingOp(_ s: MachineState) -> Op? {
    guard let program = library.program(s.program.number) else { return nil }
    for task in program.tasks.indices where s.program.waiting >> UInt32(task) & 1 == 1 {
      return program.tasks[task].ops[Int(s.program.counters[task])]
    }
    return nil
  }
}
