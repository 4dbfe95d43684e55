import Glibc
import LUNStore
import TestSupport
import Testing

@Suite(
  "Exports", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")), .timeLimit(.minutes(60)))
struct ExportTests {
  /// A store with a LUN `disk` of 16 MiB that has data in its second and its last MiB, and a snapshot `disk@old` from
  /// when the last one was not there yet.
  private func filledStore() throws -> (mount: Mount, now: [UInt8], old: [UInt8]) {
    let mount = try Mount()
    var old = [UInt8](repeating: 0, count: 16 << 20)
    old.replaceSubrange(1 << 20..<2 << 20, with: pattern(1, 1 << 20))
    write(old, to: mount.folder("image"))
    let create = run(fuseLun, "create", mount.store, "disk", "--from", mount.folder("image"))
    try #require(create.status == 0, "\(create)")
    #expect(run(fuseLun, "snapshot", mount.store, "disk@old").status == 0)
    try mount.mount()
    #expect(try File(mount("disk")).write(15 << 20, pattern(2, 1 << 20)) == 1 << 20)
    var now = old
    now.replaceSubrange(15 << 20..<16 << 20, with: pattern(2, 1 << 20))
    return (mount, now, old)
  }

  private func export(_ mount: Mount, _ words: String...) -> Outcome {
    run([fuseLun, "export", mount.store] + words)
  }

  private func expectNoTraces(_ mount: Mount, _ folder: String) {
    #expect(run("find", folder, "-name", ".fuse-lun-*").output.isEmpty)
    let list = run(fuseLun, "list", mount.store).output
    #expect(!list.contains("export-"), "\(list)")
  }

  @Test("are raw files with the LUN's bytes and holes, mounted or not", arguments: [true, false])
  func raw(_ isMounted: Bool) throws {
    let (mount, now, old) = try filledStore()
    if !isMounted { try mount.unmount() }
    let folder = mount.folder.folder("out")
    for (name, expected, data) in [("disk", now, 2), ("disk@old", old, 1)] {
      let file = "\(folder)/\(name).raw"
      let outcome = export(mount, name, file)
      #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome)")
      #expect(contents(of: file) == expected)
      #expect(try File(file, O_RDONLY).status.st_blocks * 512 <= data << 20 + 64 << 10)
    }
    expectNoTraces(mount, folder)
    #expect(run(fuseLun, "check", mount.store).status == 0)
  }

  @Test(
    "are images in QEMU's formats, mounted or not",
    .enabled(if: hasTools("qemu-img"), "needs qemu-utils"),
    arguments: ["qcow2", "vmdk"], [true, false])
  func formats(_ format: String, _ isMounted: Bool) throws {
    let (mount, now, old) = try filledStore()
    if !isMounted { try mount.unmount() }
    let folder = mount.folder.folder("out")
    for (name, expected) in [("disk", now), ("disk@old", old)] {
      let file = "\(folder)/\(name)"
      let outcome = export(mount, name, file, "--format", format)
      #expect(outcome.status == 0, "\(outcome)")
      let raw = mount.folder("raw")
      write(expected, to: raw)
      let compare = run("qemu-img", "compare", "-f", format, "-F", "raw", file, raw)
      #expect(compare.status == 0, "\(compare)")
    }
    expectNoTraces(mount, folder)
  }

  @Test("have what was written before they began, from a client that keeps writing")
  func live() throws {
    let (mount, now, _) = try filledStore()
    // Fills the LUN from the beginning to the end; what the image has of it is some part of that.
    let writer = try #require(
      start([
        "sh", "-c", "head -c 16M /dev/urandom | dd of=\(mount("disk")) bs=64K iflag=fullblock conv=notrunc",
      ]))
    let file = mount.folder("out")
    let outcome = export(mount, "disk", file)
    #expect(outcome.status == 0, "\(outcome)")
    _ = writer.wait()
    let image = try #require(contents(of: file))
    #expect(image.count == now.count)
    // Behind the first piece that is old everything is old.
    let pieces = stride(from: 0, to: now.count, by: 65536).map {
      image[$0..<$0 + 65536].elementsEqual(now[$0..<$0 + 65536])
    }
    if let firstOld = pieces.firstIndex(of: true) { #expect(pieces[firstOld...].allSatisfy { $0 }) }
  }

  @Test("do not replace a file unless told to, and never what is no file")
  func existing() throws {
    let (mount, now, _) = try filledStore()
    let file = mount.folder("out")
    write([1, 2, 3], to: file)
    let refused = export(mount, "disk", file)
    #expect(refused.status == 2 && refused.errors.contains("--force"), "\(refused)")
    #expect(contents(of: file) == [1, 2, 3])
    #expect(export(mount, "disk", file, "--force").status == 0)
    #expect(contents(of: file) == now)
    for place in [mount.folder.folder("folder"), "/dev/null"] {
      let outcome = export(mount, "disk", place, "--force")
      #expect(outcome.status == 2 && outcome.errors.contains(place), "\(outcome)")
    }
    for (words, named) in [
      (["nope", mount.folder("x")], "nope"), (["disk@nope", mount.folder("x")], "disk@nope"),
      (["disk", "/nowhere/x"], "/nowhere/x"), (["disk", mount.folder("x"), "--format", "floppy"], "floppy"),
      (["a/b", mount.folder("x")], "a/b"),
    ] {
      let outcome = run([fuseLun, "export", mount.store] + words)
      #expect(outcome.status == 2 && outcome.errors.contains(named), "\(outcome)")
    }
    #expect(access(mount.folder("x"), F_OK) == -1)
    expectNoTraces(mount, mount.folder.path)
  }

  @Test(
    "that are interrupted leave neither file nor snapshot",
    .enabled(if: hasTools("nbdkit", "nbdinfo"), "needs nbdkit and libnbd-bin"), arguments: [true, false])
  func interrupted(_ isMounted: Bool) throws {
    // An image that comes slowly, so that there is time.
    let server = try #require(NBDServer(nbdkit: "--filter=delay", "pattern", "256M", "delay-read=100ms"))
    let mount = try Mount()
    #expect(run(fuseLun, "create", mount.store, "disk", "--from", server.uri, "--lazy").status == 0)
    if isMounted { try mount.mount() }
    let folder = mount.folder.folder("out")
    let running = try #require(start([fuseLun, "export", mount.store, "disk", "\(folder)/image"]))
    #expect(eventually { run("find", folder, "-name", ".fuse-lun-*", "-size", "+1M").output != "" })
    kill(running.process, SIGINT)
    let outcome = running.wait()
    #expect(outcome.status == 128 + SIGINT, "\(outcome)")
    #expect(run("ls", "-A", folder).output.isEmpty)
    expectNoTraces(mount, folder)
  }
}
