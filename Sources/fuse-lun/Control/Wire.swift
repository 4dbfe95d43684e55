import FoundationEssentials
import LUNStore

// What a command and a mount say to each other: one JSON object in a line. The command sends one request. The
// mount says that it has begun, then once a second that it lives and how far it is as often as it likes, and in the
// end the answer or what is wrong.

/// The command's line.
struct RequestLine<Request: StoreRequest>: Codable {
  var name = Request.name
  var request: Request
}

/// The part of the command's line that says how to read the rest of it.
struct RequestHead: Decodable {
  var name: String
}

/// A line of the mount; has one of these.
struct ReplyLine<Answer: Codable>: Codable {
  /// From here on the store may have been changed.
  var begun: Bool?
  /// It is still at work.
  var alive: Bool?
  /// Bytes done, and bytes in all.
  var progress: [Int64]?
  var answer: Answer?
  var problems: [StoreError]?
}

/// Encodes as one line.
func encodeLine(_ value: some Encodable) throws -> [UInt8] {
  // Without pretty printing there is no line feed inside.
  Array(try JSONEncoder().encode(value)) + [0x0A]
}

/// Decodes what `encodeLine` made.
func decodeLine<Value: Decodable>(_: Value.Type, _ line: [UInt8]) throws -> Value {
  try JSONDecoder().decode(Value.self, from: Data(line))
}

/// What went wrong, as errors that can be sent and shown.
func problems(of error: any Error, at place: String) -> [StoreError] {
  switch error {
  case let error as StoreError: [error]
  case let several as StoreProblems: several.all
  case let error as IOError: [StoreError(.system(error.code), at: place, errorText(error.code))]
  default: [StoreError(.invalidInput, at: place, "\(error)")]
  }
}
