import ArgumentParser
import FoundationEssentials
import Glibc
import LUNStore

struct TargetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "target",
    abstract: "Print the configuration of an iSCSI target for mounted LUNs.",
    discussion: """
      One target with the LUNs in the order in which they are named; so their numbers stay what they are when more are \
      named behind them. Sizes, block sizes and identity are those that 'fuse-lun info' shows.

      tgt: a part of targets.conf. Put it into /etc/tgt/conf.d and run 'tgt-admin --update ALL', or load it at once \
      with 'tgt-admin -c FILE -e'. LUNs are numbered from 1; 0 is tgt's own. tgt makes up the NAA designator itself.

      lio: for 'targetcli restoreconfig FILE'. LUNs are numbered from 0. LIO takes the serial number, makes the NAA \
      designator from it, and has its own vendor and product. It cannot serve what is read-only.

      Both let in every initiator that reaches the machine, at all its addresses: narrow that down where it matters.
      """)

  enum Format: String, CaseIterable, ExpressibleByArgument { case tgt, lio }

  @Argument(help: "The store's folder.")
  var store: String

  @Argument(help: ArgumentHelp("The LUNs and snapshots, LUN or LUN@SNAPSHOT.", valueName: "name"))
  var names: [String]

  @Option(help: "The target's name. (default: made from the store's uuid)")
  var iqn: String?

  @Option(help: "For which software: tgt or lio.")
  var format: Format = .tgt

  @OptionGroup var output: OutputOptions

  func run() throws {
    let opened = try Store.open(store)
    let iqn = iqn ?? "iqn.2025-11.localhost:fuse-lun.\(opened.identifier.description.prefix(8))"
    var problems: [StoreError] = []
    if let problem = Self.problem(ofName: iqn) { problems.append(problem) }
    let mountpoint = try opened.holder()?.mountpoint ?? ""
    if !Mountpoint.isMounted(store, at: mountpoint) {
      problems.append(
        StoreError(
          .invalidInput, at: store, "is not mounted, and a target needs the files of a mount",
          remedy: "'fuse-lun mount STORE MOUNTPOINT' first"))
    }
    do throws(StoreError) { try Mountpoint.requireTrusted(mountpoint) } catch { problems.append(error) }
    var units: [TargetUnit] = []
    for name in names {
      do throws(StoreError) {
        let unit = try TargetUnit(VolumeName(name), in: opened, at: mountpoint)
        if units.contains(where: { $0.name == unit.name }) {
          throw StoreError(
            .invalidInput, at: "LUN '\(unit.name)'", "is named twice", remedy: "one LUN, one number")
        }
        units.append(unit)
      } catch { problems.append(error) }
    }
    switch format {
    case .tgt: problems += TgtConfiguration.problems(units)
    case .lio: problems += LIOConfiguration.problems(units)
    }
    guard problems.isEmpty else { throw StoreProblems(problems) }
    switch format {
    case .tgt:
      try output.report {
        TargetReport(iqn, units)
      } human: {
        try emit(TgtConfiguration.text(iqn: iqn, units))
      }
    case .lio: try writeJSON(LIOConfiguration(iqn: iqn, units), keys: .convertToSnakeCase)
    }
  }

  /// What RFC 3720, 3.2.6.3.1 asks of an iqn name, in the characters that every target takes.
  private static func problem(ofName name: String) -> StoreError? {
    let parts = name.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
    let date = parts.count == 3 ? Array(parts[1].utf8) : []
    let isDigit = { (byte: UInt8) in (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    let isDate =
      date.count == 7 && date[4] == UInt8(ascii: "-") && (date[..<4] + date[5...]).allSatisfy(isDigit)
      && (1...12).contains(Int(parts[1].suffix(2)) ?? 0)
    let isPlain = name.utf8.allSatisfy { "abcdefghijklmnopqrstuvwxyz0123456789.-:".utf8.contains($0) }
    if parts.first == "iqn", isDate, isPlain, name.utf8.count <= 223,
      !(parts[2].first.map { ".:-".contains($0) } ?? true)
    {
      return nil
    }
    return StoreError(
      .invalidInput, at: "target name '\(printable(name))'", "is not an iSCSI qualified name",
      remedy:
        "as in iqn.2004-10.org.example:disks: a month in which you owned the domain, the domain backwards, and "
        + "what you like; small letters, digits, '.', '-' and ':'")
  }
}

/// What `target --json` writes; LIO's own format is JSON as it is.
private struct TargetReport: Encodable {
  struct Unit: Encodable {
    var lun: Int
    var name: String
    var path: String
    var size: Int64
    var blockSize: Int64
    var readOnly: Bool
    var vendor: String
    var product: String
    var serial: String
  }

  var iqn: String
  var configuration: String
  var luns: [Unit]

  init(_ iqn: String, _ units: [TargetUnit]) {
    self.iqn = iqn
    configuration = TgtConfiguration.text(iqn: iqn, units)
    luns = units.enumerated().map { index, unit in
      Unit(
        lun: index + 1, name: unit.name.description, path: unit.path, size: unit.size,
        blockSize: unit.blockSize,
        readOnly: unit.isReadOnly, vendor: unit.properties.vendor, product: unit.properties.product,
        serial: unit.properties.serial)
    }
  }
}

/// A LUN or a snapshot as a unit of a target.
struct TargetUnit {
  let name: VolumeName
  /// Its file in the mount.
  let path: String
  /// In bytes.
  let size: Int64
  let blockSize: Int64
  let properties: LUNProperties
  let isReadOnly: Bool

  init(_ name: VolumeName, in store: Store, at mountpoint: String) throws(StoreError) {
    let description = try store.describe(name)
    self.name = name
    path = "\(mountpoint)/\(name)"
    (size, blockSize) = (description.size.bytes, description.blockSize.rawValue)
    var properties = description.properties
    isReadOnly = properties.isReadOnly || name != .lun(name.lun)
    if case .snapshot = name {
      // A disk of its own beside the LUN's: it must not say that it is the same one.
      let own = LUNProperties(of: description.identifier)
      (properties.serial, properties.naa) = (own.serial, own.naa)
    }
    self.properties = properties
  }
}
