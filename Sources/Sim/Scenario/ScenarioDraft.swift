/// A scenario as its document says it, before names are looked up and images are read.
struct ScenarioDraft: Sendable {
  var title: String
  var sources: [String]
  var profile: String?
  var machine: MachineDraft
  var network: NetworkSpec
  var targets: [TargetDraft]
  var system: SystemDraft
  var story: [Located<StoryStep>]
  var vary: [AxisDraft]
  var expect: Expectation?
}

struct MachineDraft: Sendable {
  var bootOrder: [Located<String>]?
  var memoryMiB: Int
  var nics: [Located<NICSpec>]
  var disks: [Located<DiskDraft>]
}

/// A disk whose content may still be in an image.
struct DiskDraft: Sendable {
  var spec: DiskSpec
  var content: ContentDraft
}

struct TargetDraft: Sendable {
  var spec: TargetSpec
  var luns: [LUNDraft]
}

struct LUNDraft: Sendable {
  var spec: LUNSpec
  var content: ContentDraft
}

/// What a document says about the content of a disk or LU.
struct ContentDraft: Sendable {
  var image: Located<String>?
  var size: Located<Int64>?
  var fallbackSize: Int64
  var bootCode: DiskContent.BootCode?
  var grub: GrubInstallation?
  var partitions: [Located<PartitionDraft>]
}

/// A partition; what is `nil` comes from the image, if there is one.
struct PartitionDraft: Sendable {
  var number: Int
  /// `.some(nil)`: said to have no file system.
  var fileSystem: String??
  var uuid: String?
  var label: String?
  var holds: Located<String>?
  var size: Int64?
}

struct SystemDraft: Sendable {
  /// What a document says is at a path.
  enum Entry: Sendable {
    case text(String)
    case link(String)
    case absent
  }

  var root: Located<String>?
  var files: [(path: String, entry: Located<Entry>)] = []
  var initrds: [String: InitrdSpec] = [:]
  var packages: [String: PackageSpec] = [:]
  var installer: Located<InstallerSpec>?
}

/// One axis as the document says it.
enum AxisDraft: Sendable {
  case values(name: String?, path: Located<String>, values: [JSONValue], labels: [String]?)
  /// Present or absent at each boot.
  case presence(Located<String>)
  /// Every order of the list at a path.
  case order(Located<String>)
}
