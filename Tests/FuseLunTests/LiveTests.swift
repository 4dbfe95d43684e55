import Foundation
import Glibc
import LUNStore
import TestSupport
import Testing

@Suite(
  "A mounted store", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")),
  .timeLimit(.minutes(60)))
struct LiveTests {
  private let old = pattern(1, 64 << 10)
  private let new = pattern(2, 64 << 10)

  /// A mounted LUN with a snapshot of the old bytes, and the new ones written over them.
  private func mountWithSnapshot(_ options: String...) throws -> Mount {
    let mount = try Mount(("a", "1M"))
    if options.isEmpty { try mount.mount() } else { try mount.mount("-o", options.joined(separator: ",")) }
    let file = try File(mount("a"))
    #expect(file.write(4096, old) == old.count)
    #expect(mount.command("snapshot", "a@then").description == "status 0\n\n")
    #expect(file.write(4096, new) == new.count)
    return mount
  }

  @Test("takes snapshots of a LUN that is in use, and shows them as files that cannot be written")
  func snapshots() throws {
    let mount = try mountWithSnapshot()
    #expect(run("ls", "-A", mount.point).output == "a\na@then\n")
    do {
      let snapshot = try File(mount("a@then"), O_RDONLY)
      #expect(try snapshot.read(4096, old.count) == old)
      #expect(try File(mount("a")).read(4096, new.count) == new)
      #expect(snapshot.status.st_size == 1 << 20 && snapshot.status.st_mode == S_IFREG | 0o400)
      for flags in [O_RDWR, O_WRONLY] {
        #expect(open(mount("a@then"), flags) == -1 && errno == EROFS)
      }
      #expect(run("ls", "-i", mount.point).output.contains("\(snapshot.status.st_ino) a@then"))
    }
    #expect(mount.command("snapshot", "a@then").errors.contains("already has a snapshot 'a@then'"))
    #expect(mount.command("list").output.contains("a@then  1 MiB"))
    try mount.unmount()
    #expect(try mount.stored("a@then", 4096, old.count) == old)
    #expect(try mount.stored("a", 4096, new.count) == new)
    try mount.mount()
    #expect(try File(mount("a@then"), O_RDONLY).read(4096, old.count) == old)
  }

  @Test("rolls a LUN back when nobody has it open, and under those who have when told to")
  func rollback() throws {
    let mount = try mountWithSnapshot()
    let file = try File(mount("a"))
    let refused = mount.command("rollback", "a@then")
    #expect(refused.status == 2 && refused.errors.contains("--force"), "\(refused)")
    #expect(refused.errors.contains(" \(getpid())"), "names who has it open: \(refused)")
    #expect(try file.read(4096, new.count) == new)
    #expect(mount.command("rollback", "a@then", "--force").status == 0)
    #expect(try file.read(4096, old.count) == old)
    #expect(file.write(0, [7]) == 1)
    #expect(try file.read(0, 1) == [7])
    #expect(mount.command("rollback", "a@then", "--force").status == 0)
    #expect(try file.read(0, 1) == [0])
  }

