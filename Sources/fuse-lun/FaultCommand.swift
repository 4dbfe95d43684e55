import ArgumentParser
import LUNStore

struct FaultCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fault",
    abstract: "Let things go wrong with a LUN of a mounted store.",
    discussion: """
      Rules are armed and cleared on the running mount, also while clients have the LUN open, and are gone with \
      the mount. The same requests in the same order meet the same faults.
      """,
    subcommands: [Add.self, List.self, Clear.self])

  struct Add: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Add a rule, and print its number.",
      discussion: """
        KIND is one of:

          error        the request fails with --errno (EIO), and leaves no trace.
          delay        it waits for --for: a time, or one from a range, as in
                       5ms..20ms.
          hang         it waits until the rule is cleared, or for --for.
          disconnect   every request stalls for --for, then what waited and what
                       comes fails with --errno (EIO), as when an iSCSI session has
                       not come back within replacement_timeout; after
                       --restore-after all is well again. Without --for or
                       --restore-after: until the rule is cleared.
          torn         a part of the write reaches the disk, --tear prefix or
                       sectors; it then fails with --errno (EIO), or is
                       acknowledged with --acknowledge.
          lost         the write is acknowledged and never reaches the disk.
          misdirected  the write is acknowledged and lands on other blocks.
          flip         --bits (1) of what is read are turned over; the disk is
                       unharmed.
          power-cut    what is in the volatile write cache ('layer add STORE LUN power') is
                       lost, as far as a power cut may: each block holds what was
                       flushed or something written since (--torn: each 512 bytes
                       of it). What is under way fails, and so does everything for
                       --down (0s).

        A rule applies to the requests that all its conditions hold for. disconnect and power-cut begin at once \
        if they have none, and apply once unless --count says otherwise.
        """)

    @Argument(help: "The store's folder.")
    var store: String

    @Argument(help: "The LUN or the snapshot, LUN or LUN@SNAPSHOT.")
    var name: String

    @Argument(help: "What goes wrong.")
    var kind: String

    // Unconditional: what begins with a '-' is a wrong value, and not another option.
    @Option(
      parsing: .unconditional,
      help: "Only these requests: read, write, flush, discard, zero, allocate, with commas; or any.")
    var op: String?

    @Option(
      parsing: .unconditional,
      help: "Only those that touch one of these blocks of the LUN's block size, as in 2048-4095.")
    var lba: String?

    @Option(parsing: .unconditional, help: "Only so many of them.")
    var count: String?

    @Option(parsing: .unconditional, help: "Only with this probability, as in 0.01 or 1%.")
    var probability: String?

    @Option(parsing: .unconditional, help: "Only after so many of them went well.")
    var after: String?

    @Option(parsing: .unconditional, help: "Another seed for whatever is drawn (0).")
    var seed: String?

    @Option(parsing: .unconditional, help: "The error, by name or number, as in EIO or 5.")
    var errno: String?

    @Option(
      name: .customLong("for"), parsing: .unconditional, help: "For how long, as in 500us, 20ms, 5s, 2m.")
    var time: String?

    @Option(parsing: .unconditional, help: "disconnect: for how long requests fail.")
    var restoreAfter: String?

    @Option(parsing: .unconditional, help: "torn: which part reaches the disk, prefix or sectors.")
    var tear: String?

    @Flag(help: "torn: the write is acknowledged.")
    var acknowledge = false

    @Option(parsing: .unconditional, help: "flip: how many bits.")
    var bits: String?

    @Option(parsing: .unconditional, help: "power-cut: for how long the power is off.")
    var down: String?

    @Flag(help: "power-cut: also blocks of 4096 bytes may be torn.")
    var torn = false

    @OptionGroup var output: OutputOptions

    private var options: [LayerSetting] {
      let values = [
        ("op", op), ("lba", lba), ("count", count), ("probability", probability), ("after", after),
        ("seed", seed), ("errno", errno), ("for", time), ("restore-after", restoreAfter), ("tear", tear),
        ("acknowledge", acknowledge ? "" : nil), ("bits", bits), ("down", down), ("torn", torn ? "" : nil),
      ]
      return values.compactMap { name, value in value.map { LayerSetting(name, $0) } }
    }

    func run() throws {
      let request = ArmRequest(volume: name, kind: kind, options: options, isFault: true)
      try StoreClient(store: store).arm(request, output)
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the rules, how many requests met their conditions, and how many they hit.")

    @Argument(help: "The store's folder.")
    var store: String

    @Argument(help: "The LUN or the snapshot, LUN or LUN@SNAPSHOT; without, those of all.")
    var name: String?

    @Flag(help: "Write JSON.")
    var json = false

    func run() throws {
      let reports = try StoreClient(store: store).perform(LayersRequest(volume: name)).filter(\.isFault)
      if json { return try writeJSON(reports.map(LayerJSON.init)) }
      let rows = reports.map { report in
        let counters = Dictionary(uniqueKeysWithValues: report.counters.map { ($0.name, $0.value) })
        return [
          report.volume, "\(report.id)", report.kind, "\(counters["matches"] ?? 0)",
          "\(counters["hits"] ?? 0)", report.settingsText,
        ]
      }
      if !rows.isEmpty { try writeTable(["LUN", "ID", "KIND", "MATCHES", "HITS", "RULE"], rows) }
    }
  }

  struct Clear: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Remove rules. What they held goes on.",
      usage: "fuse-lun fault clear <store> [<name> [<id> …]] [--json]")

    @Argument(help: "The store's folder.")
    var store: String

    @Argument(help: "The LUN or the snapshot, LUN or LUN@SNAPSHOT; without, those of all.")
    var name: String?

    @Argument(help: "The numbers of the rules; all of them if there is none.")
    var ids: [Int] = []

    @OptionGroup var output: OutputOptions

    func run() throws {
      let removed = try StoreClient(store: store).perform(DisarmRequest(volume: name, ids: ids, faults: true))
      try output.report { removed }
    }
  }
}

extension StoreClient {
  /// Arms a layer, prints its number, and says on the standard error output what there is to say about it.
  func arm(_ request: ArmRequest, _ output: OutputOptions) throws {
    let answer = try perform(request)
    if output.json { return try writeJSON(answer) }
    try emit("\(answer.id)\n")
    for note in answer.notes { try emitLine("note: \(note)", to: 2) }
    for warning in answer.warnings { try emitLine("warning: \(warning)", to: 2) }
  }
}
