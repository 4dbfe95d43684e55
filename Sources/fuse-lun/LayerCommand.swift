import ArgumentParser
import LUNStore

struct LayerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "layer",
    abstract: "Put layers between the clients of a mounted store and a LUN.",
    discussion: """
      Layers are armed and cleared on the running mount, also while clients have the LUN open, and are gone with \
      the mount. A request passes them in the order of 'layer list'. While a LUN has any layer it is not served \
      in passthrough.
      """,
    subcommands: [Add.self, List.self, Show.self, Clear.self])

  struct Add: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Add a layer, and print its number.",
      discussion: """
        KIND is one of:

          stats        counts requests, bytes, errors and times of what passes it;
                       see 'layer show'.
          delay        read=TIME write=TIME flush=TIME discard=TIME zero=TIME
                       allocate=TIME any=TIME seed=N: makes requests wait for a
                       time (500us, 20ms, 5s), or one from a range (5ms..20ms).
          rate         bytes=SIZE iops=N burst=TIME: limits the bytes and the
                       requests per second; what was left unused is saved up for
                       the burst (100ms).
          pause        holds every request until it is cleared.
          protect      lba=A-B: refuses to write, discard and zero these blocks, or
                       all, with EROFS.
          power        cache=SIZE: a volatile write cache (64M). What was not
                       flushed is lost as far as a power cut likes; see 'fault add
                       STORE LUN power-cut'. Discards larger than the
                       cache or than 64M, and looking for holes, write it out.

        power stands behind all others, next to the LUN. 'log record' and 'fault add' add layers as well.
        """)

    @Argument(help: "The store's folder.")
    var store: String

    @Argument(help: "The LUN or the snapshot, LUN or LUN@SNAPSHOT.")
    var name: String

    @Argument(help: "What the layer does.")
    var kind: String

    @Argument(help: ArgumentHelp("Its options.", valueName: "option=value"))
    var options: [String] = []

    @Option(help: "The number of the layer to put it before, as clients see it; without, behind all others.")
    var before: Int?

    @OptionGroup var output: OutputOptions

    func run() throws {
      var problems: [StoreError] = []
      let settings = options.compactMap { option in
        guard let equals = option.firstIndex(of: "=") else {
          problems.append(
            StoreError(
              .invalidInput, at: "option '\(printable(option))'", "has no value",
              remedy: "write it as in read=5ms"))
          return LayerSetting?.none
        }
        return LayerSetting(String(option[..<equals]), String(option[option.index(after: equals)...]))
      }
      guard problems.isEmpty else { throw StoreProblems(problems) }
      let request = ArmRequest(volume: name, kind: kind, options: settings, isFault: false, before: before)
      try StoreClient(store: store).arm(request, output)
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the layers that are armed, in the order in which requests pass them.",
      discussion: "Rules of 'fault add' are among them.")

    @Argument(help: "The store's folder.")
    var store: String

    @Argument(help: "The LUN or the snapshot, LUN or LUN@SNAPSHOT; without, those of all.")
    var name: String?

    @Flag(help: "Write JSON.")
    var json = false

    func run() throws {
      let reports = try StoreClient(store: store).perform(LayersRequest(volume: name))
      if json { return try writeJSON(reports.map(LayerJSON.init)) }
      let rows = reports.map { [$0.volume, "\($0.id)", $0.kind, $0.settingsText] }
      if !rows.isEmpty { try writeTable(["LUN", "ID", "KIND", "OPTIONS"], rows) }
      for report in reports {
        for warning in report.warnings {
          try emitLine("warning: layer \(report.id) of '\(report.volume)': \(warning)", to: 2)
        }
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show what layers have seen and done so far.",
      discussion: """
        For a layer 'stats': by kind of request, how many there were, how many ended with an error, the bytes, \
        and the times from this layer down and back. The histogram counts in powers of two of a microsecond.
        """)

    @Argument(help: "The store's folder.")
    var store: String

    @Argument(help: "The LUN or the snapshot, LUN or LUN@SNAPSHOT.")
    var name: String

    @Argument(help: "The number of the layer; without, all of them.")
    var id: Int?

    @Flag(help: "Write JSON.")
    var json = false

    func run() throws {
      let all = try StoreClient(store: store).perform(LayersRequest(volume: name))
      let reports = id.map { id in all.filter { $0.id == id } } ?? all
      if let id, reports.isEmpty {
        throw StoreError(
          .absent, at: "layer \(id)", "is not armed on '\(name)'",
          remedy: "'fuse-lun layer list' shows those that are")
      }
      if json { return try writeJSON(reports.map(LayerJSON.init)) }
      for report in reports { try show(report) }
    }

    private func show(_ report: LayerReport) throws {
      let settings = report.settings.isEmpty ? "" : " " + report.settingsText
      try emitLine("layer \(report.id): \(report.kind)\(settings)")
      for counter in report.counters { try emitLine("  \(counter.name): \(counter.value)") }
      guard let statistics = report.statistics, !statistics.isEmpty else { return }
      let kinds = IORequest.Kind.allCases.map(\.rawValue).filter { statistics[$0] != nil }
      let rows = kinds.compactMap { kind in
        statistics[kind].map { row in
          [
            "  " + kind, "\(row.requests)", "\(row.errors)", "\(row.bytes)", microseconds(row.shortest),
            microseconds(row.total / max(1, row.requests)), microseconds(row.longest),
          ]
        }
      }
      try writeTable(["  KIND", "REQUESTS", "ERRORS", "BYTES", "MIN µs", "MEAN µs", "MAX µs"], rows)
      for kind in kinds {
        for (power, count) in (statistics[kind]?.histogram ?? []).enumerated() where count > 0 {
          try emitLine("  \(kind) < \(1 << power) µs: \(count)")
        }
      }
    }

    /// With one digit after the point.
    private func microseconds(_ nanoseconds: Int64) -> String {
      "\(nanoseconds / 1000).\(nanoseconds % 1000 / 100)"
    }
  }

  struct Clear: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Remove layers. What they held goes on.",
      usage: "fuse-lun layer clear <store> [<name> [<id> …]] [--json]",
      discussion: "What is in the write cache of 'power' is written to the LUN. Fault rules stay.")

    @Argument(help: "The store's folder.")
    var store: String

    @Argument(help: "The LUN or the snapshot, LUN or LUN@SNAPSHOT; without, those of all.")
    var name: String?

    @Argument(help: "The numbers of the layers; all of them if there is none.")
    var ids: [Int] = []

    @OptionGroup var output: OutputOptions

    func run() throws {
      let removed = try StoreClient(store: store).perform(
        DisarmRequest(volume: name, ids: ids, faults: false))
      try output.report { removed }
    }
  }
}

/// What `--json` writes about a layer.
struct LayerJSON: Encodable {
  var lun: String
  var id: Int
  var kind: String
  var settings: [String: String]
  var counters: [String: Int64]
  var warnings: [String]
  /// By kind of request; times in nanoseconds.
  var statistics: [String: OperationStatistics]?

  init(_ report: LayerReport) {
    (lun, id, kind, warnings) = (report.volume, report.id, report.kind, report.warnings)
    settings = Dictionary(uniqueKeysWithValues: report.settings.map { ($0.name, $0.value) })
    counters = Dictionary(uniqueKeysWithValues: report.counters.map { ($0.name, $0.value) })
    statistics = report.statistics
  }
}
