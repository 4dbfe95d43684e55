import Glibc
import TestSupport
import Testing

@testable import fuse_lun

@Suite(
  "mount(8)", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")), .timeLimit(.minutes(60)))
struct MountHelperTests {
  /// The program by the name of mount(8)'s helper.
  private static func helper(in mount: Mount) -> String {
    let link = mount.folder("mount.fuse-lun")
    symlink(fuseLun, link)
    return link
  }

  @Test(
    "has its helper take what it passes on: what fstab says, and what systemd reads there",
    arguments: [
      ["-o", "rw"], ["-n", "-v", "-o", "rw,noatime,noexec,nosuid,nodev,nofail,_netdev,user"],
      [
        "-o",
        "defaults,auto,nouser,relatime,x-systemd.before=tgt.service,x-gvfs-hide,X-mount.mkdir,comment=why",
      ],
      ["-o", "rw", "-t", "fuse-lun"], ["-t", "fuse.fuse-lun"], ["-s", "-o", "rw,shiny"], [],
      ["-o", "default_permissions,subtype=fuse-lun,max_read=8192,async,dirsync"],
    ])
  func passedOn(_ words: [String]) throws {
    let mount = try Mount(("a", "1M"))
    let outcome = run([Self.helper(in: mount), mount.store, mount.point] + words)
    #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome)")
    #expect(outcome.output.isEmpty != words.contains("-v"))
    #expect(mount.isMounted)
    #expect(try File(mount("a")).write(0, pattern(1, 65536)) == 65536)
    #expect(try File(mount("a")).read(0, 65536) == pattern(1, 65536))
    try mount.unmount()
  }

  @Test(
    "is told by its helper's status whether the command line is wrong or the mount failed",
    arguments: [
      (["S", "M", "-o", "rw,shiny"], 1, "'shiny'"), (["S", "M", "-t", "ext4"], 1, "'ext4'"),
      (["S"], 1, "mountpoint"),
      (["S", "M", "-o", "uid=no-such-user"], 1, "names no user"),
      (["S", "M", "-o", "gid=no-such-group"], 1, "group"),
      (["S", "M", "-o", "umask=9"], 1, "octal"), (["S", "M", "-o", "umask=1777"], 1, "octal"),
      (["S", "M", "-o", "max_read=x"], 1, "bytes"),
      (["S", "M", "-o", "subtype=other"], 1, "subtype=fuse-lun"),
      (["S", "M", "-o", "fsname="], 1, "no value"),
      (["S", "M", "-o", "allow_root,allow_other"], 1, "exclude"),
      (["S", "M", "-o", "umask=022"], 1, "allow_other"), (["S", "M", "-o", "uid=65534"], 1, "allow_other"),
      (["S", "M", "-o", "remount,ro"], 1, "no store is mounted here"),
      (["/nowhere", "M"], 32, "no such store"),
      (["S", "/nowhere"], 32, "No such file"), (["/nowhere", "M", "-f"], 32, "no such store"),
      (["S", "M", "-N", "/dev/null"], 32, "namespace"),
    ] as [([String], Int32, String)])
  func statuses(_ words: [String], _ status: Int32, _ named: String) throws {
    let mount = try Mount(("a", "1M"))
    let places = ["S": mount.store, "M": mount.point]
    let outcome = run([Self.helper(in: mount)] + words.map { places[$0] ?? $0 })
    #expect(outcome.status == status && outcome.errors.contains(named), "\(outcome)")
    #expect(!mount.isMounted)
  }

  @Test("has its helper only look with -f")
  func fake() throws {
    let mount = try Mount(("a", "1M"))
    #expect(
      run(Self.helper(in: mount), mount.store, mount.point, "-f", "-v").description.contains("status 0"))
    #expect(!mount.isMounted)
  }

  @Test("is refused nothing that it repeats from /proc/mounts, and gets the last of what contradicts")
  func repeated() throws {
    let options = try MountOptions(["ro,rw,nosuid,ro", "user_id=0,group_id=0,remount"], remounts: true)
    #expect(options.list == ["rw", "nosuid", "ro"] && options.isRemount)
    #expect(throws: (any Error).self) { try MountOptions(["remount"]) }
    #expect(throws: (any Error).self) { try MountOptions(["user_id=0"]) }
  }

  @Test("hands the labels of SELinux on as they are, commas and all")
  func labels() throws {
    let label = #"context="system_u:object_r:tmp_t:s0:c1,c2""#
    let options = try MountOptions(["ro,\(label),nosuid"])
    #expect(options.list == ["ro", label, "nosuid"])
    #expect(
      options.argument(store: "/a,b\\c")
        == #"default_permissions,subtype=fuse-lun,fsname=/a\,b\\c,ro,context="system_u:object_r:tmp_t:s0:c1\,c2",nosuid"#
    )
  }
}

