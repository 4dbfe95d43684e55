import ArgumentParser
import LUNStore

struct CreateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create",
    abstract: "Create a LUN, and the store if there is none yet.",
    discussion: """
      The LUN is all zeros and thin: it takes up space only where it is written to. A store that is mounted \
      may be added to; the new file is in the mount at once.
      """)

  @Argument(help: "The store's folder. Where there is none, or an empty one, a store is made.")
  var store: String

  @Argument(
    help: "The LUN's name, which is its file's name in a mount: at most 255 bytes, no '/' and no '@'.")
  var name: String

  @Option(
    help: "The capacity in bytes, or with a suffix: 10G and 10GiB are powers of 1024, 10GB is one of 1000.")
  var size: String

  @Option(help: "The logical block size, 512 or 4096; the capacity is a multiple of it.")
  var blockSize: String = "512"

  func run() throws {
    let request = try LUNRequest(name: name, size: size, blockSize: blockSize)
    let (opened, made) = try Store.openOrCreate(store)
    do {
      try opened.createLUN(request)
    } catch {
      opened.undo(made)
      throw error
    }
  }
}
