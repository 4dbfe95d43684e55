import Foundation
import Glibc
import LUNStore
import TestSupport
import Testing

@Suite("Images become LUNs", .timeLimit(.minutes(60)))
struct ImageTests {
  private let folder = TemporaryFolder()
  private var store: String { folder("store") }

  /// 5 MiB and 700 bytes: data in the second MiB, and in the last bytes.
  private func image() -> String {
    let path = folder("image")
    makeSparse(path, 5 << 20 | 700)
    patch(path, at: 1 << 20, pattern(1, 1 << 20))
    patch(path, at: 5 << 20 | 100, pattern(2, 600))
    return path
  }

  private func create(_ words: String...) -> Outcome { run([fuseLun, "create", store] + words) }

  private func info(_ name: String) throws -> [String: Any] {
    let outcome = run(fuseLun, "info", store, name, "--json")
    try #require(outcome.status == 0, "\(outcome)")
    return try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
  }

  private func bytes(inLUN name: String) throws -> [UInt8] {
    let lun = try Store.open(store).openLUN(LUNName(name), .readOnly)
    var bytes = [UInt8](repeating: 0xEE, count: Int(lun.size))
    let read = bytes.withUnsafeMutableBytes { raw in
      Result { () throws(IOError) in try lun.read(into: raw, at: 0) }
    }
    #expect(try read.get() == bytes.count)
    return bytes
  }

  private func expect(_ name: String, toBe image: String, size: Int) throws {
    let expected = try #require(contents(of: image))
    let found = try bytes(inLUN: name)
    #expect(found.count == size)
    #expect(found.starts(with: expected), "\(name)")
    #expect(found.dropFirst(expected.count).allSatisfy { $0 == 0 }, "\(name)")
  }

  /// That nothing of a LUN that was not made is in the store.
  private func expectNothingLeft() {
    #expect(run("find", store, "-mindepth", "2").output.isEmpty)
  }

  @Test(
    "from a file, as large as it, or larger, with its holes",
    arguments: [
      ([], 5 << 20 | 1024), (["--block-size", "4096"], 5 << 20 | 4096), (["--size", "8M"], 8 << 20),
    ] as [([String], Int)])
  func file(_ options: [String], _ size: Int) throws {
    let image = image()
    let outcome = run([fuseLun, "create", store, "a", "--from", image] + options)
    try #require(outcome.status == 0, "\(outcome)")
    try expect("a", toBe: image, size: size)
    #expect(try #require(try info("a")["allocated"] as? Int) < 2 << 20)
  }

  @Test("from a file full of zeros without taking up space")
  func zeros() throws {
    write([UInt8](repeating: 0, count: 3 << 20 | 17) + [1], to: folder("image"))
    #expect(create("a", "--from", folder("image")).status == 0)
    try expect("a", toBe: folder("image"), size: 3 << 20 | 512)
    #expect(try #require(try info("a")["allocated"] as? Int) <= 128 << 10)
  }

  @Test(
    "from NBD servers: nbdkit's plugins, and QEMU's formats through qemu-nbd",
    .enabled(
      if: hasTools("nbdkit", "nbdinfo", "qemu-nbd", "qemu-img"), "needs nbdkit, libnbd-bin, qemu-utils"),
    arguments: ["file", "qcow2", "vmdk"])
  func servers(_ kind: String) throws {
    let image = image()
    truncate(image, 6 << 20)
    let served = folder("served")
    if kind != "file" { #expect(run("qemu-img", "convert", "-O", kind, image, served).status == 0) }
    let server = try #require(
      kind == "file" ? NBDServer(nbdkit: "file", image) : NBDServer(qemu: served, format: kind))
    let outcome = create("a", "--from", server.uri)
    try #require(outcome.status == 0, "\(outcome)")
    try expect("a", toBe: image, size: 6 << 20)
    #expect(try #require(try info("a")["allocated"] as? Int) < 2 << 20)
  }

  @Test("from a LUN or a snapshot at once, with its own identity, larger if wanted")
  func clones() throws {
    let image = image()
    #expect(create("a", "--from", image, "--block-size", "4096", "--vendor", "ACME").status == 0)
    #expect(run(fuseLun, "snapshot", store, "a@s").status == 0)
    #expect(create("b", "--from", "a").status == 0)
    #expect(create("c", "--from", "a@s", "--size", "1G", "--serial", "C-1", "--read-only").status == 0)
    try expect("b", toBe: image, size: 5 << 20 | 4096)
    let (a, b, c) = try (info("a"), info("b"), info("c"))
    #expect(c["size"] as? Int == 1 << 30 && c["blockSize"] as? Int == 4096)
    #expect(c["serial"] as? String == "C-1" && c["vendor"] as? String == "ACME")
    #expect(c["readOnly"] as? Bool == true && b["readOnly"] as? Bool == false)
    #expect(b["serial"] as? String != a["serial"] as? String && b["naa"] as? String != a["naa"] as? String)
    for (words, named) in [
      (["d", "--from", "a", "--size", "1M"], "1048576"), (["d", "--from", "a@none"], "a@none"),
      (["d", "--from", "a", "--block-size", "512"], "512"), (["d", "--from", "a", "--lazy"], "--lazy"),
      (["b", "--from", "a"], "'b'"), (["d", "--from", "a", "--size", "8193K"], "8389632"),
    ] {
      let outcome = run([fuseLun, "create", store] + words)
      #expect(outcome.status == 2 && outcome.errors.contains(named), "\(outcome)")
    }
    #expect(run(fuseLun, "list", store).output.split(separator: "\n").count == 5)
    #expect(run(fuseLun, "check", store).status == 0)
  }