@Suite(
  "Mount options", .enabled(if: whyNoUser == nil, Comment(rawValue: whyNoUser ?? "")),
  .timeLimit(.minutes(60)))
struct MountOptionTests {
  @Test(
    "give the files to whom they name, with the rights that they leave",
    arguments: [
      ("allow_other", "755 0 0\n", "600 0 0\n", "400 0 0\n"),
      ("allow_other,umask=007,gid=65534", "770 0 65534\n", "660 0 65534\n", "440 0 65534\n"),
      ("allow_other,umask=022", "755 0 0\n", "644 0 0\n", "444 0 0\n"),
      (
        "allow_other,uid=nobody,gid=nogroup,umask=077", "700 65534 65534\n", "600 65534 65534\n",
        "400 65534 65534\n"
      ),
      ("umask=077", "700 0 0\n", "600 0 0\n", "400 0 0\n"),
    ])
  func rights(_ options: String, _ folder: String, _ file: String, _ snapshot: String) throws {
    let mount = try Mount(("a", "1M"))
    #expect(mount.command("snapshot", "a@s").status == 0)
    try mount.mount("-o", options)
    let shown = { run("stat", "-c", "%a %u %g", $0).output }
    #expect(shown(mount.point) == folder && shown(mount("a")) == file && shown(mount("a@s")) == snapshot)
    // What one created meanwhile is no other.
    try mount.create("b", "1M")
    #expect(shown(mount("b")) == file)
    // Who may according to these rights, can; nobody else.
    let mode = Int(file.prefix(3), radix: 8)!
    let (isOwner, isMember) = (file.contains(" 65534 "), file.hasSuffix(" 65534\n"))
    let mine = isOwner ? mode >> 6 : isMember ? mode >> 3 : mode
    let (reads, writes) = (mine & 4 != 0 && options.contains("allow_other"), mine & 2 != 0)
    #expect((run(asNobody("head", "-c", "1", mount("a"))).status == 0) == reads)
    let wrote = run(asNobody("dd", "if=/dev/zero", "of=\(mount("a"))", "bs=512", "count=1", "conv=notrunc"))
    #expect((wrote.status == 0) == writes, "\(wrote)")
  }

  @Test("that a LUN is made read-only and writable again by do not change who else may write it")
  func readOnlyAndBack() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount("-o", "allow_other,umask=022")
    #expect(mount.command("set", "a", "--read-only").status == 0)
    #expect(run("stat", "-c", "%a", mount("a")).output == "444\n")
    #expect(mount.command("set", "a", "--read-write").status == 0)
    #expect(run("stat", "-c", "%a", mount("a")).output == "644\n")
  }

  @Test("name what /proc/mounts shows, and commands still find the mount")
  func named() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount("-o", "fsname=my disks,max_read=16384,noexec")
    let line = run("findmnt", "-n", "-r", "-o", "SOURCE,FSTYPE,OPTIONS", mount.point).output
    #expect(line.hasPrefix("my\\x20disks fuse.fuse-lun rw,nosuid,nodev,noexec"), "\(line)")
    #expect(line.contains("max_read=16384"))
    #expect(mount.command("target", "a").output.contains("<backing-store \(mount("a"))>"))
    #expect(run(fuseLun, "mount", mount.store, mount.folder.folder("other")).status == 2)
    #expect(mount.command("snapshot", "a@s").status == 0 && access(mount("a@s"), F_OK) == 0)
  }

  @Test("keep everybody from writing: ro")
  func readOnly() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount("-o", "rw,ro")
    #expect(open(mount("a"), O_RDWR) == -1 && errno == EROFS)
    #expect(try File(mount("a"), O_RDONLY).read(0, 512).count == 512)
  }

  @Test("take the mount away when its daemon is killed: auto_unmount", .enabled(if: hasTools("fusermount3")))
  func autoUnmount() throws {
    let mount = try Mount(("a", "1M"))
    try mount.mount("-o", "auto_unmount")
    kill(try #require(try mount.server()), SIGKILL)
    #expect(eventually { !mount.isMounted })
    try mount.mount()
  }
}

