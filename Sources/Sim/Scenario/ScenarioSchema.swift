/// The JSON Schema (draft 2020-12) of scenarios and profiles, made from the description that documents are
/// read by.
///
/// The schema judges a document as it is written, before its profile is merged in; so what a profile may give
/// is not required. Names that refer to something, and sums of sizes, are beyond a schema:
/// ``ScenarioDecoder`` checks those.
public enum ScenarioSchema {
  /// The schema of a scenario; `#/$defs/profile` in it is that of a profile.
  public static var document: JSONValue {
    var definitions: [String: JSONValue] = [:]
    guard case .object(let scenario) = ScenarioFormat.shape,
      case .object(let profile) = ScenarioFormat.profile.shape()
    else { preconditionFailure("scenarios and profiles are objects") }
    var members: [JSONValue.Member] = [
      .init("$schema", "https://json-schema.org/draft/2020-12/schema"),
      .init("title", "A scenario of bootsim, version 1"),
    ]
    members += object(scenario, &definitions).members
    define(profile, &definitions)
    let sorted = definitions.sorted { $0.key < $1.key }.map { JSONValue.Member($0.key, $0.value) }
    members.append(.init("$defs", JSONValue(.object(sorted))))
    return JSONValue(.object(members))
  }

  private static func define(_ shape: ObjectShape, _ definitions: inout [String: JSONValue]) {
    guard definitions[shape.name] == nil else { return }
    definitions[shape.name] = JSONValue(.null)  // Taken, while its fields are looked at.
    definitions[shape.name] = object(shape, &definitions)
  }

  private static func object(_ shape: ObjectShape, _ definitions: inout [String: JSONValue]) -> JSONValue {
    var properties: [JSONValue.Member] = []
    for field in shape.fields {
      var value = schema(field.shape, &definitions)
      if field.presence == .optional { value = orNull(value) }
      var text = field.summary
      if let fallback = field.fallback { text += " Default: \(fallback)." }
      value["description"] = JSONValue(.string(text))
      properties.append(.init(field.name, value))
    }
    var result: JSONValue = ["type": "object", "description": JSONValue(.string(shape.summary))]
    result["properties"] = JSONValue(.object(properties))
    let required = shape.fields.filter { $0.presence == .always }.map { JSONValue(.string($0.name)) }
    if !required.isEmpty { result["required"] = JSONValue(.array(required)) }
    if !shape.exactlyOne.isEmpty {
      let choices = shape.exactlyOne.map { name -> JSONValue in
        ["required": JSONValue(.array([JSONValue(.string(name))]))]
      }
      result["oneOf"] = JSONValue(.array(choices))
    }
    result["additionalProperties"] = false
    return result
  }

  private static func schema(_ shape: Shape, _ definitions: inout [String: JSONValue]) -> JSONValue {
    switch shape {
    case .text(let pattern):
      var result: JSONValue = ["type": "string"]
      if let pattern { result["pattern"] = JSONValue(.string(pattern)) }
      return result
    case .integer(let range):
      return [
        "type": "integer", "minimum": JSONValue(integerLiteral: range.lowerBound),
        "maximum": JSONValue(integerLiteral: range.upperBound),
      ]
    case .boolean: return ["type": "boolean"]
    case .null: return ["type": "null"]
    case .choice(let names): return ["enum": JSONValue(.array(names.map { JSONValue(.string($0)) }))]
    case .list(let element, _, let atLeast, let atMost):
      var result: JSONValue = ["type": "array", "items": schema(element, &definitions)]
      if atLeast > 0 { result["minItems"] = JSONValue(integerLiteral: Int64(atLeast)) }
      if let atMost { result["maxItems"] = JSONValue(integerLiteral: Int64(atMost)) }
      return result
    case .object(let object):
      define(object, &definitions)
      return ["$ref": JSONValue(.string("#/$defs/\(object.name)"))]
    case .map(let pattern, let value):
      return [
        "type": "object", "propertyNames": ["pattern": JSONValue(.string(pattern))],
        "additionalProperties": schema(value, &definitions),
      ]
    case .anyOf(let shapes):
      return ["anyOf": JSONValue(.array(shapes.map { schema($0, &definitions) }))]
    case .anything: return [:]
    }
  }

  /// The same schema, or null.
  private static func orNull(_ value: JSONValue) -> JSONValue {
    var result = value
    if let type = value["type"]?.string {
      result["type"] = JSONValue(.array([JSONValue(.string(type)), "null"]))
    } else if let choices = value["anyOf"]?.elements {
      result["anyOf"] = JSONValue(.array(choices + [["type": "null"]]))
    } else if let names = value["enum"]?.elements {
      result["enum"] = JSONValue(.array(names + [JSONValue(.null)]))
    } else if !value.members.isEmpty {
      result = ["anyOf": JSONValue(.array([value, ["type": "null"]]))]
    }
    return result
  }
}
