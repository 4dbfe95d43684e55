import Foundation
import Glibc
import LUNStore
import TestSupport
import Testing

@Suite(
  "Renaming", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")), .timeLimit(.minutes(60)))
struct RenameTests {
  private let old = pattern(1, 8192)
  private let new = pattern(2, 8192)

  /// A LUN `a` with a snapshot `a@then` of the old bytes, and the new ones in it.
  private func makeMount() throws -> Mount {
    let mount = try Mount(("a", "1M"))
    try mount.mount()
    do {
      let file = try File(mount("a"))
      #expect(file.write(0, old) == old.count)
      #expect(mount.command("snapshot", "a@then").status == 0)
      #expect(file.write(0, new) == new.count && file.flush() == 0)
    }
    return mount
  }

  @Test("a LUN in a mount shows it at once, with its snapshots, inodes, rights and contents")
  func live() throws {
    let mount = try makeMount()
    let numbers = try [File(mount("a")).status.st_ino, File(mount("a@then"), O_RDONLY).status.st_ino]
    let identity = mount.command("info", "a", "--json").output
    let outcome = mount.command("rename", "a", "b")
    #expect(outcome.description == "status 0\n\n", "\(outcome)")
    #expect(run("ls", "-A", mount.point).output == "b\nb@then\n")
    #expect(access(mount("a"), F_OK) == -1 && errno == ENOENT)
    do {
      let (file, snapshot) = (try File(mount("b")), try File(mount("b@then"), O_RDONLY))
      #expect([file.status.st_ino, snapshot.status.st_ino] == numbers)
      #expect(try file.read(0, new.count) == new && snapshot.read(0, old.count) == old)
      #expect(file.write(8192, [1]) == 1 && file.flush() == 0)
    }
    let uuid = { (text: String) in text.split(separator: "\n").last { $0.contains("\"uuid\"") } }
    #expect(uuid(mount.command("info", "b", "--json").output) == uuid(identity))
    // The old name is free, and what gets it is another file.
    try mount.create("a", "2M")
    #expect(try File(mount("a")).status.st_ino != numbers[0])
    #expect(mount.command("check").output.hasPrefix("sound"))
    try mount.unmount()
    #expect(mount.command("check").output.hasPrefix("sound"))
    #expect(try mount.stored("b", 0, new.count) == new && mount.stored("b@then", 0, old.count) == old)
  }

  @Test("a snapshot changes its label, with or without the LUN's name")
  func snapshot() throws {
    let mount = try makeMount()
    #expect(mount.command("rename", "a@then", "@first").status == 0)
    #expect(run("ls", "-A", mount.point).output == "a\na@first\n")
    #expect(try File(mount("a@first"), O_RDONLY).read(0, old.count) == old)
    #expect(mount.command("rename", "a@first", "a@second").status == 0)
    #expect(mount.command("rollback", "a@second").status == 0)
    #expect(try File(mount("a")).read(0, old.count) == old)
    try mount.unmount()
    let reported = mount.command("rename", "a@second", "a@third", "--json")
    #expect(reported.status == 0 && reported.output.contains("\"name\" : \"a@third\""), "\(reported)")
    #expect(mount.command("check").output.hasPrefix("sound"))
  }

  @Test("is refused, and changes nothing, where it cannot be")
  func refused() throws {
    let mount = try makeMount()
    try mount.create("b", "1M")
    #expect(mount.command("snapshot", "a@now").status == 0)
    let long = String(repeating: "n", count: 253)
    for (words, part) in [
      (["a", "b"], "already has 'b'"), (["a@then", "a@now"], "already has '@now'"),
      (["a@then", "b@then"], "another label"), (["a", "a@x"], "another label"),
      (["a@then", "x"], "another label"),
      (["x", "y"], "no LUN 'x'"), (["a@x", "a@y"], "no snapshot 'a@x'"), (["a", "c/d"], "'/'"),
      (["a", long], "bytes, and a file name has at most 255"),
    ] {
      let outcome = run([fuseLun, "rename", mount.store] + words)
      #expect(outcome.status == 2 && outcome.errors.contains(part), "\(words): \(outcome)")
    }
    do {
      let file = try File(mount("a@then"), O_RDONLY)
      let open = mount.command("rename", "a", "c")
      #expect(open.status == 2 && open.errors.contains("'a@then': is open in"), "\(open)")
      #expect(try file.read(0, old.count) == old)
    }
    try mount.arm("layer", "a", "stats")
    let armed = mount.command("rename", "a", "c")
    #expect(armed.status == 2 && armed.errors.contains("layer clear"), "\(armed)")
    try mount.clear("layer", "a")
    #expect(run("ls", "-A", mount.point).output == "a\na@now\na@then\nb\n")
    #expect(mount.command("rename", "a", "c").status == 0)
  }

  @Test("takes write logs along, which replay under the new name")
  func logs() throws {
    let mount = try makeMount()
    #expect(run(fuseLun, "log", mount.store, "a", "record").status == 0)
    do {
      let file = try File(mount("a"))
      #expect(file.write(0, old) == old.count && file.flush() == 0)
    }
    let recorded = mount.command("rename", "a", "b")
    #expect(recorded.status == 2 && recorded.errors.contains("recording"), "\(recorded)")
    #expect(run(fuseLun, "log", mount.store, "a", "record", "--stop").status == 0)
    #expect(mount.command("rename", "a@log-1", "a@x").errors.contains("write log"))
    #expect(mount.command("rename", "a", "b").status == 0)
    let shown = run(fuseLun, "log", mount.store, "b", "show").output
    #expect(shown.hasPrefix("log 1 of 'b'") && shown.contains("b@log-1"), "\(shown)")
    #expect(run(fuseLun, "log", mount.store, "b", "replay", "--at", "0", "--to", "was").status == 0)
    #expect(try File(mount("was")).read(0, new.count) == new)
  }
}
