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
    storyPlaces = Self.hunks(failing["story"]?.elements ?? [], cured["story"]?.elements ?? []).count
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

  /// Lists in which the order counts: steps, or lines of a file. What is only added or only removed is so one by one, and
  /// what is replaced one for one; else the whole place is one part.
  private static func elements(_ before: [JSONValue], _ after: [JSONValue], _ place: [String]) -> [Part] {
    hunks(before, after).flatMap { hunk -> [Part] in
      func part(_ at: Int, _ range: Range<Int>, _ old: ArraySlice<JSONValue>) -> Part {
        var whole = after
        whole.replaceSubrange(range, with: old)
        return Part(place: place + ["[\(at)]"], takenBack: JSONValue(.array(whole)))
      }
      let (old, new) = (hunk.old, hunk.new)
      if old.isEmpty { return new.map { part($0, $0..<$0 + 1, []) } }
      if new.isEmpty { return old.map { part($0, new.lowerBound..<new.lowerBound, before[$0...$0]) } }
      if old.count == new.count {
        return zip(old, new).map { part($1, $1..<$1 + 1, before[$0...$0]) }
      }
      return [part(new.lowerBound, new, before[old])]
    }
  }

  /// Stretches in which two lists differ, by their longest common subsequence.
  private static func hunks(_ before: [JSONValue], _ after: [JSONValue]) -> [(
    old: Range<Int>, new: Range<Int>
  )] {
    let (left, right) = (before.map { $0.text() }, after.map { $0.text() })
    var lengths = [[Int]](repeating: [Int](repeating: 0, count: right.count + 1), count: left.count + 1)
    for i in left.indices.reversed() {
      for j in right.indices.reversed() {
        lengths[i][j] =
          left[i] == right[j] ? lengths[i + 1][j + 1] + 1 : max(lengths[i + 1][j], lengths[i][j + 1])
      }
    }
    var found: [(old: Range<Int>, new: Range<Int>)] = []
    var (i, j, oldStart, newStart) = (0, 0, 0, 0)
    func close() {
      if oldStart < i || newStart < j { found.append((oldStart..<i, newStart..<j)) }
    }
    while i < left.count || j < right.count {
      if i < left.count, j < right.count, left[i] == right[j] {
        close()
        (i, j) = (i + 1, j + 1)
        (oldStart, newStart) = (i, j)
      } else if j == right.count || i < left.count && lengths[i + 1][j] >= lengths[i][j + 1] {
        i += 1
      } else {
        j += 1
      }
    }
    close()
    return found
  }
}
