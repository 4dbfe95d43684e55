import Glibc
import TestSupport
import Testing

@testable import LUNStore
@testable import fuse_lun

/// A store of the user `nobody` with a LUN `d`, and a folder where root mounts it.
private final class ForeignStore {
  let folder = TemporaryFolder()
  let home: String
  var store: String { "\(home)/store" }
  var point: String { folder("mnt") }

  init() throws {
    home = folder.folder("home")
    chown(home, 65534, 65534)
    mkdir(point, 0o700)
    let made = run(asNobody(fuseLun, "create", store, "d", "--size", "1M"))
    try #require(made.status == 0, "\(made)")
  }

  deinit { run("fusermount3", "-u", "-z", "-q", point) }

  func file(_ name: String) -> String { layerFile(name, ofLUN: "d", inStore: store) }

  /// Writes a record of the layer as its owner can, who knows how its checksum is made.
  func forge(_ change: (inout LayerRecord) -> Void) throws {
    var record = try LayerRecord(reading: Descriptor.open(path: file("layer"), O_RDONLY))
    let files = (record.dataName, record.mapName)
    change(&record)
    write(record.encoded, to: file("layer"))
    rename(file(files.0), file(record.dataName))
    rename(file(files.1), file(record.mapName))
    guard !record.isFlat, access(file(record.mapName), F_OK) != 0 else { return }
    try MapLog.create(
      in: Descriptor.open(path: file("."), O_RDONLY | O_DIRECTORY), record.mapName, layer: record.identifier)
  }

  /// Makes the LUN a lazy copy of a file, whoever may read that.
  func forge(base path: String) throws {
    let base = try FileBase(path).reference
    try forge { ($0.base, $0.map) = (base, .sealed(0)) }
  }

  /// Whether a text is in any file of the home folder.
  func leaks(_ text: String) -> Bool { run("grep", "-rqF", text, home).status == 0 }

  func unmount() { run("fusermount3", "-u", point) }
}

@Suite(
  "A store of another user, worked on by root,",
  .enabled(if: whyNotTwoUsers == nil, Comment(rawValue: whyNotTwoUsers ?? "")), .timeLimit(.minutes(60)))
struct ForeignStoreTests {
  private let token = "TOKEN-7d1f2a"

  private func makeSecret(_ foreign: ForeignStore, _ mode: mode_t = 0o600) -> String {
    let path = foreign.folder("secret")
    makeSparse(path, 1 << 20)
    patch(path, at: 0, Array(token.utf8))
    chmod(path, mode)
    return path
  }

  @Test("gives its owner nothing of an image that the owner may not read, whatever is done")
  func forgedBase() throws {
    let foreign = try ForeignStore()
    let secret = makeSecret(foreign)
    try foreign.forge(base: secret)
    let image = foreign.folder("image")
    for command in [
      ["fetch", foreign.store, "d"], ["export", foreign.store, "d", image],
      ["clone", foreign.store, "d", "e"], ["snapshot", foreign.store, "d@s"], ["check", foreign.store],
      ["create", foreign.store, "e", "--from", secret, "--lazy"],
    ] {
      let outcome = run([fuseLun] + command)
      #expect(outcome.status == 2, "\(command): \(outcome)")
      #expect("\(outcome)".contains("who may not read it"), "\(command): \(outcome)")
      #expect("\(outcome)".contains("trust-images"), "\(command): \(outcome)")
    }
    let mounted = run(fuseLun, "mount", foreign.store, foreign.point)
    #expect(mounted.status == 0 && mounted.errors.contains("who may not read it"), "\(mounted)")
    #expect(contents(of: "\(foreign.point)/d") == nil)
    foreign.unmount()
    #expect(!foreign.leaks(token))
    #expect(access(image, F_OK) != 0)
  }

  @Test("follows no link and no folder to an image that its owner could not follow")
  func forgedPath() throws {
    let foreign = try ForeignStore()
    let hidden = foreign.folder.folder("hidden")
    chmod(hidden, 0o700)
    let secret = "\(hidden)/secret"
    write(Array("\(token)\(String(repeating: "x", count: 4000))".utf8), to: secret)
    chmod(secret, 0o644)
    let descriptor = open(secret, O_RDONLY)
    defer { close(descriptor) }
    let link = "\(foreign.home)/link"
    symlink(secret, link)
    let reference = try FileBase(secret).reference
    guard case .file(_, let modified) = reference.location else { return }
    for path in [secret, link, "/proc/self/fd/\(descriptor)"] {
      let named = BaseReference(.file(path: path, modified: modified), size: reference.size)
      let error = thrown(StoreError.self) { try named.open(with: .owner(65534, store: foreign.store)) }
      #expect(error?.kind == .untrusted, "\(path): \(error as Any)")
    }
    // The rights of this thread, and of all others, are what they were.
    #expect(try FileBase(link).size == reference.size)
  }

  @Test("reads the images that its owner may read, and with the owner's groups")
  func honestBase() throws {
    let foreign = try ForeignStore()
    let image = makeSecret(foreign, 0o640)
    chown(image, 0, 65534)
    try foreign.forge(base: image)
    let mounted = run(fuseLun, "mount", foreign.store, foreign.point)
    #expect(mounted.description == "status 0\n\n")
    #expect(contents(of: "\(foreign.point)/d")?.prefix(token.utf8.count).elementsEqual(token.utf8) == true)
    foreign.unmount()
  }

  @Test("reads any image, and asks any server, if that is what root says")
  func trusted() throws {
    let foreign = try ForeignStore()
    let image = makeSecret(foreign)
    try foreign.forge(base: image)
    #expect(run(fuseLun, "check", foreign.store, "--trust-images").output.hasPrefix("sound"))
    let mounted = run(fuseLun, "mount", foreign.store, foreign.point, "-o", "trust-images")
    #expect(mounted.description == "status 0\n\n")
    #expect(contents(of: "\(foreign.point)/d")?.prefix(token.utf8.count).elementsEqual(token.utf8) == true)
    foreign.unmount()
  }

