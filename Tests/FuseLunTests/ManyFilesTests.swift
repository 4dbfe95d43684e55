import Glibc
import LUNStore
import TestSupport
import Testing

@Suite(
  "With few files that may be open at once, a mount",
  .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")), .timeLimit(.minutes(60)))
struct ManyFilesTests {
  /// The descriptors of the mount's process.
  private func openFiles(_ mount: Mount) throws -> Int {
    let server = try #require(try mount.server())
    return run(["ls", "/proc/\(server)/fd"]).output.split(separator: "\n").count
  }

  private func isSound(_ mount: Mount) -> Bool { mount.command("check").output.hasPrefix("sound") }

  @Test("shows thousands of LUNs, and hundreds of them can be in use")
  func luns() throws {
    let mount = try Mount(inMemory: true)
    let store = try Store.openOrCreate(mount.store).store
    for number in 0..<2000 { try store.createLUN(LUNRequest(name: "l\(number)", size: "1M")) }
    try mount.mount(files: 256)
    let listing = run(["ls", "-l", mount.point])
    #expect(listing.status == 0 && listing.output.split(separator: "\n").count == 2001)
    // More than the files that the mount may have open, all at once.
    let used = (0..<300).map { ($0 * 1237) % 2000 }
    let files = try used.map { try File(mount("l\($0)")) }
    for (number, file) in zip(used, files) { #expect(file.write(4096, pattern(number, 4096)) == 4096) }
    for file in files where file.status.st_ino % 3 == 0 { #expect(file.flush() == 0) }
    for (number, file) in zip(used, files) { #expect(try file.read(4096, 4096) == pattern(number, 4096)) }
    #expect(mount.command("snapshot", "l\(used[0])@s").status == 0)
    let unused = try #require((0..<2000).first { !used.contains($0) })
    #expect(mount.command("delete", "l\(unused)").status == 0)
    #expect(isSound(mount))
    #expect(try openFiles(mount) <= 256)
    #expect(files[0].write(4096, pattern(1, 4096)) == 4096)
    #expect(try File(mount("l\(used[0])@s"), O_RDONLY).read(4096, 4096) == pattern(used[0], 4096))
    withExtendedLifetime(files) {}
  }

  @Test("keeps what was written to LUNs that were closed and let go")
  func written() throws {
    let mount = try Mount(inMemory: true)
    let store = try Store.openOrCreate(mount.store).store
    for number in 0..<400 { try store.createLUN(LUNRequest(name: "l\(number)", size: "1M")) }
    try mount.mount(files: 128)
    for number in 0..<400 { #expect(try File(mount("l\(number)")).write(0, pattern(number, 512)) == 512) }
    chmod(mount("l0"), 0o400)
    for number in 0..<400 {
      #expect(try File(mount("l\(number)"), O_RDONLY).read(0, 512) == pattern(number, 512))
    }
    #expect(try File(mount("l0"), O_RDONLY).status.st_mode & 0o777 == 0o400)
    try mount.unmount()
    for number in 0..<400 { #expect(try mount.stored("l\(number)", 0, 512) == pattern(number, 512)) }
  }

  @Test("reads LUNs and snapshots that are in hundreds of layers")
  func layers() throws {
    let mount = try Mount(inMemory: true, ("a", "1M"))
    let open = try OpenStore(mount.store, at: "")
    let name = try LUNName("a")
    for number in 0..<300 {
      let byte = [UInt8(number & 0xFF)]
      #expect(try byte.withUnsafeBytes { try open.lun(name).write($0, at: Int64(number % 200) << 12) } == 1)
      try open.snapshot(SnapshotName(lun: name, label: LUNName("\(number)")))
    }
    // Each a clone of the one before.
    var source = VolumeName.lun(name)
    for number in 0..<300 {
      let clone = try LUNName("c\(number)")
      try open.clone(source, to: clone)
      source = .lun(clone)
    }
    try open.release()
    try mount.mount(files: 256)
    let listing = run(["ls", "-l", mount.point])
    #expect(listing.status == 0 && listing.output.split(separator: "\n").count == 602)
    let files = try ["a", "a@299", "a@150", "c0", "c299"].map { try File(mount($0), O_RDONLY) }
    for (file, last) in zip(files, [299, 299, 150, 299, 299]) {
      for number in stride(from: max(0, last - 199), through: last, by: 7) {
        #expect(try file.read((number % 200) << 12, 1) == [UInt8(number & 0xFF)])
      }
    }
    #expect(try File(mount("c299")).write(0, [7]) == 1)
    #expect(mount.command("snapshot", "c299@s").status == 0)
    #expect(isSound(mount))
    #expect(try openFiles(mount) <= 256)
    #expect(mount.command("delete", "c298").status == 0)
    #expect(try files[4].read(150 << 12, 1) == [150])
  }

  @Test("refuses what it has no room for, and goes on with everything else")
  func full() throws {
    let mount = try Mount(inMemory: true, ("plain", "1M"))
    let image = mount.folder("image")
    write(pattern(1, 65536), to: image)
    let base = try BaseReference.find(image).reference
    let names = (0..<40).map { "lazy\($0)" }
    let store = try Store.open(mount.store)
    for name in names { try store.createLUN(LUNRequest(name: name, size: "64K"), base: base) }
    try mount.mount(files: 64)
    // Each has the image open.
    var files: [File] = []
    for name in names {
      let file = open(mount(name), O_RDWR | O_CLOEXEC)
      let code = errno
      guard file >= 0 else {
        #expect(code == EMFILE)
        continue
      }
      files.append(try File(mount(name)))
      close(file)
    }
    #expect((1..<40).contains(files.count))
    for file in files { #expect(try file.read(4096, 4096) == Array(pattern(1, 65536)[4096..<8192])) }
    let plain = try File(mount("plain"))
    #expect(plain.write(0, pattern(2, 4096)) == 4096 && plain.flush() == 0)
    #expect(mount.command("snapshot", "plain@s").status == 0)
    #expect(run(["ls", "-l", mount.point]).status == 0)
    #expect(isSound(mount))
    // With the others closed there is room again.
    files = []
    for name in names { #expect(try File(mount(name)).read(0, 512) == Array(pattern(1, 512)), "\(name)") }
  }
}
