import LinuxConfig

extension Cures {
  /// Edits against what happens to data: power cuts, crashes of a target's host, other machines.
  func dataEdits() -> [Candidate] {
    let steps = scenario.story.map(\.plain)
    var found: [Candidate] = []
    if steps.contains(where: { if case .targetCrash = $0 { true } else { false } }) {
      found += withoutWriteCache()
    }
    if steps.contains(where: { if case .otherMachine = $0 { true } else { false } }) {
      found += admitOne()
    }
    if steps.contains(.powerCut), let journal = journalData() { found.append(journal) }
    return found
  }

  private func withoutWriteCache() -> [Candidate] {
    scenario.targets.indices.flatMap { target in
      scenario.targets[target].luns.indices.filter { scenario.targets[target].luns[$0].writeCache }.map {
        unit in
        Candidate(
          title: "switch the LU's write cache off",
          edits: [
            Edit(
              place: "targets[\(target)].luns[\(unit)].writeCache", line: nil, old: "true", new: "false")
          ], apply: { $0.targets[target].luns[unit].writeCache = false })
      }
    }
  }

  /// An access list with the machine's own names.
  private func admitOne() -> [Candidate] {
    let path = "/etc/iscsi/initiatorname.iscsi"
    let file = scenario.files.text(path).flatMap { InitiatorName.parse($0, file: path).value.name }
    let names = Set([file].compactMap { $0 } + scenario.machine.nics.compactMap(\.optionROM?.initiator))
      .sorted()
    return scenario.targets.indices.filter { scenario.targets[$0].acl == nil && !names.isEmpty }.map {
      target in
      Candidate(
        title: "let the target admit this machine only",
        edits: [
          Edit(
            place: "targets[\(target)].acl", line: nil, old: nil,
            new: "[" + names.map { "\"\($0)\"" }.joined(separator: ", ") + "]")
        ], apply: { $0.targets[target].acl = names })
    }
  }

  private func journalData() -> Candidate? {
    edit("let data go through the journal, too (half the write speed)", files: Self.menus) { line in
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
      guard words.contains(where: { $0.hasPrefix("root=") }),
        !words.contains(where: { $0.hasPrefix("rootflags=") })
      else { return nil }
      return line + " rootflags=data=journal"
    }
  }
}
