extension JSONValue {
  /// This value with another laid over it, as a scenario is laid over its profile: objects member by member,
  /// lists of named things thing by thing, anything else replaced.
  ///
  /// A thing's name is what the format says tells the things of its list apart: `name`, `lun`, `number`.
  /// Things that only the overlay has come after those of the base. A `null` in the overlay takes back what
  /// the base says.
  func overlaid(with overlay: JSONValue, shape: Shape?) -> JSONValue {
    switch (kind, overlay.kind, shape) {
    case (.object(var members), .object(let others), .object?),
      (.object(var members), .object(let others), .map?):
      for other in others {
        if let index = members.firstIndex(where: { $0.name == other.name }) {
          members[index].value = members[index].value.overlaid(
            with: other.value, shape: shape?.member(other.name))
          members[index].place = other.place
        } else {
          members.append(other)
        }
      }
      return JSONValue(.object(members), place: overlay.place)
    case (.array(var elements), .array(let others), .list(let element, let identity?, _, _)?):
      let count = elements.count
      for other in others {
        let name = other[identity]?.text()
        if let name, let index = elements[..<count].firstIndex(where: { $0[identity]?.text() == name }) {
          elements[index] = elements[index].overlaid(with: other, shape: element)
        } else {
          elements.append(other)
        }
      }
      return JSONValue(.array(elements), place: overlay.place)
    default: return overlay
    }
  }
}
