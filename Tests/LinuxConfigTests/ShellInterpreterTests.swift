import LinuxConfig
import Testing

/// Answers for the world from tables, and remembers what it was asked.
private struct World: ShellDelegate {
  var commands: [String: ShellOutcome] = [:]
  var files: [String: ShellFileAnswer] = [:]
  var choices: [ShellQuestion.Kind: Int] = [:]
  var questions: [ShellQuestion] = []
  var writes: [ShellWrite] = []

  mutating func run(_ call: ShellCall) -> ShellOutcome? {
    commands[call.text] ?? call.name.flatMap { commands[$0] }
  }
  mutating func file(_ path: String) -> ShellFileAnswer { files[path] ?? .tree }
  mutating func choose(_ question: ShellQuestion) -> Int? {
    questions.append(question)
    return choices[question.kind]
  }
  mutating func wrote(_ write: ShellWrite) { writes.append(write) }
}

private func run(
  _ script: String, arguments: [String] = [], tree: MemoryFileTree = MemoryFileTree(), world: World = World(),
  environment: [String: String] = [:]
) -> (run: ShellRun, world: World) {
  var shell = ShellInterpreter(tree: tree, delegate: world)
  let run = shell.run(
    ShellScript.parse(script, file: "/t"), file: "/t", arguments: arguments, environment: environment)
  return (run, shell.delegate)
}

/// A snippet and what dash 0.5.12 prints for it, with its exit status.
struct Snippet: Sendable, CustomTestStringConvertible {
  var script: String
  var output: String
  var status = 0
  var testDescription: String { script }
}

