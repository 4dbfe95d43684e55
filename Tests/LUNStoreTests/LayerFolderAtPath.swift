import Glibc

@testable import LUNStore

extension LayerFolder {
  /// A folder anywhere.
  init(at path: String) throws(StoreError) {
    let parts = path.split(separator: "/")
    let parent = try Descriptor.open(
      path: "/" + parts.dropLast().joined(separator: "/"), O_RDONLY | O_DIRECTORY)
    self.init(in: parent, String(parts.last ?? "."))
  }
}
