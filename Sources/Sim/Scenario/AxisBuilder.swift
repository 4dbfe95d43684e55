/// Makes the axes of a scenario from what its document says, and reports those that lead nowhere.
struct AxisBuilder {
  /// Lists longer than this are not put into every order: 6! is 720 already.
  static let longestPermuted = 6

  let scenario: Scenario
  let document: JSONValue
  let problems: ProblemList

  func axes(_ drafts: [AxisDraft]) -> [Axis] {
    let axes = drafts.flatMap(axes(of:))
    if Variation.count(axes) == nil {
      let place = document["vary"]?.place ?? document.place
      problems.report(
        "more than \(Variation.limit) combinations", at: place, path: "vary", hint: "leave an axis out")
    }
    var names: Set<String> = []
    for axis in axes where !names.insert(axis.name).inserted {
      let place = document["vary"]?.place ?? document.place
      problems.report(
        "two axes are called \"\(axis.name)\"", at: place, path: "vary", hint: "give them names")
    }
    return axes
  }

  private func axes(of draft: AxisDraft) -> [Axis] {
    switch draft {
    case .values(let name, let path, let values, let labels):
      axis(name, path, values, labels).map { [$0] } ?? []
    case .presence(let device): presence(of: device)
    case .order(let path): order(path).map { [$0] } ?? []
    }
  }

  private func parse(_ path: Located<String>) -> JSONPath? {
    do throws(JSONPath.Failure) {
      let parsed = try JSONPath(path.value)
      let roots = ScenarioFormat.profileMembers + ["story"]
      guard case .member(let root)? = parsed.parts.first, roots.contains(root) else {
        let first = path.value.prefix { $0 != "." && $0 != "[" }
        problems.report(
          "the path has to begin with one of \(roots.joined(separator: ", "))", at: path.place,
          path: path.path,
          hint: Spelling.nearest(String(first), among: roots).map { "did you mean \"\($0)\"?" })
        return nil
      }
      return parsed
    } catch {
      problems.report(error.message, at: path.place, path: path.path, hint: error.hint)
      return nil
    }
  }

  private func axis(
    _ name: String?, _ path: Located<String>, _ values: [JSONValue], _ labels: [String]?
  ) -> Axis? {
    guard let parsed = parse(path), let first = values.first else { return nil }
    do throws(JSONPath.Failure) {
      var probe = document
      try probe.update(at: parsed, shape: ScenarioFormat.shape) { (_) throws(JSONPath.Failure) in first }
    } catch {
      problems.report(error.message, at: path.place, path: path.path, hint: error.hint)
      return nil
    }
    var seen: [String: Int] = [:]
    var choices: [Axis.Choice] = []
    for (index, value) in values.enumerated() {
      let text = value.text()
      if let first = seen[text] {
        problems.report("the values \(first) and \(index) are the same", at: value.place, path: path.path)
      }
      seen[text] = index
      let label =
        labels.flatMap { index < $0.count ? $0[index] : nil } ?? Self.label(value, number: index + 1)
      choices.append(Axis.Choice(label: label, edit: .set(parsed, value)))
    }
    return Axis(name: name ?? parsed.description, choices: choices)
  }

  /// A value for people: a short text as it is, a long one by its number and beginning.
  private static func label(_ value: JSONValue, number: Int) -> String {
    let isPlain = value.string.map { !$0.isEmpty && !$0.contains(where: \.isNewline) } ?? false
    let text = isPlain ? value.string ?? "" : value.text()
    return text.count <= 60 ? text : "value \(number): \(text.prefix(40))…"
  }

  private func presence(of device: Located<String>) -> [Axis] {
    let names = scenario.machine.disks.map(\.name)
    guard names.contains(device.value) else {
      problems.report(
        "there is no disk or USB device \"\(device.value)\"", at: device.place, path: device.path,
        hint: Spelling.hint(device.value, among: names))
      return []
    }
    let boots = scenario.bootCount
    return (0..<boots).map { boot in
      let choices = [false, true].map { attached in
        Axis.Choice(
          label: attached ? "present" : "absent",
          edit: .presence(device: device.value, boot: boot, attached: attached))
      }
      let when = boots == 1 ? "at the boot" : "at boot \(boot + 1)"
      return Axis(name: "\(device.value) \(when)", choices: choices)
    }
  }

  private func order(_ path: Located<String>) -> Axis? {
    guard let parsed = parse(path) else { return nil }
    let list: JSONValue
    do throws(JSONPath.Failure) {
      list = try document.value(at: parsed, shape: ScenarioFormat.shape)
    } catch {
      problems.report(error.message, at: path.place, path: path.path, hint: error.hint)
      return nil
    }
    let elements = list.elements
    guard (1...Self.longestPermuted).contains(elements.count) else {
      let found = elements.isEmpty ? "\(list.kindName) without elements" : "\(elements.count) elements"
      problems.report(
        "expected a list of 1 to \(Self.longestPermuted) elements, found \(found)", at: path.place,
        path: path.path,
        hint: "give the orders that matter as \"values\"")
      return nil
    }
    let names = elements.map { element in
      let name = element["name"] ?? element["lun"] ?? element["number"] ?? element
      return name.string ?? name.text()
    }
    let choices = Self.permutations(of: elements.count).map { permutation in
      Axis.Choice(
        label: permutation.map { names[$0] }.joined(separator: ", "), edit: .order(parsed, permutation))
    }
    return Axis(name: "order of \(parsed.description)", choices: choices)
  }

  /// All permutations of 0..<count in lexicographic order, the identity first.
  static func permutations(of count: Int) -> [[Int]] {
    func orders(of items: [Int]) -> [[Int]] {
      guard items.count > 1 else { return [items] }
      return items.indices.flatMap { index in
        var rest = items
        let head = rest.remove(at: index)
        return orders(of: rest).map { [head] + $0 }
      }
    }
    return orders(of: Array(0..<count))
  }
}