/// What is changed is changed in a mount namespace of the test's own: there /sbin has the helper, and /etc/fstab is another.
@Suite(
  "A machine whose /sbin has the helper",
  .enabled(
    if: whyNoUser == nil && hasTools("unshare", "mount"), "needs root, unshare, and mounting as nobody"),
  .timeLimit(.minutes(60)))
struct InstalledHelperTests {
  private let mount: Mount

  init() throws { mount = try Mount(("a", "1M")) }

  /// Runs a shell script; in it D is the test's folder, S the store and M the mount point.
  private func script(fstab: String = "", _ lines: String) -> Outcome {
    write(
      fstab.replacing("S ", with: "\(mount.store) ").replacing("M ", with: "\(mount.point) ").utf8,
      to: mount.folder("fstab"))
    let start = """
      set -e
      D=\(mount.folder.path) S=\(mount.store) M=\(mount.point) sbin=$(readlink -f /sbin)
      mkdir $D/real $D/sbin
      mount --bind $sbin $D/real
      ln -s $D/real/* $D/sbin/
      ln -sf \(fuseLun) $D/sbin/mount.fuse-lun
      ln -sf \(fuseLun) $D/sbin/mount.fuse.fuse-lun
      mount --bind $D/sbin $sbin
      mount --bind $D/fstab /etc/fstab
      # The daemon would hold the namespace.
      trap 'umount -l $M 2>/dev/null || true' EXIT
      """
    return run("unshare", "--mount", "--propagation", "private", "sh", "-c", start + "\n" + lines)
  }

  @Test("mounts a store by mount -t fuse-lun, and unmounts it by umount")
  func mounts() {
    let outcome = script(
      """
      mount -t fuse-lun $S $M -o allow_other,umask=007,gid=65534
      stat -c '%a %g' $M/a
      findmnt -n -o FSTYPE,SOURCE $M
      umount $M
      test ! -e $M/a
      """)
    #expect(outcome.description == "status 0\n660 65534\nfuse.fuse-lun \(mount.store)\n\n", "\(outcome)")
  }

  @Test("mounts what a line of fstab says, by mount -a too, and once only")
  func fstab() {
    let outcome = script(
      fstab: "S M fuse-lun defaults,nofail,_netdev,allow_other,noatime,x-systemd.before=tgt.service 0 0\n",
      """
      mount -a
      mount -a
      grep -c " $M fuse.fuse-lun " /proc/mounts
      findmnt -n -o OPTIONS $M
      umount $M
      """)
    #expect(outcome.status == 0 && outcome.output.hasPrefix("1\nrw,nosuid,nodev,noatime,"), "\(outcome)")
    #expect(outcome.output.contains("allow_other"))
  }

  @Test(
    "remounts read-only and back while files are open, with the other options as they were",
    arguments: ["", "S M fuse-lun allow_other,noexec 0 0\n"])
  func remounts(fstab: String) {
    let outcome = script(
      fstab: fstab,
      """
      mount -t fuse-lun $S $M -o allow_other,noexec,fsname=disks
      exec 3<$M/a
      mount -o remount,ro $M
      findmnt -n -o OPTIONS $M
      ! dd if=/dev/zero of=$M/a conv=notrunc count=1 2>/dev/null
      mount -o remount,rw $M
      findmnt -n -o OPTIONS $M
      dd if=/dev/zero of=$M/a conv=notrunc count=1 2>/dev/null
      exec 3<&-
      """)
    let lines = outcome.output.split(separator: "\n")
    #expect(outcome.status == 0 && lines.count == 2, "\(outcome)")
    for (line, access) in zip(lines, ["ro", "rw"]) {
      #expect(line.hasPrefix("\(access),nosuid,nodev,noexec,") && line.contains("allow_other"), "\(outcome)")
    }
  }

