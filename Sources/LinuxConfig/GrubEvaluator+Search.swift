/// `search` and its older forms (commands/search_wrap.c).
extension GrubEvaluator {
  mutating func search(_ name: String, _ words: [String], line: Int) {
    var kind: GrubSearch.Kind =
      name == "search.fs_uuid" ? .fileSystemUUID : name == "search.fs_label" ? .label : .file
    var search = GrubSearch(kind: kind, value: "", hints: [], skipsFloppies: false, line: line)
    var variable: String? = name == "search" ? nil : "root"
    var values: [String] = []
    var rest = words[...]
    while let word = rest.popFirst() {
      switch word {
      case "-u", "--fs-uuid": kind = .fileSystemUUID
      case "-l", "--label", "--fs-label": kind = .label
      case "-f", "--file": kind = .file
      case "-n", "--no-floppy": search.skipsFloppies = true
      case "-s", "--set": variable = "root"
      case "-h", "--hint", "--hint-bios", "--hint-efi", "--hint-baremetal", "--hint-ieee1275", "--hint-arc":
        if let hint = rest.popFirst(), word == "--hint" || word == "-h" || word == "--hint-bios" {
          search.hints.append(hint)
        }
      default:
        if let value = word.dropping(prefix: "--set=") {
          variable = value
        } else if let value = word.dropping(prefix: "--hint=") ?? word.dropping(prefix: "--hint-bios=") {
          search.hints.append(value)
        } else if !word.starts(withBytes: "--") {
          values.append(word)
        }
      }
    }
    if name != "search", values.count > 1 {
      variable = values[1]
      search.hints += values.dropFirst(2)
    }
    guard let value = values.first else {
      problem("'\(name)' names nothing to look for", line: line)
      status = false
      return
    }
    (search.kind, search.value) = (kind, value)
    guard let device = delegate.search(search) else {
      status = false
      return
    }
    if let variable { assign(variable, device) }
    status = true
  }
}
