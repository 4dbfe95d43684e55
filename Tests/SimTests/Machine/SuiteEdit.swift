@testable import Sim

/// What a cured scenario changes against its failing one: each part of the edit with its place, and the cured document
/// with that part alone taken back.
struct SuiteEdit {
  struct Part: CustomStringConvertible {
    /// Where the part is: member names, identities and positions, from the document down.
    var place: [String]
    /// The cured document without this part.
    var takenBack: JSONValue

    /// The place as problems name it: `system.files['/etc/fstab'][1]`, `targets[iqn…].luns[0].writeCache`.
    var description: String {
      place.reduce(into: "") { text, name in
        if name.hasPrefix("[") {
          text += name
        } else if name.hasPrefix("/") {
          text += "['\(name)']"
        } else {
          text += text.isEmpty ? name : ".\(name)"
        }
      }
    }
  }

  /// The parts in the order of the document.
  let parts: [Part]
  /// In how many separate places of the story steps differ.
  let storyPlaces: Int

  /// What is about the scenario and not part of the machine's story.
  private static let remarks = ["title", "source", "expect"]

  init(failing: JSONValue, cured: JSONValue) {
    parts = Self.parts(failing, cured, [], ScenarioFormat.shape).filter {
      !Self.remarks.contains($0.place.first ?? "")
    }
    storyPlaces = Self.storyPlaces(failing["story"]?.elements ?? [], cured["story"]?.elements ?? [])
  }

  // MARK: - Differences

  private static func parts(_ old: JSONValue?, _ new: JSONValue?, _ place: [String], _ shape: Shape?)
    -> [Part]
  {
    if old?.text() == new?.text() { return [] }
    switch (old?.kind, new?.kind) {
    case (.object?, .object?),
      (nil, .object?) where isContainer(place),
      (.object?, nil) where isContainer(place):
      return members(old, new, place, shape)
    case (.array(let before)?, .array(let after)?):
      if let identity = shape?.identity { return things(before, after, identity, place, shape?.element) }
      if isText(place) || place == ["story"] { return elements(before, after, place) }
      return [Part(place: place, takenBack: old ?? JSONValue(.null))]
    default:
      return [Part(place: place, takenBack: old ?? absent)]
    }
  }

  /// Objects that a document has only to hold others: one that is missing is an empty one.
  private static func isContainer(_ place: [String]) -> Bool {
    [["machine"], ["network"], ["system"], ["system", "files"], ["system", "initrd"]].contains(place)
  }

  /// A file's lines: each is a part of its own.
  private static func isText(_ place: [String]) -> Bool {
    place.first == "system" && place.contains { $0.hasPrefix("/") }
  }

  /// Stands for "not there" until the member or element is left out.
  private static let absent = JSONValue(.string("\u{0}absent"))
  private static func isAbsent(_ value: JSONValue) -> Bool { value.string == "\u{0}absent" }

  private static func members(_ old: JSONValue?, _ new: JSONValue?, _ place: [String], _ shape: Shape?)
    -> [Part]
  {
    let left = old?.members.map(\.name) ?? []
    let right = new?.members.map(\.name) ?? []
    return (left + right.filter { !left.contains($0) }).flatMap { name in
      parts(old?[name], new?[name], place + [name], shape?.member(name)).map { part in
        var whole = new ?? JSONValue(.object([]))
        whole[name] = isAbsent(part.takenBack) ? nil : part.takenBack
        return Part(place: part.place, takenBack: whole)
      }
    }
  }

  /// Lists of named things: thing by thing.
  private static func things(
    _ before: [JSONValue], _ after: [JSONValue], _ identity: String, _ place: [String], _ shape: Shape?
  ) -> [Part] {
    func name(_ thing: JSONValue) -> String {
      thing[identity].map { $0.string ?? $0.text() } ?? ""
    }
    let names = before.map(name) + after.map(name).filter { !before.map(name).contains($0) }
    return names.flatMap { wanted in
      let old = before.first { name($0) == wanted }
      let new = after.firstIndex { name($0) == wanted }
      return parts(old, new.map { after[$0] }, place + ["[\(wanted)]"], shape).map { part in
        var whole = after
        switch (new, isAbsent(part.takenBack)) {
        case (let index?, true): whole.remove(at: index)
        case (let index?, false): whole[index] = part.takenBack
        case (nil, _): whole.append(part.takenBack)
        }
        return Part(place: part.place, takenBack: JSONValue(.array(whole)))
      }
    }
  }

  // MARK: - Steps and lines

  /// A step or line of both lists, of one, or one that stands for another: side by side, in order.
  private struct Slot {
    var old: JSONValue?
    var new: JSONValue?
    /// Which stretch of differences it is in; nil: both are the same.
    var stretch: Int?
  }

  /// Lists in which the order counts: steps, or lines of a file. What is added, removed or replaced is a part each; a step that
  /// was moved is one part, and so is one change of wording in several steps.
  private static func elements(_ before: [JSONValue], _ after: [JSONValue], _ place: [String]) -> [Part] {
    let slots = slots(before, after)
    return groups(slots, isStory: place == ["story"]).map { group in
      let list = slots.indices.compactMap { group.contains($0) ? slots[$0].old : slots[$0].new }
      let positions = group.map { index in "\(slots[..<index].count { $0.new != nil })" }
      return Part(
        place: place + ["[\(positions.joined(separator: ","))]"], takenBack: JSONValue(.array(list)))
    }
  }

