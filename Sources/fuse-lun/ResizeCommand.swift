import ArgumentParser
import LUNStore

struct ResizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resize",
    abstract: "Change the size of a LUN.",
    discussion: """
      What is added is zeros, and takes up no space. A mount shows the new size at once; who uses the LUN may \
      have to be told ('losetup -c' for a loop device).

      To make a LUN smaller is to lose what is behind the new end: that needs --shrink, and if the LUN is open \
      in a mount --force as well. Snapshots keep what they have.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "The LUN's name.")
  var name: String

  @Argument(help: "The new size: bytes, or a number with a suffix, as in 20G; a multiple of the block size.")
  var size: String

  @Flag(help: "Make it smaller, and lose what is behind the new end.")
  var shrink = false

  @Flag(help: "Make it smaller even if it is open.")
  var force = false

  @OptionGroup var images: ImageOptions

  func run() throws {
    var problems: [StoreError] = []
    func note<Value>(_ read: () throws(StoreError) -> Value) -> Value? {
      do throws(StoreError) { return try read() } catch { problems.append(error) }
      return nil
    }
    let lun = note { () throws(StoreError) in try LUNName(name) }
    let bytes = note { () throws(StoreError) in try ByteCount(parsing: size).bytes }
    guard lun != nil, let bytes else { throw StoreProblems(problems) }
    _ = try StoreClient(store: store, images).perform(
      ResizeRequest(name: name, size: bytes, shrinks: shrink, force: force))
  }
}

struct ResizeRequest: StoreRequest {
  static let name = "resize"
  var name: String
  /// In bytes.
  var size: Int64
  /// Whether it may become smaller.
  var shrinks: Bool
  var force: Bool

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Done {
    let name = try LUNName(name)
    let now = try server.openStore.lun(name).size
    guard size < now else {
      try server.requireNotRecorded(name, "a new size")
      try server.change(name, "making it larger", force: true) {
        try server.openStore.resize(name, to: size)
      }
      return Done()
    }
    guard shrinks else {
      throw StoreError(
        .invalidInput, at: "size '\(size)'", "is less than the \(now) bytes that the LUN '\(name)' has",
        remedy: "what is behind the new end would be lost; if that is meant, say --shrink")
    }
    try server.change(name, "making it smaller", force: force) {
      try server.openStore.resize(name, to: size)
    }
    return Done()
  }
}
