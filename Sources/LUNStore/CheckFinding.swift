/// Something that `OpenStore.check` found in a store.
public struct CheckFinding: Equatable, Sendable, Codable {
  /// How bad it is.
  public enum Severity: String, Equatable, Sendable, Codable {
    /// Left behind by an interrupted change; nothing is lost.
    case leftover
    /// The image that a LUN is a lazy copy of is not there, or not what it was.
    case unreachable
    /// Something is not as it was written.
    case damage
  }

  /// What became of it.
  public enum Outcome: String, Equatable, Sendable, Codable {
    /// It is as it was.
    case stays
    /// It is mended, without loss.
    case mended
    /// It is mended as far as that goes: something is lost.
    case mendedWithLoss
  }

  /// How bad it is.
  public let severity: Severity
  /// The file or folder.
  public let place: String
  /// What is wrong, and what was done about it.
  public let text: String
  /// The LUNs and snapshots that cannot be read, or not all of them.
  public let volumes: [String]
  /// What became of it.
  public let outcome: Outcome
}

extension CheckFinding: CustomStringConvertible {
  /// What is wrong, and who needs it.
  public var problem: String {
    volumes.isEmpty ? text : "\(text); needed by " + volumes.joined(separator: ", ")
  }

  /// One line.
  public var description: String { "\(place): \(problem)" }
}
