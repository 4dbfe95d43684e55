import LUNStore

/// Something that a command wants done in a store, by whichever process holds the store: the one that has it
/// mounted, or the command itself.
///
/// A request travels as JSON. Paths in it are absolute, since the mount's working directory is another one.
protocol StoreRequest: Codable, Sendable {
  /// What the command learns from it; `Done` if nothing but that.
  associatedtype Answer: Codable & Sendable

  /// Tells the requests apart on their way; never the same for two of them.
  static var name: String { get }

  /// What its progress counts.
  static var progressUnit: ProgressBar.Unit { get }

  /// Does it. Several requests may be at work at once, and clients of the mount read and write meanwhile.
  ///
  /// - Parameter progress: to be called now and then with the bytes done and the bytes in all.
  /// - Throws: `StoreError` or `StoreProblems`, which reach the command as they are.
  func perform(on server: StoreServer, progress: @escaping Progress) throws -> Answer
}

extension StoreRequest {
  static var progressUnit: ProgressBar.Unit { .bytes }
}

/// The answer of a request that has none.
struct Done: Codable, Sendable {}

/// What a request works on, in the process that holds the store.
final class StoreServer: Sendable {
  /// The store, with the right to change it.
  let openStore: OpenStore
  /// What clients see of it; `nil` in a command that works on a store that is not mounted.
  let mounted: MountedStore?

  init(_ openStore: OpenStore, mounted: MountedStore?) {
    self.openStore = openStore
    self.mounted = mounted
  }

  /// Whether clients may have files open.
  var isMounted: Bool { mounted != nil }
}
