import ArgumentParser

/// How a command says what it has done.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Write JSON.")
  var json = false

  /// Writes what was done: as one JSON document, or as people read it.
  func report(_ document: () throws -> some Encodable, human: () throws -> Void = {}) throws {
    if json { try writeJSON(document()) } else { try human() }
  }
}
