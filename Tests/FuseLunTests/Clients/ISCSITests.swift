import TestSupport
import Testing

@Suite(
  "An iSCSI target on a mounted LUN", .enabled(if: whyNoTarget == nil, Comment(rawValue: whyNoTarget ?? "")),
  .timeLimit(.minutes(60)))
struct ISCSITests {
  @Test("is found, inquired and measured by initiators")
  func initiators() throws {
    let mount = try Mount(("disk", "64M"))
    try mount.mount()
    let target = try Target()
    try target.serve(mount("disk"), as: "iqn.2004-10.org.example:one")
    let list = run("iscsi-ls", "--show-luns", target.portal)
    #expect(list.output.contains("iqn.2004-10.org.example:one") && list.output.contains("DIRECT_ACCESS"))
    let lun = "\(target.portal)/iqn.2004-10.org.example:one/1"
    #expect(run("iscsi-inq", lun).output.contains("DIRECT_ACCESS"))
    let capacity = run("iscsi-readcapacity16", lun).output
    #expect(capacity.contains("RETURNED LOGICAL BLOCK ADDRESS:131071"), "\(capacity)")
    #expect(capacity.contains("LOGICAL BLOCK LENGTH IN BYTES:512"))
    #expect(capacity.contains("LBPME:1"))
  }

  @Test("passes every conformance test of libiscsi that it passes on a plain file")
  func conformance() async throws {
    let mount = try Mount(("disk", "8M"))
    try mount.mount()
    let plain = mount.folder("plain")
    makeSparse(plain, 8 << 20)
    async let reference = conformance(of: plain)
    async let ours = conformance(of: mount("disk"))
    let (expected, found) = try await (reference, ours)
    // On a plain file most of them pass; were it otherwise, the comparison would say nothing.
    #expect(expected.passed > 170, "\(expected)")
    #expect(found.failed.subtracting(expected.failed) == [])
    #expect(found.passed == expected.passed && found.run == expected.run)
  }

  private struct Conformance {
    /// `Suite X, Test Y`.
    var failed: Set<String> = []
    var run = 0
    var passed = 0
  }

  /// One session for each family, since a family may leave a reservation or a unit attention behind.
  private func conformance(of file: String) async throws -> Conformance {
    let listed = run("iscsi-test-cu", "--list").output
    let families = Set(
      listed.split(separator: "\n").compactMap { line -> Substring? in
        let parts = line.split(separator: ".")
        return parts.count > 1 && parts[0] == "ALL" ? parts[1] : nil
      })
    try #require(families.count > 40, "\(listed)")
    let target = try Target()
    try target.serve(file, as: "iqn.2004-10.org.example:suite")
    var result = Conformance()
    for family in families.sorted() {
      let outcome = run(
        "timeout", "1200", "iscsi-test-cu", "--dataloss", "--normal", "--test", "ALL.\(family)",
        "\(target.portal)/iqn.2004-10.org.example:suite/1")
      for line in outcome.output.split(separator: "\n") {
        let words = line.split(separator: " ")
        if words.first == "tests", words.count >= 4, let ran = Int(words[2]), let passed = Int(words[3]) {
          result.run += ran
          result.passed += passed
        } else if line.hasPrefix("Suite "), line.contains(" had failures") {
          result.failed.insert(String(line))
        }
      }
      #expect(outcome.output.contains("Run Summary"), "\(family): \(outcome)")
    }
    return result
  }
}
