import Foundation
import LUNStore
import TestSupport
import Testing
import Version

@Suite("The command line", .timeLimit(.minutes(60)))
struct CommandTests {
  private let folder = TemporaryFolder()
  private var store: String { folder("store") }

  private struct Listed: Decodable {
    struct LUN: Decodable {
      var name: String
      var uuid: String
      var size: Int
      var blockSize: Int
      var blocks: Int
      var allocated: Int
      var created: String
    }
    var store: String
    var uuid: String
    var luns: [LUN]
    var problems: [String]
  }

  @Test("creates LUNs, and lists and describes what it created")
  func createAndList() throws {
    #expect(run(fuseLun, "create", store, "root", "--size", "10G").description == "status 0\n\n")
    #expect(run(fuseLun, "create", store, "data", "--size", "8192", "--block-size", "4096").status == 0)
    let table = run(fuseLun, "list", store)
    #expect(
      table.output
        == "NAME  SIZE    ALLOCATED  BLOCK\ndata  8 KiB   0 B        4096\nroot  10 GiB  0 B        512\n")
    let listed = try JSONDecoder().decode(
      Listed.self, from: Data(run(fuseLun, "list", store, "--json").output.utf8))
    #expect(listed.luns.map(\.name) == ["data", "root"])
    #expect(listed.luns.map(\.size) == [8192, 10 << 30])
    #expect(listed.luns.map(\.blockSize) == [4096, 512])
    #expect(listed.store == store && listed.problems.isEmpty)
    let info = run(fuseLun, "info", store, "root", "--json")
    let lun = try JSONDecoder().decode(Listed.LUN.self, from: Data(info.output.utf8))
    #expect(lun.uuid == listed.luns[1].uuid && lun.blocks == (10 << 30) / 512)
    #expect(lun.created.hasSuffix("Z"))
    #expect(run(fuseLun, "info", store, "root").output.contains("10737418240 bytes"))
  }

  @Test(
    "refuses wrong input with status 2, names it, and changes nothing",
    arguments: [
      (["create", "S", "a/b", "--size", "1M"], "a/b"), (["create", "S", "..", "--size", "1M"], "'..'"),
      (["create", "S", "a\nb", "--size", "1M"], "a\\u{a}b"), (["create", "S", "", "--size", "1M"], "empty"),
      (["create", "S", String(repeating: "n", count: 256), "--size", "1M"], "256 bytes"),
      (["create", "S", "a", "--size", "1000"], "1000"), (["create", "S", "a", "--size", "10Q"], "10Q"),
      (["create", "S", "a", "--size", "0"], "'0'"), (["create", "S", "a", "--size", "9E"], "9E"),
      (["create", "S", "a", "--size", "99999999999999999999"], "2^63"), (["create", "S", "a"], "--size"),
      (["create", "S", "a", "--size=-1"], "'-1'"), (["create", "S", "a", "--size", "-5G"], "'-5G'"),
      (["create", "S", "a", "--size", "1M", "--block-size", "1024"], "1024"),
      (["create", "S", "a", "--size", "512", "--block-size", "4096"], "4096"),
      (["create", "S", "a", "b", "--size", "1M"], "'b'"),
      (["create", "S", "a", "--size", "1M", "--colour"], "--colour"),
      (["create", "S/missing/store", "a", "--size", "1M"], "parent"), (["create", "S"], "name"),
      (["list", "S"], "no such store"), (["info", "S", "a"], "no such store"),
      (["mount", "S", "/tmp"], "no such store"),
      (["mount", "S", "S"], "/store: cannot mount here"),
      (["mount", "S", "/tmp", "-o", "shiny,ro"], "'shiny'"), (["snapshot", "S", "a"], "snapshot"),
      (["fault", "list", "S"], "no such store"), (["list", "/dev/null"], "no store"),
      (["list", "/etc"], "no store"),
      (["create", "/dev/null", "a", "--size", "1M"], "no store"),
      (["create", "", "a", "--size", "1M"], "path"),
      (["bogus"], "bogus"),
    ] as [([String], String)])
  func wrongInput(_ words: [String], _ named: String) {
    let outcome = run([fuseLun] + words.map { $0 == "S" || $0.hasPrefix("S/") ? store + $0.dropFirst() : $0 })
    #expect(outcome.status == 2, "\(outcome)")
    #expect(outcome.errors.contains(named), "\(outcome)")
    #expect(outcome.output.isEmpty)
    #expect(run("ls", "-A", folder.path).output.isEmpty)
  }

  @Test("names everything that is wrong at once")
  func all() {
    let errors = run(fuseLun, "create", store, "a/b", "--size", "7", "--block-size", "9").errors
    for part in ["a/b", "'7'", "'9'"] { #expect(errors.contains(part)) }
    #expect(errors.split(separator: "\n").count == 3)
  }

  @Test("refuses a LUN that the file system cannot hold, and leaves no store behind")
  func tooLarge() {
    let outcome = run(fuseLun, "create", store, "a", "--size", "9223372036854775296")
    guard outcome.status != 0 else { return }  // XFS and Btrfs do hold it.
    #expect(outcome.status == 2 && outcome.errors.contains("9223372036854775296"), "\(outcome)")
    #expect(run("ls", "-A", folder.path).output.isEmpty)
  }

  @Test("lists what is sound in a damaged store, names what is not, and ends with status 2")
  func damaged() throws {
    for name in ["a", "b"] { run(fuseLun, "create", store, name, "--size", "1M") }
    patch("\(store)/luns/a/lun", at: 15, [0x41])
    for flags in [[], ["--json"]] {
      let outcome = run([fuseLun, "list", store] + flags)
      #expect(outcome.status == 2)
      #expect(outcome.output.contains("b"))
      #expect(outcome.errors.contains("luns/a/lun") && outcome.errors.contains("checksum"))
    }
    let mount = run(fuseLun, "mount", store, folder.folder("mnt"))
    #expect(mount.status == 2 && mount.errors.contains("luns/a/lun"), "\(mount)")
  }

  @Test(
    "helps with status 0",
    arguments: [["--help"], ["create", "--help"], ["mount", "--help"], ["help", "list"]])
  func help(_ words: [String]) {
    let outcome = run([fuseLun] + words)
    #expect(outcome.status == 0 && outcome.output.contains("USAGE") && outcome.errors.isEmpty)
  }

  @Test("says its version")
  func versionText() {
    #expect(run(fuseLun, "--version").description == "status 0\n\(version)\n\n")
  }

  @Test("explains each kind of fault in a paragraph of its own")
  func paragraphs() {
    let help = run(fuseLun, "fault", "add", "--help").output
    #expect(
      help.contains("\n    error        the request fails")
        || help.contains("\n  error        the request fails"), "\(help)")
    #expect(help.split(separator: "\n").allSatisfy { $0.count <= 100 }, "\(help)")
  }

  @Test("writes what it has done as JSON when asked to, and nothing otherwise")
  func json() throws {
    for words in [
      ["create", "S", "a", "--size", "1M"], ["snapshot", "S", "a@1"], ["clone", "S", "a@1", "b"],
      ["rollback", "S", "a@1"], ["set", "S", "a", "--vendor", "ACME"], ["resize", "S", "a", "2M"],
      ["rename", "S", "b", "c"], ["export", "S", "a@1", folder("image")], ["delete", "S", "c"],
      ["delete", "S", "a", "--snapshots"],
    ] {
      let words = words.map { $0 == "S" ? store : $0 }
      let saved = folder("saved")
      run("rm", "-rf", saved)
      run("cp", "-a", store, saved)
      let silent = run([fuseLun] + words)
      #expect(silent.description == "status 0\n\n", "\(words): \(silent)")
      // The same from the same state.
      run("rm", "-rf", store, folder("image"))
      if words[0] != "create" { run("cp", "-a", saved, store) }
      let told = run([fuseLun] + words + ["--json"])
      let document = try JSONSerialization.jsonObject(with: Data(told.output.utf8)) as? [String: Any]
      #expect(told.status == 0 && document?.isEmpty == false, "\(words): \(told)")
      if words[0] == "delete", words.count > 3 { #expect(document?["deleted"] as? [String] == ["a", "a@1"]) }
    }
  }

  @Test("tells how much there is in a store")
  func summary() throws {
    for name in ["a", "b"] { run(fuseLun, "create", store, name, "--size", "1M") }
    run(fuseLun, "snapshot", store, "a@1")
    let text = run(fuseLun, "info", store).output
    for part in ["LUNs       2\n", "snapshots  1\n", "2 MiB in all LUNs", "mounted    no\n"] {
      #expect(text.contains(part), "\(text)")
    }
    let document =
      try JSONSerialization.jsonObject(
        with: Data(run(fuseLun, "info", store, "--json").output.utf8)) as? [String: Any]
    #expect(document?["luns"] as? Int == 2 && document?["snapshots"] as? Int == 1)
    #expect(document?["mounted"] is NSNull)
  }

  @Test("keeps its tables narrow, and its columns straight under wide and combining characters")
  func table() throws {
    let long = String(repeating: "n", count: 255)
    for name in [long, "磁碟", "e\u{301}é", "a"] { run(fuseLun, "create", store, name, "--size", "1M") }
    let rows = run(fuseLun, "list", store).output.split(separator: "\n")
    #expect(rows.contains { $0.hasPrefix(String(repeating: "n", count: 39) + "…  1 MiB") }, "\(rows)")
    #expect(rows.contains { $0.hasPrefix("磁碟" + String(repeating: " ", count: 38) + "1 MiB") }, "\(rows)")
    #expect(
      rows.contains { $0.hasPrefix("e\u{301}é" + String(repeating: " ", count: 40) + "1 MiB") }, "\(rows)")
    #expect(run(fuseLun, "list", store, "--json").output.contains(long))
  }

  @Test("does not report success when its output is lost")
  func fullOutput() {
    run(fuseLun, "create", store, "a", "--size", "1M")
    let outcome = run("sh", "-c", "\(fuseLun) list \(store) > /dev/full")
    #expect(outcome.status == 1 && outcome.errors.contains("No space"), "\(outcome)")
  }
}