  @Test("asks no server that the store names")
  func forgedServer() throws {
    let foreign = try ForeignStore()
    for uri in ["nbd://localhost", "nbd+unix:///?socket=/nowhere", "nbd+vsock://1"] {
      try foreign.forge {
        $0.base = BaseReference(.nbd(uri: uri), size: 1 << 20); $0.map = .sealed(0)
      }
      let outcome = run(fuseLun, "check", foreign.store)
      #expect(outcome.status == 2 && outcome.output.contains("cannot be known"), "\(outcome)")
    }
  }

  /// What the owner may put in the place of a file of the store.
  enum Planted: String, CaseIterable, Sendable {
    case hardLink, symbolicLink, fifo, secondName
  }

  @Test(
    "overwrites, cuts and gives away no file that is there under the name of one of its own",
    arguments: ["lock", "data", "layer", "lun", "map", "luns", "layers"], Planted.allCases)
  func planted(_ part: String, _ how: Planted) throws {
    let foreign = try ForeignStore()
    if part == "map" {
      #expect(run(asNobody(fuseLun, "snapshot", foreign.store, "d@s")).status == 0)
    }
    let victim = foreign.folder("victim")
    write(Array(token.utf8), to: victim)
    let place =
      switch part {
      case "lock", "luns", "layers": "\(foreign.store)/\(part)"
      case "lun": "\(foreign.store)/luns/d/lun"
      case "layer": foreign.file("layer")
      default: foreign.file("\(part).0")
      }
    // One of the two layers of a LUN with a snapshot has no map.
    guard part != "map" || access(place, F_OK) == 0 else { return }
    switch how {
    case .hardLink:
      rename(place, "\(place).old")
      #expect(link(victim, place) == 0)
    case .symbolicLink:
      rename(place, "\(place).old")
      #expect(symlink(victim, place) == 0)
    case .fifo:
      rename(place, "\(place).old")
      #expect(mkfifo(place, 0o600) == 0 && chown(place, 65534, 65534) == 0)
    case .secondName:
      // Only what is written to matters, and the file of a layer may have two names.
      guard part == "lock" || part == "map" else { return }
      if access(place, F_OK) != 0 { write([], to: place) }
      chown(place, 65534, 65534)
      #expect(link(place, "\(foreign.home)/other") == 0)
    }
    let outcome = run(fuseLun, "check", foreign.store, "--repair")
    #expect(outcome.status == 2, "\(outcome)")
    let mounted = run(fuseLun, "mount", foreign.store, foreign.point)
    // The map of a head is written to when a client opens the file, and refused then.
    #expect(mounted.status != 0 || part == "map" && how == .secondName, "\(mounted)")
    #expect(contents(of: "\(foreign.point)/d") == nil)
    let status = try File(victim).status
    #expect(status.st_uid == 0 && status.st_size == off_t(token.utf8.count))
    #expect(contents(of: victim) == Array(token.utf8))
  }

  @Test(
    "that is mounted by its owner is no place to lead other programs to",
    .enabled(if: whyNoUser == nil, Comment(rawValue: whyNoUser ?? "")))
  func foreignMount() throws {
    let mount = try NobodysMount("1M")
    for command in [
      ["export", mount.store, "a", "\(mount.store).qcow2", "--format", "qcow2"],
      ["target", mount.store, "a"],
    ] {
      let outcome = run([fuseLun] + command)
      #expect(outcome.status == 2 && outcome.errors.contains("is a mount of user nobody"), "\(outcome)")
    }
    #expect(run(fuseLun, "list", mount.store).status == 0)
  }

  @Test("is used by root as its owner would, who can go on with what root made")
  func honest() throws {
    let foreign = try ForeignStore()
    for command in [
      ["create", foreign.store, "e", "--size", "1M"], ["snapshot", foreign.store, "d@s"],
      ["clone", foreign.store, "d@s", "f"], ["rollback", foreign.store, "d@s"],
      ["resize", foreign.store, "d", "2M"],
      ["delete", foreign.store, "f"], ["check", foreign.store, "--repair"],
    ] {
      let outcome = run([fuseLun] + command)
      #expect(outcome.status == 0, "\(command): \(outcome)")
    }
    #expect(run("find", foreign.store, "!", "-user", "nobody").output == "")
    #expect(run(asNobody(fuseLun, "check", foreign.store)).output.hasPrefix("sound"))
    #expect(run(asNobody(fuseLun, "snapshot", foreign.store, "e@s")).status == 0)
  }
}

@Suite("The socket of a store")
struct ForeignSocketTests {
  @Test("is no link to a service that has nothing to do with it, and no second name of one")
  func planted() throws {
    let folder = TemporaryFolder()
    let (own, other) = (folder.folder("own"), folder.folder("other"))
    let service = try UnixSocket.listen(in: Folder(other))
    let plants: [() -> Int32] = [
      { symlink("\(other)/control", "\(own)/control") }, { link("\(other)/control", "\(own)/control") },
      { mkfifo("\(own)/control", 0o600) },
    ]
    for plant in plants {
      #expect(plant() == 0)
      let error = thrown(StoreError.self) { try UnixSocket.connect(in: Folder(own)) }
      #expect(error?.kind == .untrusted || error?.kind == .system(ELOOP), "\(error as Any)")
      unlink("\(own)/control")
    }
    #expect(try UnixSocket.connect(in: Folder(own)) == nil)
    #expect(try UnixSocket.connect(in: Folder(other)) != nil)
    withExtendedLifetime(service) {}
  }
}
