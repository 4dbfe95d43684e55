import Glibc
import Synchronization
import TestSupport
import Testing

@testable import LUNStore

@Suite("A stack of layers", .timeLimit(.minutes(60)))
struct LayerStackTests {
  @Test("lets requests go straight to the LUN while no layer is armed")
  func direct() throws {
    let it = try StackFixture()
    #expect(it.stack.beginDirect())
    it.stack.endDirect()
    let pause = try it.add("pause")
    #expect(!it.stack.beginDirect())
    let power = try it.add("power")
    try it.stack.remove(pause)
    #expect(!it.stack.beginDirect())
    try it.stack.remove(power)
    #expect(it.stack.beginDirect())
    it.stack.endDirect()
    #expect(try !it.stack.remove(power))
  }

  @Test("carries out every kind of request as the LUN does")
  func plain() throws {
    let it = try StackFixture()
    try it.add("stats")
    #expect(it.write(512, sectors(7, 4)).count == 2048)
    #expect(it.read(0, 2048).data == sectors(0, 1) + sectors(7, 3))
    #expect(it.write(1 << 20, sectors(7, 1)).code == ENOSPC)
    #expect(it.write((1 << 20) - 512, sectors(7, 2)).count == 512)
    #expect(it.read((1 << 20) - 512, 1024).data == sectors(7, 1))
    #expect(it.discard(512, 512).code == 0)
    #expect(it.send(.change(.zero, at: 1024, length: 512)).code == 0)
    #expect(it.send(.change(.allocate, at: 0, length: 4096)).code == 0)
    #expect(it.discard(-1, 512).code == EINVAL)
    #expect(it.write(0, sectors(9, 1), durably: true).code == 0)
    #expect(it.flush().code == 0)
    #expect(try it.onDisk(0, 2560) == sectors(9, 1) + sectors(0, 2) + sectors(7, 2))
  }

  @Test("composes layers in their order: what an upper one ends, a lower one does not see")
  func order() throws {
    let it = try StackFixture()
    let above = try it.add("stats")
    let delay = try it.add("delay", "any=10ms")
    let below = try it.add("stats")
    try it.fault("error", "lba=8")
    let deepest = try it.add("stats")
    let (bad, good) = (it.read(4096, 512), it.read(0, 512))
    it.time.advance(.milliseconds(9))
    #expect(bad.code == nil && good.code == nil)
    it.time.advance(.milliseconds(1))
    #expect(bad.code == EIO && good.code == 0)
    func seen(_ id: Int) -> OperationStatistics? {
      it.stack.layers.first { $0.id == id }?.statistics?[.read]
    }
    #expect(seen(above)?.requests == 2 && seen(above)?.errors == 1 && seen(above)?.shortest == 10_000_000)
    #expect(seen(below)?.requests == 2 && seen(below)?.longest == 0)
    #expect(seen(deepest)?.requests == 1 && seen(deepest)?.errors == 0)
    #expect(it.stack.layers.map(\.layer.kind) == ["stats", "delay", "stats", "error", "stats"])
    // Above the delay, an error comes at once.
    guard case .request(let rule) = try NewLayer(fault: "error", [], on: it.lun) else { return }
    try it.stack.add(rule, before: delay)
    #expect(it.read(0, 512).code == EIO)
  }

  @Test("holds requests without a thread, and lets them go on when the layer that holds them is removed")
  func holds() throws {
    let it = try StackFixture()
    let pause = try it.add("pause")
    let requests = (0..<100).map { it.write(Int64($0) * 512, sectors(UInt8($0), 1)) }
    it.time.advance(.seconds(3600))
    #expect(requests.allSatisfy { $0.code == nil })
    #expect(try it.onDisk(99 * 512, 512) == sectors(0, 1))
    let delay = try it.add("delay", "write=1s")
    try it.stack.remove(pause)
    #expect(requests.allSatisfy { $0.code == nil })
    it.time.advance(.seconds(1))
    #expect(requests.allSatisfy { $0.code == 0 })
    #expect(try it.onDisk(99 * 512, 512) == sectors(99, 1))
    try it.stack.remove(delay)
    #expect(it.stack.isEmpty)
  }

  @Test("forgets a request whose client has gone, whether it comes before or after the news")
  func cancellation() throws {
    let it = try StackFixture()
    try it.add("pause")
    let held = it.write(0, sectors(1, 1))
    #expect(it.stack.cancel(held.token))
    #expect(held.code == EINTR)
    #expect(!it.stack.cancel(held.token))
    let token = it.stack.reserve()
    #expect(it.stack.cancel(token))
    let late = Sent(token)
    it.stack.submit(.write(sectors(1, 1), at: 0), as: token) { result in
      late.results.withLock { $0.append(result) }
    }
    #expect(late.code == EINTR)
    try it.stack.clear()
    it.time.advance(.seconds(1))
    #expect(try it.onDisk(0, 512) == sectors(0, 1))
  }