@Suite struct ShellInterpreterTests {
  /// Every expectation was taken from dash, not from the interpreter.
  static let snippets: [Snippet] = [
    .init(script: "x=5; echo $x ${x} \"$x\" '$x' \\$x", output: "5 5 5 $x $x\n"),
    .init(script: "x='a  b'; echo $x; echo \"$x\"", output: "a b\na  b\n"),
    .init(script: "echo ${x:-y} ${x-z} ${x:+n}end", output: "y z end\n"),
    .init(script: "x=; echo [${x:-y}] [${x-z}] [${x+s}]", output: "[y] [] [s]\n"),
    .init(script: "echo ${x:=v}; echo $x", output: "v\nv\n"),
    .init(
      script: "f() { echo $#; }; x=1; f ${x:+-u \"a b\"}; f \"${x:+-u b}\"; f ${y:-a b} ${y:+c d}",
      output: "2\n1\n2\n"),
    .init(script: "f() { echo $#; }; x=1; y=${x:+a  b}; f $y \"$y\"", output: "3\n"),
    .init(
      script: "p=/etc/rc.d/S10network; echo ${p##*/} ${p%/*} ${p#*/} ${p%%/rc*} ${#p}",
      output: "S10network /etc/rc.d etc/rc.d/S10network /etc 20\n"),
    .init(
      script: "x='*'; case \"$x\" in '*') echo star;; esac; case abc in a?c) echo q;; esac",
      output: "star\nq\n"),
    .init(script: "case K90network in S*) echo s;; K[0-9][0-9]*) echo k;; *) echo o;; esac", output: "k\n"),
    .init(
      script: "case b in [!a]) echo notA;; esac; case - in [a-]) echo dash;; esac", output: "notA\ndash\n"),
    .init(script: "f() { echo \"$1:$#\"; return 3; }; f 'a b' c; echo $?", output: "a b:2\n3\n"),
    .init(
      script: "set -- a 'b c' d; for i in \"$@\"; do echo [$i]; done; shift 2; echo $1 $#",
      output: "[a]\n[b c]\n[d]\nd 1\n"),
    .init(script: "set -- a 'b c'; for i in $*; do echo $i; done; echo \"$*\"", output: "a\nb\nc\na b c\n"),
    .init(script: "f() { local x; x=1; echo $x; }; x=0; f; echo $x", output: "1\n0\n"),
    .init(
      script: "i=0; while [ $i -lt 3 ]; do i=$((i+1)); [ $i = 2 ] && continue; echo $i; done",
      output: "1\n3\n"),
    .init(
      script: "for i in 1 2; do for j in a b; do [ $j = b ] && continue 2; echo $i$j; done; done",
      output: "1a\n2a\n"),
    .init(script: "for i in 1 2 3; do [ $i = 2 ] && break; echo $i; done; echo end", output: "1\nend\n"),
    .init(script: "i=3; until [ $i -eq 0 ]; do echo $i; i=$((i - 1)); done", output: "3\n2\n1\n"),
    .init(script: "echo a | while read x; do y=$x; echo got $y; done; echo [$y]", output: "got a\n[]\n"),
    .init(script: "while read a b; do echo \"$b-$a\"; done <<END\n1 2 3\nx\nEND\n", output: "2 3-1\n-x\n"),
    .init(script: "v=7; cat <<END\n$v $(echo in) `echo tick` \\$v\nEND\n", output: "7 in tick $v\n"),
    .init(script: "cat <<'END'\n$v `x`\nEND\ncat <<-END\n\t\ttab\n\tEND\n", output: "$v `x`\ntab\n"),
    .init(script: "x=$(printf '%s-%s\\n' a b c); echo \"$x\"", output: "a-b\nc-\n"),
    .init(script: "echo $(echo a; echo b) \"$(echo a; echo b)\"", output: "a b a\nb\n"),
    .init(script: "echo `echo \\`echo deep\\``", output: "deep\n"),
    .init(script: "false && echo no || echo yes; true && false || echo third", output: "yes\nthird\n"),
    .init(script: "! false; echo $?; ! true; echo $?", output: "0\n1\n"),
    .init(script: "(x=1; exit 4); echo $? [$x]", output: "4 []\n"),
    .init(script: "{ echo a; echo b; } | cat", output: "a\nb\n"),
    .init(
      script: "echo $((2+3*4)) $(((2+3)*4)) $((7/2)) $((7%3)) $((1<2)) $((0x10)) $((010))",
      output: "14 20 3 1 1 16 8\n"),
    .init(script: "x=4; echo $((x*x)) $((-x)) $((x==4 && 1)) $((x>5?1:2))", output: "16 -4 1 2\n"),
    .init(script: "if [ a = b ]; then echo 1; elif [ -n x ]; then echo 2; else echo 3; fi", output: "2\n"),
    .init(
      script: "[ ]; echo $?; [ -n ]; echo $?; [ ! -n x ]; echo $?; [ \"\" ]; echo $?",
      output: "1\n0\n1\n1\n"),
    .init(
      script: "[ a = a -a b = c ]; echo $?; [ a = b -o b = b ]; echo $?; [ \\( a = a \\) ]; echo $?",
      output: "1\n0\n0\n"),
    .init(script: "[ ! = ! ]; echo $?; [ -f = -f ]; echo $?; [ ! a = b ]; echo $?", output: "0\n0\n0\n"),
    .init(script: "[ 10 -gt 9 ] && echo n; [ -1 -lt 0 ] && echo m", output: "n\nm\n"),
    .init(
      script: "set -e; false || true; if false; then :; fi; echo on; false; echo never", output: "on\n",
      status: 1),
    .init(script: "set -e; f() { false; echo in; }; f || echo caught", output: "in\n"),
    .init(script: "set -e; ! true; echo after", output: "after\n"),
    .init(script: "set -e; x=$(false); echo never", output: "", status: 1),
    .init(script: "exit 7; echo no", output: "", status: 7),
    .init(script: "f() { exit 2; }; f; echo no", output: "", status: 2),
    .init(script: "true; f() { return; }; false; f; echo $?", output: "1\n"),
    .init(script: "eval 'x=1; echo $x'; eval echo \\$x", output: "1\n1\n"),
    .init(script: "IFS=:; set -- $(echo a:b::c); echo $# $3$4", output: "4 c\n"),
    .init(script: "IFS=, read a b <<E\n1,2,3\nE\necho $a $b", output: "1 2,3\n"),
    .init(script: "x=1 y=2; echo $x$y; x=9 true; echo $x", output: "12\n1\n"),
    .init(script: "echo a#b #c\necho 'q'\"r\"s", output: "a#b\nqrs\n"),
    .init(script: "echo a \\\n  b", output: "a b\n"),
    .init(script: "x=\"a b\"; y=$x; echo \"$y\"; z=$x$x; echo $z", output: "a b\na ba b\n"),
    .init(script: "echo \"${x:-\"in quotes\"}\" ${x:-'s q'}", output: "in quotes s q\n"),
    .init(script: "f() { echo $0 $1; }; f x | cat", output: "/t x\n"),
    .init(script: "unset x; x=${x}a; x=${x}b; echo $x; unset x; echo [$x]", output: "ab\n[]\n"),
    .init(script: "case x in (x) echo paren;; esac; case y in a|y) echo alt; esac", output: "paren\nalt\n"),
    .init(
      script: "echo one; echo two >/dev/null; echo three >&2; echo four 2>/dev/null", output: "one\nfour\n"),
    .init(script: "x='1 2'; set -- $x $x; echo $#; set --; echo $# \"$@\" end", output: "4\n0 end\n"),
    .init(script: "test -z \"$none\" && echo z; [ -z $none ] && echo zz", output: "z\nzz\n"),
    .init(script: "printf '%s\\n' 'a%b' c; printf 'x%%\\n'; printf '%d\\n' 12", output: "a%b\nc\nx%\n12\n"),
    .init(
      script: "echo abc | grep -q b && echo hit; echo abc | grep '^b' || echo miss", output: "hit\nmiss\n"),
    .init(
      script: "printf 'a1\\nb2\\n' | grep -E '^(x|b)' >/dev/null; printf 'a1\\nb2\\n' | grep '[0-9]$'",
      output: "a1\nb2\n"),
    .init(script: "basename /a/b.sh .sh; dirname /a/b/c; dirname x; basename /", output: "b\n/a/b\n.\n/\n"),
    .init(script: "a=b; echo $a$$ | grep -q '^b[0-9]*$' ; echo done", output: "done\n"),
    .init(script: "f () {\n  for a in $1 ; do\n    echo $a\n  done\n}\nf \"x y\"\n", output: "x\ny\n"),
    .init(script: "trap 'echo bye' 2; umask 022; : ${DEF:=d}; echo $DEF", output: "d\n"),
    .init(script: "command -v f >/dev/null || echo none; f() { :; }; command -v f", output: "none\nf\n"),
    .init(
      script: "x=abc; while [ \"${x#?}\" != \"$x\" ]; do printf %s. \"${x%\"${x#?}\"}\"; x=${x#?}; done",
      output: "a.b.c."),
    .init(script: "exec 3>&1; echo x; exec true; echo never", output: "x\n"),
    .init(script: "sleep 0 & wait; echo $?", output: "0\n"),
    .init(
      script:
        "printf 'a:b\\nc:d\\ne\\n' >/tmp/.s; cut -d: -f2 /tmp/.s; head -n 1 </tmp/.s; sed -n 2p /tmp/.s; wc -l </tmp/.s",
      output: "b\nd\ne\na:b\nc:d\n3\n"),
  ]

