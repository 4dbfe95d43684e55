import Glibc
import LUNStore

/// Why an image cannot be read: what is wrong, with which image, and what would be right.
public struct DiskImageError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What a program may want to tell apart.
  public enum Kind: Equatable, Sendable {
    /// There is no such file, store or LUN.
    case absent
    /// A folder, a FIFO, a terminal: nothing that has sectors.
    case notAnImage
    /// A disk image, but in a format that wraps the disk: `qcow2`, `gzip`, …
    case notRaw(format: String)
    /// Less than one sector.
    case tooSmall
    /// The store that the image is in cannot be read.
    case store(StoreError.Kind)
    /// A system call failed with this `errno`.
    case system(Int32)
  }

  /// What a program may want to tell apart.
  public let kind: Kind
  /// The image, as it was named.
  public let place: String
  /// What is wrong with it.
  public let problem: String
  /// What would be right, or what to do.
  public let remedy: String?

  init(_ kind: Kind, at place: String, _ problem: String, remedy: String? = nil) {
    self.kind = kind
    self.place = place
    self.problem = problem
    self.remedy = remedy
  }

  init(_ error: StoreError) {
    self.init(
      error.kind == .absent ? .absent : .store(error.kind), at: error.place, error.problem,
      remedy: error.remedy)
  }

  static func system(_ action: String, _ place: String, code: Int32) -> DiskImageError {
    DiskImageError(
      code == ENOENT ? .absent : .system(code), at: place, "cannot \(action): \(errorText(code))")
  }

  /// One line: the image, what is wrong, and what would be right.
  public var description: String {
    "\(place): \(problem)" + (remedy.map { "; \($0)" } ?? "")
  }
}
