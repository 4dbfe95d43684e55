/// `/etc/iscsi/initiatorname.iscsi` of open-iscsi, and `/etc/initiatorname.iscsi` of linux-iscsi.
public struct InitiatorName: ConfigurationFile, Hashable {
  /// The iSCSI name; `nil` when the file gives none.
  public var name: String?
  /// `InitiatorAlias`.
  public var alias: String?
  /// `GenerateName=yes`: the name is made up when the running system first starts iscsid, so an initramfs that
  /// copied the file before that has no name (Debian, `startup-checks.sh`).
  public var isGenerated = false
  /// The line of the name; `nil` without one.
  public var line: Int?

  /// No name.
  public init() {}

  /// Reads a file.
  public static func parse(_ text: String, file: String) -> Parsed<InitiatorName> {
    var result = InitiatorName()
    var problems = SourceText.carriageReturns(in: text, file: file)
    for line in text.sourceLines {
      let trimmed = line.text.trimmed
      if trimmed.isEmpty || trimmed.starts(withBytes: "#") { continue }
      func report(_ severity: Problem.Severity, _ message: String, hint: String? = nil) {
        problems.append(Problem(severity, file: file, line: line.number, message: message, hint: hint))
      }
      guard let setting = ConfigSetting(line) else {
        report(.warning, "\(trimmed.quoted) is not understood", hint: "for example: InitiatorName=iqn.…")
        continue
      }
      switch setting.key {
      case "InitiatorName":
        if let earlier = result.line { report(.warning, "InitiatorName is already given in line \(earlier)") }
        if line.text.split(at: 0x3D)?.after.utf8.first?.isBlank == true {
          report(
            .warning, "there is a blank after 'InitiatorName='",
            hint: "Debian's start-up check asks for a name right after the '='")
        }
        (result.name, result.line) = (setting.value, line.number)
        for problem in ISCSIName.problems(setting.value) { report(.error, problem) }
      case "InitiatorAlias": result.alias = setting.value
      case "GenerateName": result.isGenerated = setting.value == "yes"
      default:
        let near = SourceText.nearest(
          to: setting.key, among: ["InitiatorName", "InitiatorAlias", "GenerateName"])
        report(
          .warning, "the key \(setting.key.quoted) is ignored", hint: near.map { "did you mean '\($0)'?" })
      }
    }
    if result.name == nil {
      problems.append(
        Problem(
          result.isGenerated ? .warning : .error, file: file, line: 0,
          message: result.isGenerated
            ? "there is no name yet; it is made up when iscsid first starts"
            : "there is no InitiatorName",
          hint: "for example: InitiatorName=iqn.1993-08.org.debian:01:0123456789ab"))
    }
    return Parsed(result, problems: problems)
  }
}

/// The form of iSCSI names (RFC 7143, section 4.2.7).
public enum ISCSIName {
  /// What is wrong with a name; empty when nothing is.
  public static func problems(_ name: String) -> [String] {
    if name.isEmpty { return ["the iSCSI name is empty"] }
    var problems: [String] = []
    if name.utf8.count > 223 {
      problems.append("the iSCSI name has \(name.utf8.count) bytes; 223 is the most")
    }
    if name.utf8.contains(where: { $0.isSpace || $0 == 0x5F }) {
      problems.append("\(name.quoted) has a blank or an underscore, which an iSCSI name cannot have")
    }
    let lowered = name.lowercased()
    if lowered.starts(withBytes: "iqn.") {
      // iqn.yyyy-mm.reversed.domain, then perhaps a colon and anything.
      let bytes = Array(name.utf8.dropFirst(4))
      let isDated =
        bytes.count > 8 && bytes[0..<4].allSatisfy(\.isDigit) && bytes[4] == 0x2D
        && bytes[5..<7].allSatisfy(\.isDigit) && bytes[7] == 0x2E
      if !isDated { problems.append("\(name.quoted) does not have the form iqn.2001-04.com.example:name") }
    } else if lowered.starts(withBytes: "eui.") {
      let digits = lowered.utf8.dropFirst(4)
      let isHex = digits.allSatisfy { $0.isDigit || (0x61...0x66).contains($0) }
      if digits.count != 16 || !isHex {
        problems.append("\(name.quoted) needs 16 hexadecimal digits after 'eui.'")
      }
    } else if !lowered.starts(withBytes: "naa.") {
      problems.append("\(name.quoted) does not start with 'iqn.', 'eui.' or 'naa.'")
    }
    return problems
  }
}
