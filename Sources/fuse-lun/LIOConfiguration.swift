import LUNStore

/// What targetcli saves and restores (saveconfig.json of rtslib-fb, with its keys in snake case), as far as it is
/// needed for a target of LUNs.
struct LIOConfiguration: Encodable {
  struct StorageObject: Encodable {
    struct Attributes: Encodable {
      var blockSize: Int64
      var emulateTpu = 1
      var emulateWriteCache = 1
    }
    var plugin = "fileio"
    var name: String
    var dev: String
    var size: Int64
    /// The unit serial number.
    var wwn: String
    var writeBack = true
    var attributes: Attributes
  }

  struct Target: Encodable {
    struct Group: Encodable {
      struct Attributes: Encodable {
        var authentication = 0
        var demoModeWriteProtect = 0
        var generateNodeAcls = 1
      }
      struct Unit: Encodable {
        var index: Int
        var storageObject: String
      }
      struct Portal: Encodable {
        var ipAddress = "0.0.0.0"
        var port = 3260
      }
      var tag = 1
      var enable = true
      var attributes = Attributes()
      var luns: [Unit]
      var portals = [Portal()]
    }
    var fabric = "iscsi"
    var wwn: String
    var tpgs: [Group]
  }

  var storageObjects: [StorageObject]
  var targets: [Target]

  init(iqn: String, _ units: [TargetUnit]) {
    storageObjects = units.map { unit in
      StorageObject(
        name: Self.objectName(unit), dev: unit.path, size: unit.size, wwn: unit.properties.serial,
        attributes: .init(blockSize: unit.blockSize))
    }
    let luns = units.enumerated().map { index, unit in
      Target.Group.Unit(index: index, storageObject: "/backstores/fileio/\(Self.objectName(unit))")
    }
    targets = [Target(wwn: iqn, tpgs: [.init(luns: luns)])]
  }

  /// What LIO cannot serve: it opens every file for writing.
  static func problems(_ units: [TargetUnit]) -> [StoreError] {
    units.filter(\.isReadOnly).map { unit in
      StoreError(
        .invalidInput, at: "LUN '\(unit.name)'", "is read-only, and LIO opens every file for writing",
        remedy: "serve it with tgt, or a clone of it with LIO")
    }
  }

  /// The name becomes that of a folder in configfs and a part of a path; LUNs may be called more than that takes.
  private static func objectName(_ unit: TargetUnit) -> String {
    let plain = unit.name.description.utf8.allSatisfy { byte in
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@".utf8.contains(byte)
    }
    return plain && unit.name.description.utf8.count <= 64 ? unit.name.description : unit.properties.serial
  }
}
