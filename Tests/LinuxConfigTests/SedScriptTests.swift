import LinuxConfig
import Testing

/// `sed` on texts; each expected text is what GNU sed 4.9 prints.
@Suite struct SedScriptTests {
  static let input = "one\ntwo\nthree\nfour\n"

  @Test(
    "Commands and addresses do what GNU sed does",
    arguments: [
      ("s/o/0/", "0ne\ntw0\nthree\nf0ur\n"),
      ("s/e/E/g", "onE\ntwo\nthrEE\nfour\n"),
      ("s/e/E/2", "one\ntwo\nthreE\nfour\n"),
      ("2s/.*/[&]/", "one\n[two]\nthree\nfour\n"),
      ("s/\\(t\\)\\(.\\)/\\2\\1/", "one\nwto\nhtree\nfour\n"),
      ("2d", "one\nthree\nfour\n"),
      ("2,3d", "one\nfour\n"),
      ("/two/,/four/d", "one\n"),
      ("/two/,$d", "one\n"),
      ("2!d", "two\n"),
      ("$d", "one\ntwo\nthree\n"),
      ("1~2d", "two\nfour\n"),
      ("2,+1d", "one\nfour\n"),
      ("2a new line", "one\ntwo\nnew line\nthree\nfour\n"),
      ("2i\\\nnew line", "one\nnew line\ntwo\nthree\nfour\n"),
      ("2a\\\tnew", "one\ntwo\n\tnew\nthree\nfour\n"),
      ("2c changed", "one\nchanged\nthree\nfour\n"),
      ("2,3c changed", "one\nchanged\nfour\n"),
      ("2q", "one\ntwo\n"),
      ("y/ot/01/", "0ne\n1w0\n1hree\nf0ur\n"),
      ("/t/{s/t/T/;s/h/H/}", "one\nTwo\nTHree\nfour\n"),
      ("s,/,x,; s|e$|E|", "onE\ntwo\nthreE\nfour\n"),
      ("s/T/x/I", "one\nxwo\nxhree\nfour\n"),
      ("s/[aeiou]\\+/_/", "_ne\ntw_\nthr_\nf_r\n"),
      ("s/\\<t/T/", "one\nTwo\nThree\nfour\n"),
      ("s/x*/-/g", "-o-n-e-\n-t-w-o-\n-t-h-r-e-e-\n-f-o-u-r-\n"),
      ("s/e\\{2\\}/EE/", "one\ntwo\nthrEE\nfour\n"),
      ("1s/^/#/", "#one\ntwo\nthree\nfour\n"),
      ("# a comment\n2d", "one\nthree\nfour\n"),
    ])
  func commands(script: String, expected: String) throws {
    let sed = try #require(SedScript(script))
    #expect(sed.run(on: Self.input) == expected)
  }

  @Test(
    "Extended expressions have their operators without backslashes",
    arguments: [
      ("s/(o|e)+$/X/", "onX\ntwX\nthrX\nfour\n"), ("s/^(.)(.)/\\2\\1/", "noe\nwto\nhtree\nofur\n"),
      ("s/e{2}/E/", "one\ntwo\nthrE\nfour\n"), ("s/u?r/R/", "one\ntwo\nthRee\nfoR\n"),
    ])
  func extended(script: String, expected: String) throws {
    let sed = try #require(SedScript(script, isExtended: true))
    #expect(sed.run(on: Self.input) == expected)
  }

  @Test("With -n only what is printed comes out; a last line without its end stays so")
  func quiet() {
    #expect(SedScript("/t/p")?.run(on: Self.input, quiet: true) == "two\nthree\n")
    #expect(SedScript("s/b/c/")?.run(on: "a\nb") == "a\nc")
    #expect(SedScript("$a x")?.run(on: "a\n") == "a\nx\n")
    #expect(SedScript("s/a/b/")?.run(on: "") == "")
  }

  @Test(
    "What is not understood is refused",
    arguments: [
      "s/a", "s/\\(a/b/", "k", "N;P", ":a;ba", "s/a/\\U&/", "//d", "s//x/", "2,", "{d", "}", "y/ab/c/",
      "s/a/b/z",
    ])
  func refused(script: String) { #expect(SedScript(script) == nil) }

  @Test("A pattern that takes too long gives no answer, and damage no crash")
  func hostile() throws {
    let slow = try #require(SedScript("s/\\(a*\\)*\\(a*\\)*b/x/"))
    #expect(slow.run(on: String(repeating: "a", count: 4000)) == nil)
    for length in 1...40 {
      _ = SedScript(String("s/[[:alpha:]]\\{1,3\\}\\(x\\|y\\)*$/\\1&/g;2,/q/c\\".prefix(length)))?.run(
        on: Self.input)
    }
  }

  @Test("The words of a call are read: options in one, several scripts, -i with a suffix")
  func call() throws {
    let call = try #require(SedCall(["-i.bak", "s/a/b/", "/etc/fstab"]))
    #expect(call.inPlace && call.backup == ".bak" && call.files == ["/etc/fstab"])
    let two = try #require(SedCall(["-n", "-e", "1p", "-e", "2p", "f"]))
    #expect(two.isQuiet && !two.inPlace && two.script.run(on: "a\nb\nc\n", quiet: true) == "a\nb\n")
    #expect(SedCall(["-i", nil]) == nil)
    #expect(SedCall(["--posix", "p"]) == nil)
  }
}
