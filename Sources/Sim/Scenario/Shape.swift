/// What a JSON value of the scenario format may be; the JSON Schema is printed from it.
///
/// Nobody writes shapes by hand: a ``Format`` makes its own, so that what is read and what the schema says
/// cannot drift apart.
indirect enum Shape: Sendable {
  case text(pattern: String?)
  case integer(ClosedRange<Int64>)
  case boolean
  case null
  /// One of these texts.
  case choice([String])
  /// `identity`: the field that tells the objects of the list apart; `profile` and scenario are merged by it.
  case list(Shape, identity: String?, atLeast: Int, atMost: Int?)
  case object(ObjectShape)
  /// Free names, as paths of files.
  case map(pattern: String, Shape)
  case anyOf([Shape])
  case anything
}

/// The fields of an object.
struct ObjectShape: Sendable {
  /// The name of its definition in the schema.
  var name: String
  /// What it is, for people.
  var summary: String
  var fields: [FieldShape] = []
  /// Exactly one of these fields is given; empty: no such rule.
  var exactlyOne: [String] = []

  func field(_ name: String) -> FieldShape? { fields.first { $0.name == name } }
}

/// One field of an object.
struct FieldShape: Sendable {
  enum Presence: Sendable, Equatable {
    /// Every document must give it, a profile and what is laid over one too.
    case always
    /// Must be there once the profile is merged in.
    case merged
    /// May be left out, or taken back from the profile by `null`.
    case optional
  }

  var name: String
  var summary: String
  var shape: Shape
  var presence: Presence
  /// What holds when it is left out, for people.
  var fallback: String?
}

extension Shape {
  /// The list's identity, when this is a list of named things.
  var identity: String? {
    if case .list(_, let identity, _, _) = self { identity } else { nil }
  }

  /// The shape of what a value of this shape has below a name, for merging; `nil` where nothing is known.
  func member(_ name: String) -> Shape? {
    switch self {
    case .object(let object): object.field(name)?.shape
    case .map(_, let value): value
    default: nil
    }
  }

  /// The shape of the elements of a list.
  var element: Shape? {
    if case .list(let element, _, _, _) = self { element } else { nil }
  }
}
