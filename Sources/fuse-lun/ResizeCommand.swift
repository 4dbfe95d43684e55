import ArgumentParser
import LUNStore

struct ResizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resize",
    abstract: "Change the size of a LUN.",
    usage: """
      fuse-lun resize <store> <name> <size> [--shrink] [--force] [--json]
      fuse-lun resize <store> <name> +<size>
      fuse-lun resize <store> <name> -<size> --shrink
      """,
    discussion: """
      What is added is zeros, and takes up no space. The file in a mount has the new size at once, also for those who \
      have it open; but most of them ask for it once and have to be told. What to do is printed for each of them.

      To make a LUN smaller is to lose what is behind the new end: that needs --shrink, and if the LUN is open \
      in a mount --force as well. Snapshots keep what they have.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "The LUN's name.")
  var name: String

  @Argument(
    help: """
      The new size, a multiple of the block size: bytes, or a number with a suffix, as in 20G or 1.5T. With + or - in \
      front: so much more or less than now.
      """)
  var size: String

  @Flag(help: "Make it smaller, and lose what is behind the new end.")
  var shrink = false

  @Flag(help: "Make it smaller even if it is open.")
  var force = false

  @OptionGroup var images: ImageOptions

  @OptionGroup var output: OutputOptions

  /// The argument parser takes `-1T` for an option: the size is the last argument that is none, and what comes after
  /// `--` is no option.
  ///
  /// - Parameter arguments: those of the program, without its name.
  static func rearranged(_ arguments: [String]) -> [String] {
    guard arguments.first == configuration.commandName, !arguments.contains("--"),
      let place = arguments.firstIndex(where: isNegative)
    else { return arguments }
    return arguments[..<place] + arguments[(place + 1)...] + ["--", arguments[place]]
  }

  private static func isNegative(_ argument: String) -> Bool {
    let bytes = Array(argument.utf8.prefix(2))
    return bytes.count == 2 && bytes[0] == UInt8(ascii: "-")
      && (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[1])
  }

  func run() throws {
    var problems: [StoreError] = []
    func note<Value>(_ read: () throws(StoreError) -> Value) -> Value? {
      do throws(StoreError) { return try read() } catch { problems.append(error) }
      return nil
    }
    let lun = note { () throws(StoreError) in try LUNName(name) }
    let change = note { () throws(StoreError) in try SizeChange(parsing: size) }
    guard let lun, let change else { throw StoreProblems(problems) }
    let answer = try StoreClient(store: store, images).perform(
      ResizeRequest(name: name, size: change, shrinks: shrink, force: force))
    let clients = answer.path.map(OpenClients.of) ?? []
    try output.report {
      ResizeReport(
        name: lun.text, size: answer.size, clients: clients.map { ClientReport($0, lun.text, answer) })
    } human: {
      try emit(SizeAdvice.text(for: clients, of: lun.text, answer))
    }
  }
}

/// What `resize --json` writes.
private struct ResizeReport: Encodable {
  var name: String
  /// In bytes.
  var size: Int64
  var clients: [ClientReport]
}

/// Who has the LUN open.
private struct ClientReport: Encodable {
  var client: String
  var process: Int32?
  /// What makes it see the new size; `null` where it does by itself or nobody knows.
  var command: String?

  init(_ client: OpenClient, _ lun: String, _ answer: ResizeRequest.Answer) {
    (self.client, process) = (client.name, client.process)
    command = SizeAdvice(for: client, path: answer.path ?? "", size: answer.size).command
  }
}

struct ResizeRequest: StoreRequest {
  struct Answer: Codable, Sendable {
    /// The new size, in bytes.
    var size: Int64
    /// The LUN's file, if it is open there.
    var path: String?
  }

  static let name = "change-size"
  var name: String
  var size: SizeChange
  /// Whether it may become smaller.
  var shrinks: Bool
  var force: Bool

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Answer {
    let name = try LUNName(name)
    let now = try server.openStore.lun(name).size
    let new = try size.applied(to: now)
    if new >= now {
      try server.requireNotRecorded(name, "a new size")
      try server.change(name, "making it larger", force: true) {
        try server.openStore.resize(name, to: new)
      }
    } else {
      guard shrinks else {
        throw StoreError(
          .invalidInput, at: "size '\(new)'", "is less than the \(bytesText(now)) that the LUN '\(name)' has",
          remedy: "what is behind the new end would be lost; if that is meant, say --shrink")
      }
      try server.change(name, "making it smaller", force: force) {
        try server.openStore.resize(name, to: new)
      }
    }
    guard let mounted = server.mounted, try mounted.node(named: .lun(name)).openCount > 0 else {
      return Answer(size: new)
    }
    return Answer(size: new, path: "\(mounted.point)/\(name)")
  }
}