  @Test(
    "lets an ordinary user mount what fstab says is for users, with that user's rights and no more",
    .enabled(if: whyNoUser == nil, Comment(rawValue: whyNoUser ?? "")))
  func users() {
    let outcome = script(
      fstab: "S M fuse-lun noauto,user,nofail 0 0\n",
      """
      chown -R 65534:65534 $S $M
      setpriv --reuid=65534 --regid=65534 --clear-groups mount $M
      setpriv --reuid=65534 --regid=65534 --clear-groups stat -c '%u %a' $M/a
      findmnt -n -o OPTIONS $M
      """)
    #expect(
      outcome.status == 0 && outcome.output.hasPrefix("65534 600\nrw,nosuid,nodev,noexec,"), "\(outcome)")
    #expect(outcome.output.contains("user_id=65534"))
  }

  @Test(
    "lets root see an ordinary user's mount, and no third one: allow_root",
    .enabled(if: whyNoUser == nil, Comment(rawValue: whyNoUser ?? "")))
  func rootOnly() {
    let outcome = script(
      """
      echo user_allow_other >$D/fuse.conf
      mount --bind $D/fuse.conf /etc/fuse.conf
      chown -R 65534:65534 $S $M
      setpriv --reuid=65534 --regid=65534 --clear-groups mount -t fuse-lun $S $M -o allow_root
      head -c 1 $M/a >/dev/null && echo root
      setpriv --reuid=65534 --regid=65534 --clear-groups head -c 1 $M/a >/dev/null && echo owner
      ! setpriv --reuid=65533 --regid=65534 --clear-groups stat $M/a 2>/dev/null
      """)
    #expect(outcome.status == 0 && outcome.output == "root\nowner\n", "\(outcome)")
  }

  @Test("mounts in the mount namespace that mount -N names")
  func namespaces() {
    let outcome = script(
      """
      unshare --mount sleep 100 &
      P=$!
      until [ "$(readlink /proc/$P/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ]; do sleep 0.01; done
      mount -N $P -t fuse-lun $S $M
      test ! -e $M/a
      nsenter --mount=/proc/$P/ns/mnt umount $M && echo it was there
      kill $P
      """)
    #expect(outcome.status == 0 && outcome.output == "it was there\n", "\(outcome)")
  }
}

/// systemd and whoever else speaks sd_notify(3).
@Suite(
  "A service manager", .enabled(if: whyNoMount == nil, Comment(rawValue: whyNoMount ?? "")),
  .timeLimit(.minutes(60)))
struct ServiceManagerTests {
  @Test(
    "hears that a mount in the foreground is ready when its files can be opened, and that it stops",
    arguments: [false, true])
  func notified(isAbstract: Bool) throws {
    let mount = try Mount(("a", "1M"))
    let path = isAbstract ? "\0fuse-lun-test-\(getpid())" : mount.folder("notify")
    let socket = try #require(DatagramSocket(path))
    let running = try #require(
      start([
        "env", "NOTIFY_SOCKET=\(path.replacing("\0", with: "@"))", fuseLun, "mount", "--foreground",
        mount.store,
        mount.point,
      ]))
    // Nothing else came before.
    let ready = socket.receive()
    #expect(ready == "READY=1\nSTATUS=Serving \(mount.store) at \(mount.point)")
    #expect(try File(mount("a")).read(0, 512).count == 512)
    kill(running.process, SIGTERM)
    #expect(socket.receive().hasPrefix("STOPPING=1\n"))
    #expect(running.wait().status == 0 && !mount.isMounted)
  }

  @Test("hears nothing of a mount that fails")
  func failure() throws {
    let mount = try Mount(("a", "1M"))
    patch("\(mount.store)/luns/a/lun", at: 15, [0x41])
    let socket = try #require(DatagramSocket(mount.folder("notify")))
    let outcome = run(
      "env", "NOTIFY_SOCKET=\(mount.folder("notify"))", fuseLun, "mount", "-f", mount.store, mount.point)
    #expect(outcome.status == 2 && !socket.hasSomething, "\(outcome)")
  }
}

/// A socket that datagrams are sent to.
private final class DatagramSocket {
  private let descriptor: Int32

  /// - Parameter path: begins with a zero byte in the abstract namespace.
  init?(_ path: String) {
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let length = path.utf8.count + MemoryLayout<sa_family_t>.size
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(length)) }
    }
    guard result == 0 else { return nil }
  }

  deinit { close(descriptor) }

  /// Waits for the next one.
  func receive() -> String {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
  }

  var hasSomething: Bool {
    var byte: UInt8 = 0
    return recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT)) >= 0
  }
}
