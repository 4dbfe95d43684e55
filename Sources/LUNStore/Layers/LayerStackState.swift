import Dispatch
import Glibc

extension LayerStack {
  /// A request on its way.
  struct UnderWay: Sendable {
    var request: IORequest
    let completion: Completion
    /// How many power cuts there had been when it came; it does not survive another one.
    let powerCuts: Int
  }

  /// Where a request is.
  enum Place: Sendable {
    /// Its token has been given out.
    case announced
    /// Cancelled before it came.
    case cancelled
    /// At a request layer.
    case held(UnderWay, Hold)
    /// Past all request layers, while the disk is kept quiet.
    case parked(UnderWay)
    /// Being carried out.
    case running(UnderWay)
  }

  /// Why and how long a request waits.
  struct Hold: Sendable {
    let layer: Int
    let until: Instant?
    let then: Verdict
  }

  /// What is to be done once the lock is given back.
  enum Work: Sendable {
    case answer(Completion, Result<IOReply, IOError>)
    case run(RequestToken, IORequest, any BlockDevice)
    case cutPower(PowerCut)
  }

  /// The layers and the requests in them; every change of it is a step of one state machine.
  struct State: Sendable {
    struct Armed<Member: Sendable>: Sendable {
      let id: Int
      var layer: Member
    }

    var front: [Armed<any RequestLayer>] = []
    var back: [Armed<any DiskLayer>] = []
    /// The disk layers on the LUN.
    var device: any BlockDevice
    var lastID = 0
    var isClosed = false

    var requests: [RequestToken: Place] = [:]
    var runningCount = 0
    /// Requests that have ended, and whose completion has not returned yet.
    var answersDue = 0
    var powerCuts = 0
    /// While somebody needs the disk quiet, requests are parked before it.
    var isQuieting = false
    var waiterForQuiet: DispatchSemaphore?

    private var work: [Work] = []
    private var alarm: Instant?
    private var newAlarm: Instant?

    init(device: any BlockDevice) { self.device = device }

    /// Nothing is being done to the LUN by way of this stack.
    var isQuiet: Bool { runningCount == 0 && answersDue == 0 }

    // MARK: Steps of a request

    /// Takes a request from the request layer at `index` on as far as it gets.
    mutating func advance(
      _ token: RequestToken, _ waiting: UnderWay, from index: Int, at now: Instant
    ) {
      var waiting = waiting
      for index in index..<max(index, front.count) {
        let verdict = front[index].layer.admit(&waiting.request, at: now)
        if !apply(verdict, of: front[index].id, token, &waiting, at: now) { return }
      }
      start(token, waiting)
    }

    /// - Returns: whether the request goes on to the next layer.
    private mutating func apply(
      _ verdict: Verdict, of layer: Int, _ token: RequestToken, _ waiting: inout UnderWay, at now: Instant
    ) -> Bool {
      switch verdict {
      case .pass: return true
      case .fail(let code):
        end(token, waiting, .failure(IOError(code)), at: now)
        return false
      case .hold(let until, let then):
        if let until, until <= now { return apply(then, of: layer, token, &waiting, at: now) }
        requests[token] = .held(waiting, Hold(layer: layer, until: until, then: then))
        if let until { setAlarm(until) }
        return false
      case .cutPower(let cut):
        // It reaches the disk whatever the layers below say, and it is the last that does.
        waiting.request.mishap.powerCut = cut
        start(token, waiting)
        losePower(except: token, at: now)
        return false
      }
    }

    private mutating func start(_ token: RequestToken, _ waiting: UnderWay) {
      if isQuieting { return requests[token] = .parked(waiting) }
      requests[token] = .running(waiting)
      runningCount += 1
      work.append(.run(token, waiting.request, device))
    }

    mutating func finish(_ token: RequestToken, _ result: Result<IOReply, IOError>, at now: Instant) {
      guard case .running(let waiting)? = requests[token] else { return }
      runningCount -= 1
      // What the power cut overtook is not acknowledged, though it may have reached the disk.
      end(token, waiting, waiting.powerCuts == powerCuts ? result : .failure(IOError(EIO)), at: now)
    }