  @Test("A script prints and returns what it does under dash", arguments: snippets)
  func asDash(snippet: Snippet) {
    let result = run(snippet.script).run
    #expect(result.output.known == snippet.output)
    #expect(result.status == .code(snippet.status))
    #expect(result.problems.isEmpty)
    #expect(result.isComplete)
  }

  @Test("The table of snippets has not been lost")
  func snippetCount() { #expect(Self.snippets.count > 60) }

  @Test("What a script stops is listed in order, with file and line, through sourced files and functions")
  func listing() {
    let tree = MemoryFileTree([
      "/etc/init.d/functions": "action() {\n  shift\n  \"$@\"\n}\n",
      "/etc/sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth0\nONBOOT=yes\n",
      "/etc/sysconfig/network-scripts/ifcfg-lo": "DEVICE=lo\n",
      "/etc/init.d/network": """
      #!/bin/bash
      . /etc/init.d/functions
      cd /etc/sysconfig/network-scripts
      case "$1" in
        stop)
          for i in ifcfg-*; do
            unset DEVICE
            eval $(LANG=C grep -F "DEVICE=" $i)
            [ "$DEVICE" = lo ] && continue
            action $"Shutting down interface $DEVICE: " ./ifdown $DEVICE boot
          done
          ;;
      esac
      exit 0
      """,
    ])
    var shell = ShellInterpreter(tree: tree, delegate: IgnorantShellDelegate())
    let result = shell.run(path: "/etc/init.d/network", arguments: ["stop"])
    let called = result?.commands.filter { !$0.isCaptured }
    #expect(called?.map(\.text) == ["./ifdown eth0 boot"])
    #expect(called?.first?.file == "/etc/init.d/functions")
    #expect(called?.first?.line == 3)
    #expect(called?.first?.functions == ["action"])
    #expect(result?.status == .zero)
    #expect(shell.run(path: "/etc/init.d/absent") == nil)
  }

  @Test("A condition nobody knows takes no branch, is noted, and what it would set becomes unknown")
  func undecided() throws {
    let script =
      "A=1; B=1\nif [ -e /run/x ]; then\n  A=2; ifdown -a\nelse\n  halt\nfi\necho $A $B; [ $A = 1 ] && x\n"
    let (result, world) = run(script)
    #expect(result.commands.isEmpty)
    #expect(result.variables["A"] == .unknown)
    #expect(result.output.known == nil)
    #expect(result.output.description == "‹?› 1\n")
    #expect(world.questions.map(\.kind) == [.conditional, .andOr])
    #expect(result.notLookedAt.map(\.line) == [3, 5, 7])
    #expect(result.notLookedAt.map(\.commands) == [["ifdown"], ["halt"], ["x"]])
    #expect(result.status == .unknown)
  }

  @Test(
    "An unknown condition joined to a known test is known where logic allows it",
    arguments: [
      ("probe && [ a = b ]; echo $?", "1\n"), ("probe || [ a = a ]; echo $?", "0\n"),
      ("probe || true; echo $?", "0\n"),
      ("probe && [ a = a ]; echo $?", nil), ("probe || [ a = b ]; echo $?", nil),
      ("[ -t 1 ] && [ \"x${TERM:-}\" != x ] && tput; echo $?", "1\n"),
    ] as [(String, String?)])
  func threeValued(script: String, output: String?) {
    let result = run(script).run
    #expect(result.output.known == output)
    #expect(!result.commands.contains { $0.name == "tput" })
  }

  /// In the form of Red Hat's `/etc/init.d/halt` of 2005, written for this test.
  static let redHatHalt = #"""
    #!/bin/bash
    # rc.halt	This file is executed by init when it goes into runlevel 0 (halt) or 6 (reboot).
    NOLOCALE=1
    . /etc/init.d/functions

    UMOUNT="umount"
    runcmd() {
       echo -n "$1 "
       shift
       if [ "$BOOTUP" = "color" ]; then
          $* && echo_success || echo_failure
       else
          $*
       fi
       echo
    }

    case "$0" in
       *halt)
    	message=$"Halting system..."
    	command="/sbin/halt"
    	;;
       *reboot)
    	message=$"Please stand by while rebooting the system..."
    	command="/sbin/reboot"
    	;;
       *)
    	echo $"$0: call me as \"halt\" or \"reboot\" please!"
    	exit 1
    	;;
    esac
    case "$1" in *start) ;; *) echo $"Usage: `basename $0` {start}"; exit 1 ;; esac

    [ -f /proc/mdstat ] && runcmd "md" mdstop
    runcmd $"Sending all processes the TERM signal..." /sbin/killall5 -15
    sleep 5
    runcmd $"Sending all processes the KILL signal..."  /sbin/killall5 -9
    [ -x /sbin/quotaoff ] && quotaoff -aug

    remaining=`awk '!/(^#|proc|^\/dev\/root|\/ ) / {print $2}' /proc/mounts`
    retry=3
    sig=
    while [ -n "$remaining" -a "$retry" -gt 0 ]
    do
    	if [ "$retry" -lt 3 ]; then
    		runcmd $"Unmounting file systems (retry):  " umount -f $remaining
    	else
    		runcmd $"Unmounting file systems:  " umount $remaining
    	fi
    	sleep 2
    	remaining=`awk '!/(^#|proc|^\/dev\/root|\/ ) / {print $2}' /proc/mounts`
    	[ -z "$remaining" ] && break
    	/sbin/fuser -k -m $sig $remaining >/dev/null
    	sig=-9
    	retry=$(($retry-1))
    done
    mount -n -o remount,ro /
    HALTARGS="-i -d"
    if [ -f /poweroff -o ! -f /halt ]; then
    	[ "$command" = "/sbin/halt" ] && HALTARGS="$HALTARGS -p"
    fi
    exec $command $HALTARGS
    """#

  @Test(
    "A halt script in Red Hat's form takes the network down itself",
    arguments: [
      ("/etc/rc.d/init.d/halt", "/sbin/halt -i -d -p"), ("/etc/rc6.d/S01reboot", "/sbin/reboot -i -d"),
    ])
  func redHat(path: String, last: String) {
    var tree = MemoryFileTree([
      "/etc/rc.d/init.d/halt": Self.redHatHalt, "/etc/init.d/functions": "BOOTUP=serial\nexport BOOTUP\n",
    ])
    tree.link("/etc/rc6.d/S01reboot", to: "../rc.d/init.d/halt")
    var world = World()
    world.files["/proc/mdstat"] = .absent
    world.commands["umount /data"] = ShellOutcome(.nonzero)
    for program in ["mount", "/sbin/killall5", "/sbin/fuser", "/sbin/halt", "/sbin/reboot", "umount"] {
      world.commands[program] = ShellOutcome(.zero)
    }
    world.commands["awk"] = ShellOutcome(.zero, output: "/data\n")
    var shell = ShellInterpreter(tree: tree, delegate: world)
    let result = shell.run(path: path, arguments: ["start"])
    let commands = result?.commands.map(\.text).filter {
      !$0.starts(with: "awk") && !$0.starts(with: "sleep")
    }
    #expect(
      commands == [
        "/sbin/killall5 -15", "/sbin/killall5 -9", "umount /data", "/sbin/fuser -k -m /data",
        "umount -f /data",
        "/sbin/fuser -k -m -9 /data", "umount -f /data", "/sbin/fuser -k -m -9 /data",
        "mount -n -o remount,ro /", last,
      ])
    #expect(result?.notLookedAt.isEmpty == true)
    #expect(result?.problems.isEmpty == true)
    #expect(result?.commands.last?.line == 62)
  }

  @Test("The delegate's choice is followed", arguments: [(0, ["ifdown -a"]), (1, ["halt"])])
  func chosen(branch: Int, expected: [String]) {
    let (result, _) = run(
      "if probe; then ifdown -a; else halt; fi", world: World(choices: [.conditional: branch]))
    #expect(result.commands.map(\.text) == ["probe"] + expected)
    #expect(result.notLookedAt.isEmpty)
  }

  @Test("Files come from the tree, from the delegate, and from what the script itself wrote")
  func files() {
    let tree = MemoryFileTree(["/etc/default/x": "NAME='from file'\n", "/sbin/iscsid": ""])
    var world = World()
    world.files["/proc/mounts"] = .node(.file(Array("/dev/sda1 / ext3 rw 0 0\n".utf8)))
    world.files["/run/marker"] = .absent
    let (result, after) = run(
      """
      [ -f /etc/default/x ] && . /etc/default/x
      [ -x /sbin/iscsid ] || exit 5
      [ -e /etc/absent ] && exit 6
      [ -e /run/marker ] && exit 7
      while read dev dir type rest; do echo "$dev on $dir"; done < /proc/mounts
      mkdir -p /run/open-iscsi
      echo keep > /run/open-iscsi/keep
      echo more >> /run/open-iscsi/keep
      [ -s /run/open-iscsi/keep ] && cat /run/open-iscsi/keep
      rm -f /run/open-iscsi/keep
      [ -e /run/open-iscsi/keep ] || echo "$NAME"
      """, tree: tree, world: world)
    #expect(result.output.known == "/dev/sda1 on /\nkeep\nmore\nfrom file\n")
    #expect(result.notLookedAt.isEmpty)
    #expect(after.writes.map(\.path.description) == ["/run/open-iscsi/keep", "/run/open-iscsi/keep"])
    #expect(after.writes.map(\.appends) == [false, true])
    #expect(result.writes == after.writes)
  }

  @Test("File name patterns are matched in the tree, sorted, without hidden files")
  func globs() {
    let tree = MemoryFileTree([
      "/etc/rc6.d/K20b": "", "/etc/rc6.d/K10a": "", "/etc/rc6.d/S90x": "", "/etc/rc6.d/.hidden": "",
      "/a/x/1": "",
      "/a/y/1": "",
    ])
    let (result, _) = run(
      "for i in /etc/rc6.d/K*; do echo $i; done; echo /a/*/1 /none/* \"/a/*\"; cd /etc/rc6.d; echo [KS]?[!0]*",
      tree: tree)
    #expect(
      result.output.known == "/etc/rc6.d/K10a\n/etc/rc6.d/K20b\n/a/x/1 /a/y/1 /none/* /a/*\n[KS]?[!0]*\n")
  }

  @Test("The output of a command the delegate knows flows on")
  func outputs() {
    var world = World()
    world.commands["iscsiadm -m session"] = ShellOutcome(.zero, output: "tcp: [1] 10.0.0.1\n")
    world.commands["stop-it"] = ShellOutcome(.code(2))
    let (result, _) = run(
      "for w in $(iscsiadm -m session); do echo $w; done; stop-it; case $? in 2) echo two;; esac",
      world: world)
    #expect(result.output.known == "tcp:\n[1]\n10.0.0.1\ntwo\n")
  }

  @Test("A condition of bash that makes no sense is noted, and its status is not known")
  func badCondition() {
    let result = run("[[ a b ]]\n").run
    #expect(result.notLookedAt.map(\.reason) == [.notModelled])
    #expect(result.status == .unknown)
  }

  @Test("A sourced file that is missing is noted, and the script goes on")
  func missingSource() {
    let (result, _) = run(". /lib/lsb/init-functions\nlog_daemon_msg Stopping\nifdown -a\n")
    #expect(result.notLookedAt.map(\.reason) == [.missingFile])
    #expect(result.commands.map(\.text) == ["log_daemon_msg Stopping", "ifdown -a"])
  }

  @Test(
    "Loops and recursion without end are stopped, and the run says it is not complete",
    arguments: [
      "while true; do :; done", "f() { f; }; f", "x=a; while :; do x=$x$x; done",
      "until false; do :; done",
      "f() { $(f); }; f", "f() { x=$(f); echo \"${x:-$(f)}\"; }; f", ". /t", "eval 'f() { eval f; }'; f",
    ])
  func bounded(script: String) {
    var shell = ShellInterpreter(tree: MemoryFileTree(["/t": ". /t\n"]), delegate: IgnorantShellDelegate())
    let result = shell.run(ShellScript.parse(script, file: "/t"), file: "/t")
    #expect(!result.isComplete)
    #expect(result.notLookedAt.contains { $0.reason == .limit })
  }

  @Test(
    "bash's conditions and quotes are understood",
    arguments: [
      ("x=ifcfg-eth0; [[ $x == ifcfg-* && ! $x == *.bak ]] && echo y", "y\n"),
      ("[[ -z \"\" || ( a == b ) ]] && echo y", "y\n"),
      ("function f { echo $1; }; f \"x\"", "x\n"), ("echo $\"text\" $'a\\tb'", "text a\tb\n"),
      ("x=/a/b; echo ${x//\\//-}", "-a-b\n"), ("((x = 3 + 4)); echo $x; ((0)) || echo zero", "7\nzero\n"),
      ("x=a; x+=b; echo $x &>/dev/null; echo $x", "ab\n"), ("read a <<< \"w1\"; echo $a", "w1\n"),
    ])
  func bash(script: String, output: String) {
    #expect(run(script).run.output.known == output)
  }
}
