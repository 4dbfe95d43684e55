import LUNStore

/// The part of tgt's targets.conf(5) that makes a target of LUNs.
enum TgtConfiguration {
  static func text(iqn: String, _ units: [TargetUnit]) -> String {
    var lines = [
      "<target \(iqn)>", "    driver iscsi", "    # All may log in; or: initiator-address 192.0.2.0/24",
    ]
    for (index, unit) in units.enumerated() {
      lines += ["    <backing-store \(unit.path)>"]
      // tgt's manual names an option for thin provisioning that its program does not know; `params` gets there.
      let options = [
        "lun \(index + 1)", "block-size \(unit.blockSize)", "scsi_id \"\(unit.properties.serial)\"",
        "scsi_sn \"\(unit.properties.serial)\"", "vendor_id \"\(unit.properties.vendor)\"",
        "product_id \"\(unit.properties.product)\"", "product_rev \"2\"",
        // What was written is on the medium after the next SYNCHRONIZE CACHE, and not before.
        "write-cache on", unit.isReadOnly ? "readonly 1" : "params thin_provisioning=1",
      ]
      lines += options.map { "        \($0)" }
      lines += ["    </backing-store>"]
    }
    return (lines + ["</target>"]).joined(separator: "\n") + "\n"
  }

  /// What cannot be written in such a file: tgt-admin passes paths and texts on to a shell, between double quotes.
  static func problems(_ units: [TargetUnit]) -> [StoreError] {
    let special = Set("\"$`\\<>#".unicodeScalars)
    var found: [StoreError] = []
    for unit in units {
      let texts = [
        ("path", unit.path), ("vendor", unit.properties.vendor), ("product", unit.properties.product),
        ("serial", unit.properties.serial),
      ]
      for (what, text) in texts
      where text.unicodeScalars.contains(where: {
        special.contains($0) || $0.properties.generalCategory == .control
      }) {
        found.append(
          StoreError(
            .invalidInput, at: "\(what) '\(printable(text))'",
            "has a character that tgt-admin would pass on to a shell or take for something else",
            remedy: "leave out \" $ ` \\ < > #, line feeds and their like"))
      }
    }
    return found
  }
}