  /// In how many separate places of the story steps differ: places that one change joins are one.
  private static func storyPlaces(_ before: [JSONValue], _ after: [JSONValue]) -> Int {
    let slots = slots(before, after)
    var places = Set(slots.compactMap(\.stretch)).map { Set([$0]) }
    for group in groups(slots, isStory: true) {
      let joined = Set(group.compactMap { slots[$0].stretch })
      let touched = places.filter { !$0.isDisjoint(with: joined) }
      places.removeAll { !$0.isDisjoint(with: joined) }
      places.append(touched.reduce(into: joined) { $0.formUnion($1) })
    }
    return places.count
  }

  /// Slots that are one change, in the order of the first of each.
  private static func groups(_ slots: [Slot], isStory: Bool) -> [[Int]] {
    let moves = isStory ? moves(slots) : [:]
    // Where more come than go, or fewer, nobody knows which stands for which: they are one change.
    func isReplaced(_ stretch: Int) -> Bool {
      let inside = slots.indices.filter { slots[$0].stretch == stretch && moves[$0] == nil }
      return inside.contains { slots[$0].old == nil } && inside.contains { slots[$0].new == nil }
    }
    var groups: [[Int]] = []
    var changes: [String: Int] = [:]
    for index in slots.indices where slots[index].stretch != nil {
      // Which change it belongs to: a step that was moved, or one stretch of a text put in place of another.
      var change: String?
      if isStory, let old = slots[index].old, let new = slots[index].new {
        change = substitution(old.text(), new.text())
      } else if let block = moves[index] {
        change = "move \(block)"
      } else if let stretch = slots[index].stretch, isReplaced(stretch) {
        change = "stretch \(stretch)"
      }
      if let change, let known = changes[change] {
        groups[known].append(index)
      } else {
        if let change { changes[change] = groups.count }
        groups.append([index])
      }
    }
    return groups
  }

  /// Slots of steps that are gone in one place and there in another, with the number of the move: neighbours that stay
  /// neighbours are moved together.
  private static func moves(_ slots: [Slot]) -> [Int: Int] {
    var moves: [Int: Int] = [:]
    var last: (from: Int, to: Int)?
    var number = 0
    for from in slots.indices where slots[from].new == nil {
      let to = slots.indices.first {
        slots[$0].old == nil && moves[$0] == nil && slots[$0].new?.text() == slots[from].old?.text()
      }
      guard let to else { continue }
      if last?.from != from - 1 || last?.to != to - 1 { number += 1 }
      (moves[from], moves[to]) = (number, number)
      last = (from, to)
    }
    return moves
  }

  /// What of a text was put in place of what: the stretch between the common beginning and the common end, in whole words.
  private static func substitution(_ old: String, _ new: String) -> String {
    func words(_ text: String) -> [Substring] { text.split { " /\"".contains($0) } }
    let (left, right) = (words(old), words(new))
    var start = 0
    while start < min(left.count, right.count), left[start] == right[start] { start += 1 }
    var end = 0
    while end < min(left.count, right.count) - start,
      left[left.count - 1 - end] == right[right.count - 1 - end]
    {
      end += 1
    }
    return left[start..<left.count - end].joined(separator: " ") + " -> "
      + right[start..<right.count - end].joined(separator: " ")
  }

  /// Both lists side by side, by their longest common subsequence. In a stretch where as many come as go they stand for
  /// each other.
  private static func slots(_ before: [JSONValue], _ after: [JSONValue]) -> [Slot] {
    let (left, right) = (before.map { $0.text() }, after.map { $0.text() })
    var lengths = [[Int]](repeating: [Int](repeating: 0, count: right.count + 1), count: left.count + 1)
    for i in left.indices.reversed() {
      for j in right.indices.reversed() {
        lengths[i][j] =
          left[i] == right[j] ? lengths[i + 1][j + 1] + 1 : max(lengths[i + 1][j], lengths[i][j + 1])
      }
    }
    var slots: [Slot] = []
    var stretch = 0
    var (going, coming): ([JSONValue], [JSONValue]) = ([], [])
    func close() {
      if going.isEmpty && coming.isEmpty { return }
      if going.count == coming.count {
        slots += zip(going, coming).map { Slot(old: $0, new: $1, stretch: stretch) }
      } else {
        slots +=
          going.map { Slot(old: $0, stretch: stretch) } + coming.map { Slot(new: $0, stretch: stretch) }
      }
      stretch += 1
      (going, coming) = ([], [])
    }
    var (i, j) = (0, 0)
    while i < left.count || j < right.count {
      if i < left.count, j < right.count, left[i] == right[j] {
        close()
        slots.append(Slot(old: before[i], new: after[j]))
        (i, j) = (i + 1, j + 1)
      } else if j == right.count || i < left.count && lengths[i + 1][j] >= lengths[i][j + 1] {
        going.append(before[i])
        i += 1
      } else {
        coming.append(after[j])
        j += 1
      }
    }
    close()
    return slots
  }
}
