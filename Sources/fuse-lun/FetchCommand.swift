import ArgumentParser
import LUNStore

struct FetchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fetch",
    abstract: "Copy the rest of the image that a LUN was made of with --lazy.",
    discussion: """
      The LUN can be used meanwhile. Once this has ended the image is not needed any more. If it is interrupted, what \
      was copied stays, and the next fetch goes on from there.
      """)

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: "The LUN's name.")
  var name: String

  @OptionGroup var images: ImageOptions

  @OptionGroup var output: OutputOptions

  func run() throws {
    let lun = try LUNName(name)
    _ = try StoreClient(store: store, images).perform(FetchRequest(name: name))
    try output.report { try VolumeReport(.lun(lun), in: store) }
  }
}

struct FetchRequest: StoreRequest {
  static let name = "fetch"
  var name: String

  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Done {
    try server.openStore.fetch(LUNName(name), progress: progress)
    return Done()
  }
}