  @Test(
    "not from what is no image, or does not fit, with status 2 and nothing left",
    arguments: [
      (["--from", "/nowhere/image"], "/nowhere/image"), (["--from", "/dev/null"], "/dev/null"),
      (["--from", "nbd+unix:///?socket=/nowhere"], "/nowhere"),
      (["--from", "IMAGE", "--size", "5M"], "5242880"),
      (["--from", "QCOW2"], "qcow2"), (["--lazy"], "--from"),
      (["--from", "IMAGE", "--vendor", "ninechars"], "ninechars"),
      (["--size", "1M", "--naa", "77"], "77"), (["--from", "IMAGE", "--size", "6000000"], "6000000"),
      ([], "--size"),
    ] as [([String], String)])
  func refusals(_ options: [String], _ named: String) throws {
    let image = image()
    write(Array("QFI".utf8) + [0xFB] + [UInt8](repeating: 0, count: 2000), to: folder("image2"))
    let words = options.map { $0 == "IMAGE" ? image : $0 == "QCOW2" ? folder("image2") : $0 }
    let outcome = run([fuseLun, "create", store, "a"] + words)
    #expect(outcome.status == 2 && outcome.errors.contains(named), "\(outcome)")
    #expect(access(store, F_OK) == -1)
  }

  @Test("from a file that looks like another format when told to")
  func raw() throws {
    write(Array("QFI".utf8) + [0xFB] + [UInt8](repeating: 7, count: 1020), to: folder("image"))
    #expect(create("a", "--from", folder("image"), "--raw").status == 0)
    try expect("a", toBe: folder("image"), size: 1024)
  }

  @Test(
    "or not at all when the server fails half way",
    .enabled(if: hasTools("nbdkit", "nbdinfo"), "needs nbdkit and libnbd-bin"))
  func failure() throws {
    #expect(create("first", "--size", "1M").status == 0)
    #expect(run(fuseLun, "delete", store, "first").status == 0)
    let script = """
      #!/bin/bash
      case "$1" in
        get_size) echo 64M ;;
        pread) if [ "$4" -ge 33554432 ]; then echo "EIO the tape is off" >&2; exit 1; fi
               head -c "$3" /dev/zero | tr '\\0' x ;;
        *) exit 2 ;;
      esac
      """
    write(Array(script.utf8), to: folder("plugin"))
    chmod(folder("plugin"), 0o755)
    let server = try #require(NBDServer(nbdkit: "sh", folder("plugin")))
    let outcome = create("a", "--from", server.uri)
    #expect(outcome.status == 1 && outcome.errors.contains(server.uri), "\(outcome)")
    expectNothingLeft()
  }

  @Test(
    "or not at all when it is interrupted",
    .enabled(if: hasTools("nbdkit", "nbdinfo"), "needs nbdkit and libnbd-bin"), arguments: [SIGINT, SIGTERM])
  func interrupted(_ signal: Int32) throws {
    let server = try #require(NBDServer(nbdkit: "--filter=delay", "pattern", "1G", "delay-read=50ms"))
    let running = try #require(start([fuseLun, "create", store, "a", "--from", server.uri]))
    #expect(eventually { run("find", store, "-name", "data.0", "-size", "+1M").output != "" })
    kill(running.process, signal)
    let outcome = running.wait()
    #expect(outcome.status == 128 + signal, "\(outcome)")
    #expect(access(store, F_OK) == -1)
  }

  @Test("or not at all when the host is full", .enabled(if: isRoot, "mounting a tmpfs needs root"))
  func hostFull() throws {
    mkdir(store, 0o700)
    try #require(run("mount", "-t", "tmpfs", "-o", "size=4M,mode=700", "none", store).status == 0)
    defer { run("umount", "-l", store) }
    write(pattern(3, 8 << 20), to: folder("image"))
    #expect(create("first", "--size", "1M").status == 0)
    let outcome = create("a", "--from", folder("image"))
    #expect(outcome.status == 1 && outcome.errors.contains("No space"), "\(outcome)")
    #expect(run(fuseLun, "list", store).output.split(separator: "\n").count == 2)
    #expect(run("find", store, "-name", ".new-*").output.isEmpty)
    #expect(run(fuseLun, "check", store).status == 0)
  }
}
