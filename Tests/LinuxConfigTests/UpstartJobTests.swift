import LinuxConfig
import Testing

/// Jobs of Upstart: what is read, what is refused, and which events they mean.
@Suite struct UpstartJobTests {
  static let rc = """
    # rc - System V runlevel compatibility
    description     "System V runlevel compatibility"

    start on runlevel [0123456]
    stop on runlevel [!$RUNLEVEL]

    export RUNLEVEL
    env INIT_VERBOSE=no
    task

    pre-start script
        # a script
        echo "$RUNLEVEL" && exit 0
    end script
    exec /etc/init.d/rc $RUNLEVEL
    """

  @Test("a job's stanzas, with the lines they are on") func aJobsStanzas() {
    let parsed = UpstartJob.parse(Self.rc, file: "/etc/init/rc.conf")
    let job = parsed.value
    #expect(parsed.problems.isEmpty)
    #expect(job.name == "rc" && job.isTask && !job.respawns)
    #expect(job.exports == ["RUNLEVEL"])
    #expect(job.environment == [UpstartJob.Variable("INIT_VERBOSE", "no")])
    #expect(job.process(.main)?.text == "/etc/init.d/rc $RUNLEVEL")
    #expect(job.process(.main)?.line == 15)
    #expect(job.process(.preStart)?.isScript == true)
    #expect(
      job.process(.preStart)?.text == "    # a script\n    echo \"$RUNLEVEL\" && exit 0\n")
    #expect(job.process(.postStop) == nil)
  }

  private static func event(_ text: String) -> UpstartJob.Event {
    let words = text.split(separator: " ").map(String.init)
    return UpstartJob.Event(
      words[0],
      words.dropFirst().map { word in
        let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
        return UpstartJob.Variable(parts[0], parts[1])
      })
  }

  @Test(
    "an event is compared by name, position and pattern",
    arguments: [
      ("runlevel", "runlevel RUNLEVEL=2 PREVLEVEL=N", true),
      ("runlevel [2345]", "runlevel RUNLEVEL=2 PREVLEVEL=N", true),
      ("runlevel [!2345]", "runlevel RUNLEVEL=2 PREVLEVEL=N", false),
      ("runlevel [06]", "runlevel RUNLEVEL=0 PREVLEVEL=2", true),
      ("runlevel RUNLEVEL=[06] PREVLEVEL=N", "runlevel RUNLEVEL=0 PREVLEVEL=2", false),
      ("net-device-up IFACE=eth*", "net-device-up IFACE=eth0", true),
      ("net-device-up IFACE!=lo", "net-device-up IFACE=lo", false),
      ("net-device-up IFACE!=lo", "net-device-up IFACE=eth0", true),
      ("net-device-up", "net-device-down IFACE=eth0", false),
      ("stopped rc RUNLEVEL=[2345]", "stopped JOB=rc INSTANCE= RESULT=ok RUNLEVEL=2", true),
      ("stopped rc RUNLEVEL=[2345]", "stopped JOB=rc-sysinit INSTANCE= RESULT=ok", false),
      ("started udev", "started JOB=udev", true),
      ("x A=1", "x", false),
    ])
  func anEventIsCompared(_ condition: String, _ event: String, _ expected: Bool) {
    let text = event.split(separator: " ").map { $0.hasSuffix("=") ? "\($0)-" : String($0) }
    let job = UpstartJob.parse("start on \(condition)\n", file: "j.conf").value
    let match = job.startOn?.events.first
    #expect(match?.matches(Self.event(text.joined(separator: " "))) == expected)
  }

  @Test("a variable of the job stands in a pattern") func aVariableOfTheJob() {
    let job = UpstartJob.parse("stop on net-device-removed INTERFACE=$INTERFACE\n", file: "j.conf").value
    let match = job.stopOn?.events.first
    let own = [UpstartJob.Variable("INTERFACE", "eth0")]
    #expect(match?.matches(Self.event("net-device-removed INTERFACE=eth0"), job: own) == true)
    #expect(match?.matches(Self.event("net-device-removed INTERFACE=eth1"), job: own) == false)
    #expect(
      UpstartJob.replace(own[0], in: "${INTERFACE} $INTERFACES $INTERFACE.") == "eth0 $INTERFACES eth0.")
  }

  @Test("and and or bind alike from left to right; parentheses may span lines") func andAndOr() {
    func shape(_ condition: UpstartJob.Condition?) -> String {
      switch condition {
      case .event(let event)?: event.name
      case .and(let left, let right)?: "(\(shape(left)) & \(shape(right)))"
      case .or(let left, let right)?: "(\(shape(left)) | \(shape(right)))"
      case nil: "none"
      }
    }
    let cases = [
      ("a and b or c", "((a & b) | c)"), ("a or b and c", "((a | b) & c)"),
      ("a or (b and c)", "(a | (b & c))"),
      ("(local-filesystems\n and net-device-up IFACE=lo)", "(local-filesystems & net-device-up)"),
      ("a \\\n  and b", "(a & b)"),
    ]
    for (text, expected) in cases {
      let parsed = UpstartJob.parse("start on \(text)\ntask\n", file: "j.conf")
      #expect(shape(parsed.value.startOn) == expected, "\(text)")
      #expect(parsed.problems.isEmpty && parsed.value.isTask, "\(text)")
    }
  }

  @Test(
    "what init would refuse is an error at its line",
    arguments: [
      ("start filesystem\n", 1), ("\nstart on\n", 2), ("start on (a and b\n", 1), ("start on a and\n", 1),
      ("start on a )\n", 1), ("start on () \n", 1), ("task\nscript\necho\n", 2), ("pre-start echo\n", 1),
      ("exec\n", 1), ("strat on filesystem\n", 1), ("env X\n", 1), ("script x\nend script\n", 1),
    ])
  func whatInitWouldRefuse(_ text: String, _ line: Int) {
    let problems = UpstartJob.parse(text, file: "/etc/init/j.conf").problems
    #expect(problems.map(\.line) == [line])
    #expect(problems.allSatisfy { $0.severity == .error && $0.file == "/etc/init/j.conf" })
  }

  @Test("parentheses without end are refused, not followed") func parenthesesWithoutEnd() {
    let text = "start on " + String(repeating: "(", count: 100_000) + "\n"
    #expect(UpstartJob.parse(text, file: "j.conf").problems.count == 1)
  }

  @Test("all jobs of a tree, by name; other files are passed over, one with an error is refused")
  func allJobsOfATree() {
    let tree = MemoryFileTree([
      "/etc/init/b.conf": "start on startup\n", "/etc/init/a.conf": "exec x\n",
      "/etc/init/c.conf.dpkg-old": "?", "/etc/init/d.conf": "exec x\nrespwan\n",
    ])
    let parsed = UpstartJob.all(from: tree)
    #expect(parsed.value.map(\.name) == ["a", "b"])
    #expect(parsed.problems.map(\.file) == ["/etc/init/d.conf"])
  }
}