  @Test("answers what it holds at the end, and brings what is volatile to the LUN")
  func end() throws {
    let it = try StackFixture()
    try it.add("power")
    #expect(it.write(0, sectors(1, 1)).code == 0)
    #expect(try it.onDisk(0, 512) == sectors(0, 1))
    try it.add("pause")
    let held = it.write(512, sectors(2, 1))
    try it.stack.close()
    #expect(held.code == EIO)
    #expect(try it.onDisk(0, 1024) == sectors(1, 1) + sectors(0, 1))
    // Late ones, of the kernel writing back what it has, still find the LUN.
    #expect(it.stack.beginDirect())
    it.stack.endDirect()
    #expect(throws: StoreError.self) { try it.add("pause") }
  }

  @Test("acknowledges nothing that a power cut has overtaken")
  func overtaken() throws {
    /// Has the power fail while a request is being carried out.
    final class Interruption: DiskLayer {
      let kind = "interruption"
      let stack: LayerStack
      init(_ stack: LayerStack) { self.stack = stack }

      func write(
        _ buffer: UnsafeRawBufferPointer, at offset: Int64, durably: Bool, to below: any BlockDevice
      ) throws(IOError) -> Int {
        let count = try below.write(buffer, at: offset, durably: durably)
        stack.cutPower(PowerCut(seed: 0))
        return count
      }

      func flush(_ below: any BlockDevice) throws(IOError) {
        stack.cutPower(PowerCut(seed: 0))
        try below.flush()
      }
    }
    let it = try StackFixture()
    let power = try it.add("power")
    let interruption = try it.stack.add(Interruption(it.stack), before: power)
    #expect(it.write(0, sectors(1, 1)).code == EIO)
    #expect(it.flush().code == EIO)
    #expect(it.read(0, 512).code == 0)
    #expect(it.counter(power, "power cuts") == 2)
    try it.stack.remove(interruption)
    #expect(it.write(0, sectors(1, 1)).code == 0 && it.flush().code == 0)
  }

  @Test("is quiet when it says so: nothing runs, also none that went straight to the LUN; what comes waits")
  func quiet() throws {
    let it = try StackFixture()
    let began = Atomic(false)
    let isQuiet = Atomic(false)
    #expect(it.stack.beginDirect())
    let waiting = Mutex<Sent?>(nil)
    let thread = TestThread {
      began.store(true, ordering: .sequentiallyConsistent)
      try? it.stack.whileQuiet {
        isQuiet.store(true, ordering: .sequentiallyConsistent)
        waiting.withLock { $0 = it.write(0, sectors(1, 1)) }
        #expect(waiting.withLock { $0?.code } == nil)
      }
    }
    #expect(eventually { it.stack.isDiverted && began.load(ordering: .sequentiallyConsistent) })
    let early = isQuiet.load(ordering: .sequentiallyConsistent)
    #expect(!early)
    it.stack.endDirect()
    thread.join()
    it.time.advance(.zero)
    #expect(waiting.withLock { $0?.code } == 0)
    #expect(it.stack.beginDirect())
    it.stack.endDirect()
  }

  @Test("completes each request once, with many threads and layers that come and go")
  func stress() throws {
    let it = try StackFixture()
    let stack = LayerStack(lun: it.lun)
    let completions = Atomic(0)
    let stop = Atomic(false)
    let threads = (0..<4).map { thread in
      TestThread {
        for round in 0..<2000 {
          let offset = Int64(thread * 256 + round % 256) * 512
          if stack.beginDirect() {
            _ = try? sectors(UInt8(thread), 1).withUnsafeBytes { try it.lun.write($0, at: offset) }
            stack.endDirect()
            completions.add(1, ordering: .relaxed)
            continue
          }
          let token = stack.reserve()
          let request =
            round % 3 == 0
            ? IORequest.read(at: offset, length: 512) : .write(sectors(UInt8(thread), 1), at: offset)
          stack.submit(request, as: token) { _ in completions.add(1, ordering: .relaxed) }
          if round % 7 == 0 { stack.cancel(token) }
        }
      }
    }
    let changer = TestThread {
      while !stop.load(ordering: .relaxed) {
        for (kind, options) in [("delay", ["any=1us..3ms"]), ("power", ["cache=8K"]), ("pause", [])] {
          switch try? NewLayer(kind, settings(options), on: it.lun) {
          case .request(let layer)?: _ = try? stack.add(layer)
          case .disk(let layer)?: _ = try? stack.add(layer)
          case nil: Issue.record("\(kind) cannot be made")
          }
        }
        stack.cutPower(PowerCut(seed: 1))
        try? stack.clear()
      }
    }
    threads.forEach { $0.join() }
    stop.store(true, ordering: .relaxed)
    changer.join()
    #expect(eventually { completions.load(ordering: .relaxed) == 4 * 2000 })
    #expect(stack.isEmpty && stack.beginDirect())
    stack.endDirect()
    for thread in 0..<4 {
      let expected = try it.onDisk(Int64(thread) * 256 * 512, 256 * 512)
      #expect(expected.allSatisfy { $0 == UInt8(thread) || $0 == 0 })
    }
  }
}