  @Test("rolls back the moment after a client has closed the file")
  func rollbackClosed() throws {
    let mount = try mountWithSnapshot()
    for round in 0..<10 {
      do { #expect(try File(mount("a")).write(4096, pattern(round, 512)) == 512) }
      let outcome = mount.command("rollback", "a@then")
      #expect(outcome.status == 0, "\(outcome)")
      #expect(try File(mount("a")).read(4096, 512) == Array(old.prefix(512)))
    }
  }

  @Test("drops the pages of mappings when a LUN is rolled back under them")
  func rollbackMapped() throws {
    let mount = try mountWithSnapshot()
    let file = try File(mount("a"), O_RDONLY)
    let pages = mmap(nil, 8192, PROT_READ, MAP_SHARED, file.descriptor, 0)
    try #require(pages != MAP_FAILED)
    defer { munmap(pages, 8192) }
    let bytes = UnsafeRawBufferPointer(start: pages, count: 8192)
    #expect(bytes[4096] == new[0])
    #expect(mount.command("rollback", "a@then", "--force").status == 0)
    #expect(bytes[4096] == old[0])
  }

  @Test("makes clones that go their own way")
  func clones() throws {
    let mount = try mountWithSnapshot()
    #expect(mount.command("clone", "a@then", "b").description == "status 0\n\n")
    #expect(mount.command("clone", "a", "c").status == 0)
    let (b, c) = (try File(mount("b")), try File(mount("c")))
    #expect(try b.read(4096, old.count) == old)
    #expect(try c.read(4096, new.count) == new)
    #expect(b.write(4096, [1, 2, 3]) == 3)
    #expect(try c.read(4096, new.count) == new)
    #expect(try File(mount("a@then"), O_RDONLY).read(4096, old.count) == old)
    #expect(mount.command("clone", "a", "b").errors.contains("already has a LUN 'b'"))
    #expect(mount.command("clone", "x", "d").errors.contains("no LUN 'x'"))
  }

  @Test("deletes what nobody has open, at once and for good, and gives space back")
  func delete() throws {
    let mount = try mountWithSnapshot()
    #expect(access(mount("a@then"), F_OK) == 0)
    do {
      let snapshot = try File(mount("a@then"), O_RDONLY)
      let refused = mount.command("delete", "a@then")
      #expect(refused.status == 2 && refused.errors.contains("'a@then': is open in"), "\(refused)")
      #expect(try snapshot.read(4096, old.count) == old)
    }
    #expect(mount.command("delete", "a").errors.contains("a@then"))
    #expect(access(mount("a"), F_OK) == 0)
    #expect(mount.command("delete", "a@then").status == 0)
    #expect(access(mount("a@then"), F_OK) == -1 && errno == ENOENT)
    #expect(try File(mount("a")).read(4096, new.count) == new)
    #expect(mount.command("snapshot", "a@two").status == 0)
    #expect(mount.command("delete", "a", "--snapshots").status == 0)
    #expect(run("ls", "-A", mount.point).output.isEmpty)
    #expect(access(mount("a"), F_OK) == -1 && errno == ENOENT)
    // A new one of that name is another file.
    try mount.create("a", "2M")
    let file = try File(mount("a"))
    #expect(file.status.st_size == 2 << 20)
    #expect(try file.read(4096, 4) == [0, 0, 0, 0])
    #expect(mount.command("delete", "b").errors.contains("no LUN 'b'"))
  }

  @Test("shows a new size at once, and makes a LUN smaller only when told so twice")
  func resize() throws {
    let mount = try mountWithSnapshot()
    let file = try File(mount("a"))
    #expect(mount.command("resize", "a", "2M").status == 0)
    #expect(file.status.st_size == 2 << 20 && lseek(file.descriptor, 0, SEEK_END) == 2 << 20)
    #expect(file.write((2 << 20) - 512, pattern(5, 512)) == 512)
    #expect(try file.read(1 << 20, 4) == [0, 0, 0, 0])
    let smaller = mount.command("resize", "a", "1M")
    #expect(smaller.status == 2 && smaller.errors.contains("--shrink"), "\(smaller)")
    let open = mount.command("resize", "a", "1M", "--shrink")
    #expect(open.status == 2 && open.errors.contains("--force"), "\(open)")
    #expect(mount.command("resize", "a", "1M", "--shrink", "--force").status == 0)
    #expect(file.status.st_size == 1 << 20)
    #expect(file.write(1 << 20, [1]) == -Int(ENOSPC))
    #expect(mount.command("resize", "a", "2M").status == 0)
    #expect(try file.read((2 << 20) - 512, 512).allSatisfy { $0 == 0 })
    #expect(mount.command("resize", "a", "1000").errors.contains("1000"))
    #expect(mount.command("resize", "a@then", "1M").errors.contains("'@'"))
    #expect(try File(mount("a@then"), O_RDONLY).status.st_size == 1 << 20)
  }

  @Test("keeps what a LUN says of itself, and refuses writes to a read-only one")
  func properties() throws {
    struct Info: Decodable {
      struct Mount: Decodable {
        var openCount: Int
        var mode: String?
        var mountpoint: String?
      }
      var readOnly: Bool
      var vendor: String
      var product: String
      var serial: String
      var naa: String
      var mount: Mount
    }
    func info(_ mount: Mount, _ name: String = "a") throws -> Info {
      try JSONDecoder().decode(Info.self, from: Data(mount.command("info", name, "--json").output.utf8))
    }
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    do {
      let file = try File(mount("a"))
      let refused = mount.command("set", "a", "--read-only")
      #expect(refused.status == 2 && refused.errors.contains(" \(getpid())"), "\(refused)")
      #expect(file.write(0, [1]) == 1)
      #expect(try info(mount).mount.openCount == 1 && info(mount).mount.mode == "direct")
    }
    let reader = try File(mount("a"), O_RDONLY)
    #expect(mount.command("snapshot", "a@one").status == 0)
    let view = try File(mount("a@one"), O_RDONLY)
    #expect(try info(mount, "a@one").readOnly && info(mount, "a@one").mount.openCount == 1)
    withExtendedLifetime(view) {}
    let set = mount.command(
      "set", "a", "--read-only", "--vendor", "ACME", "--product", "ROCKET", "--serial", "R2D2", "--naa",
      "3000000000000001")
    #expect(set.status == 0, "\(set)")
    let changed = try info(mount)
    #expect(changed.readOnly && changed.vendor == "ACME" && changed.product == "ROCKET")
    #expect(changed.serial == "R2D2" && changed.naa == "3000000000000001")
    #expect(changed.mount.mountpoint == mount.point)
    #expect(open(mount("a"), O_RDWR) == -1 && errno == EROFS)
    #expect(reader.status.st_mode == S_IFREG | 0o400)
    #expect(mount.command("set", "a", "--read-write").status == 0)
    #expect(try File(mount("a")).write(0, [1]) == 1)
    let wrong = mount.command("set", "a", "--vendor", "too long by far", "--naa", "xyz")
    #expect(wrong.status == 2 && wrong.errors.contains("vendor") && wrong.errors.contains("NAA"), "\(wrong)")
    #expect(mount.command("set", "a").status == 2)
    #expect(mount.command("set", "a", "--read-only", "--read-write").status == 2)
  }

  @Test("obeys the same commands when it is not mounted")
  func unmounted() throws {
    let mount = try mountWithSnapshot()
    try mount.unmount()
    #expect(mount.command("snapshot", "a@now").status == 0)
    #expect(mount.command("rollback", "a@then").status == 0)
    #expect(mount.command("clone", "a@now", "b").status == 0)
    #expect(mount.command("resize", "b", "3M").status == 0)
    #expect(mount.command("set", "b", "--vendor", "ACME").status == 0)
    #expect(mount.command("delete", "a@then").status == 0)
    #expect(try mount.stored("a", 4096, old.count) == old)
    #expect(try mount.stored("b", 4096, new.count) == new)
    #expect(mount.command("delete", "a", "--snapshots").status == 0)
    #expect(try mount.stored("b", 4096, new.count) == new)
    #expect(mount.command("list").output.hasPrefix("NAME  SIZE   ALLOCATED  BLOCK\nb     3 MiB"))
  }

  @Test("keeps its clients served while snapshots come and go")
  func busy() async throws {
    let mount = try Mount(("a", "4M"))
    try mount.mount()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        let file = try File(mount("a"))
        for round in 0..<400 {
          let place = round * 7919 % 1024 * 4096
          let bytes = pattern(round, 4096)
          #expect(file.write(place, bytes) == 4096)
          #expect(try file.read(place, 4096) == bytes)
        }
      }
      group.addTask {
        for round in 0..<8 { #expect(mount.command("snapshot", "a@\(round)").status == 0) }
        for round in [3, 0, 7, 1, 5, 2, 6, 4] {
          let outcome = mount.command("delete", "a@\(round)")
          #expect(outcome.status == 0, "\(outcome)")
        }
      }
      try await group.waitForAll()
    }
    let file = try File(mount("a"))
    var last: [Int: Int] = [:]
    for round in 0..<400 { last[round * 7919 % 1024 * 4096] = round }
    for (place, round) in last { #expect(try file.read(place, 4096) == pattern(round, 4096)) }
  }
}
