import FoundationEssentials
import Glibc
import LUNStore

/// A command's way to have something done in a store: by the mount if there is one, otherwise by itself.
struct StoreClient {
  let store: String
  /// Whether images are opened that the owner of the store, another user, could not read.
  let trustsImages: Bool

  init(store: String, trustsImages: Bool = false) {
    (self.store, self.trustsImages) = (store, trustsImages)
  }

  init(store: String, _ images: ImageOptions) {
    self.init(store: store, trustsImages: images.trustImages)
  }

  /// Has it done, and shows a bar on the standard error output where it takes long.
  ///
  /// - Throws: what the request throws, wherever it was done; `busy` if another command holds the store for
  ///   too long; which process it is that says nothing.
  func perform<Request: StoreRequest>(_ request: Request) throws -> Request.Answer {
    let deadline = try Patience.deadline()
    // What needs no change can be done all the same.
    let access: LUN.Access = try Store.open(store).isInReadOnlyFileSystem ? .readOnly : .readWrite
    while true {
      let openStore: OpenStore
      do throws(StoreError) {
        openStore = try OpenStore(store, at: "", access, trustsImages: trustsImages)
      } catch {
        guard error.kind == .busy else { throw error }
        if let answer = try ask(request) { return answer }
        // Whoever holds it is another command, or a mount that is about to begin or to end.
        if time(nil) > deadline { throw try tooLong() ?? error }
        usleep(20_000)
        continue
      }
      return try performHere(request, openStore)
    }
  }

  /// Asks the mount; `nil` if there is none, or it ended without having begun with the request.
  func ask<Request: StoreRequest>(_ request: Request) throws -> Request.Answer? {
    let patience = try Patience.seconds()
    guard let connection = try UnixSocket.connect(in: Folder(store), patience: patience) else { return nil }
    func silent(hasBegun: Bool = false) -> StoreError {
      .silent(
        store, connection.listener ?? (try? Store.open(store).holder())??.process,
        "has not answered for \(counted(patience ?? 0, "second"))", hasBegun: hasBegun)
    }
    guard !connection.hasTimedOut, connection.write(try encodeLine(RequestLine(request: request))) else {
      if connection.hasTimedOut { throw silent() }
      return nil
    }
    let bar = ProgressBar(Request.progressUnit)
    defer { bar.erase() }
    var hasBegun = false
    while let line = connection.readLine() {
      let reply: ReplyLine<Request.Answer>
      do {
        reply = try decodeLine(ReplyLine<Request.Answer>.self, line)
      } catch {
        throw StoreError(
          .invalidInput, at: store, "is mounted by another version of fuse-lun, whose answer cannot be read",
          remedy: "unmount it, and mount it with this one")
      }
      if reply.begun == true { hasBegun = true }
      if let progress = reply.progress, progress.count == 2 { bar.show(progress[0], of: progress[1]) }
      if let answer = reply.answer { return answer }
      if let problems = reply.problems {
        throw problems.count == 1 ? problems[0] : StoreProblems(problems) as any Error
      }
    }
    if connection.hasTimedOut { throw silent(hasBegun: hasBegun) }
    guard hasBegun else { return nil }
    throw StoreError(
      .system(EIO), at: store, "the mount ended while it was at work on this command",
      remedy: "'fuse-lun list' shows what has been done")
  }

  /// What to say of another command that has held the store for too long; `nil` if it is hard at work.
  private func tooLong() throws -> StoreError? {
    guard let process = try Store.open(store).holder()?.process, let state = ProcessState(of: process),
      !["R", "S"].contains(state.state)
    else { return nil }
    return .silent(store, process, "has not given it back")
  }

  private func performHere<Request: StoreRequest>(
    _ request: Request, _ openStore: OpenStore
  ) throws -> Request.Answer {
    let bar = ProgressBar(Request.progressUnit)
    defer { bar.erase() }
    let answer: Request.Answer
    do {
      answer = try request.perform(on: StoreServer(openStore, mounted: nil)) { bar.show($0, of: $1) }
    } catch {
      // What is wrong with the request is more to the point than what is wrong with flushing after it.
      try? openStore.release()
      throw error
    }
    try openStore.release()
    return answer
  }
}
