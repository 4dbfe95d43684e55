import LinuxConfig
import Testing

@Suite struct FileTreeTests {
  @Test("A file brings the directories above it, and they are listed in byte order")
  func aFileBringsTheDirectoriesAboveIt() {
    let tree = MemoryFileTree(["/etc/fstab": "x", "/etc/Zed": "", "/etc/iscsi/iscsid.conf": "y", "/init": ""])
    #expect(tree.list("/") == ["etc", "init"])
    #expect(tree.list("/etc") == ["Zed", "fstab", "iscsi"])
    #expect(tree.text("/etc//iscsi/./iscsid.conf") == "y")
    #expect(tree.text("/etc/iscsi") == nil)
    #expect(tree.isDirectory("/etc/iscsi"))
  }

  @Test("Links are followed inside the tree, relative, absolute and through directories")
  func linksAreFollowedInsideTheTreeRelative() {
    var tree = MemoryFileTree(["/etc/init.d/network": "script", "/lib/modules/a": "m"])
    tree.link("/etc/rc6.d/K90network", to: "../init.d/network")
    tree.link("/etc/mtab", to: "/proc/mounts")
    tree.link("/usr/lib", to: "/lib")
    tree.link("/escape", to: "../../../../lib/modules/a")
    #expect(tree.text("/etc/rc6.d/K90network") == "script")
    #expect(tree.linkTarget("/etc/rc6.d/K90network") == "../init.d/network")
    #expect(tree.text("/usr/lib/modules/a") == "m")
    #expect(tree.text("/escape") == "m")
    #expect(!tree.exists("/etc/mtab"))
    #expect(tree.resolve("/etc/mtab") == .missing(path: "/proc/mounts"))
    #expect(tree.resolve("/etc/init.d/network/x") == .notDirectory(path: "/etc/init.d/network"))
  }

  @Test("A loop of links is found out and is not a file")
  func aLoopOfLinksIsFoundOut() {
    var tree = MemoryFileTree()
    tree.link("/a", to: "b")
    tree.link("/b", to: "/a")
    tree.link("/deep", to: "deep/deep")
    #expect(tree.resolve("/a") == .loop(path: "/a"))
    #expect(tree.resolve("/deep") == .loop(path: "/deep"))
    #expect(!tree.exists("/a/b"))
    #expect(tree.resolve("/a", followLast: false) == .found(path: "/a", node: .link("b")))
    tree.write("text", to: "/a/file")
    #expect(tree.text("/a/file") == "text")
  }

  @Test("Forty links are followed and forty-one are not, as on Linux")
  func fortyLinksAreFollowedAndFortyoneAre() {
    var tree = MemoryFileTree(["/0": "end"])
    for number in 1...41 { tree.link("/\(number)", to: "\(number - 1)") }
    #expect(tree.text("/40") == "end")
    #expect(tree.text("/41") == nil)
  }

  @Test("Removing takes a directory with what it holds and leaves the one above")
  func removingTakesADirectoryWithWhatIt() {
    var tree = MemoryFileTree(["/etc/a/b": "1", "/etc/a/c/d": "2"])
    let before = tree
    tree.remove("/etc/a")
    #expect(tree.paths == ["/etc"])
    tree.remove("/")
    tree.remove("/nothing")
    #expect(tree.list("/") == ["etc"])
    #expect(before.text("/etc/a/c/d") == "2")
  }

  @Test("Writing goes through a linked directory, and through a file in the way")
  func writingGoesThroughALinkedDirectoryAnd() {
    var tree = MemoryFileTree(["/run/x": ""])
    tree.link("/var/run", to: "/run")
    tree.write("7", to: "/var/run/pid")
    #expect(tree.text("/run/pid") == "7")
    tree.write("8", to: "/run/pid/inner")
    #expect(tree.text("/run/pid/inner") == "8")
    #expect(tree.list("/run") == ["pid", "x"])
  }

  @Test("Merging lays one tree over another")
  func mergingLaysOneTreeOverAnother() {
    var base = MemoryFileTree(["/etc/fstab": "old", "/etc/hosts": "h"])
    var over = MemoryFileTree(["/etc/fstab": "new"])
    over.link("/etc/mtab", to: "/proc/self/mounts")
    base.merge(over)
    #expect(base.text("/etc/fstab") == "new")
    #expect(base.paths == ["/etc", "/etc/fstab", "/etc/hosts", "/etc/mtab"])
  }

  @Test(
    "Paths are normalised",
    arguments: [
      ("", "/"), ("/", "/"), ("//a///b/", "/a/b"), ("/a/../../b/.", "/b"), ("relative/x", "/relative/x"),
    ])
  func pathsAreNormalised(path: String, expected: String) {
    #expect(TreePath.normalized(path) == expected)
  }

  @Test("A problem prints as editors read it")
  func aProblemPrintsAsEditorsReadIt() {
    let problem = Problem(.error, file: "/etc/fstab", line: 3, column: 7, message: "no", hint: "yes")
    #expect(problem.description == "/etc/fstab:3:7: error: no\n  hint: yes")
    #expect(Problem(.warning, file: "x", line: 0, message: "m").description == "x: warning: m")
  }
}
