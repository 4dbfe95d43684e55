import Glibc

/// What went wrong with a store, where, and what would be right.
public struct StoreError: Error, Equatable, Sendable, Codable {
  /// What a program may want to tell apart.
  public enum Kind: Equatable, Sendable, Codable {
    /// A name, a size or an option that cannot be.
    case invalidInput
    /// There is no such store or LUN.
    case absent
    /// Something is there, but it is no store.
    case notAStore
    /// A checksum or a size does not hold.
    case damaged
    /// Written by a later version of this program.
    case newer
    /// Written by an earlier version of this program that it can no longer read.
    case older
    /// The name is taken.
    case exists
    /// Something else uses it: another process serves the store, or a client has the LUN open.
    case busy
    /// The image that a LUN is based on is not what it was.
    case baseChanged
    /// A store of somebody else names what that one may not have.
    case untrusted
    /// A system call failed with this `errno`.
    case system(Int32)
  }

  /// What a program may want to tell apart.
  public let kind: Kind
  /// The thing at fault: a path, or an option with its value.
  public let place: String
  /// What is wrong with it.
  public let problem: String
  /// What would be right, or what to do.
  public let remedy: String?

  /// An error with its place.
  public init(_ kind: Kind, at place: String, _ problem: String, remedy: String? = nil) {
    self.kind = kind
    self.place = place
    self.problem = problem
    self.remedy = remedy
  }

  /// A size that no LUN can have.
  static func tooLarge(_ size: String) -> StoreError {
    StoreError(
      .invalidInput, at: "size '\(size)'", "is more than a LUN can have",
      remedy: "the most is \(ByteCount(LUN.maximumSize)), \(LUN.maximumSize) bytes")
  }

  /// The failure of a system call, from `errno`: "cannot create 'path': No space left on device".
  static func system(_ action: String, _ path: String, code: Int32 = errno) -> StoreError {
    StoreError(.system(code), at: path, "cannot \(action): \(errorText(code))")
  }
}

extension StoreError: CustomStringConvertible {
  /// One line: the thing, what is wrong, and what would be right.
  public var description: String {
    "\(place): \(problem)" + (remedy.map { "; \($0)" } ?? "")
  }
}

/// Several things that are wrong at once; never empty.
public struct StoreProblems: Error, Equatable, Sendable, CustomStringConvertible {
  /// In the order in which a reader meets them.
  public let all: [StoreError]

  /// All of them in one throw.
  public init(_ all: [StoreError]) { self.all = all }

  /// One line each.
  public var description: String { all.map(\.description).joined(separator: "\n") }
}

/// The failure of a read, a write or a flush, as the `errno` that a client of the LUN is to see.
public struct IOError: Error, Equatable, Sendable {
  /// From `<errno.h>`.
  public let code: Int32

  /// From `<errno.h>`.
  public init(_ code: Int32) { self.code = code }
}

/// The text of an `errno`.
public func errorText(_ code: Int32) -> String {
  var text = [CChar](repeating: 0, count: 256)
  guard strerror_r(code, &text, text.count) == 0 else { return "error \(code)" }
  return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}

/// Text from outside made fit for a message: control characters shown as `\u{7}`, and nothing overlong.
///
/// - Parameter limit: how many bytes are shown.
public func printable(_ text: String, atMost limit: Int = 300) -> String {
  printable(text.utf8, atMost: limit)
}

func printable(_ utf8: some Sequence<UInt8>, atMost limit: Int = 300) -> String {
  var shown = ""
  for scalar in String(decoding: Array(utf8.prefix(limit.advanced(by: 1))), as: UTF8.self).unicodeScalars {
    if LUNName.isUnprintable(scalar) {
      shown += "\\u{\(String(scalar.value, radix: 16))}"
    } else {
      shown.unicodeScalars.append(scalar)
    }
    if shown.utf8.count > limit { return shown + "…" }
  }
  return shown
}
