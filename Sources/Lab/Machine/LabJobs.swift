import Glibc

/// Several runs of this very program at a time: each has a network of its own, and disks.
public enum LabJobs {
  /// Runs command lines, so many at a time, and hands over what each wrote when it has ended.
  ///
  /// - Throws: if a program cannot be started.
  public static func run(
    _ jobs: [[String]], lanes: Int, ended: (_ job: Int, _ status: Int32, _ text: String) -> Void
  ) throws(LabError) {
    var running: [(job: Int, tool: Tool, log: String)] = []
    var next = 0
    var name = Array("/tmp/bootsim-lab-XXXXXX".utf8CString)
    guard mkdtemp(&name) != nil else { throw LabError("/tmp: \(String(cString: strerror(errno)))") }
    let folder = name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    defer { _ = try? Tool.run(["rm", "-rf", folder]) }
    while next < jobs.count || !running.isEmpty {
      while next < jobs.count, running.count < lanes {
        let log = "\(folder)/\(next)"
        running.append((next, try Tool(jobs[next], log: log), log))
        next += 1
      }
      for place in running.indices.reversed() where !running[place].tool.isRunning {
        let (job, tool, log) = running.remove(at: place)
        ended(job, tool.wait(), try Files.text(log))
      }
      usleep(100_000)
    }
  }
}
