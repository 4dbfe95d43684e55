/// A text of which parts may not be known: the result of an expansion.
public struct ShellValue: Sendable, Hashable, CustomStringConvertible, ExpressibleByStringLiteral {
  /// The parts in order: known text, or `nil` for a stretch nobody knows, which may be empty.
  public private(set) var pieces: [String?]

  /// A value nothing is known of.
  public static let unknown = ShellValue(pieces: [nil])

  /// The longest text that is kept; what grows beyond it counts as unknown.
  static let longest = 1 << 16

  /// A known text.
  public init(_ text: String) {
    pieces = text.isEmpty ? [] : [text]
    limit()
  }

  /// A known text.
  public init(stringLiteral value: String) { self.init(value) }

  /// A value of pieces; neighbours of the same kind become one.
  public init(pieces: [String?]) {
    self.pieces = []
    for piece in pieces { append(piece) }
  }

  /// The whole text when all of it is known.
  public var known: String? {
    switch pieces.count {
    case 0: ""
    case 1: pieces[0]
    default: nil
    }
  }

  /// Whether all of the text is known.
  public var isKnown: Bool { known != nil }

  /// The known text it starts with; all of it when it is known.
  public var knownPrefix: String { (pieces.first ?? nil) ?? "" }

  /// Whether the text is certainly empty (`true`), certainly not (`false`), or either (`nil`).
  public var isEmpty: Bool? {
    if pieces.isEmpty { return true }
    return pieces.contains { $0 != nil } ? false : nil
  }

  /// The text with `‹?›` for each stretch nobody knows.
  public var description: String { pieces.map { $0 ?? "‹?›" }.joined() }

  /// Adds a piece at the end; `nil` for an unknown one.
  public mutating func append(_ piece: String?) {
    guard let piece else {
      if pieces.isEmpty || pieces[pieces.count - 1] != nil { pieces.append(nil) }
      return
    }
    if piece.isEmpty { return }
    if let last = pieces.popLast() {
      // Taken out of the array, the text is not shared and grows in place.
      if var text = last {
        text += piece
        pieces.append(text)
      } else {
        pieces += [nil, piece]
      }
    } else {
      pieces.append(piece)
    }
    limit()
  }

  /// Adds another value at the end.
  public mutating func append(_ other: ShellValue) {
    for piece in other.pieces { append(piece) }
  }

  private mutating func limit() {
    if let last = pieces.last, let text = last, text.utf8.count > Self.longest {
      pieces[pieces.count - 1] = nil
    }
    if pieces.count > 64 { pieces = [nil] }
  }
}

/// How a command ended.
public enum ShellStatus: Sendable, Hashable, CustomStringConvertible {
  /// With this status; 0 is success.
  case code(Int)
  /// Nobody knows how.
  case unknown

  /// Success.
  public static let zero = ShellStatus.code(0)
  /// Failure, where it does not matter which.
  public static let nonzero = ShellStatus.code(1)

  /// Whether the command succeeded; `nil` when nobody knows.
  public var isZero: Bool? {
    switch self {
    case .code(let code): code == 0
    case .unknown: nil
    }
  }

  /// The status of `! command`.
  public var negated: ShellStatus {
    switch isZero {
    case true?: .nonzero
    case false?: .zero
    case nil: .unknown
    }
  }

  /// The number, or `unknown`.
  public var description: String {
    switch self {
    case .code(let code): "\(code)"
    case .unknown: "unknown"
    }
  }
}
