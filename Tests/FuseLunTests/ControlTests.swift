import Glibc
import LUNStore
import TestSupport
import Testing

@testable import fuse_lun

/// Says something long, slowly; or fails in the way that is asked for.
private struct EchoRequest: StoreRequest {
  static let name = "test-echo"
  var text: String
  var failures: [StoreError] = []

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> String {
    for step in 0...3 { progress(Int64(step), 3) }
    if failures.count == 1 { throw failures[0] }
    if !failures.isEmpty { throw StoreProblems(failures) }
    return "\(text) \(server.isMounted)"
  }
}

@Suite("Commands to a mount", .timeLimit(.minutes(60)))
struct ControlTests {
  private let folder = TemporaryFolder()

  /// A store whose path is longer than a socket's address may be.
  private func makeStore() throws -> Store {
    let parent = folder.folder(String(repeating: "n", count: 200))
    return try Store.openOrCreate("\(parent)/store").store
  }

  /// A server as a mount has it, for the requests of these tests.
  private func withServer(_ body: (String) throws -> Void) throws {
    let store = try makeStore()
    let openStore = try OpenStore(store.path, at: "/nowhere")
    defer { try? openStore.release() }
    let control = try ControlServer(store: store.path, requests: [EchoRequest.self])
    control.start(
      StoreServer(
        openStore, mounted: MountedStore(openStore, at: "/nowhere", MountOptions(), whenReady: { _ in })))
    defer { control.stop() }
    try body(store.path)
  }

  @Test("are done by the mount, and get the answer back")
  func answered() throws {
    try withServer { store throws in
      #expect(try StoreClient(store: store).perform(EchoRequest(text: "hé\n\"")) == "hé\n\" true")
      #expect(run("stat", "-c", "%a %F", "\(store)/control").output == "600 socket\n")
    }
  }

  @Test("are done by the command itself where there is no mount")
  func alone() throws {
    let store = try makeStore()
    #expect(try StoreClient(store: store.path).perform(EchoRequest(text: "a")) == "a false")
    #expect(try store.holder() == nil)
    #expect(try StoreClient(store: store.path).ask(EchoRequest(text: "a")) == nil)
  }

  @Test("get errors back as they were thrown, one or several")
  func failing() throws {
    let full = StoreError(.system(ENOSPC), at: "LUN 'a'", "cannot write", remedy: "make room")
    let absent = StoreError(.absent, at: "LUN 'b'", "is not there")
    try withServer { store throws in
      let client = StoreClient(store: store)
      let one = thrown(StoreError.self) { try client.perform(EchoRequest(text: "", failures: [full])) }
      #expect(one == full)
      let all = thrown(StoreProblems.self) {
        try client.perform(EchoRequest(text: "", failures: [full, absent]))
      }
      #expect(all == StoreProblems([full, absent]))
    }
  }

  @Test("that the mount does not know, or cannot read, are refused with the reason")
  func versions() throws {
    try withServer { store throws in
      let error = thrown(StoreError.self) {
        try StoreClient(store: store).perform(MountInfoRequest(lun: "a"))
      }
      #expect(error?.problem.contains("knows no 'mount-info'") == true)
      for line in ["", "{}", "null", "{\"name\":\"test-echo\"}", "{\"name\":\"test-echo\",\"request\":7}"] {
        let connection = try #require(try UnixSocket.connect(in: Folder(store)))
        #expect(connection.write(Array("\(line)\n".utf8)))
        let reply = try decodeLine(ReplyLine<Done>.self, try #require(connection.readLine()))
        #expect(reply.problems?.first?.problem.contains("another version") == true, "\(line)")
        #expect(connection.readLine() == nil)
      }
    }
  }

  @Test("many at a time are all answered, also while one says nothing")
  func concurrent() async throws {
    let store = try makeStore().path
    let openStore = try OpenStore(store, at: "/nowhere")
    defer { try? openStore.release() }
    let control = try ControlServer(store: store, requests: [EchoRequest.self])
    control.start(StoreServer(openStore, mounted: nil))
    let silent = try #require(try UnixSocket.connect(in: Folder(store)))
    await withTaskGroup(of: String?.self) { group in
      for index in 0..<50 {
        group.addTask { try? StoreClient(store: store).perform(EchoRequest(text: "\(index)")) }
      }
      var answers: Set<String?> = []
      for await answer in group { answers.insert(answer) }
      #expect(answers == Set((0..<50).map { "\($0) false" }))
    }
    control.stop()
    #expect(silent.readLine() == nil)
    #expect(access("\(store)/control", F_OK) == -1)
  }

  @Test("find their way past the socket of a mount that was killed")
  func stale() throws {
    let store = try makeStore()
    _ = try UnixSocket.listen(in: Folder(store.path))
    #expect(access("\(store.path)/control", F_OK) == 0)
    #expect(try StoreClient(store: store.path).perform(EchoRequest(text: "a")) == "a false")
    try withServer { store throws in
      #expect(try StoreClient(store: store).perform(EchoRequest(text: "b")) == "b true")
    }
  }

  @Test(
    "show how far they are",
    arguments: [
      (0, 100, "[..............................]   0%  0 B of 100 B"),
      (512 << 20, 1 << 30, "[###############...............]  50%  512 MiB of 1 GiB"),
      (7, 7, "[##############################] 100%  7 B of 7 B"),
      (9, 7, "[##############################] 100%  9 B of 7 B"),
    ] as [(Int64, Int64, String)])
  func progress(_ done: Int64, _ total: Int64, _ line: String) {
    #expect(ProgressBar.line(done, of: total) == line)
  }

  @Test(
    "show how fast they are and how long it takes",
    arguments: [
      (0, 1000, 100, ""), (100, 100, 100, ""), (80 << 20, 1000, 5200 << 20, ", 80 MiB/s, 1:05 left"),
      (1 << 20, 1000, 4000 << 20, ", 1 MiB/s, 1:06:40 left"), (1, 1000, Int64.max, ", 1 B/s, 99:59:59 left"),
    ] as [(Int64, Int64, Int64, String)])
  func pace(_ done: Int64, _ milliseconds: Int64, _ left: Int64, _ text: String) {
    #expect(ProgressBar.pace(done, in: milliseconds, left: left) == text)
  }

  @Test("count what is not bytes by its name")
  func things() {
    #expect(
      ProgressBar.line(2, of: 4, .things("layers")) == "[###############...............]  50%  2 of 4 layers")
  }
}
