import Foundation
import TestSupport
import Testing

@Suite(
  "Target configurations", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")),
  .timeLimit(.minutes(60)))
struct TargetTests {
  private func disks() throws -> Mount {
    let mount = try Mount()
    try mount.create("root", "64M", "--vendor", "ACME", "--product", "ROOT DISK", "--serial", "SN-0001")
    try mount.create("big blocks", "1G", "--block-size", "4096")
    #expect(run(fuseLun, "snapshot", mount.store, "root@installed").status == 0)
    try mount.mount()
    return mount
  }

  @Test(
    "for tgt are taken by tgtd as they are, and initiators see the LUNs' identity, sizes and blocks",
    .enabled(if: whyNoTarget == nil, Comment(rawValue: whyNoTarget ?? "")))
  func tgt() throws {
    let mount = try disks()
    let iqn = "iqn.2004-10.org.example:disks"
    let outcome = run(
      fuseLun, "target", mount.store, "root", "big blocks", "root@installed", "--iqn", iqn)
    try #require(outcome.status == 0, "\(outcome)")
    write(Array(outcome.output.utf8), to: mount.folder("targets.conf"))
    let target = try Target()
    let loaded = target.load(mount.folder("targets.conf"))
    #expect(loaded.status == 0 && loaded.errors.isEmpty, "\(loaded)")
    let url = "\(target.portal)/\(iqn)"
    let listed = run("iscsi-ls", "--show-luns", target.portal).output
    #expect(listed.contains(iqn) && listed.components(separatedBy: "DIRECT_ACCESS").count == 4, "\(listed)")

    let inquiry = run("iscsi-inq", "\(url)/1").output
    #expect(inquiry.contains("Vendor:ACME ") && inquiry.contains("Product:ROOT DISK "), "\(inquiry)")
    func serial(_ lun: Int) -> String {
      run("iscsi-inq", "-e1", "-c128", "\(url)/\(lun)").output.filter { $0 != " " }
    }
    #expect(serial(1).contains("[SN-0001]"))
    let other = run(fuseLun, "info", mount.store, "big blocks", "--json").output
    let described = try JSONSerialization.jsonObject(with: Data(other.utf8)) as? [String: Any]
    #expect(serial(2).contains("[\(try #require(described?["serial"] as? String))]"))
    #expect(!serial(3).contains("SN-0001"))

    let first = run("iscsi-readcapacity16", "\(url)/1").output
    #expect(first.contains("ADDRESS:131071\n") && first.contains("LENGTH IN BYTES:512\n"), "\(first)")
    #expect(first.contains("LBPME:1"))
    let second = run("iscsi-readcapacity16", "\(url)/2").output
    #expect(second.contains("ADDRESS:262143\n") && second.contains("LENGTH IN BYTES:4096\n"), "\(second)")
    let snapshot = target.targets.components(separatedBy: "LUN: 3").last ?? ""
    #expect(snapshot.contains("Readonly: Yes"), "\(target.targets)")
  }

  @Test("for LIO name the files, serial numbers and block sizes")
  func lio() throws {
    let mount = try disks()
    let outcome = run(fuseLun, "target", mount.store, "root", "big blocks", "--format", "lio")
    try #require(outcome.status == 0, "\(outcome)")
    let document = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    let objects = try #require(document["storage_objects"] as? [[String: Any]])
    #expect(objects.map { $0["dev"] as? String } == [mount("root"), mount("big blocks")])
    #expect(objects[0]["wwn"] as? String == "SN-0001" && objects[0]["size"] as? Int == 64 << 20)
    #expect((objects[1]["attributes"] as? [String: Any])?["block_size"] as? Int == 4096)
    #expect(objects.allSatisfy { $0["write_back"] as? Bool == true && $0["plugin"] as? String == "fileio" })
    let groups = (document["targets"] as? [[String: Any]])?.first?["tpgs"] as? [[String: Any]]
    let luns = try #require(groups?.first?["luns"] as? [[String: Any]])
    #expect(luns.map { $0["index"] as? Int } == [0, 1])
    #expect(
      luns.map { $0["storage_object"] as? String } == objects.map { "/backstores/fileio/\($0["name"] ?? "")" }
    )
    let refused = run(fuseLun, "target", mount.store, "root@installed", "--format", "lio")
    #expect(refused.status == 2 && refused.errors.contains("root@installed"), "\(refused)")
  }

  @Test(
    "are refused, with everything that is wrong, for what cannot be served",
    arguments: [
      (["nope"], ["nope"]), (["root", "root"], ["twice"]), (["root@nope", "a/b"], ["root@nope", "a/b"]),
      (["root", "--iqn", "disks"], ["'disks'"]),
      (["root", "--iqn", "iqn.2004-13.org.example:x"], ["2004-13"]),
      (["root", "--iqn", "iqn.2004-10.Org"], ["iqn.2004-10.Org"]),
      (["root", "--iqn", "iqn.2004-10."], ["iqn.2004-10."]),
      (["root", "--format", "scst"], ["scst"]), (["$(reboot)"], ["$(reboot)"]), ([], ["name"]),
    ] as [([String], [String])])
  func refusals(_ words: [String], _ named: [String]) throws {
    let mount = try disks()
    try mount.create("$(reboot)", "1M")
    let outcome = run([fuseLun, "target", mount.store] + words)
    #expect(outcome.status == 2 && outcome.output.isEmpty, "\(outcome)")
    for part in named { #expect(outcome.errors.contains(part), "\(outcome)") }
  }

  @Test("are refused for a store that is not mounted")
  func unmounted() throws {
    let mount = try disks()
    try mount.unmount()
    let outcome = run(fuseLun, "target", mount.store, "root")
    #expect(outcome.status == 2 && outcome.errors.contains("not mounted"), "\(outcome)")
  }
}
