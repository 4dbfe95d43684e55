import Glibc
import LUNStore
import TestSupport
import Testing

@Suite(
  "A lazy copy of an image", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")),
  .timeLimit(.minutes(60)))
struct LazyImageTests {
  /// A mount's store with a lazy copy `lazy` of an image of 16 MiB, and beside it a LUN `other`.
  private func lazyStore(_ from: (String) throws -> String = { $0 }) throws -> (mount: Mount, image: String) {
    let mount = try Mount(("other", "1M"))
    let image = mount.folder("image")
    makeSparse(image, 16 << 20)
    patch(image, at: 4 << 20, pattern(1, 8 << 20))
    let outcome = run(fuseLun, "create", mount.store, "lazy", "--from", try from(image), "--lazy")
    try #require(outcome.status == 0, "\(outcome)")
    return (mount, image)
  }

  private func isLazy(_ mount: Mount) -> Bool {
    run(fuseLun, "info", mount.store, "lazy").output.contains("\nbase ")
  }

  private func expected(written: [Int: [UInt8]] = [:]) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 16 << 20)
    bytes.replaceSubrange(4 << 20..<12 << 20, with: pattern(1, 8 << 20))
    for (offset, data) in written { bytes.replaceSubrange(offset..<offset + data.count, with: data) }
    return bytes
  }

  @Test("takes up no space at first, and then what was read or written; the image stays what it is")
  func onDemand() throws {
    let (mount, image) = try lazyStore()
    let before = try #require(contents(of: image))
    try mount.mount()
    let allocated = { try File(mount("lazy"), O_RDONLY).status.st_blocks * 512 }
    #expect(try allocated() == 0)
    do {
      let file = try File(mount("lazy"))
      #expect(try file.read(5 << 20, 100) == Array(pattern(1, 8 << 20)[1 << 20..<(1 << 20 + 100)]))
      #expect(try allocated() == 64 << 10)
      #expect(file.write(8 << 20 | 100, pattern(2, 1000)) == 1000)
      #expect(file.write(15 << 20, pattern(3, 4096)) == 4096)
      #expect(file.flush() == 0)
    }
    for _ in 0..<2 {
      let all = expected(written: [8 << 20 | 100: pattern(2, 1000), 15 << 20: pattern(3, 4096)])
      #expect(try File(mount("lazy")).read(0, 16 << 20) == all)
      try mount.unmount()
      try mount.mount()
    }
    #expect(contents(of: image) == before)
    #expect(try allocated() < 9 << 20)
  }

  @Test("is fetched while it is used, and then does without the image")
  func fetch() throws {
    let (mount, image) = try lazyStore()
    try mount.mount()
    let file = try File(mount("lazy"))
    #expect(file.write(6 << 20, pattern(4, 10_000)) == 10_000)
    #expect(isLazy(mount))
    let outcome = run(fuseLun, "fetch", mount.store, "lazy")
    #expect(outcome.status == 0, "\(outcome)")
    #expect(!isLazy(mount))
    unlink(image)
    let all = expected(written: [6 << 20: pattern(4, 10_000)])
    #expect(try file.read(0, 16 << 20) == all)
    #expect(file.write(0, pattern(5, 4096)) == 4096 && file.flush() == 0)
    let again = run(fuseLun, "fetch", mount.store, "lazy")
    #expect(again.status == 2 && again.errors.contains("no lazy copy"), "\(again)")
  }

  @Test("is fetched in a store that is not mounted, and with snapshots and clones on it")
  func fetchWithSnapshots() throws {
    let (mount, image) = try lazyStore()
    #expect(run(fuseLun, "snapshot", mount.store, "lazy@s").status == 0)
    #expect(run(fuseLun, "create", mount.store, "clone", "--from", "lazy@s", "--size", "32M").status == 0)
    #expect(run(fuseLun, "fetch", mount.store, "lazy").status == 0)
    unlink(image)
    #expect(run(fuseLun, "check", mount.store).status == 0)
    try mount.mount()
    for name in ["lazy", "lazy@s", "clone"] {
      #expect(try File(mount(name), O_RDONLY).read(0, 16 << 20) == expected(), "\(name)")
    }
    #expect(try File(mount("clone")).read(16 << 20, 4096).allSatisfy { $0 == 0 })
  }

  @Test(
    "whose image is gone, shorter or changed cannot be opened, and the others can",
    arguments: ["gone", "shorter", "changed"])
  func wrongBase(_ what: String) throws {
    let (mount, image) = try lazyStore()
    let aside = mount.folder("aside")
    #expect(run("cp", "-p", "--sparse=always", image, aside).status == 0)
    switch what {
    case "gone": unlink(image)
    case "shorter": truncate(image, 1 << 20)
    default: patch(image, at: 0, [1])
    }
    #expect(run(fuseLun, "list", mount.store).status == 0)
    let log = mount.folder("log")
    let running = try #require(
      start(["sh", "-c", "exec \(fuseLun) mount \(mount.store) \(mount.point) -f 2> \(log)"]))
    #expect(eventually { mount.isMounted && access(mount("other"), F_OK) == 0 })
    #expect(try File(mount("other")).write(0, pattern(1, 512)) == 512)
    #expect(open(mount("lazy"), O_RDONLY) == -1 && errno == EIO)
    let said = String(decoding: contents(of: log) ?? [], as: UTF8.self)
    #expect(said.contains(image) && said.contains("'lazy'"), "\(said)")
    let check = run(fuseLun, "check", mount.store)
    #expect(check.status != 0 && "\(check)".contains(image), "\(check)")
    // Put back as it was, the LUN is there again, without a remount.
    #expect(run("cp", "-p", aside, image).status == 0)
    #expect(eventually { access(mount("lazy"), F_OK) == 0 })
    #expect(try File(mount("lazy")).read(0, 16 << 20) == expected())
    kill(running.process, SIGTERM)
    #expect(running.wait().status == 0)
  }

  @Test("whose image is gone gets no clone in a mount, but can be described there, and deleted")
  func goneWhileMounted() throws {
    let (mount, image) = try lazyStore()
    #expect(run(fuseLun, "create", mount.store, "second", "--from", image, "--lazy").status == 0)
    try mount.mount()
    // This one is open from here on, the other one is not.
    #expect(try File(mount("lazy"), O_RDONLY).read(0, 1).count == 1)
    unlink(image)
    for source in ["lazy", "second"] {
      let clone = run(fuseLun, "clone", mount.store, source, "copy")
      #expect(clone.status == 2 && clone.errors.contains(image) && clone.errors.contains(source), "\(clone)")
    }
    #expect(run(fuseLun, "info", mount.store, "second").status == 0)
    #expect(run(fuseLun, "delete", mount.store, "second").description == "status 0\n\n")
    #expect(run("ls", mount.point).output == "lazy\nother\n")
  }

  @Test("whose image changes while it is mounted gives errors for what is not copied yet, and says why")
  func changesWhileMounted() throws {
    let (mount, image) = try lazyStore()
    let log = mount.folder("log")
    let running = try #require(
      start(["sh", "-c", "exec \(fuseLun) mount \(mount.store) \(mount.point) -f 2> \(log)"]))
    #expect(eventually { mount.isMounted && access(mount("other"), F_OK) == 0 })
    do {
      let file = try File(mount("lazy"))
      let early = try file.read(4 << 20, 4096)
      patch(image, at: 9 << 20, [1])
      #expect(try file.read(4 << 20, 4096) == early)
      var byte: UInt8 = 0
      #expect(pread(file.descriptor, &byte, 1, 9 << 20) == -1 && errno == EIO)
      #expect(file.write(9 << 20, pattern(6, 65536)) == 65536)
      #expect(try file.read(9 << 20, 65536) == pattern(6, 65536))
    }
    let said = String(decoding: contents(of: log) ?? [], as: UTF8.self)
    #expect(said.contains(image) && said.contains("changed"), "\(said)")
    kill(running.process, SIGTERM)
    _ = running.wait()
  }

  @Test(
    "of an NBD export lives through a restart of the server, and shares one connection with its clones",
    .enabled(if: hasTools("qemu-nbd", "nbdinfo"), "needs qemu-utils and libnbd-bin"))
  func server() throws {
    let socket = TemporaryFolder()
    let uri = "nbd+unix:///?socket=\(socket("s"))"
    // Takes one client at a time, as qemu-nbd does if not told otherwise.
    func serve(_ image: String) -> Server? {
      unlink(socket("s"))
      return Server(["qemu-nbd", "-r", "-t", "-f", "raw", "-k", socket("s"), image]) {
        run("nbdinfo", "--size", uri).status == 0
      }
    }
    var server: Server?
    let (mount, image) = try lazyStore { image in
      server = serve(image)
      return uri
    }
    #expect(server != nil)
    #expect(run(fuseLun, "create", mount.store, "clone", "--from", "lazy").status == 0)
    try mount.mount()
    let file = try File(mount("lazy"))
    let clone = try File(mount("clone"))
    let bytes = pattern(1, 8 << 20)
    #expect(try file.read(4 << 20, 4096) == Array(bytes[..<4096]))
    #expect(try clone.read(5 << 20, 4096) == Array(bytes[1 << 20..<(1 << 20 + 4096)]))
    server?.stop()
    var byte: UInt8 = 0
    #expect(pread(file.descriptor, &byte, 1, 7 << 20) == -1 && errno == EIO)
    #expect(try File(mount("other")).read(0, 1) == [0])
    server = serve(image)
    #expect(server != nil)
    #expect(try clone.read(0, 16 << 20) == expected())
    #expect(try file.read(0, 16 << 20) == expected())
    #expect(run(fuseLun, "fetch", mount.store, "lazy").status == 0)
    server?.stop()
    #expect(try file.read(0, 16 << 20) == expected())
    #expect(try clone.read(0, 16 << 20) == expected())
  }

  @Test("of a LUN of the store's own mount is refused, with what is right")
  func ownMount() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    let outcome = run(fuseLun, "create", mount.store, "b", "--from", mount("a"), "--lazy")
    #expect(outcome.status == 2 && outcome.errors.contains("--from a"), "\(outcome)")
    // A full copy is no trouble.
    #expect(try File(mount("a")).write(0, pattern(1, 4096)) == 4096)
    #expect(run(fuseLun, "create", mount.store, "b", "--from", mount("a")).status == 0)
    #expect(try File(mount("b")).read(0, 4096) == pattern(1, 4096))
  }
}