    mutating func end(
      _ token: RequestToken, _ waiting: UnderWay, _ result: Result<IOReply, IOError>, at now: Instant
    ) {
      for index in front.indices where front[index].layer.observesCompletion {
        front[index].layer.completed(waiting.request, result, at: now)
      }
      end(token, waiting.completion, result)
    }

    mutating func end(
      _ token: RequestToken, _ completion: @escaping Completion, _ result: Result<IOReply, IOError>
    ) {
      requests[token] = nil
      answersDue += 1
      work.append(.answer(completion, result))
    }

    // MARK: Requests that wait

    /// Lets go on what has waited long enough, in the order of the times and then of arrival.
    mutating func release(upTo now: Instant) {
      alarm = nil
      var due: [(until: Instant, token: RequestToken, waiting: UnderWay, hold: Hold)] = []
      for (token, place) in requests {
        guard case .held(let waiting, let hold) = place, let until = hold.until else { continue }
        if until <= now { due.append((until, token, waiting, hold)) } else { setAlarm(until) }
      }
      for (_, token, waiting, hold) in due.sorted(by: { ($0.until, $0.token) < ($1.until, $1.token) }) {
        // One that was let go before may have cut the power.
        guard case .held? = requests[token] else { continue }
        var waiting = waiting
        let index = front.firstIndex { $0.id == hold.layer } ?? front.count
        if apply(hold.then, of: hold.layer, token, &waiting, at: now) {
          advance(token, waiting, from: index + 1, at: now)
        }
      }
    }

    /// Removes a request layer; what waits there goes on.
    mutating func removeRequestLayer(_ id: Int, at now: Instant) {
      guard let index = front.firstIndex(where: { $0.id == id }) else { return }
      front.remove(at: index)
      for (token, waiting) in held(where: { $0.layer == id }) {
        guard case .held? = requests[token] else { continue }
        advance(token, waiting, from: index, at: now)
      }
    }

    /// What waits, in the order of arrival.
    func held(where matches: (Hold) -> Bool) -> [(RequestToken, UnderWay)] {
      requests.compactMap { token, place in
        guard case .held(let waiting, let hold) = place, matches(hold) else { return nil }
        return (token, waiting)
      }.sorted { $0.0 < $1.0 }
    }

    /// What is past the request layers and waits for the disk, in the order of arrival.
    mutating func unpark() {
      let parked = requests.compactMap { token, place in
        if case .parked(let waiting) = place { (token, waiting) } else { nil }
      }
      for (token, waiting) in parked.sorted(by: { $0.0 < $1.0 }) { start(token, waiting) }
    }

    /// Ends everything that waits.
    mutating func failAllWaiting(_ code: Int32, except own: RequestToken? = nil, at now: Instant) {
      for (token, place) in requests.sorted(by: { $0.key < $1.key }) where token != own {
        switch place {
        case .held(let waiting, _), .parked(let waiting):
          end(token, waiting, .failure(IOError(code)), at: now)
        case .announced, .cancelled, .running: break
        }
      }
    }

    /// Everything under way fails; the disk layers are told by whoever carries out the work.
    mutating func losePower(except own: RequestToken? = nil, at now: Instant) {
      powerCuts += 1
      failAllWaiting(EIO, except: own, at: now)
    }

    mutating func cutPower(_ cut: PowerCut, at now: Instant) {
      losePower(at: now)
      work.append(.cutPower(cut))
    }

    // MARK: What is to be done

    private mutating func setAlarm(_ instant: Instant) {
      guard alarm.map({ instant < $0 }) ?? true else { return }
      (alarm, newAlarm) = (instant, instant)
    }

    mutating func takeWork() -> [Work] {
      defer { work.removeAll(keepingCapacity: true) }
      return work
    }

    mutating func takeAlarm() -> Instant? {
      defer { newAlarm = nil }
      return newAlarm
    }
  }
}
