import Glibc
import LUNStore

/// Takes the requests of commands and does them, while the store is mounted.
final class ControlServer: Sendable {
  private let folder: Folder
  private let listener: UnixSocket
  private let requests: [any StoreRequest.Type]

  private struct State {
    var isStopping = false
    var connections: [Int32: UnixSocket] = [:]
    /// Those whose requests have begun.
    var atWork: Set<Int32> = []
  }

  private let state = Monitor(State())

  /// From here on commands can connect; they are answered once `start` is called. The caller holds the store.
  init(store: String, requests: [any StoreRequest.Type] = storeRequests) throws(StoreError) {
    self.requests = requests
    folder = try Folder(store)
    listener = try UnixSocket.listen(in: folder)
  }

  /// Answers whoever connects, each on a thread of its own: one request may take as long as it takes to copy
  /// a disk, and the one that ends it must not have to wait for it.
  func start(_ server: StoreServer) {
    startThread {
      while let connection = self.listener.accept() {
        guard self.admit(connection) else { continue }
        startThread {
          self.serve(connection, server)
          self.state.change { _ = $0.connections.removeValue(forKey: connection.descriptor) }
        }
      }
    }
    startThread { self.sayAlive() }
  }

  /// Tells commands once a second that this process lives: what takes long is not to be taken for what hangs.
  private func sayAlive() {
    guard let line = try? encodeLine(ReplyLine<Done>(alive: true)) else { return }
    while !state.wait(1, until: { $0.isStopping && $0.connections.isEmpty }) {
      let waiting = state.change { state in state.connections.filter { state.atWork.contains($0.key) }.values
      }
      for connection in waiting { connection.writeAtOnce(line) }
    }
  }

  /// Takes no more requests, and waits for those that have begun.
  func stop() {
    listener.shutDown()
    state.change { state in
      state.isStopping = true
      state.connections.values.forEach { $0.shutDown() }
    }
    state.wait(until: { $0.connections.isEmpty })
    UnixSocket.remove(from: folder)
  }

  private func admit(_ connection: UnixSocket) -> Bool {
    // Not the owner of the store in general: what a request reads and writes, this process does.
    guard let peer = connection.peer, peer == geteuid() || peer == 0 else {
      reply(
        connection,
        ReplyLine<Done>(problems: [
          StoreError(
            .system(EACCES), at: folder.path, "commands are for the user who mounted the store, and for root")
        ]))
      return false
    }
    return state.change { state in
      if state.isStopping { return false }
      state.connections[connection.descriptor] = connection
      return true
    }
  }

  private func serve(_ connection: UnixSocket, _ server: StoreServer) {
    guard let line = connection.readLine(limit: 1 << 20) else { return }
    do {
      let head = try decodeLine(RequestHead.self, line)
      guard let type = requests.first(where: { $0.name == head.name }) else {
        throw StoreError(
          .invalidInput, at: folder.path, "is mounted by a version of fuse-lun that knows no '\(head.name)'",
          remedy: "unmount it, and mount it with this one")
      }
      try perform(type, line, connection, server)
    } catch let error as DecodingError {
      Log.error("a command's request cannot be read: \(error)")
      let problem = StoreError(
        .invalidInput, at: folder.path,
        "is mounted by another version of fuse-lun, which cannot read this request",
        remedy: "unmount it, and mount it with this one")
      reply(connection, ReplyLine<Done>(problems: [problem]))
    } catch {
      reply(connection, ReplyLine<Done>(problems: problems(of: error, at: folder.path)))
    }
  }

  private func perform<Request: StoreRequest>(
    _: Request.Type, _ line: [UInt8], _ connection: UnixSocket, _ server: StoreServer
  ) throws {
    let request = try decodeLine(RequestLine<Request>.self, line).request
    // A command that is gone by now must not find its request done later.
    guard reply(connection, ReplyLine<Request.Answer>(begun: true)) else { return }
    state.change { _ = $0.atWork.insert(connection.descriptor) }
    defer { state.change { _ = $0.atWork.remove(connection.descriptor) } }
    let answer = try request.perform(on: server) { [weak self] done, total in
      self?.reply(connection, ReplyLine<Request.Answer>(progress: [done, total]))
    }
    reply(connection, ReplyLine(answer: answer))
  }

  @discardableResult
  private func reply(_ connection: UnixSocket, _ line: ReplyLine<some Codable>) -> Bool {
    guard let bytes = try? encodeLine(line) else { return false }
    return connection.write(bytes)
  }
}
